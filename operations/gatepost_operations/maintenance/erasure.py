"""Erase a person from Redis. Only a fingerprint on the suppression list remains, so that no campaign writes to the person again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from gatepost.campaigns.control import Campaigns
from gatepost.campaigns.suppression import SuppressionReason
from gatepost_core.dead_letters import DeadLetterNotFound, DeadLetters, Selection
from gatepost_core.error_boundary import boundary
from gatepost_core.errors import OperationNotFound, SealError
from gatepost_core.identifiers import normalise_recipient
from gatepost_core.ledger import ledger_at
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.sealing import Purpose
from gatepost_core.sealing.fingerprints import Origin
from gatepost_core.settings import load_settings
from gatepost_core.states import State
from gatepost_operations.maintenance.campaign_erasure import CampaignErasure, ErasureResult
from gatepost_operations.maintenance.person_search import PersonSearch

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

__all__ = ["Erasure", "ErasureResult"]


@boundary
class Erasure:
    """Erases people. Use it as a context manager or close it.

    Every method raises `Unavailable` when Redis does not answer. Run it again then: it continues.

    Args:
        settings: the configuration [default: read from the environment].

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
            self._redis,
            RedisKeys(self._settings.namespace),
            self._keyring,
            lifetime_s=self._settings.dead_letter_lifetime,
        )
        self._campaigns = Campaigns(self._settings)
        self._rows = CampaignErasure(self._campaigns.store, self._keyring, self._fingerprints)

    def look(self, recipient: str) -> ErasureResult:
        """Return the counts of a dry run of `erase`.

        Raises:
            ValueError: `recipient` is neither an address nor a number.
        """
        return self._sum(normalise_recipient(recipient), dry_run=True)

    def erase(self, recipient: str) -> ErasureResult:
        """Erase a person from the ledger, the campaigns, the guest lists and the dead letters. Messages on the broker name no person.

        Attempts in flight are left and counted. Run it again when they have ended. The counts of campaigns do not change.

        Args:
            recipient: an address or number in clear.

        Raises:
            ValueError: `recipient` is neither an address nor a number.
        """
        address = normalise_recipient(recipient)
        with self._campaigns.audit.act("person.erase") as found:
            # First, so that a campaign that starts in the meantime suppresses the person.
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
        had = self._rows.erase(address, found, dry_run=dry_run)
        found.exports = sum(
            entry.action == "campaign.export" and entry.about.get("campaign") in had
            for entry in self._campaigns.audit.entries()
        )
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

    def _dead_letters(self, address: str, found: ErasureResult, *, dry_run: bool) -> None:
        search = PersonSearch(address, self._unsealed)
        for letter in self._letters.select(Selection()):
            try:
                document: Any = self._letters.open(letter)
            except DeadLetterNotFound:
                continue
            except SealError:
                found.unreadable += 1
                continue
            mentioned = search.is_in(document)
            if mentioned is None:
                found.unreadable += 1
            elif mentioned:
                found.dead_letters += dry_run or self._letters.drop(letter.id)

    def _unsealed(self, text: str) -> str | None:
        try:
            return self._keyring.open(text, Purpose.submission()).decode()
        except (SealError, UnicodeDecodeError):
            return None
