"""Batches in Redis, as a worker uses them: lease, step, give back. Settling, permit and begin are one round trip."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import OutOfMemoryError

from gatepost_core.campaigns.scripts import SERVER_CLOCK, ending, library, starting
from gatepost_core.campaigns.store import campaign_key, picks
from gatepost_core.errors import Unavailable
from gatepost_core.redis.errors import answering
from gatepost_core.states import State
from gatepost_worker.limiter import lua_library, pack_settings
from gatepost_worker.limiter.readings import pack_readings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from redis import Redis

    from gatepost_core.blocks import Block
    from gatepost_core.reasons import Reason
    from gatepost_worker.limiter import Ceiling, LimiterKey, LimiterSettings, Reading

_SETTLEMENT: Final = struct.Struct("<BcBBHBI")
_CHARS: Final = {state: state.char.encode() for state in State}


class Mark(IntEnum):
    """What a settlement means for the campaign."""

    PLAIN = 0
    FAILED = 1
    """One more failure, which a run or a share of them makes a pause."""
    REFUSED = 2
    """Auth0 would refuse everybody: pause at once."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one row that was begun goes on.

    Attributes:
        row: its number in the batch.
        state: a final state, or `queued` or `deferred` when it is to be begun again.
        mark: what it means for the campaign.
        attempts: how many requests were made for it, all in all.
        at_s: when, in seconds since the epoch.
    """

    row: int
    state: State
    mark: Mark = Mark.PLAIN
    reason: Reason | None = None
    http_status: int | None = None
    attempts: int = 0
    at_s: int = 0

    def pack(self) -> bytes:
        """Return it as the script reads it."""
        code = 0 if self.reason is None else self.reason.code
        return _SETTLEMENT.pack(
            self.row, _CHARS[self.state], self.mark, code, self.http_status or 0, min(self.attempts, 255), self.at_s
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's hold on one batch: whoever has another token changes nothing."""

    campaign_id: str
    batch: int
    token: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch that is ours for the length of a lease, which began at `now` by Redis's clock."""

    sealed_rows: str
    states: bytes
    details: bytes
    options: str
    sealed_auth_params: str
    suppressed: int
    now: datetime
    application: str = ""


@dataclass(frozen=True, slots=True)
class NotClaimed:
    """A batch that is not: busy, early, done, missing, or the status that keeps it."""

    why: str


@dataclass(frozen=True, slots=True)
class Begun:
    """These rows may be sent now, and each answer's reading carries its ticket."""

    first_ticket: int
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """No permit now."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class NoRowLeft:
    """No row is left from the cursor on."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing may be begun: the campaign's status, `deadline`, or `surplus` when others wait for the same permits already."""

    why: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The lease is another's, so nothing was changed."""


@dataclass(frozen=True, slots=True)
class Full:
    """Redis's memory is full: what was under way is settled, and nothing was begun."""


Step = Begun | Waiting | NoRowLeft | Stopped | Lost | Full


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitSource:
    """What a step needs to take permits."""

    key: LimiterKey
    settings: LimiterSettings
    ceiling: Ceiling | None = None


class BatchStore:
    """The batches' records. Safe to share between threads."""

    def __init__(
        self,
        client: Redis,
        *,
        republish_after_s: float,
        clock: str = SERVER_CLOCK,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the scripts; nothing is sent to Redis yet.

        Args:
            client: the connection; answers come as bytes.
            republish_after_s: how long a published batch may lie before its message counts as lost.
            clock: Lua text that defines `now_us`.
            monotonic: seconds, by the clock that stamps readings.
            wall_clock: seconds since the epoch.
        """
        script = files("gatepost_worker.bulk").joinpath("batch.lua").read_text(encoding="utf-8")
        text = library(clock) + lua_library() + script
        self._start = client.register_script(starting(text))
        self._end = client.register_script(ending(text))
        self._look_after_ms = int(republish_after_s * 1000)
        self._monotonic = monotonic
        self._wall_clock = wall_clock

    def claim(self, claim: Claim, lease_s: float) -> Claimed | NotClaimed:
        """Lease a batch. Rows that an expired lease left in flight become `unknown`, or are queued again if that was asked.

        Raises:
            Unavailable: Redis did not answer, or its memory is full.
        """
        reply = self._call(self._start, "claim", claim, int(lease_s * 1000))
        if reply[0] != b"claimed":
            return NotClaimed(reply[0].decode())
        _, rows, states, details, options, auth_params, suppressed, now_ms, application = reply
        now = datetime.fromtimestamp(now_ms / 1000, UTC)
        texts = (options.decode(), auth_params.decode())
        return Claimed((rows or b"").decode(), states, details, *texts, suppressed, now, application.decode())

    def screen(
        self,
        claim: Claim,
        rows: Sequence[int],
        fingerprints: Sequence[bytes],
        uninvited: Sequence[bool],
        erased: Collection[int] = frozenset(),
    ) -> bytes | None:
        """Suppress the rows that are on the suppression list, not on the guest list, or erased; return the states, None without the lease."""
        marks = "".join("2" if row in erased else str(int(one)) for row, one in zip(rows, uninvited, strict=True))
        reply = self._call(self._start, "screen", claim, bytes(rows), b"".join(fingerprints), marks)
        return reply[1] if reply[0] == b"screened" else None

    def step(
        self,
        claim: Claim,
        seq: int,
        lease_s: float,
        *,
        source: PermitSource,
        settlements: Sequence[Settlement] = (),
        readings: Sequence[Reading] = (),
        cursor: int = 0,
        want: int = 1,
    ) -> Step:
        """Settle what was begun, take in what the answers said of the quota, and begin as many rows as there are permits.

        A step that comes twice with one number gives the same answer twice.

        Raises:
            Unavailable: Redis did not answer; whether the step happened is not known, so repeat it.
        """
        ceiling = source.ceiling
        keys = [source.key.name, *([] if ceiling is None else [ceiling.key])]
        packed = pack_readings(
            readings,
            now=self._monotonic(),
            wall_now=self._wall_clock(),
            longest_hint_s=source.settings.longest_hint_s,
        )
        settled = b"".join([settlement.pack() for settlement in settlements])
        limiter = (pack_settings(source.settings), packed, "" if ceiling is None else ceiling.rate)
        arguments = (seq, int(lease_s * 1000), settled, cursor)
        try:
            reply = self._call(self._start, "step", claim, *arguments, want, *limiter, keys=keys)
        except _Full:
            self._call(self._end, "step", claim, *arguments, 0, *limiter, keys=keys)
            return Full()
        return _step(reply)

    def release(self, claim: Claim, *, wait_s: float = 0.0, rest_s: float = 0.0) -> list[tuple[int, float]] | None:
        """Give a batch back, and take the batches that are to be published now.

        Args:
            claim: whose.
            wait_s: until it may be taken again.
            rest_s: how long the whole campaign rests.

        Returns:
            Numbers, each with the delay in seconds; None when the lease was lost.

        Raises:
            Unavailable: Redis did not answer.
        """
        waits = (int(wait_s * 1000), int(rest_s * 1000))
        reply = self._call(self._end, "release", claim, *waits, self._look_after_ms)
        return None if reply[0] == b"lost" else picks(reply[1:])

    def block(self, claim: Claim, block: Block, *, wait_s: float) -> list[tuple[int, float]] | None:
        """Put back a batch that this worker cannot work on, and note why; take it to be published again, after the wait.

        It keeps its place among the batches under way: a worker that can work on none takes no more of them for that.

        Returns:
            Its number with the delay in seconds; None when the lease was lost.

        Raises:
            Unavailable: Redis did not answer.
        """
        reply = self._call(self._end, "block", claim, int(wait_s * 1000), self._look_after_ms, block.stored)
        return None if reply[0] == b"lost" else picks(reply[1:])

    def _call(self, script: Any, call: str, claim: Claim, *arguments: Any, keys: Sequence[str] = ()) -> list[Any]:
        return _answer(script, [campaign_key(claim.campaign_id), *keys], [call, claim.batch, claim.token, *arguments])


def _answer(script: Any, keys: list[str], arguments: list[Any]) -> list[Any]:
    with answering():
        try:
            reply: list[Any] = script(keys=keys, args=arguments)
        except OutOfMemoryError:
            raise _Full from None
    return reply


class _Full(Unavailable):
    """Redis did not answer; its memory is full, so nothing is sent."""


def _step(reply: list[Any]) -> Step:
    match reply:
        case [b"begun", ticket, *rows]:
            return Begun(ticket, rows)
        case [b"wait", wait_us, reason]:
            return Waiting(wait_us / 1e6, reason.decode())
        case [b"stopped", why]:
            return Stopped(why.decode())
        case [b"end", _]:
            return NoRowLeft()
        case _:
            return Lost()
