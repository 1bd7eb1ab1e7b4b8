"""The HTTP API, as the console calls it: in the name of the signed-in operator."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ACTOR: Final = "Gatepost-Actor"
"""The header that names the operator."""
_KEY_REFUSED: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_SAME_KEY: Final = "Give the API and the console the same GATEPOST_WEB_API_KEY."


class ApiUnavailable(Exception):
    """The API does not answer."""


class Problem(Exception):
    """The API refused a request.

    Attributes:
        status: the HTTP status.
        detail: a sentence for the operator; empty if `errors` say everything.
        errors: the problems of fields: the JSON pointer or the name of a parameter, and a sentence.
    """

    def __init__(self, status: int, detail: str, errors: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(status)
        self.status, self.detail, self.errors = status, detail, errors

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Each field with its error; an empty field for the whole request."""
        return self.errors or (("", self.detail),)


class Api:
    """The API in the name of one operator.

    Args:
        client: sends the requests, with the console's key.
        operator: the operator's name.
    """

    def __init__(self, client: httpx.AsyncClient, operator: str) -> None:
        self._client = client
        self._headers = {ACTOR.encode(): operator.encode()}

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        content: AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Call the API, and return its JSON.

        Args:
            method: the HTTP method.
            path: the path, from `/v1/` on.
            json: a body of JSON values.
            params: the query.
            content: a body that is streamed.
            headers: further headers, such as the type of the streamed body.

        Raises:
            Problem: the API refused the request.
            ApiUnavailable: it does not answer.
        """
        sent = self._headers | {name.encode(): value.encode() for name, value in (headers or {}).items()}
        try:
            response = await self._client.request(method, path, json=json, params=params, content=content, headers=sent)
        except httpx.HTTPError:
            # httpx's errors hold the request, and so a streamed file.
            raise ApiUnavailable from None
        if response.is_error:
            raise problem_of(response)
        return response.json() if response.content else None

    async def stream(self, path: str, *, params: Mapping[str, str]) -> AsyncIterator[bytes]:
        """Return the body of an answer in parts, as they come. Errors are those of `call`."""
        request = self._client.build_request("GET", path, params=params, headers=self._headers)
        try:
            response = await self._client.send(request, stream=True)
            if response.is_error:
                await response.aread()
        except httpx.HTTPError:
            raise ApiUnavailable from None
        if response.is_error:
            raise problem_of(response)
        return _parts(response)


async def _parts(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for part in response.aiter_bytes():
            yield part
    finally:
        await response.aclose()


def problem_of(response: httpx.Response) -> Problem:
    """Read a problem (RFC 9457). An operator cannot correct the console's key, so the refusal of the key is a fault of the server."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    errors = tuple(
        (str(one.get("pointer") or one.get("parameter") or "").strip("/"), str(one.get("detail", "")))
        for one in body.get("errors", [])
        if isinstance(one, dict)
    )
    detail = str(body.get("detail") or body.get("title") or "The API refused this.")
    if response.status_code in _KEY_REFUSED:
        return Problem(HTTPStatus.BAD_GATEWAY, f"The API refuses the console's key. {detail} {_SAME_KEY}")
    return Problem(response.status_code, detail, errors)
