"""Reads request bodies within limits. A body is never shown: its holder has no representation."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.from_thread
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from gatepost_core.commands import invalid_command_of
from gatepost_core.errors import InvalidCommand, InvalidValue
from gatepost_core.identifiers import normalise_recipient
from gatepost_operations.web.api.problems import Problem, Type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from _typeshed import WriteableBuffer
    from starlette.requests import Request

M = TypeVar("M", bound=BaseModel)

MOST_JSON: Final = 4 << 20
"""Bytes of a JSON body."""
MOST_FILE: Final = 1 << 30
"""Bytes of an uploaded file."""
_JSON: Final = frozenset({"application/json"})
_PATIENCE_S: Final = 60.0


class Body:
    """A request's JSON, read once and never shown."""

    __slots__ = ("_bytes",)

    def __init__(self, content: bytes) -> None:
        self._bytes = content

    def __repr__(self) -> str:
        return "Body(…)"

    def parsed(self) -> Any:
        """Return the JSON value.

        Raises:
            Problem: it is not JSON.
        """
        try:
            return from_json(self._bytes, allow_inf_nan=False, cache_strings="keys")
        except ValueError:
            # The text of the error can quote the body.
            pass
        raise Problem(Type.MALFORMED, "The body is not JSON in UTF-8.")

    def mapping(self) -> dict[str, Any]:
        """Return the JSON object; an empty one for an empty body.

        Raises:
            Problem: it is not a JSON object.
        """
        found = self.parsed() if self._bytes.strip() else {}
        if not isinstance(found, dict):
            raise Problem(Type.INVALID, errors=[{"pointer": "", "detail": "must be an object"}])
        return found

    def read_as(self, model: type[M]) -> M:
        """Return the JSON object as a model.

        Raises:
            InvalidCommand: a field is not valid.
            Problem: it is not a JSON object.
        """
        return valid(model, self.mapping())


class BodyModel(BaseModel):
    """The fields of a body. Errors name wrong and unknown ones, and repeat no value."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def valid(model: type[M], fields: dict[str, Any]) -> M:
    """Return a model with these fields. Raises `InvalidCommand` if one is not valid."""
    try:
        return model.model_validate(fields)
    except ValidationError as failure:
        # Raised below, so that the error does not carry pydantic's, which has the values.
        wrong = invalid_command_of(failure)
    raise wrong


def require_recipients(texts: Iterable[tuple[str, str]]) -> None:
    """Check that texts are addresses or numbers.

    Args:
        texts: each with the name of its field.

    Raises:
        InvalidCommand: some are neither; it names their fields.
    """
    refusals = [(field, refusal) for field, text in texts if (refusal := _refusal(text))]
    if refusals:
        raise InvalidCommand(refusals)


def _refusal(recipient: str) -> str | None:
    try:
        normalise_recipient(recipient)
    except InvalidValue as refusal:
        return str(refusal)
    return None


async def read_json(request: Request) -> Body:
    """Return a request's JSON body.

    Raises:
        Problem: it has another media type, has more than 4 MiB, or breaks off.
    """
    _require_media(request, _JSON)
    _require_length(request, MOST_JSON)
    content = bytearray()
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > MOST_JSON:
                raise _too_large(MOST_JSON)
    except ClientDisconnect:
        # A fault of the api would be logged as an error.
        raise Problem(Type.MALFORMED, "The body is not complete.") from None
    return Body(bytes(content))


def _require_media(request: Request, accepted: frozenset[str]) -> None:
    given = media_of(request)
    # An empty body needs no media type.
    if given not in accepted and (given or request.headers.get("content-length", "0") != "0"):
        raise Problem(Type.MEDIA, f"The body must be {' or '.join(sorted(accepted))}.")


def media_of(request: Request) -> str:
    """Return a request's media type without parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_length(request: Request, most: int) -> None:
    given = request.headers.get("content-length", "")
    if given.isdecimal() and int(given) > most:
        raise _too_large(most)


def _too_large(most: int) -> Problem:
    return Problem(Type.TOO_LARGE, f"The body has more than {most >> 20} MiB.")


class Upload(io.RawIOBase):
    """The body of a request as a binary stream for a worker thread. Each read waits for the client, so little is kept in memory."""

    name = "the upload"

    def __init__(self, request: Request, *, patience_s: float = _PATIENCE_S) -> None:
        """Check the declared length.

        Args:
            request: the request.
            patience_s: seconds to wait for the next bytes.

        Raises:
            Problem: it is more than 1 GiB.
        """
        _require_length(request, MOST_FILE)
        self._chunks: AsyncIterator[bytes] = aiter(request.stream())
        self._rest = memoryview(b"")
        self._read = 0
        self._patience_s = patience_s
        self.interrupted = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill a buffer with the next bytes. Return 0 at the end.

        Raises:
            Problem: the body has more than 1 GiB, or comes too slowly.
            OSError: the client closed the connection.
        """
        while not self._rest:
            chunk = anyio.from_thread.run(self._next)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        target = memoryview(buffer).cast("B")
        number = min(len(target), len(self._rest))
        target[:number] = self._rest[:number]
        self._rest = self._rest[number:]
        return number

    async def _next(self) -> bytes | None:
        try:
            with anyio.fail_after(self._patience_s):
                chunk = await anext(self._chunks, None)
        except (TimeoutError, HTTPException):
            raise Problem(Type.TOO_SLOW) from None
        except ClientDisconnect:
            self.interrupted = True
            raise OSError("the client closed the connection") from None
        self._read += len(chunk or b"")
        if self._read > MOST_FILE:
            raise _too_large(MOST_FILE)
        return chunk
