"""How far a request got, over real sockets that fail in many ways."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from requests.adapters import HTTPAdapter

from gatepost_worker import authentication as auth
from gatepost_worker.authentication import AuthenticationError, Delivery
from support.addresses import address_of, closed_port, silent_address
from support.socket_server import Heard, SocketServer, Wire, relay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatepost_worker.authentication import Passwordless
    from support.tls_authority import Authority

    MakeClient = Callable[..., Passwordless]
    LosingClient = Callable[[str], tuple[Passwordless, SocketServer]]

EMAIL = "user@example.com"


def failure_of(client: Passwordless) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        client.send_email(EMAIL)
    return caught.value


# Not reached


def test_a_refused_connection_is_not_sent(make_sender: MakeClient) -> None:
    """Nothing listens."""
    error = failure_of(make_sender(f"http://127.0.0.1:{closed_port()}"))

    assert (type(error), error.delivery, error.status) == (auth.ConnectFailed, Delivery.NOT_SENT, None)


def test_a_name_that_does_not_resolve_is_not_sent(make_sender: MakeClient) -> None:
    """The reserved top-level domain has no names (RFC 6761)."""

    def resolver(*_: object) -> list[auth.Exchange]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    error = failure_of(make_sender("http://tenant.invalid", resolver=resolver))

    assert (type(error), error.delivery) == (auth.NameNotResolved, Delivery.NOT_SENT)


@pytest.mark.parametrize("name", ["x" * 64 + ".example.com", "a..example.com"])
def test_a_malformed_name_is_not_sent(make_sender: MakeClient, name: str) -> None:
    """Labels have 63 characters at most and are not empty."""
    try:
        client = make_sender(f"http://{name}")
    except auth.ConfigurationError:
        return  # refused even earlier

    assert failure_of(client).delivery is Delivery.NOT_SENT


def test_a_full_backlog_times_the_connection_out(make_sender: MakeClient, limited: auth.Timeouts) -> None:
    """The handshake of TCP is never completed."""
    with silent_address() as port:
        error = failure_of(make_sender(f"http://127.0.0.1:{port}", limits=limited))

    assert (type(error), error.delivery) == (auth.ConnectTimedOut, Delivery.NOT_SENT)


@pytest.mark.parametrize("first", ["refuses", "is silent"])
def test_the_next_address_of_a_name_is_tried(make_sender: MakeClient, first: str) -> None:
    """Nothing was written to the first one, and it has a part of the connect timeout only."""
    limits = auth.Timeouts(connect=timedelta(seconds=4), read=timedelta(seconds=60), total=timedelta(seconds=60))
    with silent_address() as silent, SocketServer(lambda wire, _: wire.respond()) as server:
        addresses = [address_of(closed_port() if first == "refuses" else silent), address_of(server.port)]
        sender = make_sender("http://tenant.example.com", limits=limits, resolver=lambda *_: addresses)

        assert sender.send_email(EMAIL).status == 200
        assert len(server.heard) == 1


def test_no_other_address_is_tried_once_the_request_was_written(make_sender: MakeClient) -> None:
    """The first server may have carried it out."""
    with SocketServer(lambda _wire, _heard: False) as one, SocketServer(lambda wire, _: wire.respond()) as other:
        addresses = [address_of(one.port), address_of(other.port)]
        error = failure_of(make_sender("http://tenant.example.com", resolver=lambda *_: addresses))

        assert error.delivery is Delivery.MAYBE_SENT
        assert (len(one.heard), len(other.heard)) == (1, 0)


@pytest.fixture
def limited() -> auth.Timeouts:
    """A connect timeout well below the others."""
    return auth.Timeouts(connect=timedelta(seconds=0.3), read=timedelta(seconds=60), total=timedelta(seconds=60))


def test_a_proxy_that_is_not_there_is_not_sent(make_sender: MakeClient) -> None:
    """For a plain and for a tunnelled request."""
    proxy = f"http://127.0.0.1:{closed_port()}"
    for base in ("http://tenant.example.com", "https://tenant.example.com"):
        error = failure_of(make_sender(base, configuration={"proxies": {"http": proxy, "https": proxy}}))

        assert (type(error), error.delivery) == (auth.ProxyFailed, Delivery.NOT_SENT)


def test_a_proxy_that_refuses_the_tunnel_is_not_sent(make_sender: MakeClient) -> None:
    """The CONNECT request to the proxy is not part of the request."""

    def refuse(wire: Wire, _: Heard) -> bool:
        wire.respond(407, b"", Proxy_Authenticate="Basic")
        return False

    with SocketServer(refuse) as proxy:
        error = failure_of(
            make_sender(
                "https://tenant.example.com",
                configuration={"proxies": {"https": f"http://user:pass@127.0.0.1:{proxy.port}"}},
            )
        )

        assert (type(error), error.delivery) == (auth.ProxyFailed, Delivery.NOT_SENT)
        assert proxy.heard[0].target == "tenant.example.com:443"
        assert proxy.heard[0].headers["proxy-authorization"].startswith("Basic ")
        assert "pass" not in str(error)


def test_a_tunnel_that_dies_is_not_sent(make_sender: MakeClient) -> None:
    """The proxy hangs up in the middle of CONNECT."""
    with SocketServer(lambda _wire, _heard: False) as proxy:
        error = failure_of(
            make_sender(
                "https://tenant.example.com", configuration={"proxies": {"https": f"http://127.0.0.1:{proxy.port}"}}
            )
        )

    assert error.delivery is Delivery.NOT_SENT


def test_a_request_goes_through_a_forwarding_proxy(make_sender: MakeClient) -> None:
    """The target is the whole URL, and a 407 of the proxy has its error."""
    answers = [200, 407]

    def forward(wire: Wire, _: Heard) -> None:
        wire.respond(answers.pop(0))

    with SocketServer(forward) as proxy:
        client = make_sender(
            "http://tenant.example.com", configuration={"proxies": {"http": f"http://127.0.0.1:{proxy.port}"}}
        )

        assert client.send_email(EMAIL).status == 200
        assert proxy.heard[0].target == "http://tenant.example.com/passwordless/start"
        error = failure_of(client)
        assert (type(error), error.delivery) == (auth.ProxyFailed, Delivery.NOT_SENT)


@pytest.mark.parametrize("proxy_scheme", ["http", "https"])
def test_a_request_goes_through_a_tunnel(make_sender: MakeClient, authority: Authority, proxy_scheme: str) -> None:
    """The tunnel has TLS from end to end; a failure behind it has the same error as any other."""
    answers = iter(["respond", "close"])

    def behave(wire: Wire, _: Heard) -> bool | None:
        if next(answers) == "close":
            return False
        wire.respond()
        return None

    with (
        SocketServer(behave, tls=authority.server_context()) as server,
        SocketServer(relay, tls=authority.server_context() if proxy_scheme == "https" else None) as proxy,
    ):
        client = make_sender(server.url, configuration={"ca_bundle": authority.bundle, "proxies": {"https": proxy.url}})
        status = client.send_email(EMAIL).status
        error = failure_of(client)

        assert status == 200
        assert [heard.target for heard in proxy.heard] == [f"localhost:{server.port}"]
        assert (type(error), error.delivery) == (auth.ConnectionLost, Delivery.MAYBE_SENT)


def test_a_socks_proxy_of_the_environment_is_refused(make_sender: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connections would be another library's, which mark no write and mistake a 103 for the answer."""
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    error = failure_of(make_sender("http://tenant.example.com", configuration={"trust_env": True}))

    assert (type(error), error.delivery) == (auth.RequestUnsendable, Delivery.NOT_SENT)


# TLS


def test_tls_with_a_trusted_certificate_works(make_sender: MakeClient, authority: Authority) -> None:
    """Over one kept connection."""
    with SocketServer(lambda wire, _: wire.respond(), tls=authority.server_context()) as server:
        client = make_sender(server.url, configuration={"ca_bundle": authority.bundle})
        for _ in range(3):
            client.send_email(EMAIL)

        assert [heard.connection for heard in server.heard] == [0, 0, 0]


def test_an_untrusted_certificate_is_not_sent(make_sender: MakeClient, authority: Authority) -> None:
    """The authority is unknown to the default bundle."""
    with SocketServer(lambda wire, _: wire.respond(), tls=authority.server_context()) as server:
        error = failure_of(make_sender(server.url))

        assert (type(error), error.delivery) == (auth.TlsFailed, Delivery.NOT_SENT)
        assert server.heard == []


def test_a_certificate_for_another_host_is_not_sent(make_sender: MakeClient, authority: Authority) -> None:
    """Trusted, and not for this name."""
    with SocketServer(lambda wire, _: wire.respond(), tls=authority.server_context("other.example.com")) as server:
        error = failure_of(make_sender(server.url, configuration={"ca_bundle": authority.bundle}))

        assert (type(error), error.delivery) == (auth.TlsFailed, Delivery.NOT_SENT)
        assert server.heard == []


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_what_is_no_tls_server_is_not_sent(make_sender: MakeClient, greeting: bytes) -> None:
    """Plain HTTP on the TLS port, or a connection closed in the handshake."""

    def greet(wire: Wire) -> None:
        wire.sock.recv(65536)
        wire.write(greeting)
        wire.sock.shutdown(socket.SHUT_RDWR)

    with SocketServer(lambda _wire, _heard: False, greet=greet) as server:
        error = failure_of(make_sender(f"https://localhost:{server.port}"))

    assert error.delivery is Delivery.NOT_SENT
    assert type(error) in {auth.TlsFailed, auth.ConnectFailed}


def test_a_silent_handshake_is_not_sent(make_sender: MakeClient, limited: auth.Timeouts) -> None:
    """Bounded by the connect timeout."""
    with SocketServer(lambda _wire, _heard: False, greet=lambda wire: wire.hang()) as server:
        error = failure_of(make_sender(f"https://localhost:{server.port}", limits=limited))

    assert (type(error), error.delivery) == (auth.ConnectTimedOut, Delivery.NOT_SENT)


def test_mutual_tls_shows_the_certificate_on_token_calls_alone(make_client: MakeClient, authority: Authority) -> None:
    """The start goes to the same host without it."""
    seen: list[tuple[str, bool]] = []

    def note(wire: Wire, heard: Heard) -> None:
        assert isinstance(wire.sock, ssl.SSLSocket)
        seen.append((heard.target, bool(wire.sock.getpeercert())))
        wire.respond(200, {"_id": "1", "email": EMAIL, "access_token": "opaque"})

    context = authority.server_context(demand=ssl.CERT_OPTIONAL)
    certificate = auth.ClientCertificate(certificate_path=authority.certificate, key_path=authority.key)
    with SocketServer(note, tls=context) as server:
        client = make_client(server.url, configuration={"ca_bundle": authority.bundle}, client_certificate=certificate)
        client.send_email(EMAIL)
        client.login_with_email(EMAIL, "123456")
        client.send_email(EMAIL)

    assert seen == [("/passwordless/start", False), ("/oauth/token", True), ("/passwordless/start", False)]


def test_a_server_that_demands_a_certificate_did_not_read_the_request(
    make_sender: MakeClient, authority: Authority
) -> None:
    """Under TLS 1.3 the refusal comes after the client's first write, and the alert shows it."""
    with SocketServer(lambda wire, _: wire.respond(), tls=authority.server_context(demand=ssl.CERT_REQUIRED)) as server:
        error = failure_of(make_sender(server.url, configuration={"ca_bundle": authority.bundle}))

        assert type(error) in {auth.TlsFailed, auth.ConnectionLost}  # a reset can overtake the alert
        assert server.heard == []


def test_an_unusable_bundle_or_certificate_is_refused_at_once(make_client: MakeClient, authority: Authority) -> None:
    """Not at the first call."""
    with pytest.raises(auth.ConfigurationError, match="CA bundle"):
        make_client("https://localhost", configuration={"ca_bundle": "/nowhere.pem"})
    with pytest.raises(auth.ConfigurationError, match="client certificate"):
        make_client(
            "https://localhost",
            client_certificate=auth.ClientCertificate(certificate_path=authority.bundle, key_path="/nowhere.pem"),
        )


# Lost after the write


OK = b"HTTP/1.1 200 OK\r\n"
LAST_WORDS: dict[str, bytes | None] = {
    "closed": b"",
    "reset": None,
    "half a status line": b"HTTP/1.1 20",
    "half the headers": OK + b"Content-Le",
    "half the body": OK + b"Content-Length: 100\r\nX-RateLimit-Remaining: 7\r\n\r\n{",
    "half a chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{",
    "a bad chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n",
    "noise": b"\x15\x03\x01\x00\x02\x02\x28",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "endless headers": OK + b"".join(b"X-%d: x\r\n" % number for number in range(200)) + b"\r\n",
    "a bad encoding": OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
}


def lost(wire: Wire, how: str) -> bool:
    """Say the last words and hang up."""
    words = LAST_WORDS[how]
    if words is None:
        wire.reset()
    else:
        wire.write(words)
    return False


def losing_of(
    make: MakeClient, authority: Authority, stack: ExitStack, *, tls: bool
) -> Callable[[str], tuple[Passwordless, SocketServer]]:
    """Return a function that makes a client of a server that says its last words in answer to every request."""

    def of(how: str) -> tuple[Passwordless, SocketServer]:
        context = authority.server_context() if tls else None
        server = stack.enter_context(SocketServer(lambda wire, _: lost(wire, how), tls=context))
        return make(server.url, configuration={"ca_bundle": authority.bundle}), server

    return of


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def losing_sender(
    request: pytest.FixtureRequest, make_sender: MakeClient, authority: Authority
) -> Iterator[LosingClient]:
    """Clients over both transports, plain and under TLS."""
    with ExitStack() as stack:
        yield losing_of(make_sender, authority, stack, tls=request.param)


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def losing_client(
    request: pytest.FixtureRequest, make_client: MakeClient, authority: Authority
) -> Iterator[LosingClient]:
    """Clients of requests, plain and under TLS."""
    with ExitStack() as stack:
        yield losing_of(make_client, authority, stack, tls=request.param)


@pytest.mark.parametrize(
    ("how", "expected", "status"),
    [
        ("closed", auth.ConnectionLost, None),
        ("reset", auth.ConnectionLost, None),
        ("half a status line", auth.AnswerUnreadable, None),
        ("half the body", auth.AnswerTruncated, 200),
        ("half a chunk", auth.AnswerTruncated, 200),
        ("a bad chunk", auth.AnswerTruncated, 200),
        ("noise", auth.AnswerUnreadable, None),
        ("another protocol", auth.AnswerUnreadable, None),
        ("endless headers", auth.ConnectionLost, None),
        ("a bad encoding", auth.AnswerUnreadable, 200),
    ],
)
def test_a_lost_answer_may_have_been_carried_out(
    losing_sender: LosingClient, how: str, expected: type[AuthenticationError], status: int | None
) -> None:
    """Whatever breaks after the write began, nothing claims that it did not arrive."""
    client, server = losing_sender(how)
    error = failure_of(client)

    assert len(server.heard) == 1
    assert (type(error), error.status) == (expected, status)
    assert error.may_have_taken_effect
    assert error.delivery is not Delivery.NOT_SENT
    assert error.__context__ is None


def test_a_broken_answer_still_tells_the_quota(losing_sender: LosingClient) -> None:
    """Its headers were whole."""
    error = failure_of(losing_sender("half the body")[0])

    assert error.rate_limits is not None
    assert error.rate_limits.remaining == 7


def test_a_login_whose_headers_break_off_may_have_been_carried_out(losing_client: LosingClient) -> None:
    """The code may be spent."""
    client, _ = losing_client("half the headers")

    with pytest.raises(auth.AnswerTruncated) as caught:
        client.login_with_email(EMAIL, "123456")

    assert caught.value.may_have_taken_effect


def test_a_start_whose_headers_break_off_may_have_been_carried_out(losing_sender: LosingClient) -> None:
    """Requests takes the headers for whole ones and misses the body; the other transports notice the end."""
    error = failure_of(losing_sender("half the headers")[0])

    assert type(error) in {auth.StartResponseUnreadable, auth.AnswerTruncated}
    assert error.may_have_taken_effect


def test_a_silent_server_is_a_read_timeout(make_sender: MakeClient) -> None:
    """It heard everything."""
    limits = auth.Timeouts(connect=timedelta(seconds=60), read=timedelta(seconds=0.3), total=timedelta(seconds=60))
    with SocketServer(lambda wire, _: wire.hang()) as server:
        error = failure_of(make_sender(server.url, limits=limits))

        server.until_heard()
    assert (type(error), error.delivery) == (auth.AnswerTimedOut, Delivery.MAYBE_SENT)


def test_the_same_holds_for_requests_own_adapter(make_client: MakeClient) -> None:
    """A foreign adapter proves less, so more is unknown; never less."""
    limits = auth.Timeouts(connect=timedelta(seconds=60), read=timedelta(seconds=0.3), total=timedelta(seconds=60))
    outcomes = {}
    for how in ("closed", "reset", "half the body", "noise"):
        with SocketServer(lambda wire, _, how=how: lost(wire, how)) as server:  # type: ignore[misc]  # binds the loop's value
            outcomes[how] = failure_of(make_client(server.url, configuration={"adapter": HTTPAdapter()})).delivery
    with SocketServer(lambda wire, _: wire.hang()) as server:
        outcomes["hang"] = failure_of(
            make_client(server.url, limits=limits, configuration={"adapter": HTTPAdapter()})
        ).delivery
    refused = failure_of(make_client(f"http://127.0.0.1:{closed_port()}", configuration={"adapter": HTTPAdapter()}))

    assert Delivery.NOT_SENT not in outcomes.values()
    assert (type(refused), refused.delivery) == (auth.ConnectFailed, Delivery.NOT_SENT)


# Kept connections


def test_a_connection_is_kept_and_the_request_goes_in_one_piece(make_sender: MakeClient) -> None:
    """One packet, so one moment at which it may have left."""
    with SocketServer(lambda wire, _: wire.respond()) as server:
        client = make_sender(server.url)
        for _ in range(5):
            client.send_email(EMAIL)

        assert [heard.connection for heard in server.heard] == [0] * 5
        assert len(server.wires[0].reads) == 5


def test_a_kept_connection_that_the_server_closed_is_not_used(make_sender: MakeClient) -> None:
    """The farewell has arrived, so a new connection is made and nothing is in doubt."""

    def once(wire: Wire, _: Heard) -> bool:
        wire.respond()
        return False

    with SocketServer(once) as server:
        client = make_sender(server.url)
        for number in range(3):
            client.send_email(EMAIL)
            assert server.wires[number].closed.wait(30)

        assert [heard.connection for heard in server.heard] == [0, 1, 2]


def test_a_connection_that_idled_too_long_is_not_used(make_sender: MakeClient) -> None:
    """The other end may be gone without a farewell."""
    with SocketServer(lambda wire, _: wire.respond()) as server:
        client = make_sender(server.url, configuration={"idle_connection": timedelta(0)})
        client.send_email(EMAIL)
        client.send_email(EMAIL)

        assert [heard.connection for heard in server.heard] == [0, 1]


def test_an_undetected_stale_connection_is_ambiguous(make_sender: MakeClient) -> None:
    """The window that remains: the server resets on the second request of a connection that looked well."""

    def second_time_unlucky(wire: Wire, _: Heard) -> bool | None:
        if len(server.heard) > 1:
            wire.reset()
            return False
        wire.respond()
        return None

    with SocketServer(second_time_unlucky) as server:
        client = make_sender(server.url)
        client.send_email(EMAIL)
        error = failure_of(client)

    assert error.delivery is Delivery.MAYBE_SENT


def test_an_error_answer_leaves_the_connection_usable(make_sender: MakeClient) -> None:
    """Its body is read, so the next request can follow."""
    with SocketServer(lambda wire, _: wire.respond(403, {"error": "invalid_grant"})) as server:
        client = make_sender(server.url)
        for _ in range(3):
            failure_of(client)

        assert [heard.connection for heard in server.heard] == [0, 0, 0]


def test_cookies_and_redirects_are_not_followed(make_sender: MakeClient) -> None:
    """The API sets cookies for browsers."""
    with SocketServer(lambda wire, _: wire.respond(302, b"", Location="/elsewhere", Set_Cookie="a=b")) as server:
        client = make_sender(server.url)
        failure_of(client)
        failure_of(client)

        assert [heard.target for heard in server.heard] == ["/passwordless/start"] * 2
        assert [heard.connection for heard in server.heard] == [0, 0]
        assert "cookie" not in server.heard[1].headers


def test_a_closed_client_can_be_used_no_more_than_it_must(make_sender: MakeClient) -> None:
    """Closing drops the kept connections; a call after it makes a new one."""
    with SocketServer(lambda wire, _: wire.respond()) as server:
        client = make_sender(server.url)
        client.send_email(EMAIL)
        client.close()
        client.send_email(EMAIL)

        assert [heard.connection for heard in server.heard] == [0, 1]
