"""Prepared requests, cheaply: what does not change between calls is worked out once."""

from __future__ import annotations

import platform
import re
from typing import TYPE_CHECKING, Final

from requests import PreparedRequest, Request
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict

from gatepost_worker.authentication.bodies import FORM_TYPE, JSON_TYPE
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import ConfigurationError, RequestUnsendable
from gatepost_worker.authentication.telemetry import package_version

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONTENT_TYPES: Final = {Endpoint.START: JSON_TYPE, Endpoint.TOKEN: FORM_TYPE}
_METHODS: Final = {Endpoint.START: "POST", Endpoint.TOKEN: "POST", Endpoint.JWKS: "GET"}
_SENDABLE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_TELEMETRY: Final = "Auth0-Client"


class RequestTemplates:
    """One template for each endpoint. Header precedence, low to high: the client's, the call's own, its overrides, telemetry."""

    def __init__(self, urls: Mapping[Endpoint, str], headers: Mapping[str, str | None], telemetry: str | None) -> None:
        """Prepare the templates.

        Args:
            urls: where each endpoint is.
            headers: sent with every request; None as a value leaves a header out.
            telemetry: the `Auth0-Client` header, or None for none.

        Raises:
            ConfigurationError: a URL cannot be used.
            RequestUnsendable: a header cannot be sent.
        """
        self._urls = {endpoint: _usable_url(url) for endpoint, url in urls.items()}
        self._telemetry = telemetry
        self._headers: dict[Endpoint, CaseInsensitiveDict[str]] = {}
        for endpoint in urls:
            template = CaseInsensitiveDict(
                {"User-Agent": f"gatepost/{package_version()} python/{platform.python_version()}"}
            )
            _lay_over(template, headers)
            if endpoint in _CONTENT_TYPES:
                template["Content-Type"] = _CONTENT_TYPES[endpoint]
            self._headers[endpoint] = template

    def build(
        self, endpoint: Endpoint, body: bytes | None = None, headers: Mapping[str, str | None] | None = None
    ) -> PreparedRequest:
        """Return one request, ready to send.

        Args:
            endpoint: which endpoint it is for.
            body: the encoded body.
            headers: the call's own headers; None as a value leaves a header out.

        Raises:
            RequestUnsendable: a header cannot be sent.
        """
        request = PreparedRequest()
        request.method = _METHODS[endpoint]
        request.url = self._urls[endpoint]
        laid = self._headers[endpoint].copy()
        if headers:
            _lay_over(laid, headers)
        if self._telemetry is not None:
            laid[_TELEMETRY] = self._telemetry
        if body is not None:
            laid["Content-Length"] = str(len(body))
        request.headers = laid
        request.body = body
        return request


def _lay_over(headers: CaseInsensitiveDict[str], others: Mapping[str, str | None]) -> None:
    for name, value in others.items():
        if value is None:
            headers.pop(name, None)
        elif _SENDABLE.fullmatch(str(value)):
            headers[name] = str(value)
        else:
            raise RequestUnsendable(f"The header {name!r} cannot be sent: its value is not one line of Latin-1 text.")


def _usable_url(url: str) -> str:
    try:
        prepared = Request("GET", url).prepare().url or ""
    except (RequestException, ValueError):
        prepared = ""
    if not prepared.startswith(("https://", "http://")):
        raise ConfigurationError("domain or base_url does not make a usable URL; give a host, or a URL with https://")
    return prepared
