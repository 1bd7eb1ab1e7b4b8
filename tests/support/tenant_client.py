"""Calls the simulator's Authentication API field by field, so that a test can send requests that no SDK sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import requests

from gatepost_simulator.settings import DEV_CLIENT_ID, DEV_CLIENT_SECRET, OTP_GRANT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from gatepost_simulator.server import SimulatorServer

_TIMEOUT_S = 20.0


class TenantClient:
    """Sends starts and logins as the default client; a member given as None is left out."""

    def __init__(self, simulator: SimulatorServer) -> None:
        self.url = simulator.url
        self.control = simulator.control
        self.session = requests.Session()
        self.session.trust_env = False
        if simulator.ca_file:
            self.session.verify = simulator.ca_file
        self.credentials = {"client_id": DEV_CLIENT_ID, "client_secret": DEV_CLIENT_SECRET}

    def start(self, headers: Mapping[str, str] | None = None, **fields: Any) -> requests.Response:
        """Call start for an email code unless the fields say otherwise."""
        body = {**self.credentials, "connection": "email", "send": "code", **fields}
        return self._post("/passwordless/start", {"json": _given(body)}, headers)

    def start_sms(self, phone_number: str, **fields: Any) -> requests.Response:
        """Call start for an SMS."""
        return self.start(connection="sms", send=None, phone_number=phone_number, **fields)

    def login(
        self,
        username: str | None,
        otp: str | None,
        headers: Mapping[str, str] | None = None,
        *,
        form: bool = False,
        **fields: Any,
    ) -> requests.Response:
        """Exchange a code, as JSON or as a form."""
        body = {
            **self.credentials,
            "username": username,
            "otp": otp,
            "realm": "email",
            "grant_type": OTP_GRANT,
            **fields,
        }
        return self._post("/oauth/token", {"data" if form else "json": _given(body)}, headers)

    def sent_code(self, email: str, **fields: Any) -> str:
        """Send a code and give it."""
        self.start(email=email, **fields).raise_for_status()
        return self.control.latest_code(email)

    def get(self, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> requests.Response:
        """GET a path, redirects not followed."""
        return self.session.get(self.url + path, headers=headers, allow_redirects=False, timeout=_TIMEOUT_S, **options)

    def _post(self, path: str, body: dict[str, Any], headers: Mapping[str, str] | None) -> requests.Response:
        return self.session.post(self.url + path, headers=headers, timeout=_TIMEOUT_S, **body)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()


def wrong_code(code: str) -> str:
    """Give a code of the same length that is not this one."""
    return ("1" if code[0] == "0" else "0") + code[1:]


def _given(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}


def error_of(answer: requests.Response) -> tuple[int, str]:
    """Return the status and the error code of a refusal."""
    return answer.status_code, answer.json()["error"]
