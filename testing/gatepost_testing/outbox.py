"""The messages that the simulator sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatepost_simulator.control import ControlClient


class Outbox:
    """The messages of a simulated tenant.

    Args:
        control: the client of the simulator's control API.
    """

    def __init__(self, control: ControlClient) -> None:
        self._control = control

    def code_for(self, recipient: str, *, wait_s: float = 10.0) -> str:
        """Return the newest code that was sent to an address or number, and is not spent.

        Args:
            recipient: the address, or the number in E.164.
            wait_s: seconds to wait for it.

        Raises:
            ControlError: there is none.
        """
        return self._control.latest_code(recipient, wait_s=wait_s)

    def count(self, recipient: str) -> int:
        """Return the number of messages to an address or number."""
        return self._control.count(recipient)

    def messages(self, recipient: str) -> list[dict[str, Any]]:
        """Return the newest messages to an address or number, the newest first. docs/reference/simulator-control-api.md describes the outbox."""
        return self._control.messages(recipient)
