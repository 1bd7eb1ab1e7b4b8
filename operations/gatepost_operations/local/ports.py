"""The ports of local servers: the same in each run, unless another program has taken them."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import urlsplit

from gatepost_operations.cli.output import say

_HOST: Final = "127.0.0.1"


def usable_port(server: str, asked: int | None, earlier: int | None, default: int) -> int:
    """Return the port of a server; 0 for a free one. Raise an error if the port is taken.

    Args:
        server: the server's name for the message.
        asked: the port that the operator asked for.
        earlier: the port of the last run.
        default: the port otherwise.
    """
    port = next(one for one in (asked, earlier, default) if one is not None)
    if port and not is_free(port):
        say(f"gatepost: port {port} is taken by another program, so {server} uses another one.")
        return 0
    return port


def is_free(port: int) -> bool:
    """Return whether a server can listen on a port of the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def port_of(address: str | None) -> int | None:
    """Return the port in a URL or in `host:port`; None if there is none."""
    if not address:
        return None
    try:
        return urlsplit(address if "://" in address else f"//{address}").port
    except ValueError:
        return None
