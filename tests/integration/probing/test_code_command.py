"""The code from a command: it is run until it prints a message, and each failure is named."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from gatepost_core.probe_results import Cause
from gatepost_core.settings.probe import USUAL_CODE
from gatepost_operations.probing.code_command import CodeCommand
from gatepost_operations.probing.code_source import ProbeFailure

if TYPE_CHECKING:
    from pathlib import Path


def command(text: str) -> CodeCommand:
    """A prepared source whose pauses take no time."""
    made = CodeCommand(SecretStr(text), re.compile(USUAL_CODE), sleep=lambda _: None)
    made.prepare()
    return made


def test_it_is_run_until_it_prints_a_message(tmp_path: Path) -> None:
    """No output means that none has arrived; it learns when the run began, to leave older ones out."""
    script = tmp_path / "last-sms"
    script.write_text('echo "$PROBE_SINCE" >> "$0.runs"; [ $(wc -l < "$0.runs") -lt 3 ] || echo "Code: 123456"\n')
    began = time.time()
    code = command(f"sh {script}").code(time.monotonic() + 60)
    runs = (tmp_path / "last-sms.runs").read_text().split()

    assert code.get_secret_value() == "123456"
    assert len(runs) == 3
    assert all(abs(int(run) - began) < 60 for run in runs)


@pytest.mark.parametrize(
    ("text", "cause", "detail"),
    [
        ("true", Cause.MESSAGE_LATE, None),
        ("echo hello", Cause.MESSAGE_WITHOUT_CODE, None),
        ("echo 123456 654321", Cause.SEVERAL_CODES, None),
        ("sh -c 'echo canary-text 123456; exit 3'", Cause.CODE_COMMAND_FAILED, "exit status 3"),
        ("/nowhere/canary-program", Cause.CODE_COMMAND_FAILED, "FileNotFoundError"),
        ("echo 'canary", Cause.CODE_COMMAND_FAILED, "ValueError"),
    ],
)
def test_a_failure_is_named_without_the_text(text: str, cause: Cause, detail: str | None) -> None:
    """Neither the command, which may hold a credential, nor its output is shown."""
    with pytest.raises(ProbeFailure) as failed:
        command(text).code(time.monotonic())

    assert (failed.value.cause, failed.value.detail) == (cause, detail)
    assert "canary" not in str(failed.value)
