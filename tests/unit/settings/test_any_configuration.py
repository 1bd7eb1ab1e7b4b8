"""Whatever the environment holds is a configuration, or a `ConfigurationError` that names the setting and never its value."""

from __future__ import annotations

import base64
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost.errors import ConfigurationError, SealError
from gatepost_core.sealing import Key, Keyring, Purpose, kid_of
from gatepost_core.sealing.fingerprints import Fingerprints
from gatepost_core.settings import Settings, environment_names, load_settings
from support.any_json import MARK, TEXTS, VALUES, given_or_refused
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = sorted(environment_names())
# A path that cannot be read is named in the error: the operator has to find it.
PLAIN = [name for name in NAMES if not name.endswith("_PATH")]
RING = Keyring([Key("test", bytes(32))])


def environment_safe(text: str) -> str:
    """The system takes no null byte, and bytes only."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


ENVIRONMENTS = st.dictionaries(
    st.sampled_from(PLAIN),
    st.one_of(TEXTS, VALUES.map(json.dumps), st.just("[]"), st.just("true")).map(environment_safe),
    max_size=5,
)


@contextmanager
def environment(changed: dict[str, str]) -> Iterator[None]:
    """Let these variables be set meanwhile."""
    os.environ.update(changed)
    try:
        yield
    finally:
        for name in changed:
            del os.environ[name]


def used(**given_settings: Any) -> None:
    """Read the settings, and use them as a producer and a worker do."""
    found = load_settings(**given_settings)
    found.keyring()
    found.fingerprints()
    found.all_tenants()
    assert found.broker


@settings(deadline=None, max_examples=examples(300))
@given(ENVIRONMENTS)
@example({"GATEPOST_TENANTS": json.dumps([{"name": MARK, "client_secret": MARK}])})
@example({"GATEPOST_TENANTS": f'[{{"name": "{MARK}"'})
@example({"GATEPOST_TENANTS": "[" * 20_000})
@example({"GATEPOST_SEALING_KEYS": f"{MARK}:{MARK}"})
@example({"GATEPOST_SEALING_KEYS": f"test:{MARK}"})
@example({"AUTH0_DOMAIN": f"https://{MARK}", "AUTH0_CLIENT_ID": "x"})
def test_any_environment_is_used_or_refused(changed: dict[str, str]) -> None:
    """A worker that does not start says which variable is wrong, on a terminal that others see."""
    with environment(changed):
        given_or_refused(used, ConfigurationError)


@settings(deadline=None, max_examples=examples(300))
@given(
    st.dictionaries(
        st.sampled_from(sorted(set(Settings.model_fields) - {"auth0_client_signing_key_path"})), VALUES, max_size=4
    )
)
def test_any_given_setting_is_used_or_refused(given_settings: dict[str, Any]) -> None:
    """As an application hands them over."""
    given_or_refused(lambda: used(**given_settings), ConfigurationError)


@settings(deadline=None, max_examples=examples(300))
@given(
    st.one_of(TEXTS, st.binary(max_size=64).map(lambda raw: base64.urlsafe_b64encode(raw).decode())),
    st.text(max_size=5),
)
@example("A" * 43, "a\n")
def test_any_key_is_read_or_refused_without_its_secret(secret: str, kid: str) -> None:
    """A key survives a round trip through its text, and an error does not repeat it."""
    text = f"{kid}:{MARK}{secret}"
    given_or_refused(lambda: Key.parse(text), ConfigurationError)
    key = given_or_refused(lambda: Key.parse(f"{kid}:{secret}"), ConfigurationError)

    assert key is None or Key.parse(key.reveal()) == key
    assert key is None or key.kid.isprintable()


# The id of an unknown key is named: the operator learns which key to put back.
KIDS = st.sampled_from(["test", "old", "", "x" * 40, "a\n", f"{MARK}:"]) | st.integers()


def header(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@settings(deadline=None, max_examples=examples(400))
@given(
    VALUES
    | st.fixed_dictionaries(
        {"alg": st.just("dir"), "enc": st.just("A256GCM")}, optional={"kid": KIDS, "for": VALUES, "zip": TEXTS}
    ),
    st.lists(st.text(alphabet="AZaz09-_", max_size=24), min_size=4, max_size=4),
)
@example(
    {"alg": "dir", "enc": "A256GCM", "kid": "test", "for": "command:x", "zip": "DEF"},
    ["", "AAAAAAAAAAAAAAAA", "AA", "AAAAAAAAAAAAAAAAAAAAAA"],
)
def test_any_header_of_a_sealed_value_is_refused(first: Any, rest: list[str]) -> None:
    """A writer of Redis can write any header, but only the key makes a value that opens."""
    sealed = ".".join([header(first), *rest])
    kid_of(sealed)

    assert given_or_refused(lambda: RING.open(sealed, Purpose.command("x")), SealError) is None


@pytest.mark.parametrize("levels", [100, 500, 700, 900, 20_000])
def test_a_deep_header_is_refused(levels: int) -> None:
    """Python's JSON parser raises another error there."""
    deep = base64.urlsafe_b64encode(b'{"kid":' * levels).decode().rstrip("=")

    assert kid_of(f"{deep}....") is None
    with pytest.raises(SealError):
        RING.open(f"{deep}....", Purpose.command("x"))


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_any_text_has_a_fingerprint(purpose: str, text: str) -> None:
    """Recipients, idempotency keys and payloads; half of a surrogate pair has one too."""
    assert len(Fingerprints(bytes(32)).digest(purpose, text)) == 32
