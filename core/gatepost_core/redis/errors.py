"""What Redis answers, or does not: redis-py's errors become one of ours, in one place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError, ResponseError

from gatepost_core.errors import CorruptRecord, Unavailable, Unusable
from gatepost_core.redis.diagnosis import Trouble, trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEATED: Final = "gatepost_repeated"
"""The attribute of an error that came after the same call had been tried before."""


NOTHING_SENT: Final = "Nothing is sent."
READING: Final = "The operation continues; its state could not be read."
PERHAPS_RECORDED: Final = (
    "Nothing is sent now. It may have been recorded, to be sent later: ask again under the same idempotency key."
)


URL: Final = "GATEPOST_REDIS_URL"


@contextmanager
def answering(silence: str = NOTHING_SENT, refused: str = NOTHING_SENT) -> Iterator[None]:
    """Turn what redis-py raises into `Unavailable`; into `CorruptRecord` where a script cannot make anything of what is stored.

    Args:
        silence: what follows when no answer came at all; the call may have been carried out.
        refused: what follows when Redis refused.
    """
    try:
        yield
    except RedisError as failure:
        error = named(failure, silence=silence, refused=refused)
    else:
        return
    raise error from None


def named(
    failure: RedisError,
    *,
    silence: str = NOTHING_SENT,
    refused: str = NOTHING_SENT,
    url: str = URL,
    trouble: Trouble | None = None,
) -> Unavailable:
    """Return the error of ours that an error of redis-py's becomes.

    Args:
        failure: as redis-py raised it.
        silence: what follows when the call may have been carried out.
        refused: what follows when it surely was not.
        url: the setting that names the server.
        trouble: the cause, when more is known than the error says.
    """
    trouble = trouble or trouble_of(failure)
    if trouble is None:
        if _is_about_a_record(failure):
            return CorruptRecord(f"A record in Redis is damaged. {refused}")
        return Unavailable(f"Redis did not answer ({type(failure).__name__}). {silence}")
    # An earlier try of the same call may have been carried out, and only its answer lost.
    certain = trouble.answered and not getattr(failure, REPEATED, False)
    text = f"{trouble.about(url)} {refused if certain else silence}"
    return Unusable(text) if trouble.lasts else Unavailable(text)


def _is_about_a_record(failure: RedisError) -> bool:
    # Errors within a script name its line.
    return type(failure) is ResponseError and "user_script" in str(failure)
