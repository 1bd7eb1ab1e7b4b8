"""A POST goes to a checked address over verified TLS, follows nothing, and ends in time."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest

from gatepost_core.webhooks.urls import read_url
from gatepost_worker.webhooks.connection import Connection
from support.socket_server import SocketServer
from support.webhook_receiver import WebhookReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatepost_worker.webhooks.connection import Answer
    from support.socket_server import Heard, Wire
    from support.tls_authority import Authority

HOST = "hooks.example.com"


class Names:
    """A name server that gives the next addresses at each question, and the last ones for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, _: int, kind: int, /) -> list[Any]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                kind,
                6,
                "",
                (one, port, 0, 0)[: 4 if ":" in one else 2],
            )
            for one in addresses
        ]


def post(url: str, *, allow_private: bool = False, **given: Any) -> Answer:
    with contextlib.closing(
        Connection(read_url(url, allow_private=allow_private), allow_private=allow_private, **given)
    ) as connection:
        return connection.post({"webhook-id": "evt_1"}, b"{}")


@pytest.fixture
def tls_receiver(authority: Authority) -> Iterator[WebhookReceiver]:
    with WebhookReceiver(tls=authority.server_context(HOST)) as running:
        yield running


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["0.0.0.0"]],  # noqa: S104 - an address that must be refused
    ids=str,
)
def test_a_name_with_a_private_address_is_refused(
    tls_receiver: WebhookReceiver, authority: Authority, addresses: list[str]
) -> None:
    """Before anything is sent, although the certificate and the port are right."""
    answer = post(f"https://{HOST}:{tls_receiver.port}/", resolver=Names(addresses), ca_bundle=authority.bundle)

    assert (answer.status, answer.failure) == (None, "private_address")
    assert tls_receiver.received == []


def test_one_private_address_among_public_ones_is_refused(tls_receiver: WebhookReceiver, authority: Authority) -> None:
    """A name server of an attacker would mix them, so that one of two tries reaches the inside."""
    names = Names(["93.184.216.34", "127.0.0.1"])
    answer = post(f"https://{HOST}:{tls_receiver.port}/", resolver=names, ca_bundle=authority.bundle)

    assert answer.failure == "private_address"


def test_a_name_that_is_bound_again_is_refused(tls_receiver: WebhookReceiver, authority: Authority) -> None:
    """DNS rebinding: the address is checked in the answer that the connection uses, so an earlier answer has no effect."""
    names = Names(["93.184.216.34"], ["127.0.0.1"])
    names(HOST, 443, socket.AF_UNSPEC, socket.SOCK_STREAM)
    answer = post(f"https://{HOST}:{tls_receiver.port}/", resolver=names, ca_bundle=authority.bundle)

    assert names.asked == [HOST, HOST]
    assert answer.failure == "private_address"
    assert tls_receiver.received == []


def test_a_connection_resolves_a_name_once(tls_receiver: WebhookReceiver, authority: Authority) -> None:
    """It goes to the address that it got; TLS verifies the name."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    answer = post(
        f"https://{HOST}:{tls_receiver.port}/a?b=c", resolver=names, ca_bundle=authority.bundle, allow_private=True
    )

    assert (answer.status, names.asked) == (204, [HOST])
    assert tls_receiver.received[0].path == "/a?b=c"
    assert tls_receiver.received[0].headers["host"] == f"{HOST}:{tls_receiver.port}"


@pytest.mark.parametrize("name", ["other.example.com", HOST], ids=["another name", "another authority"])
def test_a_wrong_certificate_is_refused(authority: Authority, name: str) -> None:
    """Before the event is sent."""
    trusted = authority.bundle if name != HOST else None
    with WebhookReceiver(tls=authority.server_context(name)) as running:
        answer = post(
            f"https://{HOST}:{running.port}/", resolver=Names(["127.0.0.1"]), ca_bundle=trusted, allow_private=True
        )

        assert answer.failure == "tls_failed"
        assert running.received == []


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/", "https://[::1]:1/", "https://0x7f.1:1/"])
def test_an_address_in_a_stored_url_is_checked_again(url: str) -> None:
    """The setting for development may have been on when the endpoint was added."""
    with pytest.raises(ValueError, match="address"):
        read_url(url)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """It is a failure, wherever it leads."""
    with WebhookReceiver() as inside, WebhookReceiver(answers=[(status, {"Location": inside.url})]) as outside:
        answer = post(outside.url, allow_private=True)

        assert answer.status == status
        assert inside.received == []


@contextlib.contextmanager
def serving(behave: Callable[[Wire, Heard], bool | None]) -> Iterator[str]:
    with SocketServer(behave) as server:
        yield server.url


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    """Its status counts; the connection is closed after 4 KiB."""
    sent = 0

    def endless(wire: Wire, _: Heard) -> bool:
        nonlocal sent
        wire.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        with contextlib.suppress(OSError):
            while not wire.stop.is_set() and sent < 500_000_000:
                wire.write(b"x" * 65536)
                sent += 65536
        return False

    with serving(endless) as url:
        answer = post(url, allow_private=True)

        assert answer.status == 200
    assert sent < 100_000_000


def test_a_dripping_answer_ends_with_the_deadline() -> None:
    """A byte now and then does not keep the slot."""
    with serving(lambda wire, _: wire.drip(b"HTTP/1.1 200 OK\r\nX: ")) as url:
        answer = post(url, allow_private=True, timeout_s=1.0)

    assert answer.failure in {"answer_timed_out", "deadline_exceeded"}
    assert answer.duration_s < 30


def test_retry_after_is_read_in_both_forms() -> None:
    """Seconds and a date; anything else is ignored."""
    headers = ["17", "Fri, 31 Dec 2100 23:59:59 GMT", "soon", "-5"]
    with WebhookReceiver(answers=[(503, {"Retry-After": one}) for one in headers]) as running:
        seconds, date, word, negative = (post(running.url, allow_private=True).retry_after_s for _ in headers)

    assert seconds == 17
    assert date is not None
    assert date > 10**9
    assert (word, negative) == (None, None)


class Tunnel:
    """A proxy that connects every CONNECT to one port on loopback, and notes what it was asked for."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += near.recv(1)
                self.asked.append(head.split(b" ")[1].decode())
                far = socket.create_connection(("127.0.0.1", self._port))
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def test_a_proxy_is_asked_for_the_checked_address(tls_receiver: WebhookReceiver, authority: Authority) -> None:
    """Not for the name, which it could resolve in another way; TLS and `Host` have the name."""
    with Tunnel(tls_receiver.port) as proxy:
        answer = post(
            f"https://{HOST}:{tls_receiver.port}/",
            resolver=Names(["127.0.0.1"], ["127.0.0.1"], ["192.0.2.1"]),
            ca_bundle=authority.bundle,
            allow_private=True,
            proxy=proxy.url,
        )

        assert answer.status == 204
        assert proxy.asked == [f"127.0.0.1:{tls_receiver.port}"]
        assert tls_receiver.received[0].headers["host"] == f"{HOST}:{tls_receiver.port}"


def test_a_private_address_is_refused_behind_a_proxy_too(tls_receiver: WebhookReceiver, authority: Authority) -> None:
    """The proxy gets no request."""
    with Tunnel(tls_receiver.port) as proxy:
        answer = post(
            f"https://{HOST}:{tls_receiver.port}/",
            resolver=Names(["10.0.0.1"]),
            ca_bundle=authority.bundle,
            proxy=proxy.url,
        )

        assert answer.failure == "private_address"
        assert proxy.asked == []


def test_proxies_of_the_environment_are_not_used(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that resolves names itself would undo the check."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert post(receiver.url, allow_private=True).status == 204
