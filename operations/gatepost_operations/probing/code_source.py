"""Where the probe's code comes from: the protocol of a mailbox and of a command, and their failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gatepost_core.errors import GatepostError

if TYPE_CHECKING:
    from gatepost_core.identifiers import OneTimeCode
    from gatepost_core.probe_results import Cause


class ProbeFailure(GatepostError):
    """A step of the probe failed.

    Attributes:
        cause: why.
        detail: more about it, such as the words of a TLS library; None without. Never a person or a secret.
    """

    def __init__(self, cause: Cause, detail: str | None = None) -> None:
        super().__init__(cause.advice)
        self.cause = cause
        self.detail = detail


class CodeSource(Protocol):
    """Gives the code of one message. Use it for one run."""

    def prepare(self) -> None:
        """Prepare before the message is sent, and note the messages that are already there.

        Raises:
            ProbeFailure: messages cannot be read.
        """

    def code(self, ends_at: float) -> OneTimeCode:
        """Wait for the message, and return its code.

        Args:
            ends_at: when to give up, by the monotonic clock.

        Raises:
            ProbeFailure: no message came in time, it has no code, or messages cannot be read.
        """

    def use(self) -> None:
        """Delete or mark the message whose code was used. A failure to do so is no failure of the probe."""

    def close(self) -> None:
        """Close the connection. Raises nothing."""
