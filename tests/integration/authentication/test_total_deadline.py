"""The total deadline cuts every way in which a server can take its time.

No test here measures time: the servers never stop by themselves, so a call that returns was cut. The read timeout is far longer than any
pause, so it is not what cuts. A request that a busy machine did not write within its deadline is repeated with a longer one.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from requests.adapters import HTTPAdapter

from gatepost_worker import authentication as auth
from gatepost_worker.authentication import AuthenticationError, Delivery, Exchange, Timeouts, current_exchange
from support.socket_server import Heard, SocketServer, Wire, relay
from support.stretched_deadlines import stretched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests import PreparedRequest, Response

    from gatepost_worker.authentication import Passwordless
    from support.tls_authority import Authority

    MakeClient = Callable[..., Passwordless]

LIMITS = Timeouts(connect=timedelta(seconds=60), read=timedelta(seconds=60), total=timedelta(seconds=0.4))


def limits_of(total_s: float) -> Timeouts:
    return replace(LIMITS, total=timedelta(seconds=total_s))


OK = b"HTTP/1.1 200 OK\r\n"


def failure_of(client: Passwordless) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        client.send_email("user@example.com")
    return caught.value


def failure_after_the_write(make: Callable[[Timeouts], Passwordless], server: SocketServer) -> AuthenticationError:
    """Return the failure of the one request that was written."""
    error = stretched(
        lambda seconds: failure_of(make(limits_of(seconds))), lambda error: error.delivery is not Delivery.NOT_SENT
    )
    server.until_heard()
    return error


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

# The part sent at once, and the part sent one byte at a time.
DRIPS: dict[str, tuple[bytes, bytes]] = {
    "the status line": (b"", b"HTTP/1.1 200 " + b"O" * 100),
    "a header": (OK + b"X-Long: ", b"x"),
    "many headers": (OK, b"X: y\r\n"),
    "a body of known length": (OK + b"Content-Length: 1000000\r\n\r\n", b"x"),
    "a short body of known length": (OK + b"Content-Length: 1000\r\n\r\n", b"x"),
    "a body without end": (OK + b"\r\n", b"x"),
    "a chunk's size": (CHUNKED, b"0"),
    "a chunk": (CHUNKED + b"ffff\r\n", b"x"),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n"),
}
# The same, in whole pieces.
STREAMS: dict[str, tuple[bytes, bytes]] = {
    "informational answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "many chunks": (CHUNKED, b"1\r\nx\r\n"),
}


def dawdle(wire: Wire, how: str) -> bool:
    """Take all the time in the world."""
    if how in DRIPS:
        wire.write(DRIPS[how][0])
        wire.drip(DRIPS[how][1])
    elif how in STREAMS:
        wire.write(STREAMS[how][0])
        while not wire.stop.wait(0.05):  # slower than the deadline allows for the most interim answers
            wire.write(STREAMS[how][1])
    else:
        wire.hang()
    return False


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("how", ["silence", *DRIPS, *STREAMS])
def test_a_dripping_answer_is_cut(make_sender: MakeClient, authority: Authority, how: str, scheme: str) -> None:
    """Wherever it drips, the thread is free after the deadline, and the request may have been carried out."""
    context = authority.server_context() if scheme == "https" else None
    with SocketServer(lambda wire, _: dawdle(wire, how), tls=context) as server:
        configuration = {"ca_bundle": authority.bundle}
        error = failure_after_the_write(
            lambda limits: make_sender(server.url, limits=limits, configuration=configuration), server
        )

        assert len(server.heard) == 1
    assert error.delivery is Delivery.MAYBE_SENT
    assert isinstance(error, (auth.DeadlineExceeded, auth.AnswerTruncated))


def test_a_silent_handshake_is_cut(make_sender: MakeClient) -> None:
    """Before the write: nothing was sent."""
    with SocketServer(lambda _wire, _heard: False, greet=lambda wire: wire.hang()) as server:
        error = failure_of(make_sender(f"https://localhost:{server.port}", limits=LIMITS))

    assert (type(error), error.delivery) == (auth.NotSentInTime, Delivery.NOT_SENT)


def test_a_dripping_handshake_is_cut(make_sender: MakeClient) -> None:
    """A TLS record whose end never comes."""

    def greet(wire: Wire) -> None:
        wire.write(b"\x16\x03\x03\x3f\xff")
        wire.drip(b"\x02")

    with SocketServer(lambda _wire, _heard: False, greet=greet) as server:
        error = failure_of(make_sender(f"https://localhost:{server.port}", limits=LIMITS))

    assert error.delivery is Delivery.NOT_SENT


def test_a_dripping_proxy_is_cut(make_sender: MakeClient) -> None:
    """The tunnel is no part of the request."""

    def tunnel(wire: Wire, _: Heard) -> bool:
        wire.drip(b"HTTP/1.1 200 " + b"O" * 100)
        return False

    with SocketServer(tunnel) as proxy:
        proxies = {"https": f"http://127.0.0.1:{proxy.port}"}
        error = stretched(
            lambda seconds: failure_of(
                make_sender("https://tenant.example.com", limits=limits_of(seconds), configuration={"proxies": proxies})
            ),
            lambda _: bool(proxy.heard),
        )

        assert proxy.heard[0].target == "tenant.example.com:443"
    assert error.delivery is Delivery.NOT_SENT


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
def test_a_dripping_answer_behind_a_tunnel_is_cut(
    make_sender: MakeClient, authority: Authority, proxy_scheme: str
) -> None:
    """TLS within TLS included."""
    with (
        SocketServer(lambda wire, _: dawdle(wire, "a header"), tls=authority.server_context()) as server,
        SocketServer(relay, tls=authority.server_context() if proxy_scheme == "https" else None) as proxy,
    ):
        configuration = {"ca_bundle": authority.bundle, "proxies": {"https": proxy.url}}
        error = failure_after_the_write(
            lambda limits: make_sender(server.url, limits=limits, configuration=configuration), server
        )

        assert len(server.heard) == 1
    assert (type(error), error.delivery) == (auth.DeadlineExceeded, Delivery.MAYBE_SENT)


@pytest.fixture
def silent_resolver() -> Iterator[Callable[..., Any]]:
    """A resolver that answers nothing until the test is over."""
    over = threading.Event()

    def resolve(*_: object) -> list[Any]:
        over.wait(120)
        raise socket.gaierror(socket.EAI_AGAIN, "try again")

    yield resolve
    over.set()


def test_a_silent_resolver_is_cut(make_sender: MakeClient, silent_resolver: Callable[..., Any]) -> None:
    """`getaddrinfo` cannot be interrupted, so it is left behind."""
    error = failure_of(make_sender("http://tenant.example.com", limits=LIMITS, resolver=silent_resolver))

    assert (type(error), error.delivery) == (auth.NotSentInTime, Delivery.NOT_SENT)


def test_a_deadline_that_passes_while_connecting_proves_that_nothing_was_sent(make_client: MakeClient) -> None:
    """The request is not begun once its time is over."""
    with SocketServer(lambda wire, _: wire.respond()) as server:

        def slow_resolver(*_: object) -> list[Any]:
            attempt = current_exchange()
            assert attempt is not None
            attempt.deadline = 0.0  # as after a slow connection
            return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", server.port))]

        adapter = auth.DeadlineAdapter(resolver=slow_resolver)
        error = failure_of(make_client(f"http://127.0.0.1:{server.port}", configuration={"adapter": adapter}))

        assert server.heard == []
    assert (type(error), error.delivery) == (auth.NotSentInTime, Delivery.NOT_SENT)


def test_many_addresses_share_one_connect_timeout(make_sender: MakeClient) -> None:
    """Not one each."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        address = (socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname())
        patient = Timeouts(connect=timedelta(seconds=0.3), read=timedelta(seconds=60), total=timedelta(seconds=60))
        error = failure_of(
            make_sender("http://tenant.example.com", limits=patient, resolver=lambda *_: [address] * 1000)
        )
        for filler in fillers:
            filler.close()

    assert (type(error), error.delivery) == (auth.ConnectTimedOut, Delivery.NOT_SENT)


def test_the_next_request_has_a_new_deadline(make_sender: MakeClient) -> None:
    """A kept connection does not keep the shortened timeout."""

    def twice(total_s: float) -> tuple[list[int], list[int]]:
        statuses: list[int] = []
        with SocketServer(lambda wire, _: wire.respond()) as server, suppress(AuthenticationError):
            client = make_sender(server.url, limits=limits_of(total_s))
            statuses.append(client.send_email("user@example.com").status)
            server.stop.wait(total_s * 1.5)
            statuses.append(client.send_email("user@example.com").status)
        return statuses, [heard.connection for heard in server.heard]

    assert stretched(twice, lambda outcome: len(outcome[0]) == 2) == ([200, 200], [0, 0])


def test_threads_do_not_share_a_deadline(make_sender: MakeClient) -> None:
    """One is cut, the others are answered."""
    release = threading.Event()

    def behave(wire: Wire, heard: Heard) -> bool | None:
        if b"slow" in heard.body:
            return dawdle(wire, "a header")
        release.wait(120)
        wire.respond()
        return None

    outcomes: dict[str, object] = {}
    with SocketServer(behave) as server:
        client = make_sender(server.url)

        def send(name: str, limits: Timeouts) -> object:
            try:
                return client.send_email(f"{name}@example.com", overrides=auth.RequestOverrides(timeouts=limits)).status
            except AuthenticationError as error:
                return type(error)

        def keep(name: str) -> None:
            outcomes[name] = send(name, patient)

        def be_cut() -> None:
            outcomes["slow"] = stretched(
                lambda seconds: send("slow", limits_of(seconds)), lambda outcome: outcome is not auth.NotSentInTime
            )

        patient = Timeouts(read=timedelta(seconds=120), total=timedelta(seconds=120))
        threads = [threading.Thread(target=keep, args=(f"user{number}",)) for number in range(4)]
        cut = threading.Thread(target=be_cut)
        for thread in [*threads, cut]:
            thread.start()
        cut.join(120)
        release.set()
        for thread in threads:
            thread.join(120)

    assert outcomes == {"slow": auth.DeadlineExceeded, **{f"user{number}": 200 for number in range(4)}}


def test_a_foreign_adapter_is_cut_between_chunks_and_told_what_is_left(make_client: MakeClient) -> None:
    """Its sockets do not know the deadline; `current_exchange` does."""
    left: list[float] = []
    totals: list[float] = []

    class Foreign(HTTPAdapter):
        def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
            attempt = current_exchange()
            assert isinstance(attempt, Exchange)
            left.append(attempt.remaining())
            return super().send(request, *args, **options)

    with SocketServer(lambda wire, _: dawdle(wire, "many chunks")) as server:

        def cut_within(total_s: float) -> AuthenticationError:
            totals.append(total_s)
            return failure_of(make_client(server.url, limits=limits_of(total_s), configuration={"adapter": Foreign()}))

        error = stretched(cut_within, lambda error: error.status is not None)

    assert (type(error), error.delivery, error.status) == (auth.DeadlineExceeded, Delivery.MAYBE_SENT, 200)
    assert 0 < left[-1] <= totals[-1]
    assert current_exchange() is None
