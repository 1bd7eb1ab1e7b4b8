"""What goes wrong on purpose: a few people for whom the simulator refuses, loses the answer or spoils the login."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.kinds import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

START: Final = f"/{Endpoint.START}"
TOKEN: Final = f"/{Endpoint.TOKEN}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong for somebody.

    Attributes:
        title: what it is, in a few words.
        endpoint: where it strikes.
        fault: what the simulator is told; see its control API.
    """

    title: str
    endpoint: str
    fault: dict[str, Any] = field(default_factory=dict)


FAULTS: Final = (
    Fault("address refused", START, {"status": 400, "error": "bad.email", "description": "email is not valid"}),
    Fault("answer lost", START, {"drop": "close", "when": "after"}),
    Fault("server error", START, {"status": 503, "error": "temporarily_unavailable", "when": "after"}),
    Fault("quota exceeded once", START, {"status": 429, "error": "too_many_requests"}),
    Fault("second factor", TOKEN, {"status": 403, "error": "mfa_required", "shape": "B", "count": 0}),
    Fault("wrong audience", TOKEN, {"id_token": "bad-aud", "when": "after"}),
    Fault("login's answer lost", TOKEN, {"status": 503, "error": "temporarily_unavailable", "when": "after"}),
)


def faults_for(recipients: Sequence[str]) -> Iterator[tuple[Fault, dict[str, Any]]]:
    """Give each mishap with the fault for one recipient, spread over the list; none for more mishaps than recipients.

    Args:
        recipients: e-mail addresses, each once.
    """
    step = len(recipients) // len(FAULTS)
    for position, mishap in enumerate(FAULTS if step else ()):
        yield mishap, {"endpoint": mishap.endpoint, "recipient": recipients[position * step], **mishap.fault}
