"""Work for a stack that faults strike: single sends, logins and a campaign, followed to their ends and compared with the outbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from support.chaos_accounts import Account, account_of_campaign, account_of_logins, account_of_sends
from support.guests import address

if TYPE_CHECKING:
    from gatepost import Producer
    from support.chaos_stack import ChaosStack


@dataclass
class Load:
    """The requested operations, by recipient."""

    stack: ChaosStack
    producer: Producer
    sends: dict[str, str] = field(default_factory=dict)
    logins: dict[str, str] = field(default_factory=dict)
    campaigns: list[str] = field(default_factory=list)
    references: list[str] = field(default_factory=list)

    def send(self, people: int) -> None:
        """Enqueue the given number of single sends."""
        for recipient in [address() for _ in range(people)]:
            self.sends[recipient] = self.producer.send_email(recipient).operation_id

    def prepare_logins(self, people: int) -> dict[str, str]:
        """Send a code to the given number of people, and return the codes."""
        recipients = [address() for _ in range(people)]
        for handle in [self.producer.send_email(recipient) for recipient in recipients]:
            handle.result(120)
        return {recipient: self.stack.simulator.control.latest_code(recipient) for recipient in recipients}

    def log_in(self, codes: dict[str, str]) -> None:
        """Ask for these logins."""
        for recipient, code in codes.items():
            handle = self.producer.login_with_email(recipient, code, scope="openid")
            self.logins[recipient] = handle.operation_id
            self.references.append(handle.reference)

    def campaign(self, people: int) -> None:
        """Start a campaign for the given number of people."""
        campaigns = self.producer.campaigns
        campaign_id = campaigns.create("load")
        campaigns.add(campaign_id, [Row(line, Channel.EMAIL, address()) for line in range(1, people + 1)])
        campaigns.start(campaign_id)
        self.campaigns.append(campaign_id)

    @property
    def open(self) -> int:
        """How many sends, logins and recipients have not ended."""
        handles = [self.producer.handle(one) for one in (*self.sends.values(), *self.logins.values())]
        singles = sum(not handle.state().is_terminal for handle in handles)
        return singles + sum(self.producer.campaigns.status(one).open for one in self.campaigns)

    def until_ended(self, timeout: float = 90, *, resuming: bool = False) -> None:
        """Wait for every end, with the reconciler running.

        Args:
            timeout: seconds.
            resuming: also be the operator who resumes a campaign that paused after many lost answers.
        """

        def has_ended() -> bool:
            if resuming:
                self._resume_paused()
            return self.open == 0

        self.stack.until_swept(has_ended, "everything has ended", timeout=timeout)

    def _resume_paused(self) -> None:
        campaigns = self.producer.campaigns
        for campaign in map(campaigns.status, self.campaigns):
            if campaign.status is Status.PAUSED:
                assert campaign.pause is not None
                assert campaign.pause.reason is PauseReason.FAILURES_IN_A_ROW
                campaigns.resume(campaign.campaign_id)

    def account(self) -> Account:
        """Compare everything with the simulator, one by one."""
        control = self.stack.simulator.control
        with self.stack.redis() as client:
            account = account_of_sends(client, control, self.sends) + account_of_logins(client, control, self.logins)
        for campaign_id in self.campaigns:
            account += account_of_campaign(self.producer.campaigns, control, campaign_id)
        return account
