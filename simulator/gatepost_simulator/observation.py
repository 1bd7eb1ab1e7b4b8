"""Counts of answers, and a log of the last requests without credentials."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatepost_simulator.exchange import Request

# Never kept, not even masked. Codes are kept: testers need them, and they are worthless outside the simulator.
_SECRET = frozenset({"client_secret", "client_assertion", "refresh_token"})
_KEPT_HEADERS = (
    "user-agent",
    "content-type",
    "accept-language",
    "auth0-client",
    "auth0-forwarded-for",
    "x-request-language",
    "origin",
)


def _no_certificate() -> None:
    """Replaces the reference to the connection, which a logged request must not keep alive."""


class Statistics:
    """Counters by endpoint, status and error."""

    def __init__(self) -> None:
        self.starts_accepted = 0
        self.tokens_issued = 0
        self._answers: Counter[tuple[str, int, str]] = Counter()

    def count(self, path: str, status: int, error: str) -> None:
        """Count one answer; status 0 is a dropped connection."""
        self._answers[path, status, error] += 1

    def document(self) -> dict[str, Any]:
        """Return the counts for the control API."""
        by_status: Counter[str] = Counter()
        for (_, status, _), number in self._answers.items():
            by_status[str(status)] += number
        answers = [
            {"endpoint": path, "status": status, "error": error, "count": number}
            for (path, status, error), number in sorted(self._answers.items())
        ]
        return {
            "starts_accepted": self.starts_accepted,
            "tokens_issued": self.tokens_issued,
            "requests": sum(self._answers.values()),
            "by_status": dict(by_status),
            "answers": answers,
        }


class RequestLog:
    """The last requests to the Authentication API, oldest first."""

    def __init__(self, size: int) -> None:
        self._ring: deque[tuple[float, Request, int, str, str]] = deque(maxlen=size)

    def append(self, at: float, request: Request, status: int, error: str, fault: str) -> None:
        """Keep a request and its answer, without its body and credentials."""
        request.body = b""
        request.certificate = _no_certificate
        for name in _SECRET & request.parameters.keys():
            del request.parameters[name]
        self._ring.append((at, request, status, error, fault))

    def entries(self) -> list[dict[str, Any]]:
        """Return the log for the control API."""
        return [self._entry(*entry) for entry in self._ring]

    def _entry(self, at: float, request: Request, status: int, error: str, fault: str) -> dict[str, Any]:
        headers = {name: request.header(name.encode()) for name in _KEPT_HEADERS}
        return {
            "at": at,
            "method": request.method,
            "path": request.path,
            "status": status,
            "error": error,
            "fault": fault,
            "event": _event(request, error),
            "client_id": request.client_id,
            "recipient": request.recipient,
            "authentication": request.authentication,
            "ip": request.ip or request.peer,
            "parameters": request.parameters,
            "headers": {name: value for name, value in headers.items() if value},
        }


def _event(request: Request, error: str) -> str:
    """Return the code under which Auth0's tenant log would show the request, or an empty string.

    Source: https://auth0.com/docs/deploy-monitor/logs/log-event-type-codes
    """
    if error == "too_many_requests":
        return "api_limit"
    if error == "too_many_attempts":
        return "limit_wc"
    if request.path == "/passwordless/start" and not error:
        return "cs" if request.recipient.startswith("+") else "cls"
    if request.path == "/oauth/token" and error:
        return "fepotpft" if error == "invalid_grant" else "f"
    return ""
