"""Rows that one process reads and checks in a second of CPU time: `python benchmarks/rows.py [ROWS]`."""

from __future__ import annotations

import gzip
import io
import json
import sys
import time
from typing import TYPE_CHECKING

from gatepost_core.campaigns.row import Row
from gatepost_operations.files.check import check_file
from gatepost_operations.files.rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 200_000
DOMAINS = 500
REPEATS = 3


def emails(rows: int) -> bytes:
    """A list of addresses at a few hundred domains."""
    return _lines("email", (f"guest-{row:07}@mail-{row % DOMAINS}.example.com" for row in range(rows)))


def emails_with_columns(rows: int) -> bytes:
    """The same with a language, an IP address and authParams in each row."""
    cells = (
        f'guest-{row:07}@example.com,{("en", "fr", "pt-BR")[row % 3]},203.0.113.{row % 255},"{{""state"":""s-{row}""}}"'
        for row in range(rows)
    )
    return _lines("email,language,client_ip,auth_params", cells)


def json_lines(rows: int) -> bytes:
    """Addresses as JSON Lines."""
    documents = (json.dumps({"email": f"guest-{row:07}@example.com", "language": "fr"}) for row in range(rows))
    return "\n".join(documents).encode()


def international_emails(rows: int) -> bytes:
    """Addresses outside ASCII, which email-validator checks one by one."""
    return _lines("email", (f"gäst-{row:07}@bücher.example" for row in range(rows)))


def phones(rows: int) -> bytes:
    """Numbers in E.164."""
    return _lines("phone_number", (f"+4917{row % 100_000_000:08}" for row in range(rows)))


def national_phones(rows: int) -> bytes:
    """Numbers as people write them."""
    return _lines("phone_number", (f"07400 {row % 1_000_000:06}" for row in range(rows)))


def competing_phones(rows: int) -> bytes:
    """Numbers that begin with their country code, without a plus."""
    return _lines("phone_number", (f"447400{row % 1_000_000:06}" for row in range(rows)))


def _lines(header: str, rows: Iterator[str]) -> bytes:
    return "\n".join([header, *rows, ""]).encode()


def read(content: bytes) -> int:
    """Read the rows and return how many are valid."""
    return sum(isinstance(row, Row) for row in read_rows(io.BytesIO(content), default_region="GB"))


def check(content: bytes) -> int:
    """Check the file, duplicates and counts included, and return how many rows are valid."""
    return check_file(io.BytesIO(content), default_region="GB").valid


def rate(work: Callable[[bytes], int], content: bytes, rows: int) -> float:
    """Return the best of a few runs, in rows a second of CPU time, which does not depend on other load."""
    best = float("inf")
    for _ in range(REPEATS):
        begun = time.process_time()
        valid = work(content)
        best = min(best, time.process_time() - begun)
        if valid != rows:
            sys.exit(f"{valid} of {rows} rows are valid: the benchmark measures something else")
    return rows / best


def main() -> None:
    """Print a line for each kind of file."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    print(f"{rows:,} rows, one process, best of {REPEATS}; rows a second of CPU time")
    print(f"{'':34}{'read':>12}{'whole check':>14}")
    for make in (
        emails,
        emails_with_columns,
        json_lines,
        international_emails,
        phones,
        national_phones,
        competing_phones,
    ):
        content = make(rows)
        print(f"{make.__name__:34}{rate(read, content, rows):12,.0f}{rate(check, content, rows):14,.0f}")
    packed = gzip.compress(emails(rows))
    print(f"{'emails, gzip':34}{rate(read, packed, rows):12,.0f}{rate(check, packed, rows):14,.0f}")


if __name__ == "__main__":
    main()
