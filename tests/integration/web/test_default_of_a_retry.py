"""The command, the HTTP API and the console select the same recipients for a retry."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from support.campaign_parts import rows
from support.console_data import enlarge
from support.console_journey import API_KEY, console_of
from support.web_api import running_api

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import redis

    from gatepost.campaigns.control import Campaigns
    from gatepost_core.settings import Settings

    Run = Callable[..., tuple[int, Any]]

BATCHES = 2
CHECKED = re.compile(r'value="(\w+):(\w+)" id="c\d+" checked')


@pytest.fixture
def campaign(campaigns: Campaigns, redis_client: redis.Redis) -> str:
    """A paused campaign: of each 256 recipients, 8 rejected for their address, 4 exhausted and 3 unknown."""
    campaign_id = campaigns.create("Spring invitation")
    campaigns.add(campaign_id, rows(3))
    enlarge(redis_client, campaign_id, BATCHES)
    return campaign_id


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(
    ("named", "selected"),
    [
        ({}, {"exhausted": 4}),
        ({"state": "unknown"}, {"unknown": 3}),
        ({"state": "rejected"}, {}),
        ({"reason": "answer_lost"}, {"unknown": 3}),
        ({"reason": "recipient_rejected"}, {"rejected": 8}),
    ],
)
def test_unknown_recipients_are_retried_only_by_name(
    run: Run, settings: Settings, campaign: str, named: dict[str, str], selected: dict[str, int]
) -> None:
    """A second message voids the first code. The names are the command's options, the API's fields and the console's filter."""
    options = [part for name, value in named.items() for part in (f"--{name}", value)]
    fields = {f"{name}s": [value] for name, value in named.items()}
    _, by_command = run("campaign", "retry", campaign, "--dry-run", *options)
    with running_api(settings.model_copy(update={"web_api_key": API_KEY})) as api:
        by_api = retry_of(api.client_with(API_KEY.get_secret_value()), campaign, fields | {"dry_run": True}).json()
    with console_of(settings) as (server, _):
        page = server.browser.get(f"/campaigns/{campaign}/retry", params=named).text

    expected = {state: number * BATCHES for state, number in selected.items()}
    assert by_command["by_state"] == expected
    assert by_api["by_state"] == expected
    assert {state for state, _ in CHECKED.findall(page)} == expected.keys()


@pytest.mark.parametrize("field", ["states", "reasons"])
def test_an_empty_list_of_the_api_is_refused(settings: Settings, campaign: str, field: str) -> None:
    """A client that found no one to retry does not get the default."""
    with running_api(settings.model_copy(update={"web_api_key": API_KEY})) as api:
        answer = retry_of(api.client_with(API_KEY.get_secret_value()), campaign, {field: []})

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{field}")


def retry_of(client: httpx.Client, campaign_id: str, fields: dict[str, Any]) -> httpx.Response:
    return client.post(f"/v1/campaigns/{campaign_id}/retry", json=fields)
