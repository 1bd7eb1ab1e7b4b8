"""The stub tenant counts correctly; otherwise its figures about Gatepost would mean nothing."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from outside.shared_quota import SharedQuota, foreign_rate
from outside.tenant import Scenario, TenantStub, constant, sine, steps

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def stub() -> Iterator[TenantStub]:
    """One process for all."""
    with TenantStub() as running:
        yield running


@pytest.fixture
def connection(stub: TenantStub) -> Iterator[http.client.HTTPConnection]:
    """A client's connection."""
    with closing(http.client.HTTPConnection("127.0.0.1", stub.port)) as opened:
        yield opened


def start(connection: http.client.HTTPConnection, address: str) -> http.client.HTTPResponse:
    """Ask for a message and read the answer whole."""
    body = json.dumps({"email": address, "connection": "email"})
    connection.request("POST", "/passwordless/start", body)
    answer = connection.getresponse()
    answer.body = json.loads(answer.read())  # type: ignore[attr-defined]
    return answer


def test_a_foreign_429_is_blamed_on_us_only_if_they_would_have_found_a_token() -> None:
    """We empty the bucket at the start; then they want twice the refill and would run dry alone, later."""
    quota = SharedQuota(100, 100.0, constant(200))
    for _ in range(100):
        quota.ours(0.0, "example.com")

    quota.advance(3.5)

    first, later = quota.seconds[0], quota.seconds[2]
    assert first.ours_granted == 100
    assert first.foreign_429_blamed == 100
    assert later.foreign_429 > 70
    assert later.foreign_429_blamed < 0.1 * later.foreign_429


def test_foreign_users_alone_are_never_our_fault() -> None:
    """Without us the two buckets are one."""
    quota = SharedQuota(100, 100.0, sine(50, 150, period=20))

    quota.advance(60.5)

    assert sum(second.foreign_429 for second in quota.seconds) > 100
    assert sum(second.foreign_429_blamed for second in quota.seconds) == 0
    assert sum(second.foreign_wanted for second in quota.seconds) == pytest.approx(6000, rel=0.05)


@pytest.mark.parametrize(
    ("shape", "at", "rate"),
    [
        (constant(7), 3, 7),
        (steps((0, 50), (20, 100)), 19.9, 50),
        (steps((0, 50), (20, 100)), 20, 100),
        (steps((5, 50)), 1, 0),
        (sine(20, 80, period=40), 0, 20),
        (sine(20, 80, period=40), 20, 80),
        (sine(20, 80, period=40), 30, 50),
    ],
)
def test_the_foreign_load_follows_its_shape(shape: list[object], at: float, rate: float) -> None:
    """Constant, in steps, as a wave."""
    assert foreign_rate(shape, at) == pytest.approx(rate)  # type: ignore[arg-type]


def test_answers_have_auth0s_headers_and_a_429_says_when(
    stub: TenantStub, connection: http.client.HTTPConnection
) -> None:
    """A bucket of two, which fills slowly."""
    stub.run(Scenario(limit=2, refill=0.1, latency=constant(0.001)))

    answers = [start(connection, f"user{number}@example.com") for number in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"2"}
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 10
    assert "Retry-After" not in answers[0].headers


def test_recipients_are_refused_by_address_and_counted(
    stub: TenantStub, connection: http.client.HTTPConnection
) -> None:
    """Every address ends alike when it is asked again."""
    stub.run(Scenario(limit=1000, latency=constant(0.001), refused_share=0.5))

    first, second = ([start(connection, f"u{number}@a.example").status for number in range(40)] for _ in range(2))

    assert first == second
    assert 5 < first.count(400) < 35
    quota = running_total(stub)
    assert quota["ours_granted"] == 80
    assert quota["ours_refused"] == 2 * first.count(400)
    assert quota["a.example"] == 80


def test_a_closed_connection_costs_no_token(stub: TenantStub, connection: http.client.HTTPConnection) -> None:
    """Without an answer, whether a request was there or not."""
    for scenario in (Scenario(closed_requests=1.0), Scenario(closed_connections=1.0)):
        stub.run(scenario)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            start(connection, "user@example.com")

        counts = running_total(stub)

        assert counts["ours_granted"] == 0
        assert counts["ours_closed"] >= 1


def running_total(stub: TenantStub) -> dict[str, int]:
    """Wait until the seconds so far are over, and add them up."""
    before = len(stub.seconds())
    while len(seconds := stub.seconds()) <= before:
        time.sleep(0.05)
    total = {
        name: sum(getattr(second, name) for second in seconds)
        for name in ("ours_granted", "ours_refused", "ours_closed")
    }
    total["a.example"] = sum(second.by_domain.get("a.example", 0) for second in seconds)
    return total
