"""The wire alone: many calls at once, its connections, and its end."""

from __future__ import annotations

import asyncio
import queue
import socket
import ssl
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatepost_worker import authentication as auth
from gatepost_worker.authentication.responses import HttpResponse
from gatepost_worker.authentication.wire import Wire
from gatepost_worker.authentication.wire_connection import Connection, Readiness, WireCall
from support.addresses import address_of, silent_address
from support.scarce_threads import no_more_threads
from support.socket_server import Heard, SocketServer
from support.socket_server import Wire as ServerEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_worker.authentication import Passwordless
    from gatepost_worker.authentication.wire_connection import Outcome
    from support.tls_authority import Authority

    MakeClient = Callable[..., Passwordless]

PATIENCE_S = 60


@pytest.fixture(params=["uvloop", "asyncio"])
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """On the loop that is used where it is installed, and on the one in its place."""
    opened = Wire(calls=10, **({"new_event_loop": asyncio.new_event_loop} if request.param == "asyncio" else {}))
    yield opened
    opened.close()


def begin(wire: Wire, client: Passwordless, *recipients: str) -> queue.SimpleQueue[Outcome]:
    """Begin a call for each recipient at the same moment."""
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    route = client.starts.route()
    assert not isinstance(route, str)
    calls = [client.starts.email(recipient, send="code", connection="email") for recipient in recipients]
    wire.send(route, [WireCall(client.starts.encode(call), call.timeouts, outcomes.put) for call in calls])
    return outcomes


def test_calls_that_begin_together_are_under_way_together(wire: Wire, make_client: MakeClient) -> None:
    """None is answered before all have been heard, and each gets a connection."""
    everybody = threading.Barrier(10)

    def behave(end: ServerEnd, _: Heard) -> None:
        everybody.wait(PATIENCE_S)
        end.respond()

    with SocketServer(behave) as server:
        outcomes = begin(wire, make_client(server.url), *(f"p{number}@example.com" for number in range(10)))
        answered = [outcomes.get(timeout=PATIENCE_S) for _ in range(10)]

        assert all(isinstance(outcome, HttpResponse) for outcome in answered)
        assert sorted(heard.connection for heard in server.heard) == list(range(10))


def test_the_connection_that_was_used_last_is_used_next(wire: Wire, make_client: MakeClient) -> None:
    """So the others grow old and are closed, and few are kept."""
    with SocketServer(lambda end, _: end.respond()) as server:
        client = make_client(server.url)
        outcomes = begin(wire, client, "a@example.com", "b@example.com")
        for _ in range(2):
            outcomes.get(timeout=PATIENCE_S)
        for _ in range(5):
            begin(wire, client, "c@example.com").get(timeout=PATIENCE_S)

        assert len({heard.connection for heard in server.heard[2:]}) == 1


def test_a_server_that_closes_after_reading_gets_no_second_request(wire: Wire, make_client: MakeClient) -> None:
    """On a connection that was used before: the request may have been carried out."""
    answers = iter([True, False])

    def behave(end: ServerEnd, _: Heard) -> bool | None:
        if next(answers):
            end.respond()
            return None
        return False

    with SocketServer(behave) as server:
        client = make_client(server.url)
        first = begin(wire, client, "a@example.com").get(timeout=PATIENCE_S)
        second = begin(wire, client, "b@example.com").get(timeout=PATIENCE_S)

        assert isinstance(first, HttpResponse)
        assert isinstance(second, auth.ConnectionLost)
        assert [heard.connection for heard in server.heard] == [0, 0]


def test_the_total_deadline_ends_a_call_whose_answer_drips(wire: Wire, make_client: MakeClient) -> None:
    """Each byte comes within the read timeout."""

    def drip(end: ServerEnd, _: Heard) -> None:
        end.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        end.drip(b"x")

    limits = auth.Timeouts(read=timedelta(seconds=600), total=timedelta(seconds=1))
    with SocketServer(drip) as server:
        outcome = begin(wire, make_client(server.url, limits=limits), "a@example.com").get(timeout=30)

    assert type(outcome) in {auth.DeadlineExceeded, auth.NotSentInTime}


@pytest.mark.parametrize("how", ["bytes", "end"])
def test_bytes_that_the_loop_has_not_read_yet_make_a_connection_unusable(how: str) -> None:
    """They came before the request, so they cannot be its response."""

    async def look() -> list[Readiness]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(ours, tls=False, freed=lambda _: None, lost=lambda _: None), sock=ours
            )
            before = connection.readiness()
            if how == "bytes":
                theirs.send(b"HTTP/1.1 200 OK\r\n")
            else:
                theirs.shutdown(socket.SHUT_WR)
            found = [before, connection.readiness()]
            connection.close()
            await asyncio.sleep(0)
        return found

    assert asyncio.run(look()) == [Readiness.READY, Readiness.CLOSED]


def test_another_tenants_idle_connection_makes_room(wire: Wire, make_client: MakeClient) -> None:
    """Ten connections at most, for all tenants together."""
    with SocketServer(lambda end, _: end.respond()) as one, SocketServer(lambda end, _: end.respond()) as other:
        outcomes = begin(wire, make_client(one.url), *(f"p{number}@example.com" for number in range(10)))
        for _ in range(10):
            outcomes.get(timeout=PATIENCE_S)
        answer = begin(wire, make_client(other.url), "q@example.com").get(timeout=PATIENCE_S)
        while not any(end.closed.is_set() for end in one.wires):
            one.stop.wait(0.01)

        assert isinstance(answer, HttpResponse)


def test_calls_under_way_end_when_the_wire_is_closed(wire: Wire, make_client: MakeClient) -> None:
    """As lost: they may have been carried out."""
    with SocketServer(lambda end, _: end.hang()) as server:
        outcomes = begin(wire, make_client(server.url), "a@example.com")
        server.until_heard()
        wire.close()
        outcome = outcomes.get(timeout=PATIENCE_S)

    assert isinstance(outcome, auth.AuthenticationError)
    assert outcome.may_have_taken_effect


def test_calls_that_begin_while_the_wire_is_closed_have_outcomes(wire: Wire, make_client: MakeClient) -> None:
    """A call that reached a loop after its end would hold its slot until the lease of its batch ends."""
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    with SocketServer(lambda end, _: end.respond()) as server:
        client = make_client(server.url)
        call = client.starts.email("a@example.com", send="code", connection="email")
        request, route = client.starts.encode(call), client.starts.route()
        assert not isinstance(route, str)

        def send_many() -> None:
            for _ in range(200):
                wire.send(route, [WireCall(request, call.timeouts, outcomes.put)])

        sending = threading.Thread(target=send_many)
        sending.start()
        while sending.is_alive():
            wire.close()
        sending.join()
        ended = [outcomes.get(timeout=PATIENCE_S) for _ in range(200)]

    assert {type(outcome) for outcome in ended} <= {HttpResponse, auth.ConnectFailed, auth.ConnectionLost}


def test_a_refusal_in_the_handshake_is_known_as_such_before_the_write(
    wire: Wire, make_client: MakeClient, authority: Authority
) -> None:
    """Under TLS 1.3 the alert comes when the handshake is over on this side, and the loop may read it first."""
    with SocketServer(lambda end, _: end.respond(), tls=authority.server_context(demand=ssl.CERT_REQUIRED)) as server:
        client = make_client(server.url, configuration={"ca_bundle": authority.bundle})
        outcomes = [begin(wire, client, "a@example.com").get(timeout=PATIENCE_S) for _ in range(20)]

    # A reset can overtake the alert, but only after the write.
    assert {type(outcome) for outcome in outcomes} <= {auth.TlsFailed, auth.ConnectionLost}
    assert auth.TlsFailed in map(type, outcomes)


def test_an_address_that_answers_is_tried_first_next_time(make_client: MakeClient) -> None:
    """Otherwise every new connection would wait for the silent address."""
    with silent_address() as silent, SocketServer(lambda _end, _heard: False) as server:
        wire = Wire(resolver=lambda *_: [address_of(silent), address_of(server.port)])
        limits = auth.Timeouts(connect=timedelta(seconds=6), read=timedelta(seconds=20), total=timedelta(seconds=20))
        client = make_client("http://tenant.example.com", limits=limits)
        begin(wire, client, "a@example.com").get(timeout=PATIENCE_S)
        started = time.monotonic()
        begin(wire, client, "b@example.com").get(timeout=PATIENCE_S)
        took_s = time.monotonic() - started
        wire.close()

        assert [heard.connection for heard in server.heard] == [0, 1]
        assert took_s < 3


def test_a_connection_with_an_unwritten_rest_of_a_request_is_not_used_again(
    wire: Wire, make_client: MakeClient
) -> None:
    """The next request would wait behind that rest, and end as unknown though it was never written."""
    answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"
    limits = auth.Timeouts(read=timedelta(seconds=20), total=timedelta(seconds=20))
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as open_ends:
        server.settimeout(PATIENCE_S)
        # Otherwise the system may take in the whole request.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        route = make_client(f"http://127.0.0.1:{server.getsockname()[1]}").starts.route()
        assert not isinstance(route, str)
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        statuses = []
        for request in (b"x" * (32 << 20), b"y"):
            wire.send(route, [WireCall(request, limits, outcomes.put)])
            end, _ = server.accept()
            open_ends.enter_context(end).recv(1)
            end.sendall(answer)
            statuses.append(getattr(outcomes.get(timeout=PATIENCE_S), "status", None))

    assert statuses == [413, 413]


def test_calls_without_a_thread_for_the_loop_are_not_sent(wire: Wire, make_client: MakeClient) -> None:
    """They end at once, and the next call starts the loop."""
    with SocketServer(lambda end, _: end.respond()) as server:
        client = make_client(server.url)
        with no_more_threads():
            refused = begin(wire, client, "a@example.com", "b@example.com")
        ended = [refused.get(timeout=PATIENCE_S) for _ in range(2)]
        answer = begin(wire, client, "a@example.com").get(timeout=PATIENCE_S)

    assert [type(outcome) for outcome in ended] == [auth.ConnectFailed, auth.ConnectFailed]
    assert isinstance(answer, HttpResponse)


def test_a_look_up_without_a_thread_does_not_stop_later_calls(wire: Wire, make_client: MakeClient) -> None:
    """The call that needed it is not sent; the next call to that host makes its own."""
    with SocketServer(lambda end, _: end.respond()) as one, SocketServer(lambda end, _: end.respond()) as other:
        begin(wire, make_client(one.url), "a@example.com").get(timeout=PATIENCE_S)
        client = make_client(other.url)
        with no_more_threads():
            refused = begin(wire, client, "b@example.com").get(timeout=PATIENCE_S)
        answer = begin(wire, client, "b@example.com").get(timeout=PATIENCE_S)

    assert isinstance(refused, auth.ConnectFailed)
    assert isinstance(answer, HttpResponse)


@pytest.mark.parametrize(
    ("base_url", "proxies", "why"),
    [
        ("http://tenant.example.com", {"http": "http://127.0.0.1:1"}, "http:// behind a proxy"),
        ("https://tenant.example.com", {"https": "https://127.0.0.1:1"}, "not reached over http://"),
        ("https://tenant.example.com", {"https": "socks5://127.0.0.1:1"}, "not reached over http://"),
    ],
)
def test_a_route_that_the_wire_cannot_go_says_why(
    make_client: MakeClient, base_url: str, proxies: dict[str, str], why: str
) -> None:
    """Such a tenant's calls take the client's own connections."""
    route = make_client(base_url, configuration={"proxies": proxies}).starts.route()

    assert isinstance(route, str)
    assert why in route


def test_mutual_tls_takes_the_clients_own_connections(make_client: MakeClient, authority: Authority) -> None:
    """Its certificate belongs to the adapter."""
    certificate = auth.ClientCertificate(
        certificate_path=authority.certificate,
        key_path=authority.key,
    )

    assert make_client("https://localhost", client_certificate=certificate).starts.route() == "it uses mutual TLS"
