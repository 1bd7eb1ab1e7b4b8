"""A campaign id used twice: the same request changes nothing, and one with other options is refused."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from gatepost.campaigns.control import Campaigns
from gatepost.errors import CampaignConflict
from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import Options
from support.campaign_parts import email

if TYPE_CHECKING:
    from gatepost_core.settings import Settings

ID = "11111111-1111-4111-8111-111111111111"
ROUNDS = 40


def test_the_same_request_twice_is_one_campaign(campaigns: Campaigns) -> None:
    """However the same options are written."""
    start_at = datetime(2031, 5, 4, 9, 0, 0, 123456, tzinfo=UTC)
    hours = SendingHours.parse("09:00-24:00", "Europe/Berlin")
    first = Options(start_at=start_at, hours=hours, rate=5, auth_params={"scope": "openid", "n": 1.0}, tenant="default")
    again = Options(
        start_at=start_at.astimezone(timezone(timedelta(hours=2))),
        hours=hours,
        rate=5.0,
        auth_params={"n": 1.0, "scope": "openid"},
    )
    guests = [email(1), email(2)]
    ids = {
        campaigns.create("spring", first, guest_list=guests, campaign_id=ID),
        campaigns.create("spring", again, guest_list=[" Person2@example.com", *guests], campaign_id=ID),
    }

    assert ids == {ID}


def test_other_options_under_the_same_id_are_told(campaigns: Campaigns) -> None:
    """The error names the different fields and no value, and the stored options stay."""
    campaigns.create("spring", Options(rate=5, language="de"), campaign_id=ID)
    with pytest.raises(CampaignConflict) as refused:
        campaigns.create("spring", Options(rate=7), guest_list=[email(1)], campaign_id=ID)
    options = campaigns.status(ID).options

    assert "other options: language, rate, guests. Nothing was changed" in str(refused.value)
    assert (options.rate, options.language, options.guests) == (5, "de", None)


def test_of_two_at_once_one_holds_and_the_other_is_told(campaigns: Campaigns, settings: Settings) -> None:
    """Two callers create it at once; one that returns without an error has its options stored."""
    wrong = []
    with Campaigns(settings) as other:
        for _ in range(ROUNDS):
            campaign_id = str(uuid.uuid4())
            ready = threading.Barrier(2)
            rates: list[float] = []
            told: list[float] = []

            def create(operator: Campaigns, rate: float) -> None:
                ready.wait()  # noqa: B023 - the threads end within the round
                try:
                    operator.create("spring", Options(rate=rate), campaign_id=campaign_id)  # noqa: B023 - as above
                    rates.append(rate)  # noqa: B023 - as above
                except CampaignConflict:
                    told.append(rate)  # noqa: B023 - as above

            both = [threading.Thread(target=create, args=one) for one in ((campaigns, 5.0), (other, 7.0))]
            for thread in both:
                thread.start()
            for thread in both:
                thread.join()
            if rates != [campaigns.status(campaign_id).options.rate] or len(told) != 1:
                wrong.append((rates, told))

    assert wrong == []


def test_the_same_request_means_the_same_campaign_after_it_was_changed(campaigns: Campaigns) -> None:
    """A program that begins again after an interruption does not fail over what an operator, or an erasure, did meanwhile."""

    def create() -> str:
        return campaigns.create(
            "spring", Options(rate=5), guest_list=["ana@example.com", "bo@example.com"], campaign_id=ID
        )

    create()
    campaigns.change_rate(ID, 7)

    assert create() == ID
    assert campaigns.status(ID).options.rate == 7
    assert campaigns.create("spring", campaigns.status(ID).options, campaign_id=ID) == ID
