"""Whatever is typed is read, or refused with a sentence that says what to type and repeats nothing that could be a secret."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gatepost.errors import InvalidCommand
from gatepost_core.campaigns.hours import SendingHours
from gatepost_operations.cli.inputs import deadline_in, json_object
from gatepost_operations.cli.time_input import read_moment, read_past_moment
from gatepost_operations.formatting import duration_text, rate_text
from support.any_json import TEXTS, given_or_refused
from support.examples import examples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)
MOMENTS = st.one_of(
    st.text(max_size=30),
    st.from_regex(r"\+?[0-9]{1,20}(\.[0-9]{1,3})? ?[smhdw]", fullmatch=True),
    st.builds(
        lambda moment, zone: f"{moment.isoformat()}{zone}",
        st.datetimes(),
        st.sampled_from(["", "Z", "+14:00", "-23:59"]),
    ),
)
ZONES = st.none() | st.sampled_from(
    ["Europe/Berlin", "UTC", "../../etc/passwd", "/etc/passwd", "Nowhere/Here", "", "\0", "x" * 400]
)


@settings(
    deadline=None,
    max_examples=examples(400),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(TEXTS | st.just("[" * 20_000) | st.binary(max_size=40), st.booleans())
@example('{"a":' * 20_000, False)
@example(b'{"a": "Mark-51c2"', True)
@example(b"\xff Mark-51c2", True)
def test_any_json_option_is_an_object_or_is_refused(tmp_path: Path, content: str | bytes, in_a_file: bool) -> None:  # noqa: FBT001 - generated
    """`--auth-params` and `--extra`, in place and from a file, can contain personal data."""
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    # A file's name is said again.
    assume(in_a_file or not raw.startswith(b"@"))
    file = tmp_path / "params.json"
    file.write_bytes(raw)
    option = f"@{file}" if in_a_file else raw.decode("utf-8", "replace")
    found = given_or_refused(lambda: json_object(option, "auth_params"), InvalidCommand)

    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize("name", ["", "nowhere.json", "\0", "~absent-here/x", "x" * 5000])
def test_a_file_that_cannot_be_read_is_refused(name: str) -> None:
    """A name that is no path included."""
    with pytest.raises(InvalidCommand, match="auth_params"):
        json_object(f"@{name}", "auth_params")


@settings(deadline=None, max_examples=examples(500))
@given(MOMENTS, ZONES, st.sampled_from([read_moment, read_past_moment]))
@example("99999999999999999999d", None, read_moment)
@example("99999999999999999999d", None, read_past_moment)
@example("0001-01-01T00:00:00+14:00", None, read_moment)
@example("9999-12-31T23:59:59", "America/New_York", read_moment)
def test_any_moment_is_read_or_refused(text: str, zone: str | None, read: Callable[..., datetime | None]) -> None:
    """In UTC, with an offset that was given or a zone that exists."""
    options = {"timezone": zone} if read is read_moment else {}
    found = given_or_refused(lambda: read(text, "start_at", now=NOW, **options), InvalidCommand)

    assert found is None or found.utcoffset() == timedelta(0)


@settings(deadline=None, max_examples=examples(500))
@given(st.one_of(TEXTS, st.from_regex(r"[0-9]{1,2}:[0-9]{2} ?- ?[0-9]{1,2}:[0-9]{2}", fullmatch=True)), ZONES)
@example("\u0661\u0662:00-18:00", "UTC")
@example("09:00-24:00", "UTC")
def test_any_window_is_read_or_refused(text: str, zone: str | None) -> None:
    """Accepted hours survive a round trip through their text."""
    hours = given_or_refused(lambda: SendingHours.parse(text, zone or "Europe/Berlin"), ValueError)

    assert hours is None or SendingHours.from_text(str(hours)) == hours
    assert hours is None or hours.next_opening(NOW) >= NOW


@given(TEXTS)
def test_any_stored_window_is_read_or_refused(text: str) -> None:
    """The text is the form in a campaign's record."""
    given_or_refused(lambda: SendingHours.from_text(text), ValueError)


@given(st.floats(min_value=0.001, allow_nan=False))
@example(math.inf)
@example(1e300)
def test_any_deadline_is_a_moment_or_is_refused(seconds: float) -> None:
    """`--deadline` takes any number of seconds."""
    found: Any = given_or_refused(lambda: deadline_in(seconds), InvalidCommand)

    assert found is None or found > datetime.now(UTC) - timedelta(days=1)


@given(st.floats(min_value=0, max_value=1e15))
def test_any_number_is_shown(number: float) -> None:
    """Durations and rates come from Redis and from the quota's headers."""
    assert duration_text(number)
    assert rate_text(number)
