"""A client for the simulator's control API, on the standard library alone, for tests and demos."""

from __future__ import annotations

import json
import ssl
import time
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Iterable

_TIMEOUT_S = 30.0
_NOT_FOUND = 404


class ControlError(Exception):
    """The control API refused."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"The simulator answered {status}: {detail}")
        self.status = status


class ControlClient:
    """Reads and controls a simulator.

    Args:
        url: The simulator's URL.
        ca_file: The certificate authority to trust, for https.
    """

    def __init__(self, url: str, ca_file: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError("The simulator's URL starts with http:// or https://")
        self._url = url.rstrip("/")
        handlers: list[Any] = [ProxyHandler({})]
        if ca_file is not None:
            handlers.append(HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)))
        self._opener = build_opener(*handlers)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call any route below `/simulator` and return its JSON answer.

        Raises:
            ControlError: The status is not 2xx.
        """
        given = {name: value for name, value in query.items() if value is not None}
        return self._request(method, f"/simulator{path}" + (f"?{urlencode(given)}" if given else ""), body)

    def jwks(self) -> dict[str, Any]:
        """Return the public keys that id_tokens are signed with, as the tenant publishes them."""
        return dict(self._request("GET", "/.well-known/jwks.json"))

    def _request(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self._url}{path}", data, {"content-type": "application/json"}, method=method)  # noqa: S310 - the scheme was checked
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                content = response.read()
        except HTTPError as error:
            with error:
                raise ControlError(error.code, error.read().decode("utf-8", "replace")[:500]) from None
        return json.loads(content) if content else None

    def describe(self) -> dict[str, Any]:
        """Return domain, issuer, clients and connections."""
        return self._object("GET", "/")

    def outbox(self, search: str = "", *, channel: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return the newest messages whose recipient contains `search`, newest first."""
        return list(self.call("GET", "/outbox", search=search, channel=channel, limit=limit)["messages"])

    def messages(self, recipient: str, *, channel: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return a recipient's newest messages, newest first."""
        path = f"/outbox/{quote(recipient, safe='')}"
        return list(self.call("GET", path, channel=channel, limit=limit)["messages"])

    def count(self, recipient: str) -> int:
        """Return the exact number of messages to a recipient."""
        return int(self.call("GET", f"/outbox/{quote(recipient, safe='')}", limit=1)["count"])

    def counts(self, *, minimum: int = 2, limit: int = 1000) -> dict[str, Any]:
        """Return `total`, `recipients`, `repeated`, `surplus`, `histogram`, and `at_least`: recipients of `minimum` or more messages."""
        return self._object("GET", "/counts", minimum=minimum, limit=limit)

    def counts_of(self, recipients: Iterable[str], connection: str | None = None) -> dict[str, int]:
        """Return the count of each recipient named."""
        return self._object("POST", "/counts", {"recipients": list(recipients), "connection": connection})

    def latest_code(self, recipient: str, *, channel: str | None = None, wait_s: float = 0.0) -> str:
        """Return the recipient's newest unused code, waiting up to `wait_s` seconds of real time.

        Raises:
            ControlError: There is no code (status 404).
        """
        deadline = time.monotonic() + wait_s
        while True:
            try:
                return str(self.call("GET", f"/codes/{quote(recipient, safe='')}", channel=channel)["code"])
            except ControlError as error:
                if error.status != _NOT_FOUND or time.monotonic() >= deadline:
                    raise
            time.sleep(0.05)

    def script_fault(self, **fault: Any) -> int:
        """Put a fault into the queue (see `faults.Fault` for its members), and return its number."""
        return int(self.call("POST", "/faults", fault)["id"])

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that have not been used up."""
        return list(self.call("GET", "/faults"))

    def clear_faults(self, number: int | None = None) -> None:
        """Take one fault out of the queue, or all."""
        self.call("DELETE", "/faults" if number is None else f"/faults/{number}")

    def foreign_traffic(
        self, rate: float | None = None, *, endpoint: str | None = None, arrivals: str = "poisson"
    ) -> dict[str, Any]:
        """Set the rate (a second) of foreign requests, or read how many were accepted and refused."""
        if rate is None:
            return self._object("GET", "/foreign-traffic")
        return self._object("PUT", "/foreign-traffic", {"rate": rate, "endpoint": endpoint, "arrivals": arrivals})

    def quota(self) -> dict[str, Any]:
        """Return the quota, and the level of each bucket."""
        return self._object("GET", "/quota")

    def set_quota(self, **quota: Any) -> dict[str, Any]:
        """Change the quota (see `settings.Quota` for its members); other members get their defaults."""
        return self._object("PUT", "/quota", quota)

    def set_levels(self, **levels: float) -> dict[str, Any]:
        """Set the tokens left in buckets: `set_levels(tenant=0)`, `set_levels(**{"/oauth/token": 3})`."""
        return self._object("PUT", "/quota/levels", levels)

    def now(self) -> float:
        """Return the simulated time, in seconds since the Unix epoch."""
        return float(self.call("GET", "/clock")["now"])

    def advance_clock(self, seconds: float) -> float:
        """Move the simulated time forward, and return it."""
        return float(self.call("POST", "/clock", {"advance_s": seconds})["now"])

    def freeze_clock(self, *, frozen: bool = True) -> None:
        """Stop the simulated time, or restart it."""
        self.call("POST", "/clock", {"frozen": frozen})

    def rotate_keys(self, *, revoke: bool = False, prepublished: bool = True) -> dict[str, Any]:
        """Sign with another key from now on."""
        return self._object("POST", "/keys/rotate", {"revoke": revoke, "prepublished": prepublished})

    def settings(self) -> dict[str, Any]:
        """Return the settings, secrets masked."""
        return self._object("GET", "/settings")

    def change_settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings; objects are merged: `change_settings(open_points={"missing_send": "refuse"})`."""
        return self._object("PATCH", "/settings", changes)

    def register_client(self, **client: Any) -> None:
        """Add a client (see `settings.Client` for its members)."""
        self.call("PUT", "/clients", client)

    def put_user(self, identifier: str, **user: Any) -> dict[str, Any]:
        """Make a user or change it: `connection`, `blocked`, `verified`, `mfa`."""
        return self._object("PUT", "/users", {"identifier": identifier, **user})

    def stats(self) -> dict[str, Any]:
        """Return `starts_accepted`, `tokens_issued`, `requests`, `by_status` and `answers`."""
        return self._object("GET", "/stats")

    def request_log(
        self, *, path: str | None = None, recipient: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Return the newest requests, oldest first."""
        return list(self.call("GET", "/request-log", endpoint=path, recipient=recipient, limit=limit)["requests"])

    def reset(self) -> None:
        """Forget all events and changes; keys and added clients stay."""
        self.call("POST", "/reset")

    def _object(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        return dict(self.call(method, path, body, **query))
