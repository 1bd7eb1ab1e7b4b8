"""A live server keeps what its OpenAPI document says: schemathesis generates requests from it, right and wrong ones."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.web_api import CONSOLE_KEY, running_api

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatepost_core.settings import Settings

# A generated address that fits the schema is rarely one that Auth0 takes, so refusals of it are right.
LEFT_OUT = "positive_data_acceptance"


async def no_wait(_seconds: float) -> None:
    """Schemathesis leaves the key out on purpose, many times."""


def generated(settings: Settings, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What schemathesis says of a server."""
    with running_api(settings) as api:
        api.app.state.failed_tries.sleep, api.app.state.failed_tries.most = no_wait, 1_000_000
        return subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/v1/openapi.json", "--no-color"),
                *("-H", f"Authorization: Bearer {CONSOLE_KEY}", "--exclude-checks", LEFT_OUT, "--seed", "1", *options),
            ],
            cwd=directory,
            capture_output=True,
            text=True,
            check=False,
        )


def test_a_request_of_each_kind_is_answered_as_the_document_says(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    """A short run, with one or two requests for each operation."""
    done = generated(
        make_settings(web_api_key=CONSOLE_KEY), tmp_path, "--phases", "fuzzing", "--max-examples", "1", "--no-shrink"
    )

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr


@pytest.mark.web
def test_every_answer_is_as_the_document_says(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Statuses, types, shapes and headers of answers; wrong requests are refused, and none makes the server fail."""
    done = generated(make_settings(web_api_key=CONSOLE_KEY), tmp_path, "--max-examples", "10", "--max-time", "60")

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
