"""Whatever a foreign system submits is a command that can be sealed and read again, or an `InvalidCommand` that repeats none of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatepost.errors import InvalidCommand
from gatepost_core.commands import dump_command, load_command, parse_command
from gatepost_core.redis.keys import milliseconds
from support.any_command import FOREIGN
from support.any_json import MARK, TEXTS, given_or_refused
from support.examples import examples

SEND = {"kind": "send_email", "email": "guest@example.com"}


@settings(deadline=None, max_examples=examples(600))
@given(FOREIGN)
@example({**SEND, "extra": {"a": float("nan")}})
@example({**SEND, "extra": {"a": f"{MARK}\ud800"}})
@example({**SEND, "auth_params": {"a": 10**5000}})
@example({**SEND, "client_ip": f"fe80::1%{MARK}\r\nX-Header: y"})
@example({**SEND, f"{MARK}@example.com": 1})
@example({**SEND, "tenant": MARK})
@example({**SEND, "deadline": "0001-01-01T00:00:00+14:00"})
def test_any_document_is_a_command_or_is_refused_without_being_repeated(document: dict[str, Any]) -> None:
    """An accepted command survives sealing and opening, so a worker can read every recorded command."""
    command = given_or_refused(lambda: parse_command(document), InvalidCommand)

    assert command is None or load_command(dump_command(command)) == command
    assert command is None or isinstance(milliseconds(command.ends_at()), int)


@settings(deadline=None, max_examples=examples(300))
@given(
    st.one_of(
        st.binary(max_size=60).map(lambda content: MARK.encode() + content),
        st.builds(
            lambda kind, inner: b'{"kind":"%s",%s}' % (kind, inner), st.sampled_from([b"send_sms", b"x"]), st.binary()
        ),
        TEXTS.map(lambda text: dump_command(parse_command(SEND)).replace(b"guest", text.encode("utf-8", "replace"))),
    )
)
@example(b'{"kind":"send_email","email":"Mark-51c2"}')
@example(b'{"kind":"Mark-51c2"}')
@example(b"[" * 100_000)
def test_a_command_of_another_form_is_refused_without_being_repeated(content: bytes) -> None:
    """The worker logs why it cannot read an opened value, and the text contains no code."""
    command = given_or_refused(lambda: load_command(content), InvalidCommand)

    assert command is None or load_command(dump_command(command)) == command


@pytest.mark.parametrize("levels", [1, 150, 195, 196, 197, 198, 199, 200, 201, 250, 260, 2000])
def test_every_depth_is_carried_or_refused(levels: int) -> None:
    """The reader of sealed commands goes some 200 levels deep; an object must not pass here and fail there."""
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    command = given_or_refused(lambda: parse_command({**SEND, "extra": value}), InvalidCommand)

    assert command is not None or levels > 150
    assert command is None or load_command(dump_command(command)) == command
