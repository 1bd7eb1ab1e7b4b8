"""Actions on campaigns go through the API, in the operator's name, and ask again when a confirmed number has changed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gatepost_core.audit_log import AuditLog
from gatepost_core.campaigns.model import Options, Status
from gatepost_core.states import State
from gatepost_operations.maintenance.erasure import Erasure
from support.campaign_parts import email, rows
from support.console_journey import console_of
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings


@pytest.fixture
def browser(settings: Settings) -> Iterator[httpx.Client]:
    """A browser at a console with its API."""
    with console_of(settings) as (server, _):
        yield server.browser


@pytest.fixture
def draft(campaigns: Campaigns) -> str:
    """A draft with three recipients."""
    campaign_id = campaigns.create("Spring invitation", Options(rate=20))
    campaigns.add(campaign_id, rows(3))
    return campaign_id


def test_a_campaign_is_started_paused_resumed_and_cancelled(
    browser: httpx.Client, campaigns: Campaigns, draft: str, redis_client: redis.Redis, settings: Settings
) -> None:
    """Each action leads back to the page, which shows its result; the audit log has the operator's name."""
    seen = []
    for action in ("start", "pause", "resume", "cancel"):
        answer = browser.post(f"/campaigns/{draft}/{action}")
        seen.append((answer.status_code, answer.headers["location"], campaigns.status(draft).status))
    entries = [*AuditLog(redis_client, KEYS, settings.fingerprints()).entries()]

    statuses = [Status.RUNNING, Status.PAUSED, Status.RUNNING, Status.CANCELLED]
    actions = ("start", "pause", "resume", "cancel")
    assert seen == [
        (303, f"/campaigns/{draft}?done={action}", status) for action, status in zip(actions, statuses, strict=True)
    ]
    who = {entry.action: entry.who for entry in entries}
    assert {who[f"campaign.{action}"] for action in actions} == {"ada"}


def test_a_cancellation_asks_first(browser: httpx.Client, campaigns: Campaigns, draft: str) -> None:
    """The question names the numbers, and changes nothing."""
    page = browser.get(f"/campaigns/{draft}/cancel").text

    assert "3 recipients without an attempt will get no message" in page
    assert campaigns.status(draft).status is Status.DRAFT


def test_the_rate_and_the_deadline_are_changed(browser: httpx.Client, campaigns: Campaigns, draft: str) -> None:
    """An empty field removes the option."""
    browser.post(f"/campaigns/{draft}/change", data={"rate": "7,5", "deadline": "2030-03-28T16:00"})
    first = campaigns.status(draft).options
    browser.post(f"/campaigns/{draft}/change", data={"rate": "", "deadline": ""})
    second = campaigns.status(draft).options

    assert (first.rate, first.deadline is not None and first.deadline.year) == (7.5, 2030)
    assert (second.rate, second.deadline) == (None, None)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("rate", "fast", "must be a number of recipients a second"),
        ("deadline", "tomorrow", "must be a date and a time"),
        ("rate", "-1", "rate"),
    ],
)
def test_a_wrong_value_is_named_and_what_was_typed_stays(  # noqa: PLR0917 - fixtures and the three parts of a case
    browser: httpx.Client, campaigns: Campaigns, draft: str, field: str, value: str, sentence: str
) -> None:
    """The form comes back with the error, and nothing was changed."""
    answer = browser.post(f"/campaigns/{draft}/change", data={"rate": "", "deadline": "", field: value})

    assert answer.status_code == 422
    assert sentence in answer.text
    assert f'value="{value}"' in answer.text
    assert campaigns.status(draft).options.rate == 20


def test_an_action_that_the_status_does_not_allow_says_how_to_continue(
    browser: httpx.Client, campaigns: Campaigns, draft: str
) -> None:
    """The sentence is that of the command line."""
    campaigns.cancel(draft)
    answer = browser.post(f"/campaigns/{draft}/start")

    assert answer.status_code == 409
    assert "The campaign was cancelled; retry its cancelled recipients" in answer.text


def test_a_retry_counts_first_and_queues_after_the_confirmation(
    browser: httpx.Client, campaigns: Campaigns, draft: str
) -> None:
    """The dry run changes nothing."""
    campaigns.start(draft)
    campaigns.cancel(draft)
    choice = {"choice": "cancelled:cancelled_by_caller"}
    dry = browser.post(f"/campaigns/{draft}/retry", data=choice).text
    still = campaigns.status(draft).counts[State.CANCELLED]
    done = browser.post(f"/campaigns/{draft}/retry", data={**choice, "confirmed": "3"})

    assert "3 recipients would be queued again." in dry
    assert still == 3
    assert done.status_code == 303
    assert campaigns.status(draft).counts[State.QUEUED] == 3


def test_a_confirmed_number_does_not_hold_for_another_choice(
    browser: httpx.Client, campaigns: Campaigns, draft: str
) -> None:
    """The operator ticks other boxes after the count: the page counts again, and warns about unknown recipients."""
    campaigns.start(draft)
    campaigns.cancel(draft)
    dry = browser.post(f"/campaigns/{draft}/retry", data={"choice": "cancelled:cancelled_by_caller"}).text
    form = {"choice": "cancelled:cancelled_by_caller", "counted": "unknown:answer_lost", "confirmed": "3"}
    answer = browser.post(f"/campaigns/{draft}/retry", data=form)

    assert "The choice has changed. Confirm the new one." in answer.text
    assert 'name="counted" value="cancelled:cancelled_by_caller"' in dry
    assert answer.status_code == 200
    assert "3 recipients would be queued again." in answer.text
    assert campaigns.status(draft).counts[State.CANCELLED] == 3


def test_everything_that_matches_is_suppressed_after_the_confirmation(
    browser: httpx.Client, campaigns: Campaigns, draft: str
) -> None:
    """Not only the recipients of one page."""
    page = browser.get(f"/campaigns/{draft}/suppress?state=queued").text
    browser.post(f"/campaigns/{draft}/suppress", data={"state": "queued", "confirmed": "3"})

    assert "Suppress 3 recipients?" in page
    assert len(campaigns.suppressions) == 3


@pytest.mark.parametrize("action", ["retry", "suppress", "export"])
def test_a_number_that_changed_is_confirmed_again(
    browser: httpx.Client, campaigns: Campaigns, draft: str, action: str
) -> None:
    """Nothing happens to recipients whom the operator did not see."""
    campaigns.start(draft)
    campaigns.cancel(draft)
    data = {"state": "cancelled", "choice": "cancelled:cancelled_by_caller", "confirmed": "2"}
    answer = browser.post(f"/campaigns/{draft}/{action}", data=data)

    assert answer.status_code == 200
    assert "The number has changed. Confirm the new one." in answer.text
    assert campaigns.status(draft).counts[State.CANCELLED] == 3
    assert len(campaigns.suppressions) == 0


def test_one_address_is_revealed_and_the_log_knows_by_whom(
    browser: httpx.Client, draft: str, redis_client: redis.Redis, settings: Settings
) -> None:
    """The page has the address of this recipient alone."""
    shown = browser.post(f"/campaigns/{draft}/recipients/1/reveal").text
    *_, entry = AuditLog(redis_client, KEYS, settings.fingerprints()).entries()

    assert re.findall(r"person\d@example.com", shown) == ["person1@example.com"]
    assert (entry.action, entry.who) == ("campaign.reveal", "ada")


def test_without_the_api_the_page_says_which_process_is_missing(console: httpx.Client, draft: str) -> None:
    """The campaign's page still works."""
    answer = console.post(f"/campaigns/{draft}/start")

    assert answer.status_code == 503
    assert "The HTTP API does not answer" in answer.text
    assert console.get(f"/campaigns/{draft}").status_code == 200


def test_an_erased_recipient_is_not_shown_as_the_next_one(
    browser: httpx.Client, draft: str, settings: Settings
) -> None:
    """The number of a row stays that of one person."""
    with Erasure(settings) as erasure:
        erasure.erase(email(1))

    shown = browser.post(f"/campaigns/{draft}/recipients/1/reveal").text

    assert "@" not in shown
    assert "erased" in shown
