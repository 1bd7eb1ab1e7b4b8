"""The demo's scenario: sends with scripted faults, logins with right, wrong, used and expired codes, and verified tokens."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from gatepost.chunks import in_chunks
from gatepost_core.errors import IdempotencyConflict
from gatepost_core.kinds import CAMPAIGN_KINDS, Endpoint, Kind
from gatepost_core.states import State
from gatepost_operations.local.demo.comparison import Facts, FinishedOperation
from gatepost_operations.local.demo.recipients import is_email

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from gatepost.campaigns.control import Campaigns
    from gatepost.handles import Handle
    from gatepost.producer import Producer
    from gatepost_core.campaigns.model import Campaign
    from gatepost_core.campaigns.row import Row
    from gatepost_core.outcomes import Outcome, TokenSet
    from gatepost_operations.local.demo.recipients import Recipients
    from gatepost_simulator.control import ControlClient

START: Final = f"/{Endpoint.START}"
_TOKEN: Final = f"/{Endpoint.TOKEN}"
_WRONG_CODE: Final = "000000"
_PAST_EXPIRY_S: Final = 200.0
_ALL: Final = 100_000
_LEEWAY_S: Final = 60
# The campaign writes to other addresses than the single sends, so that the outbox can be counted.
_MARK: Final = "+campaign"
# Small batches, so that several are in flight when the worker is killed.
_BATCH_ROWS: Final = 16


class Code(StrEnum):
    """Which code a person logs in with."""

    RIGHT = "right"
    TWICE = "twice"
    WRONG = "wrong"
    USED = "used"
    EXPIRED = "expired"


_BAD: Final = frozenset({Code.WRONG, Code.USED, Code.EXPIRED})
# The codes of some logins, by their place in every dozen.
_PLAN: Final = {3: Code.WRONG, 6: Code.TWICE, 9: Code.EXPIRED}
_DOZEN: Final = 12
_UNAVAILABLE: Final = {"status": 503, "error": "temporarily_unavailable", "when": "after"}
# Title, endpoint and fault; the fault is in the form of the simulator's control API.
_FAULTS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("address refused", START, {"status": 400, "error": "bad.email", "description": "email is not valid"}),
    ("answer lost", START, {"drop": "close", "when": "after"}),
    ("server error", START, _UNAVAILABLE),
    ("quota exceeded once", START, {"status": 429, "error": "too_many_requests"}),
    ("second factor", _TOKEN, {"status": 403, "error": "mfa_required", "shape": "B", "count": 0}),
    ("wrong audience", _TOKEN, {"id_token": "bad-aud", "when": "after"}),
    ("login's answer lost", _TOKEN, _UNAVAILABLE),
)


def faults_for(recipients: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the title of each fault, and the fault for one of the recipients. There are no faults for too few recipients.

    Args:
        recipients: email addresses, each once.
    """
    step = len(recipients) // len(_FAULTS)
    for position, (title, endpoint, fault) in enumerate(_FAULTS if step else ()):
        yield title, {"endpoint": endpoint, "recipient": recipients[position * step], **fault}


class TokenVerifier:
    """Verifies redeemed id_tokens with the tenant's public keys, independently of the worker.

    Args:
        jwks: the tenant's JWKS.
        issuer: the tenant's issuer.
        client_id: the application.
    """

    def __init__(self, jwks: Mapping[str, Any], *, issuer: str, client_id: str) -> None:
        self._keys = KeySet.import_key_set({"keys": jwks["keys"]})
        self._issuer = issuer
        self._client_id = client_id

    def belongs_to(self, tokens: TokenSet, recipient: str, *, now: float) -> bool:
        """Return whether a token set is genuine and the recipient's; `now` is the tenant's time in epoch seconds."""
        if tokens.id_token is None or not tokens.access_token.get_secret_value():
            return False
        rules = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            decoded = jwt.decode(tokens.id_token.get_secret_value(), self._keys, algorithms=["RS256"])
            rules.validate(decoded.claims)
        except (JoseError, ValueError):
            return False
        return recipient in {decoded.claims.get("email"), decoded.claims.get("phone_number")}


@dataclass(slots=True)
class _Operation:
    recipient: str
    handle: Handle
    outcome: Outcome
    code: str = ""
    plan: Code = Code.RIGHT


class Scenario:
    """Enqueues the operations and follows them to their ends.

    Args:
        producer: enqueues the operations.
        control: gives the codes, and moves the simulator's clock.
        verifier: verifies redeemed token sets.
        faulty: recipients with a scripted fault. They log in with the right code.
    """

    def __init__(
        self, producer: Producer, control: ControlClient, verifier: TokenVerifier, *, faulty: Collection[str] = ()
    ) -> None:
        self._producer = producer
        self._control = control
        self._verifier = verifier
        self._faulty = frozenset(faulty)
        self._operations: list[_Operation] = []
        self._open: list[_Operation] = []
        self._late: list[_Operation] = []
        self._logged_in = 0
        self.duplicates = 0
        self.verified = 0

    def enqueue_sends(self, people: Recipients) -> None:
        """Enqueue one message per valid row. A second row for a person returns the operation of the first row."""
        seen: set[str] = set()
        for row in people.valid:
            kind = CAMPAIGN_KINDS[row.kind]
            send: Callable[..., Handle] = getattr(self._producer, kind)
            try:
                handle = send(row.recipient, idempotency_key=f"{kind}:{row.recipient}", **row.message_fields())
            except IdempotencyConflict:
                # The same person with another language or IP address gets no second message either.
                self.duplicates += 1
                continue
            if handle.operation_id in seen:
                self.duplicates += 1
                continue
            seen.add(handle.operation_id)
            self._add(row.recipient, handle)

    def poll(self) -> None:
        """Read the outcomes, log in everyone who got a code, and redeem the token sets."""
        ended = self._newly_ended()
        if not ended:
            return
        # The outbox has the newest message first. The newest code counts.
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

    def expire_codes(self) -> int:
        """Move the simulator's clock past the lifetime of all codes, log in with the codes kept back, and return their number."""
        self._control.advance_clock(_PAST_EXPIRY_S)
        for send in self._late:
            self._log_in(send.recipient, _login_kind(send), send.code, Code.EXPIRED)
        late, self._late = len(self._late), []
        return late

    @property
    def settled(self) -> bool:
        """Whether no operation is open."""
        return not self._open

    def sends_ended(self) -> float:
        """Return the share of the sends that have ended, as of the last poll."""
        sends = [one for one in self._operations if not one.outcome.kind.is_login]
        return sum(one.outcome.state.is_terminal for one in sends) / max(1, len(sends))

    def in_flight(self) -> int:
        """Return the number of requests in flight, according to the ledger."""
        counts = self._producer.ledger.counts()
        return sum(count for (_, state), count in counts.items() if state is State.IN_FLIGHT)

    def states(self) -> Mapping[str, Counter[State]]:
        """Return the number of operations of each kind in each state, as of the last poll."""
        found: dict[str, Counter[State]] = {kind: Counter() for kind in Kind}
        for operation in self._operations:
            found[operation.outcome.kind][operation.outcome.state] += 1
        return found

    def facts(self, campaign: DemoCampaign) -> Facts:
        """Return the facts for the comparison."""
        return Facts(
            operations=[FinishedOperation(one.recipient, one.outcome, one.plan in _BAD) for one in self._operations],
            counts=self._producer.ledger.counts(),
            outbox=[(one["channel"], one["recipient"]) for one in self._control.outbox(limit=_ALL)],
            tokens_issued=int(self._control.stats()["tokens_issued"]),
            verified=self.verified,
            campaign=campaign.recipients(),
            campaign_counts=campaign.states(),
            campaign_reasons=campaign.status().reasons,
        )

    def _newly_ended(self) -> list[_Operation]:
        for operation in self._open:
            operation.outcome = operation.handle.outcome()
        ended = [one for one in self._open if one.outcome.state.is_terminal]
        self._open = [one for one in self._open if not one.outcome.state.is_terminal]
        return ended

    def _follow_up(self, send: _Operation) -> None:
        plan = Code.RIGHT
        if send.recipient not in self._faulty:
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


class DemoCampaign:
    """The file's email rows under other addresses, sent in bulk beside the single operations. It is a draft until `start`."""

    def __init__(self, campaigns: Campaigns) -> None:
        self._campaigns = campaigns
        self._campaign_id = campaigns.create("demo")

    def start(self, people: Recipients) -> int:
        """Add everyone who has an address, start the campaign, and return the number of recipients."""
        for rows in in_chunks(_campaign_rows(people), _BATCH_ROWS):
            self._campaigns.add(self._campaign_id, rows)
        return self._campaigns.start(self._campaign_id).total

    def status(self) -> Campaign:
        """Return the current state of the campaign."""
        return self._campaigns.status(self._campaign_id)

    def states(self) -> Counter[State]:
        """Return the number of recipients in each state."""
        return Counter({state: number for state, number in self.status().counts.items() if number})

    def recipients(self) -> dict[str, State]:
        """Return the state of each recipient."""
        return {one.row.recipient: one.state for one in self._campaigns.export(self._campaign_id)}


def _campaign_rows(people: Recipients) -> Iterator[Row]:
    for row in people.valid:
        if is_email(row):
            local, _, domain = row.recipient.rpartition("@")
            yield replace(row, recipient=f"{local}{_MARK}@{domain}")
