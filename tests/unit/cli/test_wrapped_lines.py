"""Lines that are too long for the terminal wrap at words, and commands stay whole."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatepost_operations.cli import output
from gatepost_operations.cli.wrapping import columns_of, wrapped

ADVICE = "1,200 rejected (recipient_rejected): Auth0 refused the address or number; correct it, or leave it out."


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Return that it is a terminal."""
        return True


@pytest.mark.parametrize(
    ("line", "lines"),
    [
        ("short", ["short"]),
        (ADVICE, [ADVICE[:78].rpartition(" ")[0], "  " + ADVICE[:78].rpartition(" ")[2] + ADVICE[78:]]),
        ("  " + "ab " * 30, ["  " + "ab " * 25 + "ab", "    ab ab ab ab"]),
        (
            "send again to the unknown (voids a code that did arrive): gatepost campaign retry spring --state unknown",
            [
                "send again to the unknown (voids a code that did arrive):",
                "  gatepost campaign retry spring --state unknown",
            ],
        ),
        (
            "21 rows of 20,000 are not valid; see all: gatepost campaign check people.csv; correct them, or skip them",
            [
                "21 rows of 20,000 are not valid; see all: gatepost campaign check people.csv;",
                "  correct them, or skip them",
            ],
        ),
        (
            "not known   The refill is not known yet. The plan uses the refill that Auth0 documents for this size.",
            [
                "not known   The refill is not known yet. The plan uses the refill that Auth0",
                "            documents for this size.",
            ],
        ),
        (" " * 12 + "word " * 15, [" " * 12 + "word " * 12 + "word", " " * 12 + "word word"]),
        ("x" * 100, ["x" * 100]),
        ("漢字 " * 20, ["漢字 " * 15 + "漢字", "  漢字 漢字 漢字 漢字"]),
    ],
)
def test_a_long_line_wraps_at_words(line: str, lines: list[str]) -> None:
    """Further lines are indented, a command moves as a whole, and wide characters take two columns."""
    assert [one.rstrip() for one in wrapped(line, 80)] == lines


@example("a gatepost campaign list a ", 26)
@given(
    st.lists(st.sampled_from(["a", " ", "漢", "-", ";", "`", "gatepost campaign list "]), max_size=100).map("".join),
    st.integers(20, 200),
)
def test_nothing_is_lost_and_no_line_is_wider_than_its_words(text: str, width: int) -> None:
    """Only spaces change."""
    lines = wrapped(text, width)

    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(columns_of(line) <= width or len(line.split()) <= 1 for line in lines)


def test_a_terminal_gets_wrapped_lines_and_a_pipe_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts search whole lines. JSON is never broken."""
    monkeypatch.setenv("COLUMNS", "80")
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        monkeypatch.setattr("sys.stdout", stream)
        output.write(ADVICE)
        output.write_json({"advice": ADVICE})
    shown = terminal.getvalue().splitlines()

    assert [len(line) <= 80 for line in shown] == [True, True, False]
    assert json.loads(shown[-1]) == {"advice": ADVICE}
    assert pipe.getvalue().splitlines()[0] == ADVICE
