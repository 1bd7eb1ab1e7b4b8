"""Connections that send nothing, or little, do not take the room of others."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from support.web_api import running_api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_core.settings import Settings
    from support.web_api import Api

HEAD_S = 0.5
HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def hasty(make_settings: Callable[..., Settings]) -> Iterator[Api]:
    """The API, which gives a client half a second for the head of a request."""
    with running_api(make_settings(), head_s=HEAD_S) as running:
        yield running


def closes(api: Api, begin: bytes, drip: bytes) -> bool:
    """Send a beginning and then a byte again and again, and return whether the server closes the connection."""
    address = urlsplit(api.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=0.1) as connection:
        connection.sendall(begin)
        give_up = time.monotonic() + 20
        while time.monotonic() < give_up:
            try:
                connection.sendall(drip)
                while connection.recv(1 << 16):
                    pass
            except TimeoutError:
                continue
            except OSError:
                return True
            return True
    return False


@pytest.mark.parametrize(
    ("begin", "drip"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(HEAD, b"X", id="a head without an end"),
        pytest.param(HEAD + b"Content-Length: 1000000\r\n\r\n", b" ", id="the body of a refused request"),
    ],
)
def test_a_slow_connection_without_a_key_is_closed(hasty: Api, begin: bytes, drip: bytes) -> None:
    """A thousand of them would otherwise take all connections of the server for as long as they like."""
    assert closes(hasty, begin, drip)


def test_a_request_that_waits_for_its_answer_stays_open(hasty: Api) -> None:
    """The limit is for the head of a request alone."""
    client = hasty.client()
    where = client.post("/v1/messages", json={"email": "ana@example.com"}).headers["location"]
    waited = client.get(where, headers={"Prefer": "wait=2"})

    assert (waited.status_code, waited.headers["preference-applied"]) == (200, "wait=2")
