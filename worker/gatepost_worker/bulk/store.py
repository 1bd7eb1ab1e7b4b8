"""The batches' records in Redis: claim, step, release. One step settles rows, takes permits and begins rows in one round trip."""

from __future__ import annotations

import struct
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import OutOfMemoryError

from gatepost_core.campaigns.scripts import library
from gatepost_core.campaigns.store import picks
from gatepost_core.errors import Unavailable
from gatepost_core.redis.errors import translated_errors
from gatepost_core.redis.keys import SERVER_CLOCK, ending, starting
from gatepost_core.states import State
from gatepost_worker.limiter import lua_library, pack_settings
from gatepost_worker.limiter.readings import pack_readings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from redis import Redis

    from gatepost_core.blocks import Block
    from gatepost_core.reasons import Reason
    from gatepost_core.redis.keys import RedisKeys
    from gatepost_worker.limiter import Ceiling, LimiterKey, LimiterSettings, Reading

_SETTLEMENT: Final = struct.Struct("<BcBBHBI")
_CHARS: Final = {state: state.char.encode() for state in State}


class Mark(IntEnum):
    """The effect of a settlement on the campaign's automatic pause."""

    PLAIN = 0
    FAILED = 1
    """Counts towards the pause after identical failures in a row, and after a share of failures."""
    REFUSED = 2
    """Auth0 would refuse every recipient: pause at once."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """The result of one attempt at a row.

    Attributes:
        row: the row's number in the batch.
        state: a final state, or `queued` or `deferred` if the row is to be begun again.
        mark: the effect on the campaign's automatic pause.
        reason: why the row did not simply succeed.
        http_status: the status of the answer, if there was one.
        attempts: the number of requests made for the row so far.
        at_s: the time of the attempt, in seconds since the epoch.
    """

    row: int
    state: State
    mark: Mark = Mark.PLAIN
    reason: Reason | None = None
    http_status: int | None = None
    attempts: int = 0
    at_s: int = 0

    def pack(self) -> bytes:
        """Return the settlement in the form that the script reads."""
        code = 0 if self.reason is None else self.reason.code
        return _SETTLEMENT.pack(
            self.row, _CHARS[self.state], self.mark, code, self.http_status or 0, min(self.attempts, 255), self.at_s
        )


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's hold on one batch. Calls with another token change nothing."""

    campaign_id: str
    batch: int
    token: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """A batch leased to this worker. The lease began at `now`, by Redis's clock."""

    sealed_rows: str
    states: bytes
    details: bytes
    options: str
    sealed_auth_params: str
    suppressed: int
    now: datetime
    application: str = ""

    def has_options_of(self, other: Claimed) -> bool:
        """Return whether the campaign's options and application are those of another time."""
        return (self.options, self.sealed_auth_params, self.application) == (
            other.options,
            other.sealed_auth_params,
            other.application,
        )


@dataclass(frozen=True, slots=True)
class NotClaimed:
    """The batch cannot be leased. `why` is busy, early, done, missing, or the campaign's status."""

    why: str


@dataclass(frozen=True, slots=True)
class Begun:
    """These rows may be sent now, with consecutive tickets; each reading names the ticket of its row."""

    first_ticket: int
    rows: Sequence[int]


@dataclass(frozen=True, slots=True)
class Waiting:
    """No permit is available; ask again after `seconds`."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class NoRowLeft:
    """No row from the cursor on is left to begin."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Nothing may begin. `why` is the campaign's status, `deadline`, or `surplus` if enough batches wait for permits."""

    why: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Another worker holds the lease; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Full:
    """Redis's memory is full. Rows in flight were settled, and none were begun."""


Step = Begun | Waiting | NoRowLeft | Stopped | Lost | Full


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitSource:
    """Where a step takes permits from: a quota, and the campaign's own ceiling if it has one."""

    key: LimiterKey
    settings: LimiterSettings
    ceiling: Ceiling | None = None


class BatchStore:
    """Reads and changes the batches' records. Safe to share between threads."""

    def __init__(
        self,
        client: Redis,
        keys: RedisKeys,
        *,
        republish_after_s: float,
        clock: str = SERVER_CLOCK,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare the scripts; nothing is sent to Redis yet.

        Args:
            client: the connection; answers are bytes.
            keys: the names in this Redis.
            republish_after_s: how long after publication an unclaimed batch's message counts as lost.
            clock: Lua text that defines `now_us`.
            monotonic: the clock that stamps readings, in seconds.
            wall_clock: seconds since the epoch.
        """
        script = files("gatepost_worker.bulk").joinpath("batch.lua").read_text(encoding="utf-8")
        self.keys = keys
        text = library(keys, clock) + lua_library() + script
        self._start = client.register_script(starting(text))
        self._end = client.register_script(ending(text))
        self._look_after_ms = int(republish_after_s * 1000)
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._worker = uuid.uuid4().hex

    def claim(self, claim: Claim, lease_s: float) -> Claimed | NotClaimed:
        """Lease a batch.

        Rows that an expired lease left in flight become `unknown`, or `queued` if the campaign resends unknown rows.

        Raises:
            Unavailable: Redis did not answer, or its memory is full.
        """
        reply = self._call(self._start, "claim", claim, int(lease_s * 1000), self._worker)
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
        """Suppress rows on the suppression list, not on the guest list, or erased.

        Args:
            claim: the lease.
            rows: the open rows' numbers.
            fingerprints: one for each row, in the form of the suppression list.
            uninvited: for each row, whether the guest list lacks it.
            erased: the rows whose person was erased.

        Returns:
            The states of all rows; None if the lease was lost.
        """
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
        """Settle rows, pass readings to the limiter, and begin as many rows as there are permits.

        Repeating a step with the same number returns the same answer.

        Args:
            claim: the lease.
            seq: the step's number.
            lease_s: how long the lease lasts from now, in seconds.
            source: where permits come from.
            settlements: the results of calls.
            readings: the rate-limit headers of the answers.
            cursor: the first row to look at.
            want: how many rows to begin, at most.

        Raises:
            Unavailable: Redis did not answer; the step may have happened, so repeat it.
        """
        ceiling = source.ceiling
        keys = [self.keys.limiter(source.key.tenant, source.key.endpoint)]
        if ceiling is not None:
            keys.append(self.keys.ceiling(ceiling.name))
        packed = pack_readings(
            readings,
            now=self._monotonic(),
            wall_now=self._wall_clock(),
            longest_hint_s=source.settings.longest_hint_s,
        )
        limiter = (pack_settings(source.settings), packed, "" if ceiling is None else ceiling.rate)
        settled = b"".join([settlement.pack() for settlement in settlements])
        arguments = (seq, int(lease_s * 1000), settled, cursor)
        try:
            reply = self._call(self._start, "step", claim, *arguments, want, *limiter, keys=keys)
        except _Full:
            step = _step(self._call(self._end, "step", claim, *arguments, 0, *limiter, keys=keys))
            # An earlier try, whose reply was lost, may have begun rows.
            return step if isinstance(step, Begun | Lost) else Full()
        return _step(reply)

    def release(self, claim: Claim, *, wait_s: float = 0.0, rest_s: float = 0.0) -> list[tuple[int, float]] | None:
        """End the lease, and return the batches to publish now.

        Args:
            claim: the lease.
            wait_s: seconds until the batch may be claimed again.
            rest_s: seconds that the whole campaign rests.

        Returns:
            Batch numbers, each with its delay in seconds; None if the lease was lost.

        Raises:
            Unavailable: Redis did not answer.
        """
        waits = (int(wait_s * 1000), int(rest_s * 1000))
        reply = self._call(self._end, "release", claim, *waits, self._look_after_ms)
        return None if reply[0] == b"lost" else picks(reply[1:])

    def block(self, claim: Claim, block: Block, *, wait_s: float) -> list[tuple[int, float]] | None:
        """End the lease of a batch that this worker cannot send, and record why.

        The batch still counts as under way, so a worker that can send none does not draw more than a few.

        Returns:
            Batches to publish, each with its delay in seconds: this one, and another in its place; None if the lease was lost.

        Raises:
            Unavailable: Redis did not answer.
        """
        reply = self._call(self._end, "block", claim, int(wait_s * 1000), self._look_after_ms, block.stored)
        return None if reply[0] == b"lost" else picks(reply[1:])

    def _call(self, script: Any, call: str, claim: Claim, *arguments: Any, keys: Sequence[str] = ()) -> list[Any]:
        return _answer(
            script, [self.keys.campaign(claim.campaign_id), *keys], [call, claim.batch, claim.token, *arguments]
        )


def _answer(script: Any, keys: list[str], arguments: list[Any]) -> list[Any]:
    with translated_errors():
        try:
            reply: list[Any] = script(keys=keys, args=arguments)
        except OutOfMemoryError:
            raise _Full from None
    return reply


class _Full(Unavailable):
    """Redis's memory is full; nothing is sent."""


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
