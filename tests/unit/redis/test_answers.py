"""How errors of redis-py are translated."""

from __future__ import annotations

import pytest
from redis import exceptions as r
from redis.backoff import NoBackoff

from gatepost.errors import ConfigurationError, CorruptRecord, Unavailable, Unusable
from gatepost_core.redis.connections import NotingRetry
from gatepost_core.redis.errors import PERHAPS_RECORDED, READING, translated_errors

CORRUPT = [
    r.ResponseError("user_script:7: attempt to compare number with nil script: 1a2b, on @user_script:7."),
    r.ResponseError("WRONGTYPE Operation against a key script: 1a2b, on @user_script:19."),
]
AWAY = [
    r.ResponseError("NOREPLICAS Not enough good replicas to write. script: 1a2b, on @user_script:19."),
    r.ResponseError("MISCONF Errors writing to the AOF file script: 1a2b, on @user_script:19."),
    r.ResponseError("BUSY Redis is busy running a script."),
    r.ResponseError("UNKILLABLE user_script"),
    r.OutOfMemoryError("command not allowed, on @user_script:19."),
    r.TimeoutError("Timeout reading from socket"),
    r.ConnectionError("Connection closed by server."),
    r.BusyLoadingError("Redis is loading the dataset in memory"),
]


def became_of(failure: r.RedisError) -> type[Exception]:
    with pytest.raises(Unavailable) as caught, translated_errors():
        raise failure
    return caught.type


@pytest.mark.parametrize("failure", CORRUPT, ids=lambda one: str(one)[:30])
def test_an_error_about_a_record_is_called_corrupt(failure: r.RedisError) -> None:
    """Nothing can be made of it, now or later."""
    assert became_of(failure) is CorruptRecord


@pytest.mark.parametrize("failure", AWAY, ids=lambda one: str(one)[:30])
def test_what_is_about_the_server_is_not(failure: r.RedisError) -> None:
    """It passes, and says nothing of the record."""
    assert became_of(failure) is Unavailable


LASTING = {
    "read-only replica": r.ReadOnlyError(
        "You can't write against a read only replica. script: 1a2b, on @user_script:19."
    ),
    "ACL": r.NoPermissionError("on @user_script:19."),
    "cluster mode": r.ResponseError("CROSSSLOT Keys in request don't hash to the same slot"),
    "single Redis": r.ResponseError("Script attempted to access keys that do not hash to the same slot script: 1a2b"),
    "renamed": r.ResponseError("Unknown Redis command called from script script: 1a2b, on @user_script:3."),
    "disabled": r.ResponseError("unknown command 'EVALSHA', with args beginning with: '1a2b'"),
    "too old": r.ResponseError("Error compiling script (new function): user_script:1: unexpected symbol near '#'"),
    "number": r.ResponseError("Command # 1 (HKEYS gatepost:kids) of pipeline caused error: DB index is out of range"),
    "password": r.AuthenticationError("invalid username-password pair or user is disabled."),
}


@pytest.mark.parametrize("word", LASTING)
def test_what_lasts_is_an_error_of_the_configuration_too(word: str) -> None:
    """It names the cause, blames no record, and is certain that nothing was recorded."""
    with pytest.raises(Unusable, match=word) as caught, translated_errors(PERHAPS_RECORDED):
        raise LASTING[word]

    assert isinstance(caught.value, ConfigurationError)
    assert str(caught.value).endswith(" Nothing is sent.")
    assert caught.value.__suppress_context__


def test_after_a_lost_connection_nothing_is_certain() -> None:
    """The first try may have been recorded by the primary that is gone; the second met a replica."""
    tries = iter([r.ConnectionError("Connection closed by server."), r.ReadOnlyError("read only replica")])

    def call() -> None:
        raise next(tries)

    with pytest.raises(Unusable) as caught, translated_errors(PERHAPS_RECORDED):
        NotingRetry(NoBackoff(), 3, supported_errors=(r.ConnectionError,)).call_with_retry(call, lambda _error: None)

    assert str(caught.value).endswith(PERHAPS_RECORDED)


@pytest.mark.parametrize("failure", [*CORRUPT, *AWAY, *LASTING.values()], ids=lambda one: str(one)[:30])
def test_who_only_reads_is_told_nothing_about_what_is_sent(failure: r.RedisError) -> None:
    """A failed read does not affect the operation."""
    with pytest.raises(Unavailable) as caught, translated_errors(READING, READING):
        raise failure

    assert "othing is sent" not in str(caught.value)
    assert READING in str(caught.value)
