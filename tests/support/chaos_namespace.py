"""A network namespace of the test's own, and the cable into it, which can be slow and lossy where the kernel has netem."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Self

# 198.18.0.0/15 is for tests of networks (RFC 2544), so it is no real address.
_SUBNET = "198.18.{}.{}"


class Namespace:
    """A namespace that reaches this machine by one address only. Needs root and iproute2. Use it as a context manager."""

    def __init__(self) -> None:
        number = os.getpid() % 250
        self.name = f"gatepost{os.getpid()}"
        self.outside = _SUBNET.format(number, 1)
        self._inside = _SUBNET.format(number, 2)
        self._cable = f"gp{os.getpid() % 100_000}"

    @staticmethod
    def allowed() -> bool:
        """Say whether this user may make one here."""
        if os.geteuid() != 0 or shutil.which("ip") is None:
            return False
        made = _run("ip", "netns", "add", "gatepost-probe", check=False)
        _run("ip", "netns", "del", "gatepost-probe", check=False)
        return made

    def command(self, *command: str) -> list[str]:
        """Return the command as run inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def part(self) -> None:
        """Drop all packets without an error to either side."""
        _run("ip", "link", "set", self._cable, "down")

    def join(self) -> None:
        _run("ip", "link", "set", self._cable, "up")

    def disturb(self, *netem: str) -> bool:
        """Delay, lose, double and reorder packets as `tc netem` says; return whether the kernel can."""
        return _run("tc", "qdisc", "replace", "dev", self._cable, "root", "netem", *netem, check=False)

    def __enter__(self) -> Self:
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _run("ip", "addr", "add", f"{self.outside}/30", "dev", self._cable)
        self.join()
        for command in (
            ("addr", "add", f"{self._inside}/30", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            _run(*self.command("ip", *command))
        return self

    def __exit__(self, *_: object) -> None:
        _run("ip", "link", "del", self._cable, check=False)
        _run("ip", "netns", "del", self.name)


def _run(*command: str, check: bool = True) -> bool:
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=30)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr}")
    return done.returncode == 0
