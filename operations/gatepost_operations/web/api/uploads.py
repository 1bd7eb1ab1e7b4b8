"""Uploads of recipient files: check one, or add its rows to a campaign as a stream."""

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, Final, cast

import anyio
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from gatepost_core.kinds import Channel
from gatepost_core.number_rules import Numbers
from gatepost_operations.files.check import check_file
from gatepost_operations.files.rows import read_rows
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.web.api import schemas
from gatepost_operations.web.api.access import Caller, CallerOf
from gatepost_operations.web.api.bodies import Upload, media_of
from gatepost_operations.web.api.campaign_access import find_campaign
from gatepost_operations.web.api.campaigns import IdOfCampaign
from gatepost_operations.web.api.openapi import answer, file_body, problems
from gatepost_operations.web.api.problems import Problem, Type
from gatepost_operations.web.api.rows import AllowedRows

NDJSON: Final = "application/x-ndjson"
_STREAMED: Final = frozenset({NDJSON, "application/jsonl", "text/csv", "text/plain"})
# Other types are copied to a temporary file, because a workbook is read from its end, and browsers name many types for CSV.
_FORMS: Final = frozenset({"multipart/form-data", "application/x-www-form-urlencoded"})
FILES: Final = (*sorted(_STREAMED), "application/octet-stream")
"""The media types of recipient files in the documentation. All others but forms are accepted too."""
# Uploads take long, and must not take the threads of short requests, or those of other keys.
_LONG: Final = 4
_BLOCK: Final = 1 << 20
_limiters: dict[str, anyio.CapacityLimiter] = {}

router = APIRouter(tags=["recipients"])


def _long(caller: Caller) -> anyio.CapacityLimiter:
    return _limiters.setdefault(caller.key.id, anyio.CapacityLimiter(_LONG))


class FileOptions:
    """How a file is read; the names are those of `gatepost campaign check`."""

    def __init__(
        self,
        *,
        channel: Annotated[Channel, Query()] = Channel.AUTO,
        region: Annotated[str | None, Query(max_length=2, description="Country of numbers without one: GB.")] = None,
        column: Annotated[list[str] | None, Query(description="FIELD=NAME; repeatable.")] = None,
        encoding: Annotated[str | None, Query(max_length=40)] = None,
        delimiter: Annotated[str | None, Query(max_length=1)] = None,
        sheet: Annotated[str | None, Query(max_length=40)] = None,
        numbers: Annotated[Numbers, Query()] = Numbers.PLAN,
        allow_landlines: Annotated[bool, Query()] = False,
    ) -> None:
        pairs = [one.partition("=") for one in column or ()]
        if any(not (name and equals and of_file) for name, equals, of_file in pairs):
            raise Problem(Type.INVALID, errors=[{"parameter": "column", "detail": "must have the form FIELD=NAME"}])
        self.keywords: dict[str, Any] = {
            "channel": channel,
            "default_region": region,
            "columns": {name: of_file for name, _, of_file in pairs},
            "encoding": encoding,
            "delimiter": delimiter,
            "sheet": sheet,
            "numbers": numbers,
            "allow_landlines": allow_landlines,
        }


@dataclass(frozen=True, slots=True)
class _Given:
    """An upload, its media type, and how it is read."""

    upload: Upload
    media: str
    reading: FileOptions

    @contextmanager
    def source(self) -> Iterator[BinaryIO]:
        """Give the upload as a file. A workbook is copied to a temporary file without a name, which disappears with the block."""
        if self.media in _STREAMED:
            yield cast("BinaryIO", self.upload)
            return
        with tempfile.TemporaryFile(prefix="gatepost-upload-") as copy:
            shutil.copyfileobj(io.BufferedReader(self.upload, _BLOCK), copy)
            copy.seek(0)
            yield cast("BinaryIO", copy)


def _upload(request: Request) -> Upload:
    if media_of(request) in _FORMS:
        raise Problem(Type.MEDIA, "The body must be the file itself, not a form.")
    return Upload(request)


Reading = Annotated[FileOptions, Depends()]


@router.post(
    "/v1/recipient-files/check",
    operation_id="check_recipient_file",
    openapi_extra={"requestBody": file_body(FILES)},
    responses={200: answer(schemas.Report), **problems(Type.TOO_LARGE, Type.MEDIA)},
)
async def check_recipient_file(request: Request, caller: CallerOf, reading: Reading) -> Response:
    """Check a recipient file without storing it. The answer is the report of `gatepost campaign check --json`. Scope: `campaigns`."""
    caller.require(Scope.CAMPAIGNS)
    return await caller.run(_check, _Given(_upload(request), media_of(request), reading), limiter=_long(caller))


def _check(given: _Given) -> Response:
    with given.source() as source:
        report = check_file(source, **given.reading.keywords)
    return JSONResponse(report.as_json() | {"file": given.upload.name, "rejects": None})


@router.post(
    "/v1/campaigns/{campaign_id}/recipients",
    operation_id="add_recipients",
    openapi_extra={"requestBody": file_body(FILES)},
    responses={
        200: answer(schemas.AddedRows),
        **problems(Type.NOT_FOUND, Type.CONFLICT, Type.TOO_LARGE, Type.MEDIA),
    },
)
async def add_recipients(
    request: Request,
    campaign_id: IdOfCampaign,
    caller: CallerOf,
    reading: Reading,
    *,
    skip_invalid: Annotated[
        bool, Query(description="Skip invalid rows, and those that the key does not allow.")
    ] = False,
) -> Response:
    """Add the recipients in a file to a campaign. Recipients that the campaign already has are skipped.

    If a row of the file is refused, the upload ends there, and the rows before it stay in the campaign. With `skip_invalid=true`, the upload
    skips invalid rows and continues. Scope: `campaigns`.
    """
    caller.require(Scope.CAMPAIGNS)
    given = _Given(_upload(request), media_of(request), reading)
    rows = AllowedRows(caller, campaign_id, skip_invalid=skip_invalid)
    return await caller.run(_add, caller, campaign_id, given, rows, limiter=_long(caller))


def _add(caller: Caller, campaign_id: str, given: _Given, rows: AllowedRows) -> Response:
    campaign = find_campaign(caller, campaign_id, Scope.CAMPAIGNS)
    campaigns = caller.services.campaigns
    keywords = dict(given.reading.keywords)
    if keywords["channel"] is Channel.AUTO:
        keywords["channel"] = campaign.options.channel
    try:
        with given.source() as source, read_rows(source, **keywords) as reader:
            added = campaigns.add(campaign_id, rows.of(reader))
        rows.require_all()
    except Problem as problem:
        problem.more["total"] = campaigns.status(campaign_id).total
        raise
    return JSONResponse(
        {
            "added": added.added,
            "duplicates": added.duplicates,
            "invalid": rows.invalid,
            "total": campaigns.status(campaign_id).total,
            "problems": rows.as_json(),
        }
    )
