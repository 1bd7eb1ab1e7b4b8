"""Starts without a transport: builds their calls and requests, and reads their responses."""

from __future__ import annotations

import uuid
from json.encoder import encode_basestring_ascii as _to_json
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

from gatepost_worker.authentication.caller import Caller, build_call
from gatepost_worker.authentication.endpoints import Endpoint
from gatepost_worker.authentication.errors import RequiredError
from gatepost_worker.authentication.response_bodies import parse_start_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_worker.authentication.caller import Call
    from gatepost_worker.authentication.configuration import Configuration, RequestOverrides, Timeouts
    from gatepost_worker.authentication.responses import HttpResponse, StartResponse
    from gatepost_worker.authentication.routes import Route

CALL_HEADERS: Final = ("x-request-language", "auth0-forwarded-for")


class StartOptions(TypedDict, total=False):
    """The options of `Passwordless.send_email` and `send_sms`."""

    send: str | None
    connection: str | None
    auth_params: Mapping[str, Any] | None
    client_id: str | None
    captcha: str | None
    language: str | None
    forwarded_for: str | None
    overrides: RequestOverrides | None


def required(field: str, value: object) -> str:
    """Return a text that must not be empty.

    Raises:
        RequiredError: it is empty, or no text.
    """
    if not isinstance(value, str) or not value.strip():
        raise RequiredError(field)
    return value


class PreparedStart:
    """A request of which only the recipient is missing. Each use is a few operations on bytes.

    Attributes:
        timeouts: of one attempt.
    """

    def __init__(self, encoded: bytes, place: str, field: str, timeouts: Timeouts) -> None:
        """Cut a request at a place that no other part of it contains.

        Args:
            encoded: the request in bytes, with the place instead of a recipient.
            place: the text.
            field: the recipient's field, for errors.
            timeouts: of one attempt.
        """
        head, _, body = encoded.partition(b"\r\n\r\n")
        self._head = head.rpartition(b"Content-Length: ")[0]
        self._before, _, self._after = body.partition(_to_json(place).encode("ascii"))
        self._field = field
        self.timeouts = timeouts

    def request(self, recipient: str) -> bytes:
        """Return the request in bytes.

        Raises:
            RequiredError: the recipient is missing.
        """
        body = self._before + _to_json(required(self._field, recipient)).encode("ascii") + self._after
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body)


class Starts:
    """The starts of one client, for callers with another transport, such as `wire`."""

    def __init__(self, caller: Caller, configuration: Configuration, client_id: str) -> None:
        """Prepare them. Nothing is sent.

        Args:
            caller: builds requests and classifies responses.
            configuration: the timeouts.
            client_id: the application's client id.
        """
        self._caller = caller
        self._configuration = configuration
        self._client_id = client_id

    def email(self, email: str, **options: Unpack[StartOptions]) -> Call:
        """Return the call that sends a code or a link to an address.

        Raises:
            RequiredError: the address is missing.
        """
        return self._call("email", email, self._configuration.timeouts, options)

    def sms(self, phone_number: str, **options: Unpack[StartOptions]) -> Call:
        """Return the call that sends a code to a phone.

        Raises:
            RequiredError: the number is missing.
        """
        return self._call("phone_number", phone_number, self._configuration.sms_timeouts, options)

    def probe(self, connection: str) -> Call:
        """Return a call without a recipient."""
        members = {"connection": connection, "client_id": self._client_id}
        return build_call(Endpoint.START, members, {}, self._configuration.timeouts, None)

    def prepared(self, field: str, overrides: RequestOverrides) -> PreparedStart | None:
        """Return the request to any recipient; None if each request needs a new credential.

        Args:
            field: the recipient's: `email` or `phone_number`.
            overrides: the other fields of the request.

        Raises:
            AuthenticationError: the request cannot be made.
        """
        if self._caller.signs:
            return None
        place = uuid.uuid4().hex
        call = (self.email if field == "email" else self.sms)(place, overrides=overrides)
        encoded = self._caller.encode(call)
        return PreparedStart(encoded, place, field, call.timeouts) if encoded.count(place.encode()) == 1 else None

    def encode(self, call: Call) -> bytes:
        """Return a call's request as bytes, with a credential for one attempt.

        Raises:
            AuthenticationError: the request cannot be made.
        """
        return self._caller.encode(call)

    def exchange(self, call: Call) -> HttpResponse:
        """Return the response to a call, of any status, over the client's own connections.

        Raises:
            AuthenticationError: there is no response.
        """
        return self._caller.exchange(call)

    def read(self, response: HttpResponse) -> StartResponse:
        """Return the start that a response accepts.

        Raises:
            AuthenticationError: it accepts none. The class names the cause.
        """
        self._caller.read(Endpoint.START, response)
        return parse_start_response(response.status, response.body, self._caller.rate_limits(response))

    def route(self) -> Route | str:
        """Return the way to the endpoint, or why `wire` cannot go it."""
        return self._caller.route(Endpoint.START)

    def _call(self, field: str, recipient: str, timeouts: Timeouts, options: StartOptions) -> Call:
        required(field, recipient)
        members = {
            "connection": options.get("connection"),
            field: recipient,
            "send": options.get("send"),
            "authParams": options.get("auth_params"),
            "captcha": options.get("captcha"),
            "client_id": options.get("client_id") or self._client_id,
        }
        values = (options.get("language"), options.get("forwarded_for"))
        headers = {name: value for name, value in zip(CALL_HEADERS, values, strict=True) if value}
        return build_call(Endpoint.START, members, headers, timeouts, options.get("overrides"))
