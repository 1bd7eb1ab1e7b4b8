"""Builds HTTP requests: bodies, headers and the `Auth0-Client` telemetry. The parts that all calls share are prepared once."""

from __future__ import annotations

import base64
import json
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from requests import PreparedRequest, Request
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict

from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import ConfigurationError, RequestUnsendable

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSWORDLESS_OTP: Final = "http://auth0.com/oauth/grant-type/passwordless/otp"
_METHODS: Final = {Endpoint.START: "POST", Endpoint.TOKEN: "POST", Endpoint.JWKS: "GET"}
_CONTENT_TYPES: Final = {Endpoint.START: "application/json", Endpoint.TOKEN: "application/x-www-form-urlencoded"}
_SENDABLE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_UNQUOTED: Final = re.compile(r"[0-9A-Za-z_.~-]*")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# They frame a message, or concern one connection (RFC 9112, 3.2 and 6; RFC 9110, 7.6.1 and 10.1.1). A second length or host beside the
# client's lets two servers read one request differently.
_OF_THE_CONNECTION: Final = re.compile(
    r"host|content-length|transfer-encoding|te|trailer|connection|keep-alive|upgrade|expect|proxy-.*", re.IGNORECASE
)
_TELEMETRY: Final = "Auth0-Client"
_to_json: Final = json.JSONEncoder(separators=(",", ":")).encode


def json_body(members: Mapping[str, Any]) -> bytes:
    """Return the members as compact JSON."""
    return _to_json(members).encode("ascii")


def form_body(members: Mapping[str, Any]) -> bytes:
    """Return the members form-encoded, `+` as `%2B`, with the grant type last. Other values than text are written as JSON."""
    fields = {name: value for name, value in members.items() if name != "grant_type"}
    texts = {name: value if isinstance(value, str) else _to_json(value) for name, value in fields.items()}
    return urlencode({**texts, "grant_type": PASSWORDLESS_OTP}, quote_via=_quoted).encode("ascii")


def _quoted(text: Any, *options: Any) -> str:
    # Most names and values need no quoting, and `quote_plus` takes ten times longer to find out.
    return text if isinstance(text, str) and _UNQUOTED.fullmatch(text) else quote_plus(text, *options)


def telemetry_header(client_info: Mapping[str, Any] | None = None) -> str | None:
    """Return the value of `Auth0-Client`: JSON in unpadded base64url, as node-auth0 sends it.

    Args:
        client_info: a payload in place of the default. One without a name gives no header.
    """
    info = client_info if client_info is not None else _default_client_info()
    if not isinstance(info.get("name"), str) or not info["name"]:
        return None
    return base64.urlsafe_b64encode(_to_json(info).encode()).rstrip(b"=").decode("ascii")


class RequestTemplates:
    """One template for each endpoint. Later headers win: the client's, the call's, the call's overrides, telemetry."""

    def __init__(self, urls: Mapping[Endpoint, str], headers: Mapping[str, str | None], telemetry: str | None) -> None:
        """Prepare the templates.

        Args:
            urls: the URL of each endpoint.
            headers: sent with every request. A value of None removes a header.
            telemetry: the value of `Auth0-Client`, or None to send none.

        Raises:
            ConfigurationError: a URL cannot be used.
            RequestUnsendable: a header cannot be sent.
        """
        self._urls = {endpoint: _usable_url(url) for endpoint, url in urls.items()}
        self._telemetry = telemetry
        self._headers: dict[Endpoint, CaseInsensitiveDict[str]] = {}
        self._heads: dict[Endpoint, bytes] = {}
        for endpoint in urls:
            template = CaseInsensitiveDict({"User-Agent": f"gatepost/{_version()} python/{platform.python_version()}"})
            _override(template, headers)
            if endpoint in _CONTENT_TYPES:
                template["Content-Type"] = _CONTENT_TYPES[endpoint]
            self._headers[endpoint] = template

    def build(
        self, endpoint: Endpoint, body: bytes | None = None, headers: Mapping[str, str | None] | None = None
    ) -> PreparedRequest:
        """Return a request, ready to send.

        Args:
            endpoint: the endpoint to call.
            body: the encoded body.
            headers: the call's headers. A value of None removes a header.

        Raises:
            RequestUnsendable: a header cannot be sent.
        """
        request = PreparedRequest()
        request.method = _METHODS[endpoint]
        request.url = self._urls[endpoint]
        request.headers = self._headers[endpoint].copy()
        if headers:
            _override(request.headers, headers)
        if self._telemetry is not None:
            request.headers[_TELEMETRY] = self._telemetry
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        request.body = body
        return request

    def encode(self, endpoint: Endpoint, body: bytes = b"", headers: Mapping[str, str | None] | None = None) -> bytes:
        """Return the same request in the bytes that go over a connection.

        Args:
            endpoint: the endpoint to call.
            body: the encoded body.
            headers: the call's headers. A value of None removes a header.

        Raises:
            RequestUnsendable: a header cannot be sent.
        """
        head = None if headers else self._heads.get(endpoint)
        if head is None:
            head = _encoded_head(self.build(endpoint, None, headers))
            if not headers:
                self._heads[endpoint] = head
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def framed(request: PreparedRequest) -> PreparedRequest:
    """Return a request that hooks may have changed, with the length of its body.

    Raises:
        RequestUnsendable: a hook set a header that frames the request or concerns the connection.
    """
    request.headers = CaseInsensitiveDict(request.headers)
    length = request.headers.pop("Content-Length", None)
    for name in request.headers:
        _require_sendable(name)
    if length is not None or request.body:
        request.prepare_content_length(request.body)
    return request


def _encoded_head(request: PreparedRequest) -> bytes:
    """Return the request line and all headers but the length, as http.client writes them."""
    host = urlsplit(str(request.url)).netloc.rpartition("@")[2]
    default = ":443" if str(request.url).startswith("https:") else ":80"
    headers = {"Host": host.removesuffix(default)}
    if "Accept-Encoding" not in request.headers:
        headers["Accept-Encoding"] = "identity"
    headers.update((str(name), str(value)) for name, value in request.headers.items())
    lines = [f"{request.method} {request.path_url} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def _override(headers: CaseInsensitiveDict[str], changes: Mapping[Any, str | None]) -> None:
    for name, value in changes.items():
        _require_sendable(name)
        if value is None:
            headers.pop(name, None)
        elif _SENDABLE.fullmatch(str(value)):
            headers[name] = str(value)
        else:
            raise RequestUnsendable(f"The header {name!r} cannot be sent: its value is not one line of Latin-1 text.")


def _require_sendable(name: Any) -> None:
    if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
        raise RequestUnsendable("A header cannot be sent: its name has characters that no header name has.")
    if _OF_THE_CONNECTION.fullmatch(name):
        raise RequestUnsendable(
            f"The header {name!r} cannot be set or removed: the client alone writes it. Leave it out."
        )


def _usable_url(url: str) -> str:
    try:
        prepared = Request("GET", url).prepare().url or ""
    except (RequestException, ValueError):
        prepared = ""
    if not prepared.startswith(("https://", "http://")):
        raise ConfigurationError("domain or base_url does not make a usable URL; give a host, or a URL with https://")
    return prepared


def _default_client_info() -> dict[str, Any]:
    return {"name": "gatepost", "version": _version(), "env": {"python": platform.python_version()}}


def _version() -> str:
    try:
        return version("gatepost")
    except PackageNotFoundError:  # a source tree that is not installed
        return "0"
