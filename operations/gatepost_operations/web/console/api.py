"""The HTTP API, as the console calls it: in the name of the signed-in operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ACTOR: Final = "Gatepost-Actor"
"""The header that names the operator."""


class ApiUnavailable(Exception):
    """The API does not answer."""


@dataclass(frozen=True, slots=True)
class Problem(Exception):
    """The API refused a request.

    Attributes:
        status: the HTTP status.
        detail: a sentence for the operator.
        errors: what is wrong with fields: the JSON pointer or name, and a sentence.
    """

    status: int
    detail: str
    errors: tuple[tuple[str, str], ...] = ()


class Api:
    """The API in the name of one operator.

    Args:
        client: sends the requests, with the console's key.
        operator: the operator's name.
    """

    def __init__(self, client: httpx.AsyncClient, operator: str) -> None:
        self._client = client
        self._headers = {ACTOR: operator.encode("ascii", "backslashreplace").decode()}

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        content: AsyncIterator[bytes] | None = None,
        content_type: str | None = None,
    ) -> Any:
        """Call the API, and return its JSON.

        Args:
            method: the HTTP method.
            path: the path, from `/v1/` on.
            json: a body of JSON values.
            params: the query.
            content: a body that is streamed.
            content_type: the type of the streamed body.

        Raises:
            Problem: the API refused the request.
            ApiUnavailable: it does not answer.
        """
        headers = self._headers | ({"Content-Type": content_type} if content_type else {})
        try:
            response = await self._client.request(
                method, path, json=json, params=params, content=content, headers=headers
            )
        except httpx.HTTPError:
            # httpx's errors hold the request, and so a streamed file.
            raise ApiUnavailable from None
        if response.is_error:
            raise problem_of(response)
        return response.json() if response.content else None


def problem_of(response: httpx.Response) -> Problem:
    """Read a problem (RFC 9457)."""
    try:
        body = response.json()
    except ValueError:
        body = {}
    errors = tuple(
        (str(one.get("pointer", "")), str(one.get("detail", "")))
        for one in body.get("errors", [])
        if isinstance(one, dict)
    )
    return Problem(
        response.status_code, str(body.get("detail") or body.get("title") or "The API refused this."), errors
    )
