"""Erases a person: nothing in Redis leads to them any more but one fingerprint on the suppression list, so that they are not written to again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from gatepost.campaigns.control import Campaigns
from gatepost.campaigns.recipients import normalised
from gatepost.campaigns.suppression import SuppressionReason
from gatepost_core.dead_letters import DeadLetterNotFound, DeadLetters, Selection
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import OperationNotFound, SealError
from gatepost_core.redis.connections import connect, ledger_at
from gatepost_core.sealing import Purpose
from gatepost_core.sealing.fingerprints import Origin
from gatepost_core.settings import load_settings
from gatepost_core.states import State
from gatepost_operations.maintenance.campaign_erasure import CampaignErasure
from gatepost_operations.maintenance.person_search import PersonSearch

if TYPE_CHECKING:
    from gatepost_core.settings import Settings
    from gatepost_operations.maintenance.campaign_erasure import ErasedRows


@dataclass(slots=True)
class ErasureResult:
    """What an erasure did, in numbers, or would do.

    Attributes:
        operations: single sends and logins that led to the person, and no longer do.
        cancelled: how many of them were open, and are cancelled.
        results: token sets that waited to be redeemed, deleted.
        rows: rows of campaigns that no longer know whose they were.
        suppressed: how many of them were open, and will not be sent to.
        campaigns: campaigns that had the person.
        guest_lists: guest lists that had the person's fingerprint.
        dead_letters: dead letters that mentioned the person, dropped.
        exports: exports on record of the campaigns that had the person; the files are out of reach.
        in_flight: attempts under way, which were left: run it again.
        unreadable: batches and dead letters that do not open, because their key is not in the ring, and letters in a form that cannot be
            searched; they were left.
    """

    operations: int = 0
    cancelled: int = 0
    results: int = 0
    rows: int = 0
    suppressed: int = 0
    campaigns: int = 0
    guest_lists: int = 0
    dead_letters: int = 0
    exports: int = 0
    in_flight: int = 0
    unreadable: int = 0

    @property
    def complete(self) -> bool:
        """Whether nothing was left."""
        return not self.in_flight and not self.unreadable

    def as_json(self) -> dict[str, int]:
        """Return it as JSON values."""
        return asdict(self)


@boundary
class Erasure:
    """Erases people. Use it as a context manager or close it.

    Every method raises `Unavailable` when Redis does not answer; run it again then, it goes on where it was.

    Args:
        settings: the configuration; read from the environment when absent.

    Raises:
        ConfigurationError: no sealing key or fingerprint key is configured.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or load_settings()
        self._keyring = self._settings.keyring()
        self._fingerprints = self._settings.fingerprints()
        self._redis = connect(self._settings)
        self._ledger = ledger_at(self._redis, self._settings)
        self._letters = DeadLetters(
            self._redis, self._settings.redis_keys, self._keyring, lifetime_s=self._settings.dead_letter_lifetime
        )
        self._campaigns = Campaigns(self._settings)
        self._rows = CampaignErasure(self._campaigns.store, self._campaigns.reports, self._keyring, self._fingerprints)

    def look(self, recipient: str) -> ErasureResult:
        """Say what `erase` would do, and do nothing.

        Raises:
            ValueError: it is neither an address nor a number.
        """
        return self._sum(normalised(recipient), dry_run=True)

    def erase(self, recipient: str) -> ErasureResult:
        """Take a person out of the ledger, the campaigns and the dead letters, and off every guest list; messages name nobody anyway.

        Attempts under way are left, and counted: run it again when they have ended. The counts of campaigns stay as they were.

        Args:
            recipient: an address or number in clear.

        Raises:
            ValueError: it is neither.
        """
        address = normalised(recipient)
        with self._campaigns.audit.act("person.erase") as found:
            # First, so that no campaign begins with them meanwhile.
            self._campaigns.suppressions.add(address, SuppressionReason.ERASED)
            done = self._sum(address, dry_run=False)
            found.update(done.as_json())
        return done

    def close(self) -> None:
        """Close the connections."""
        self._campaigns.close()
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sum(self, address: str, *, dry_run: bool) -> ErasureResult:
        found = ErasureResult()
        for fingerprint in {self._fingerprints.operation(address, origin) for origin in Origin}:
            self._operations(fingerprint, found, dry_run=dry_run)
        rows = self._rows.erase(address, dry_run=dry_run)
        found.rows, found.suppressed, found.guest_lists = rows.rows, rows.suppressed, rows.guest_lists
        found.campaigns = len(rows.campaigns)
        found.in_flight += rows.in_flight
        found.unreadable += rows.unreadable
        found.exports = self._exports(rows)
        self._dead_letters(address, found, dry_run=dry_run)
        return found

    def _operations(self, mark: str, found: ErasureResult, *, dry_run: bool) -> None:
        for operation_id in self._ledger.operations_of(mark):
            if dry_run:
                self._look_at(operation_id, found)
                continue
            forgotten = self._ledger.forget(operation_id, mark)
            if forgotten.state is State.IN_FLIGHT:
                found.in_flight += 1
            else:
                found.operations += 1
                found.cancelled += forgotten.cancelled
                found.results += forgotten.result

    def _look_at(self, operation_id: str, found: ErasureResult) -> None:
        try:
            state = self._ledger.outcome(operation_id).state
        except OperationNotFound:
            found.operations += 1
            return
        if state is State.IN_FLIGHT:
            found.in_flight += 1
            return
        found.operations += 1
        found.cancelled += not state.is_terminal
        found.results += self._ledger.sealed_result(operation_id) is not None

    def _exports(self, rows: ErasedRows) -> int:
        entries = self._campaigns.audit.entries()
        had = set(rows.campaigns)
        return sum(entry.action == "campaign.export" and entry.about.get("campaign") in had for entry in entries)

    def _dead_letters(self, address: str, found: ErasureResult, *, dry_run: bool) -> None:
        mention = PersonSearch(address, self._unsealed)
        for letter in self._letters.select(Selection()):
            try:
                document: Any = self._letters.open(letter)
            except DeadLetterNotFound:
                continue
            except SealError:
                found.unreadable += 1
                continue
            mentioned = mention.is_in(document)
            if mentioned is None:
                found.unreadable += 1
            elif mentioned:
                found.dead_letters += dry_run or self._letters.drop(letter.id)

    def _unsealed(self, text: str) -> str | None:
        try:
            return self._keyring.open(text, Purpose.submission()).decode()
        except (SealError, UnicodeDecodeError):
            return None
