"""JSON values of every shape for tests with generated input, each with a mark that no error may repeat."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Final, TypeVar

from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MARK: Final = "Mark-51c2"
"""Occurs in generated values. It has the form of no field's name, address, number or code."""

TEXTS: Final = st.one_of(
    st.text(max_size=20),
    st.text(max_size=10).map(lambda text: f"{MARK}{text}"),
    st.text(max_size=10).map(lambda text: f"{text}{MARK}@example.com"),
    st.sampled_from(
        ["", MARK, f"{MARK}\r\nX-Header: y", f"{MARK}\ud800", f"fe80::1%{MARK}", "9" * 5000, "\0", "1e999"]
    ),
)
NUMBERS: Final = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, True, False, 10**18, 10**400, 1e308, float("inf"), float("nan"), -0.0]),
)


def nested(depth: int, name: str = MARK) -> dict[str, Any]:
    """Return an object of objects of objects."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {name: value}
    return value


VALUES: Final = st.one_of(
    st.recursive(
        st.one_of(st.none(), NUMBERS, TEXTS),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
        max_leaves=8,
    ),
    st.sampled_from([100, 190, 300, 1200]).map(nested),
)
"""What `json.loads` can give, NaN and halves of surrogate pairs included."""


def given_or_refused(call: Callable[[], T], *documented: type[Exception]) -> T | None:
    """Return a call's result, or None if it raises a documented error, which must not repeat the mark."""
    try:
        return call()
    except documented as failure:
        refusal = f"{failure!r}\n{''.join(traceback.format_exception(failure))}"
    assert MARK not in refusal, refusal
    return None
