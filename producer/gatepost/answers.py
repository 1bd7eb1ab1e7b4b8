"""What Redis answers, or does not: redis-py's errors become one of ours, in one place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from redis.exceptions import NoPermissionError, OutOfMemoryError, RedisError, ResponseError

from gatepost.errors import Spoiled, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


# What Valkey and Redis 7 say when a script meets what its caller may not do.
_NOT_ALLOWED_IN_SCRIPT: Final = ("ACL failure in script", "The user executing the script can't")


_OF_THE_SERVER: Final = ("NOREPLICAS", "MISCONF", "READONLY", "BUSY", "OOM", "LOADING", "MASTERDOWN", "UNKILLABLE")
NOTHING_SENT: Final = "Nothing is sent."
PERHAPS_RECORDED: Final = (
    "Nothing is sent now. It may have been recorded, to be sent later: ask again under the same idempotency key."
)


@contextmanager
def answering(silence: str = NOTHING_SENT) -> Iterator[None]:
    """Turn what redis-py raises into `Unavailable`; into `Spoiled` where a script cannot make anything of what is stored.

    Args:
        silence: what follows when no answer came at all; the call may have been carried out.
    """
    try:
        yield
    except RedisError as failure:
        if isinstance(failure, OutOfMemoryError):
            raise Unavailable("Redis refuses new data: its memory is full. Nothing is sent.") from None
        if isinstance(failure, NoPermissionError) or str(failure).startswith(_NOT_ALLOWED_IN_SCRIPT):
            raise Unavailable(
                "Redis does not allow this user that command or key; see its ACL. Nothing is sent."
            ) from None
        if _is_about_a_record(failure):
            raise Spoiled("A record in Redis is not as Gatepost wrote it. Nothing is sent.") from None
        raise Unavailable(f"Redis did not answer ({type(failure).__name__}). {silence}") from None


def _is_about_a_record(failure: RedisError) -> bool:
    # Errors within a script name its line. Those of the server's own state have a class of their own, or a word in front.
    text = str(failure)
    return type(failure) is ResponseError and "user_script" in text and not text.startswith(_OF_THE_SERVER)
