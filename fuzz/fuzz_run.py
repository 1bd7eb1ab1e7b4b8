"""Runs one target under atheris: `python fuzz/fuzz_run.py TARGET [libFuzzer's options] [corpus folders]`."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["gatepost", "gatepost_worker", "fuzz_targets", "kombu.utils.json", "csv"]):
    from fuzz_targets import TARGETS


def main() -> None:
    """Fuzz until libFuzzer's limits; an input that breaks a promise is written to its artifact prefix."""
    program, name, *options = sys.argv
    atheris.Setup([program, *options], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
