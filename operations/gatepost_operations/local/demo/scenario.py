"""What happens in the demo: sends, logins with right, wrong, used and expired codes, and redeeming."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatepost_core.errors import IdempotencyConflict
from gatepost_core.kinds import CAMPAIGN_KINDS, Kind
from gatepost_core.states import State
from gatepost_operations.local.demo.comparison import Facts, FinishedOperation
from gatepost_operations.local.demo.recipients import options_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from gatepost.handles import Handle
    from gatepost.producer import Producer
    from gatepost_core.outcomes import Outcome
    from gatepost_operations.local.demo.recipients import Recipients
    from gatepost_operations.local.demo.tokens import TokenVerifier
    from gatepost_simulator.control import ControlClient

_WRONG_CODE: Final = "000000"
_PAST_EXPIRY_S: Final = 200.0
_ALL: Final = 100_000
# Which of every dozen people does what.
_DOZEN: Final = 12


class Code(StrEnum):
    """Which code a person logs in with."""

    RIGHT = "right"
    TWICE = "twice"
    WRONG = "wrong"
    USED = "used"
    EXPIRED = "expired"


_BAD: Final = frozenset({Code.WRONG, Code.USED, Code.EXPIRED})
_PLAN: Final = {3: Code.WRONG, 6: Code.TWICE, 9: Code.EXPIRED}


@dataclass(slots=True)
class _Operation:
    recipient: str
    handle: Handle
    outcome: Outcome
    code: str = ""
    plan: Code = Code.RIGHT


class Scenario:
    """Drives the producer and remembers what it asked for.

    Args:
        producer: enqueues.
        control: the simulator's, for the codes and the clock.
        verifier: checks what is redeemed.
        spoiled: recipients for whom something goes wrong anyway; their code is the right one.
    """

    def __init__(
        self, producer: Producer, control: ControlClient, verifier: TokenVerifier, *, spoiled: Collection[str] = ()
    ) -> None:
        self._producer = producer
        self._control = control
        self._verifier = verifier
        self._spoiled = frozenset(spoiled)
        self._operations: list[_Operation] = []
        self._open: list[_Operation] = []
        self._late: list[_Operation] = []
        self._logged_in = 0
        self.duplicates = 0
        self.verified = 0

    def enqueue_sends(self, people: Recipients) -> None:
        """Enqueue a message a valid row; a person's second row gives the first one's operation."""
        seen: set[str] = set()
        for row in people.valid:
            kind = CAMPAIGN_KINDS[row.kind]
            send: Callable[..., Handle] = getattr(self._producer, kind)
            try:
                handle = send(row.recipient, idempotency_key=f"{kind}:{row.recipient}", **options_of(row))
            except IdempotencyConflict:
                # The same person with another language or IP: still nobody gets a second message.
                self.duplicates += 1
                continue
            if handle.operation_id in seen:
                self.duplicates += 1
                continue
            seen.add(handle.operation_id)
            self._add(row.recipient, handle)

    def look(self) -> None:
        """Read how everything stands, log in whoever got a code, and redeem what came of it."""
        ended = self._newly_ended()
        if not ended:
            return
        # The newest comes first, and the newest code counts.
        messages = reversed(self._control.outbox(limit=_ALL))
        codes = {(one["channel"], one["recipient"]): one["code"] for one in messages}
        now = self._control.now()
        for operation in ended:
            if operation.outcome.state is State.ACCEPTED and operation.outcome.kind.is_login:
                self._redeem(operation, now)
                if operation.plan is Code.TWICE:
                    self._log_in(operation.recipient, operation.outcome.kind, operation.code, Code.USED)
            elif operation.outcome.state is State.ACCEPTED:
                operation.code = codes[operation.outcome.kind.channel, operation.recipient]
                self._follow_up(operation)

    def let_codes_expire(self) -> int:
        """Move the simulator's clock past every code's life, log in with those kept back, and return how many."""
        self._control.advance_clock(_PAST_EXPIRY_S)
        for send in self._late:
            self._log_in(send.recipient, _login_kind(send), send.code, Code.EXPIRED)
        late, self._late = len(self._late), []
        return late

    @property
    def settled(self) -> bool:
        """Whether nothing is open."""
        return not self._open

    def sends_ended(self) -> float:
        """Return the share of the sends that have ended, as last read."""
        sends = [one for one in self._operations if not one.outcome.kind.is_login]
        return sum(one.outcome.state.is_terminal for one in sends) / max(1, len(sends))

    def under_way(self) -> int:
        """Return how many requests the workers have under way in this moment, by the ledger."""
        counts = self._producer.ledger.counts()
        return sum(count for (_, state), count in counts.items() if state is State.IN_FLIGHT)

    def states(self) -> Mapping[str, Counter[State]]:
        """Return how many operations of each kind stand in each state, as last read."""
        found: dict[str, Counter[State]] = {kind: Counter() for kind in Kind}
        for operation in self._operations:
            found[operation.outcome.kind][operation.outcome.state] += 1
        return found

    def facts(self) -> Facts:
        """Return what the final count needs."""
        return Facts(
            operations=[FinishedOperation(one.recipient, one.outcome, one.plan in _BAD) for one in self._operations],
            counts=self._producer.ledger.counts(),
            outbox=[(one["channel"], one["recipient"]) for one in self._control.outbox(limit=_ALL)],
            tokens_issued=int(self._control.stats()["tokens_issued"]),
            verified=self.verified,
        )

    def _newly_ended(self) -> list[_Operation]:
        for operation in self._open:
            operation.outcome = operation.handle.outcome()
        ended = [one for one in self._open if one.outcome.state.is_terminal]
        self._open = [one for one in self._open if not one.outcome.state.is_terminal]
        return ended

    def _follow_up(self, send: _Operation) -> None:
        plan = Code.RIGHT
        if send.recipient not in self._spoiled:
            plan = _PLAN.get(self._logged_in % _DOZEN, Code.RIGHT)
            self._logged_in += 1
        if plan is Code.EXPIRED:
            self._late.append(send)
            return
        code = _wrong(send.code) if plan is Code.WRONG else send.code
        self._log_in(send.recipient, _login_kind(send), code, plan)

    def _log_in(self, recipient: str, kind: Kind, code: str, plan: Code) -> None:
        login: Callable[..., Handle] = getattr(self._producer, kind)
        self._add(recipient, login(recipient, code), code, plan)

    def _redeem(self, login: _Operation, now: float) -> None:
        tokens = login.handle.open_result(login.outcome)
        self.verified += self._verifier.belongs_to(tokens, login.recipient, now=now)

    def _add(self, recipient: str, handle: Handle, code: str = "", plan: Code = Code.RIGHT) -> None:
        operation = _Operation(recipient, handle, handle.outcome(), code, plan)
        self._operations.append(operation)
        self._open.append(operation)


def _login_kind(send: _Operation) -> Kind:
    return next(kind for kind in Kind if kind.is_login and kind.channel is send.outcome.kind.channel)


def _wrong(code: str) -> str:
    return _WRONG_CODE if code != _WRONG_CODE else "111111"
