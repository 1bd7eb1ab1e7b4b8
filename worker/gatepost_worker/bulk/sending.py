"""Turns a row into its call, and the outcome of the call into a settlement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_never

from gatepost_core.campaigns.model import FAR_AWAY
from gatepost_core.commands import COMMANDS, IN_REQUEST
from gatepost_core.doubt import doubt_in, end_after, kept_for_retry
from gatepost_core.kinds import CAMPAIGN_KINDS, Identifier
from gatepost_core.reasons import Reason
from gatepost_core.states import State
from gatepost_worker.authentication import AuthenticationError, HttpResponse, RateLimited
from gatepost_worker.authentication.boundary import bare
from gatepost_worker.bulk.store import Mark, Settlement
from gatepost_worker.delivery.calls import overrides_of
from gatepost_worker.delivery.policy import (
    REASONS,
    REFUSED_CREDENTIAL,
    Attempt,
    Dead,
    Decision,
    Deferred,
    RetryAt,
    RetryLimits,
    Unknown,
    decide,
)
from gatepost_worker.limiter import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from gatepost_core.campaigns.model import Options
    from gatepost_core.campaigns.row import Row
    from gatepost_core.campaigns.wire_format import Record
    from gatepost_core.kinds import Kind
    from gatepost_worker.authentication import Passwordless
    from gatepost_worker.authentication.caller import Call
    from gatepost_worker.authentication.configuration import Timeouts
    from gatepost_worker.authentication.starts import PreparedStart, Starts
    from gatepost_worker.authentication.wire_connection import Outcome
    from gatepost_worker.delivery.clients import Clients


@dataclass(slots=True)
class Sent:
    """The result of one request.

    Attributes:
        settlement: the row's new state.
        reading: the answer's rate-limit headers, for the limiter.
        failure: the client's error, if there was one.
        wait: how long the row waits before its next attempt.
        unforeseen: an error in our own code, if there was one. Its text may contain the recipient.
    """

    settlement: Settlement
    reading: Reading | None = None
    failure: AuthenticationError | None = None
    wait: timedelta | None = None
    unforeseen: BaseException | None = None


class Sender:
    """Makes the calls of one campaign's rows, and settles them. It sends nothing itself."""

    def __init__(
        self,
        starts: Starts,
        options: Options,
        limits: RetryLimits,
        *,
        clock: Callable[[], datetime],
        clients: Clients | None = None,
    ) -> None:
        """Prepare the calls.

        Args:
            starts: make requests and read responses.
            options: the campaign's options.
            limits: how often a row is tried.
            clock: returns the time, by Redis's clock.
            clients: have new starts when the tenant's credential changes; None if it does not change.
        """
        self.starts = starts
        self._clients = clients
        self._tenant = options.tenant or ""
        # The client that made each row's request.
        self._used: dict[int, Passwordless] = {}
        self._accepted = False
        self._options = options
        self._limits = limits
        self._clock = clock
        self._fields = {kind: _fields_of(kind, options) for kind in CAMPAIGN_KINDS.values()}
        self._prepared: dict[Kind, PreparedStart | None] = {}
        self._overrides = {kind: overrides_of(fields) for kind, fields in self._fields.items()}

    def begin(self, rows: Sequence[int]) -> None:
        """Note that rows are about to be sent. They take the tenant's present credential."""
        if self._clients is None:
            return
        client = self._clients.of(self._tenant)
        if client.starts is not self.starts:
            self.starts, self._accepted = client.starts, False
            self._prepared.clear()
        self._used.update(dict.fromkeys(rows, client))

    def call_of(self, row: Row) -> Call:
        """Return a row's call."""
        kind, own = CAMPAIGN_KINDS[row.kind], row.message_fields()
        overrides = overrides_of({**self._fields[kind], **own}) if own else self._overrides[kind]
        start = self.starts.email if kind.identifier is Identifier.EMAIL else self.starts.sms
        return start(row.recipient, overrides=overrides)

    def request_of(self, row: Row, *, plain: bool) -> tuple[bytes, Timeouts]:
        """Return a row's request in bytes, and its timeouts. A plain row has no fields beside its recipient.

        Raises:
            AuthenticationError: the request cannot be made.
        """
        if plain:
            kind = CAMPAIGN_KINDS[row.kind]
            if kind not in self._prepared:
                field = "email" if kind.identifier is Identifier.EMAIL else "phone_number"
                self._prepared[kind] = self.starts.prepared(field, self._overrides[kind])
            prepared = self._prepared[kind]
            if prepared is not None:
                return prepared.request(row.recipient), prepared.timeouts
        call = self.call_of(row)
        return self.starts.encode(call), call.timeouts

    def settle(self, number: int, row: Row, ticket: int, record: Record | None, outcome: Outcome) -> Sent:
        """Return the result of a call that began. An unforeseen error ends this row alone.

        Args:
            number: the row's number in its batch.
            row: the recipient.
            ticket: the permit's ticket.
            record: the record of earlier attempts, if there were any.
            outcome: the response, or the error in its place.
        """
        if not isinstance(outcome, HttpResponse):
            return self._ended(number, row, ticket, record, outcome)
        try:
            response = self.starts.read(outcome)
        except Exception as failure:  # noqa: BLE001 - an error in our own code can be of any class
            return self._ended(number, row, ticket, record, bare(failure))
        if not self._accepted and self._clients is not None:
            self._clients.accepted(self._tenant, self._used[number])
            self._accepted = True
        attempts = 1 if record is None else record.attempts + 1
        settlement = Settlement(
            number, State.ACCEPTED, http_status=response.status, attempts=attempts, at_s=self._seconds()
        )
        return Sent(settlement, Reading(ticket=ticket, limits=response.rate_limits))

    def unmade(self, number: int, row: Row, record: Record | None, failure: BaseException) -> Sent:
        """Return the result of a row of which no request could be made: nothing was sent."""
        if isinstance(failure, AuthenticationError):
            return self._failed(number, row, record, failure, None)
        return self._broken(number, record, failure, begun=False)

    def _ended(self, number: int, row: Row, ticket: int, record: Record | None, failure: BaseException) -> Sent:
        if isinstance(failure, AuthenticationError):
            return self._failed(number, row, record, failure, _reading_of(failure, ticket))
        return self._broken(number, record, failure, begun=True)

    def unsent(self, number: int, record: Record | None) -> Settlement:
        """Return the settlement of a row that was begun and not sent: it is queued as before."""
        if record is None:
            return Settlement(number, State.QUEUED)
        return Settlement(
            number,
            State.QUEUED,
            reason=record.reason,
            http_status=record.http_status,
            attempts=record.attempts,
            at_s=record.at_s,
        )

    def _broken(self, number: int, record: Record | None, failure: BaseException, *, begun: bool) -> Sent:
        before = 0 if record is None else record.attempts
        last = (State.UNKNOWN, Reason.ANSWER_LOST) if begun else (State.REJECTED, Reason.REQUEST_REJECTED)
        state, reason = end_after(_doubt_of(record), *last)
        settlement = Settlement(number, state, Mark.FAILED, reason, None, before + begun, self._seconds())
        return Sent(settlement, unforeseen=failure)

    def _failed(
        self, number: int, row: Row, record: Record | None, failure: AuthenticationError, reading: Reading | None
    ) -> Sent:
        now = self._clock()
        before = 0 if record is None else record.attempts
        doubt = _doubt_of(record)
        kept: Reason | None
        match decision := self._decide(number, row, failure, before, doubt):
            case RetryAt(reason=reason):
                state, mark, attempts = State.QUEUED, Mark.FAILED, before + 1
                kept = kept_for_retry(doubt, reason)
            case Deferred():
                state, mark, attempts, kept = State.DEFERRED, Mark.PLAIN, before, doubt
            case _ if REASONS[failure.cause].pauses:
                state, mark, attempts = State.QUEUED, Mark.REFUSED, before
                kept = doubt or REASONS[failure.cause]
            case Dead(state=end, reason=reason):
                state, attempts, kept = end, before + 1, reason
                mark = Mark.FAILED if end.counts_as_failure else Mark.PLAIN
            case Unknown(reason=reason):
                state, mark, attempts, kept = State.UNKNOWN, Mark.FAILED, before + 1, reason
            case never:
                assert_never(never)
        settlement = Settlement(number, state, mark, kept, failure.status, attempts, int(now.timestamp()))
        again = decision.wait if isinstance(decision, RetryAt | Deferred) else None
        return Sent(settlement, reading, failure, again)

    def _decide(
        self, number: int, row: Row, failure: AuthenticationError, before: int, doubt: Reason | None
    ) -> Decision:
        now = self._clock()
        attempt = Attempt(
            CAMPAIGN_KINDS[row.kind],
            before + 1,
            now,
            # The batch script enforces the campaign's deadline, by Redis's clock.
            now + FAR_AWAY,
            self._options.on_unknown,
            doubt,
            self._new_credential_in(number, failure),
        )
        return decide(failure, attempt, self._limits)

    def _new_credential_in(self, number: int, failure: AuthenticationError) -> timedelta | None:
        if failure.cause not in REFUSED_CREDENTIAL or self._clients is None:
            return None
        self._accepted = False
        return self._clients.after_refusal(self._tenant, self._used[number])

    def _seconds(self) -> int:
        return int(self._clock().timestamp())


def _fields_of(kind: Kind, options: Options) -> dict[str, Any]:
    shared = IN_REQUEST.keys() & COMMANDS[kind].model_fields.keys() & type(options).model_fields.keys()
    return {name: getattr(options, name) for name in shared} | {"connection": options.connection or kind.connection}


def _doubt_of(record: Record | None) -> Reason | None:
    return None if record is None else doubt_in(record.reason)


def _reading_of(failure: AuthenticationError, ticket: int) -> Reading | None:
    limits = failure.rate_limits
    return None if limits is None else Reading(ticket=ticket, limits=limits, refused=isinstance(failure, RateLimited))
