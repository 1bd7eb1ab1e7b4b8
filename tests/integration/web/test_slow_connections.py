"""Connections that send nothing, or little, do not take the room of others."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gatepost_operations.web.request_bodies import BYTES_A_SECOND, MOST_FORM
from support.console_accounts import app_with_accounts, write_accounts
from support.web_api import running_api, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatepost_core.settings import Settings
    from support.web_api import Api

HEAD_S = 0.5
BODY_S = 0.5
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


def head(path: str, media_type: str, length: int, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {media_type}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def answer_to(url: str, begin: bytes, drip: bytes) -> str:
    """Send a beginning and then a byte again and again, and return the answer up to the first pause; empty without one."""
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=0.1) as connection:
        connection.sendall(begin)
        give_up = time.monotonic() + 20
        answer = b""
        while time.monotonic() < give_up:
            try:
                connection.sendall(drip)
                answer += connection.recv(1 << 16)
            except TimeoutError:
                if answer:
                    break
            except OSError:
                break
    return answer.decode()


@pytest.fixture
def console_url(settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The console with local accounts, which waits half a second for a body."""
    with serving(app_with_accounts(settings, write_accounts(tmp_path / "users")), body_s=BODY_S) as url:
        yield url


@pytest.mark.parametrize("drip", [b"", b"x"], ids=["nothing", "a byte at a time"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/campaigns/new"])
def test_a_slow_body_does_not_hold_the_console(console_url: str, path: str, drip: bytes) -> None:
    """No session is needed for it."""
    origin = f"Origin: http://127.0.0.1:{urlsplit(console_url).port}"
    begin = head(path, "application/x-www-form-urlencoded", 60_000, origin).replace(
        b"Host: 127.0.0.1", f"Host: 127.0.0.1:{urlsplit(console_url).port}".encode()
    )
    answer = answer_to(console_url, begin, drip)

    assert answer.startswith("HTTP/1.1 4")
    assert path != "/sign-in" or ("HTTP/1.1 408" in answer and "too slowly" in answer)


def test_an_endless_form_is_refused(console_url: str) -> None:
    """It would otherwise fill the console's memory without a session."""
    host = f"127.0.0.1:{urlsplit(console_url).port}"
    begin = head("/sign-in", "application/x-www-form-urlencoded", 1 << 30, f"Origin: http://{host}")
    answer = answer_to(console_url, begin.replace(b"127.0.0.1\r\n", f"{host}\r\n".encode(), 1), b"x" * MOST_FORM)

    assert "HTTP/1.1 413" in answer


@pytest.mark.parametrize("media_type", ["application/json", "text/csv"])
def test_a_slow_body_with_a_key_is_answered(make_settings: Callable[..., Settings], media_type: str) -> None:
    """JSON and files alike. The problem is that of an upload that stops."""
    with running_api(make_settings(), body_s=BODY_S) as api:
        path = "/v1/messages" if media_type == "application/json" else "/v1/recipient-files/check"
        key = api.key(scopes=["campaigns"])
        answer = answer_to(api.url, head(path, media_type, 60_000, f"Authorization: Bearer {key}"), b" ")

    assert answer.startswith("HTTP/1.1 408")
    assert "urn:gatepost:problem:too-slow" in answer


def test_a_slow_upload_to_a_campaign_is_answered(make_settings: Callable[..., Settings]) -> None:
    """The problem has the number of the campaign's recipients."""
    begun = b"email\r\n"
    with running_api(make_settings(), body_s=BODY_S) as api:
        key = api.key(scopes=["campaigns"])
        campaign = api.client_with(key).post("/v1/campaigns", json={"name": "spring"}).json()["campaign_id"]
        path = f"/v1/campaigns/{campaign}/recipients"
        begin = head(path, "text/csv", 60_000, f"Authorization: Bearer {key}") + begun
        answer = answer_to(api.url, begin, b"")

    assert answer.startswith("HTTP/1.1 408")
    assert '"total":0' in answer


def test_a_body_that_comes_fast_may_pause(make_settings: Callable[..., Settings]) -> None:
    """Each byte adds time, so a large upload is not limited by its length."""
    part = b"email\n" + b"ana@example.com\n" * (30 * BYTES_A_SECOND // 16)

    def parts() -> Iterator[bytes]:
        yield part
        time.sleep(4 * BODY_S)
        yield b"bo@example.com\n"

    with running_api(make_settings(), body_s=BODY_S) as api:
        client = api.client(scopes=["campaigns"])
        answer = client.post("/v1/recipient-files/check", content=parts(), headers={"Content-Type": "text/csv"})

    assert answer.status_code == 200
    assert answer.json()["recipients"] == 2
