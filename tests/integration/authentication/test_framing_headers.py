"""Only the client frames a request: no header of a caller adds a second length, host or connection, over any transport."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.message_fields import checked_headers
from gatepost_worker.authentication import Delivery, Middleware, RequestOverrides, RequestUnsendable
from support.socket_server import SocketServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest

    from gatepost_worker.authentication import Passwordless
    from support.socket_server import Heard, Wire

    MakeClient = Callable[..., Passwordless]

FRAMING = {
    "Content-Length": "3",
    "Transfer-Encoding": "chunked",
    "Host": "other.example.com",
    "Connection": "close",
    "Keep-Alive": "timeout=5",
    "TE": "trailers",
    "Trailer": "X-More",
    "Upgrade": "h2c",
    "Expect": "100-continue",
    "Proxy-Connection": "close",
    "Proxy-Authorization": "Basic Zm9v",
}
SPELLINGS: list[Callable[[str], str]] = [str, str.lower, str.upper]


@pytest.mark.parametrize("spelt", SPELLINGS, ids=["as in RFC 9110", "lower case", "upper case"])
def test_no_call_sets_a_header_that_frames_the_request(make_sender: MakeClient, spelt: Callable[[str], str]) -> None:
    """The call fails before anything is sent, the error names the header, and removing one is refused too."""
    with SocketServer(lambda end, _: end.respond()) as server:
        client = make_sender(server.url)
        refused: dict[str, Any] = {}
        for name, value in [*FRAMING.items(), ("Content-Length", None)]:
            headers = {"X-Before": "1", spelt(name): value}
            with pytest.raises(RequestUnsendable, match=repr(spelt(name))) as caught:
                client.send_email("ana@example.com", overrides=RequestOverrides(headers=headers))
            refused[name] = caught.value.delivery

        assert set(refused.values()) == {Delivery.NOT_SENT}
        assert server.heard == []


@pytest.mark.parametrize(
    "name", [" Content-Length", "Content-Length ", "Content-Length\t", "Host:", "Host\r\nX", b"Host", ""]
)
def test_a_name_that_a_server_may_read_as_another_is_not_sent(make_sender: MakeClient, name: Any) -> None:
    """Spaces and separators at a name are refused, and bytes in place of a text."""
    with SocketServer(lambda end, _: end.respond()) as server:
        client = make_sender(server.url)
        with pytest.raises(RequestUnsendable, match="characters that no header name has"):
            client.send_email("ana@example.com", overrides=RequestOverrides(headers={name: "3"}))

        assert server.heard == []


@pytest.mark.parametrize("name", [*FRAMING, "host", "Host "])
def test_no_client_is_made_with_a_header_that_frames_requests(make_client: MakeClient, name: str) -> None:
    """The constructor refuses it."""
    with pytest.raises(RequestUnsendable):
        make_client("http://127.0.0.1:9", configuration={"headers": {name: "3"}})


def test_each_header_of_a_caller_is_written_once(make_sender: MakeClient) -> None:
    """Two spellings of a name are one header, also of a header that the client writes itself."""
    written: list[bytes] = []

    def behave(wire: Wire, _: Heard) -> None:
        written.extend(wire.reads)
        wire.respond()

    with SocketServer(behave) as server:
        client = make_sender(server.url, configuration={"headers": {"X-Both": "1", "content-type": "text/plain"}})
        headers = {"x-both": "2", "X-BOTH": "3", "accept-encoding": "identity", "user-agent": "shop"}
        client.send_email("ana@example.com", overrides=RequestOverrides(headers=headers))
    lines = b"".join(written).partition(b"\r\n\r\n")[0].lower().split(b"\r\n")[1:]
    names = [line.partition(b":")[0] for line in lines]

    assert sorted(names) == sorted(set(names))
    assert b"x-both: 3" in lines


class Setting(Middleware):
    """Sets headers of each request, and perhaps its body."""

    def __init__(self, headers: dict[Any, str], body: bytes | None = None) -> None:
        self._headers, self._body = headers, body

    def before(self, request: PreparedRequest) -> None:
        request.headers.update(self._headers)
        request.body = self._body or request.body


@pytest.mark.parametrize("name", [*sorted(set(FRAMING) - {"Content-Length"}), "Content-Length ", b"Host"])
def test_no_hook_sets_a_header_that_frames_the_request(make_client: MakeClient, name: Any) -> None:
    """The call fails before anything is sent."""
    with SocketServer(lambda end, _: end.respond()) as server:
        client = make_client(server.url, configuration={"middleware": [Setting({name: "3"})]})
        with pytest.raises(RequestUnsendable) as caught:
            client.send_email("ana@example.com")

        assert caught.value.delivery is Delivery.NOT_SENT
        assert server.heard == []


@pytest.mark.parametrize("body", [None, b'{"email": "ben@example.com"}'])
def test_the_length_is_that_of_the_body_that_hooks_leave(make_client: MakeClient, body: bytes | None) -> None:
    """Whatever length a hook sets."""
    with SocketServer(lambda end, _: end.respond()) as server:
        hook = Setting({"content-length": "3"}, body)
        make_client(server.url, configuration={"middleware": [hook]}).send_email("ana@example.com")
        [heard] = server.heard

    assert heard.headers["content-length"] == str(len(heard.body))
    assert json.loads(heard.body)["email"] == ("ana@example.com" if body is None else "ben@example.com")


@pytest.mark.parametrize("name", FRAMING)
def test_settings_and_commands_refuse_every_header_that_the_client_refuses(name: str) -> None:
    """So a command is refused where it is made, and not by a worker."""
    with pytest.raises(ValueError, match=f"must not set {name.lower()}"):
        checked_headers({name: "3"})
