"""Whatever a worker sealed is a token set or a challenge, or an error that repeats no token."""

from __future__ import annotations

import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost.errors import GatepostError, OperationFailed, SealError
from gatepost_core.identifiers import REVEAL
from gatepost_core.outcomes import load_redeemable
from support.any_json import MARK, VALUES, given_or_refused
from support.examples import examples

MEMBERS = st.sampled_from(
    [
        "type",
        "access_token",
        "token_type",
        "expires_in",
        "id_token",
        "refresh_token",
        "scope",
        "mfa_token",
        "mfa_requirements",
    ]
)
DOCUMENTS = st.one_of(
    VALUES.map(json.dumps),
    st.dictionaries(MEMBERS, VALUES, max_size=4).map(json.dumps),
    st.builds(
        lambda kind, more: json.dumps({"type": kind, "access_token": f"{MARK}.token", **more}),
        st.sampled_from(["token_set", "mfa_challenge", MARK]),
        st.dictionaries(MEMBERS, VALUES, max_size=2),
    ),
    st.text(max_size=20).map(lambda text: MARK + text),
)


@settings(deadline=None, max_examples=examples(400))
@given(DOCUMENTS)
@example('{"type": "tokens_of_tomorrow", "access_token": "Mark-51c2"}')
@example("[" * 20_000)
@example('{"mfa_requirements": {"": NaN}}')
@example('{"mfa_requirements": {"": 1e999}}')
def test_any_result_is_read_or_refused_without_its_tokens(document: str) -> None:
    """A worker of a later version may seal something new, and the error may be logged."""
    redeemed = given_or_refused(lambda: load_redeemable(document.encode("utf-8", "replace")), SealError)

    assert redeemed is None or load_redeemable(redeemed.model_dump_json(context=REVEAL).encode()) == redeemed


@given(st.text(max_size=20), st.none() | st.text(max_size=20))
def test_any_reason_of_a_later_version_can_be_printed(reason: str, detail: str | None) -> None:
    """Celery's backend carries the reason as text, and a worker may know more of them than its producer."""
    failure: GatepostError = OperationFailed("operation-1", reason, detail)

    assert "operation-1" in str(failure)
