"""A program that runs under the previous version and under this one: it enqueues, redeems and reads through the public names only.

It reads one JSON list from standard input, `[step, arguments]`, and writes its answer as JSON to standard output.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from gatepost import CampaignOptions, Channel, Producer, Row, load_settings


def send(producer: Producer, recipients: list[str]) -> list[str]:
    """Enqueue a message to each address, and return the references."""
    return [producer.send_email(one).reference for one in recipients]


def log_in(producer: Producer, codes: dict[str, str]) -> list[str]:
    """Enqueue a login with each code, and return the references."""
    return [producer.login_with_email(one, code, scope="openid").reference for one, code in codes.items()]


def outcomes(producer: Producer, references: list[str]) -> list[str]:
    """Wait for operations, and return their states."""
    return [producer.handle(one).wait(120).state.value for one in references]


def redeem(producer: Producer, references: list[str]) -> list[bool]:
    """Redeem logins, and return whether each gave tokens."""
    return [bool(producer.handle(one).redeem(120).access_token.get_secret_value()) for one in references]


def create(producer: Producer, recipients: list[str]) -> str:
    """Create a campaign, add its recipients and start it."""
    campaign = producer.campaigns.create("spring", CampaignOptions(rate=40))
    producer.campaigns.add(campaign, [Row(number, Channel.EMAIL, one) for number, one in enumerate(recipients, 1)])
    producer.campaigns.start(campaign)
    return campaign


def status(producer: Producer, campaign: str) -> dict[str, Any]:
    """Return a campaign's status and counts."""
    found = producer.campaigns.status(campaign)
    return {"status": str(found.status), "counts": {state.value: count for state, count in found.counts.items()}}


def create_paused(producer: Producer, recipients: list[str]) -> str:
    """Create a campaign, start it and pause it."""
    campaign = create(producer, recipients)
    producer.campaigns.pause(campaign)
    return campaign


def resume(producer: Producer, campaign: str) -> None:
    """Resume a campaign."""
    producer.campaigns.resume(campaign)


_STEPS = {step.__name__: step for step in (send, log_in, outcomes, redeem, create, create_paused, status, resume)}


if __name__ == "__main__":
    name, argument = json.loads(sys.stdin.read())
    with Producer(load_settings()) as ready:
        answer = _STEPS[name](ready, argument)
    sys.stdout.write(json.dumps(answer))
