"""What becomes of redis-py's errors."""

from __future__ import annotations

import pytest
from redis import exceptions as r

from gatepost.answers import answering
from gatepost.errors import Spoiled, Unavailable

SPOILED = [
    r.ResponseError("user_script:7: attempt to compare number with nil script: 1a2b, on @user_script:7."),
    r.ResponseError("WRONGTYPE Operation against a key script: 1a2b, on @user_script:19."),
]
AWAY = [
    r.ResponseError("NOREPLICAS Not enough good replicas to write. script: 1a2b, on @user_script:19."),
    r.ResponseError("MISCONF Errors writing to the AOF file script: 1a2b, on @user_script:19."),
    r.ResponseError("BUSY Redis is busy running a script."),
    r.ResponseError("UNKILLABLE user_script"),
    r.ReadOnlyError("You can't write against a read only replica. script: 1a2b, on @user_script:19."),
    r.OutOfMemoryError("command not allowed, on @user_script:19."),
    r.NoPermissionError("on @user_script:19."),
    r.TimeoutError("Timeout reading from socket"),
    r.ConnectionError("Connection closed by server."),
    r.BusyLoadingError("Redis is loading the dataset in memory"),
]


def became_of(failure: r.RedisError) -> type[Exception]:
    with pytest.raises(Unavailable) as caught, answering():
        raise failure
    return caught.type


@pytest.mark.parametrize("failure", SPOILED, ids=lambda one: str(one)[:30])
def test_what_is_about_a_record_is_called_spoiled(failure: r.RedisError) -> None:
    """Nothing can be made of it, now or later."""
    assert became_of(failure) is Spoiled


@pytest.mark.parametrize("failure", AWAY, ids=lambda one: str(one)[:30])
def test_what_is_about_the_server_is_not(failure: r.RedisError) -> None:
    """It passes, and says nothing of the record."""
    assert became_of(failure) is Unavailable
