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


@pytest.mark.web
def test_every_answer_is_as_the_document_says(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    """Statuses, types, shapes and headers of answers; wrong requests are refused, and none makes the server fail."""
    with running_api(make_settings(web_api_key=CONSOLE_KEY)) as api:
        api.app.state.failed_tries.sleep, api.app.state.failed_tries.most = no_wait, 1_000_000
        done = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/v1/openapi.json", "--no-color"),
                *("-H", f"Authorization: Bearer {CONSOLE_KEY}", "--exclude-checks", LEFT_OUT),
                *("--max-examples", "10", "--max-time", "60", "--seed", "1"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
