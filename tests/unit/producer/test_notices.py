"""The subscription's connection, when its other end is gone without a word."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from gatepost.notices import Notices
from support.keys import KEYS


@dataclass
class Silent:
    """A connection on which nothing comes unless it is laid there."""

    sent: list[str] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    def can_read(self, _timeout: float) -> bool:
        return bool(self.answers)

    def read_response(self) -> Any:
        return self.answers.pop(0)

    def send_command(self, command: str, *_: str, **__: Any) -> None:
        self.sent.append(command)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_silent_connection_is_asked_and_then_given_up() -> None:
    """A PING after 25 s without anything, and an error 10 s after that; an answer begins both anew."""
    clock, connection = Clock(), Silent()
    client: Any = SimpleNamespace(connection_pool=SimpleNamespace(get_connection=lambda: connection))
    notices = Notices(client, KEYS, clock)
    notices.open()
    for at in (20.0, 26.0, 30.0):
        clock.now = at
        assert notices.read() == set()
    assert connection.sent == ["PING"]
    connection.answers.append([b"pong", b""])
    notices.read()
    clock.now = 56.0
    notices.read()
    clock.now = 66.0

    assert connection.sent == ["PING", "PING"]
    with pytest.raises(RedisConnectionError):
        notices.read()


def test_what_is_subscribed_and_what_ended_is_named() -> None:
    """Other answers are not."""
    connection = Silent(
        answers=[
            [b"subscribe", b"gatepost:operation:one", 1],
            [b"message", b"gatepost:operation:two", b"accepted"],
            [b"unsubscribe", b"gatepost:operation:three", 0],
            b"PONG",
        ]
    )
    client: Any = SimpleNamespace(connection_pool=SimpleNamespace(get_connection=lambda: connection))
    notices = Notices(client, KEYS)
    notices.open()

    assert notices.read() == {"one", "two"}
