"""Uploads: read in a thread, as the bytes come."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from starlette.requests import Request

from gatepost_operations.web.api.bodies import Upload, read_json
from gatepost_operations.web.api.problems import Problem, Type


def test_an_upload_that_stops_is_refused() -> None:
    """A client that sends nothing more does not hold a thread for ever."""

    async def silent() -> Any:
        await anyio.sleep_forever()

    async def read() -> None:
        upload = Upload(Request({"type": "http", "headers": []}, silent), patience_s=0.01)
        await anyio.to_thread.run_sync(upload.read, 1)

    with pytest.raises(Problem) as refused:
        anyio.run(read)

    assert refused.value.type is Type.TOO_SLOW


def test_a_body_that_breaks_off_is_no_fault_of_the_api() -> None:
    """It is a malformed request, which leaves no error in the log."""

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    headers = [(b"content-type", b"application/json")]
    with pytest.raises(Problem) as refused:
        anyio.run(read_json, Request({"type": "http", "headers": headers}, gone))

    assert refused.value.type is Type.MALFORMED
