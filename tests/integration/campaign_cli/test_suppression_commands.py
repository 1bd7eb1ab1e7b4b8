"""The suppression list, and a plan that uses it and the quota."""

from __future__ import annotations

import io
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost.campaigns.suppression import SuppressionReason
from gatepost.errors import InvalidCommand
from gatepost_core.kinds import Lane
from gatepost_operations.cli.entry import main
from gatepost_worker.authentication import RateLimits
from gatepost_worker.limiter import LimiterKey, Permit, Reading, RedisLimiter
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import redis

    from gatepost.campaigns.control import Campaigns

    Run = Callable[..., tuple[int, Any]]
    People = Callable[..., str]


@pytest.fixture
def known_quota(redis_client: redis.Redis) -> None:
    """The limiter has read one answer: 90 of 100 left."""
    limiter, key = RedisLimiter(redis_client, KEYS), LimiterKey("default", "passwordless/start")
    permit = limiter.acquire(key, Lane.BULK)
    assert isinstance(permit, Permit)
    now = time.monotonic()
    limits = RateLimits(limit=100, remaining=90, reset_epoch_s=time.time() + 1, sent_at=now, received_at=now)
    limiter.observe(key, [Reading(ticket=permit.first_ticket, limits=limits)])


def test_people_are_put_on_the_list_and_taken_off(run: Run) -> None:
    """With a reason and an end, by fingerprint."""
    _, added = run("suppression", "add", "Ana@Example.com", "--reason", "bounced", "--expires", "90d")
    _, again = run("suppression", "add", "ana@example.com")
    _, shown = run("suppression", "show", "ana@example.com")
    _, counted = run("suppression", "count")
    _, removed = run("suppression", "remove", "ana@example.com")
    _, gone = run("suppression", "show", "ana@example.com")

    assert (added["new"], again["new"], added["reason"], shown["reason"]) == (True, False, "bounced", "manual")
    assert (counted["count"], removed["removed"], gone["suppressed"]) == (1, True, False)


def test_a_land_line_is_imported_without_an_option(run: Run, tmp_path: Path) -> None:
    """The list only prevents messages, so the command has no option for land lines."""
    (tmp_path / "numbers.csv").write_text("phone\n+442079460018\n")
    file = str(tmp_path / "numbers.csv")
    code, imported = run("suppression", "import", file)
    refused, _ = run("suppression", "import", file, "--allow-landlines")

    assert (code, imported["new"], refused) == (0, 1, 2)


def test_a_file_is_imported(run: Run, people: People) -> None:
    """Whom the list has already is not new; bad rows are refused unless skipped."""
    _, imported = run("suppression", "import", people(3), "--reason", "unsubscribed")
    refused, _ = run("suppression", "import", people(4, bad=1))
    _, skipped = run("suppression", "import", people(4, bad=1), "--skip-invalid")

    assert (imported["new"], refused) == (3, 6)
    assert (skipped["new"], skipped["rows"], skipped["invalid"]) == (1, 4, 1)


@pytest.mark.parametrize(
    "command",
    ["suppression add", "suppression remove", "suppression show", "erase --dry-run", "campaign show draft", "login"],
)
@pytest.mark.parametrize("text", ["canary", "canary.example.com", "canary7", "..."])
def test_a_text_that_is_no_recipient_is_refused(run: Run, campaigns: Campaigns, command: str, text: str) -> None:
    """The error shows both forms, and never repeats the text."""
    campaigns.create("draft")
    code, error = run(*command.split(), text)
    problem = (
        "is neither an e-mail address nor a phone number; write local-part@domain, or + and the country code first"
    )

    field = "recipient" if command == "campaign show draft" else "address"

    assert (code, error["error"]["problems"]) == (6, [{"field": field, "problem": problem}])


@pytest.mark.parametrize("expiry", [datetime(2200, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_an_expiry_that_no_entry_can_hold_is_refused(run: Run, campaigns: Campaigns, expiry: datetime) -> None:
    """The option or field is named, and nothing is recorded, not even in the audit log."""
    code, error = run("suppression", "add", "ana@example.com", "--expires", expiry.isoformat())
    with pytest.raises(InvalidCommand, match="expires_at"):
        campaigns.suppressions.add("ana@example.com", expires_at=expiry)

    assert (code, error["error"]["problems"][0]["field"]) == (2, "expires")
    assert list(campaigns.audit.entries()) == []


@pytest.mark.parametrize(
    "command",
    ["suppression add -", "suppression remove -", "suppression show -", "erase - --dry-run", "campaign show draft -"],
)
def test_an_address_that_is_missing_on_standard_input_is_named_once(
    run: Run, campaigns: Campaigns, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """The error has the field and the problem, and no second field around them."""
    campaigns.create("draft")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    code, shown = run(*command.split())

    assert (code, shown["error"]["type"]) == (6, "InvalidCommand")
    assert shown["error"]["problems"] == [{"field": "address", "problem": "is missing: standard input is empty"}]


def test_a_plan_counts_whom_it_would_skip(run: Run, people: People, campaigns: Campaigns) -> None:
    """Invalid rows, duplicates, the suppression list without expired entries, the guest list."""
    campaigns.suppressions.add("person0@example.com")
    campaigns.suppressions.add("person1@example.com", SuppressionReason.BOUNCED, expires_at=_seconds_ago())
    file = people(10, bad=1)
    _, made = run("campaign", "plan", file, "--offline")
    guests = people(2, name="guests.csv")
    _, rehearsal = run("campaign", "plan", file, "--offline", "--guest-list", guests)

    assert made["skipped"] == {"invalid": 1, "duplicates": 0, "suppressed": 1, "not_guests": 0, "recent": 0}
    assert made["recipients"] == 9
    assert rehearsal["skipped"] == {"invalid": 1, "duplicates": 0, "suppressed": 1, "not_guests": 8, "recent": 0}
    assert rehearsal["recipients"] == 1
    assert campaigns.list() == []


def _seconds_ago() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=5)


def test_a_plan_without_a_quota_says_so(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    """No finish time is made up."""
    assert main(["campaign", "plan", people(3), "--offline"]) == 0
    shown = capsys.readouterr().out

    assert "The quota is not known" in shown
    assert "finishes" not in shown


@pytest.mark.usefixtures("known_quota")
def test_a_plan_uses_what_the_limiter_knows(run: Run, people: People) -> None:
    """Seventy above the reserve at once, or one more that flowed in; the refill of a bucket of a hundred as documented; the window and the ceiling."""
    _, made = run("campaign", "plan", people(100), "--offline", "--rate", "10")
    [forecast] = made["forecasts"]

    assert made["quota"]["bucket"]["limit"] == 100
    assert forecast["burst"] in {70, 71}
    assert (forecast["rate"], forecast["ceiling"], forecast["sending_s"]) == (100, 10, 10)


@pytest.mark.usefixtures("known_quota")
@pytest.mark.parametrize("command", [["plan", "--offline"], ["send", "--dry-run", "--name", "spring"]])
def test_a_plan_is_in_the_given_timezone(
    command: list[str], people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no sending hours; `--timezone` once had no effect then."""
    verb, *options = command

    assert main(["campaign", verb, people(3), *options, "--timezone", "Asia/Tokyo"]) == 0
    assert " JST, in " in capsys.readouterr().out


@pytest.mark.usefixtures("known_quota")
def test_the_quota_is_shown(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a tenant and endpoint."""
    code, shown = run("quota")
    main(["quota", "--endpoint", "passwordless/start"])
    table = capsys.readouterr().out

    assert code == 0
    assert [(one["endpoint"], bool(one["bucket"])) for one in shown["quotas"]] == [
        ("passwordless/start", True),
        ("oauth/token", False),
    ]
    assert "refill not learned" in table
    assert "oauth/token" not in table


def test_a_probe_that_fails_is_reported(run: Run) -> None:
    """The tenant does not exist: exit code 1, and what to look at."""
    code, shown = run("quota", "--probe", "--endpoint", "passwordless/start")

    assert code == 1
    assert shown["failures"][0].startswith("default: ")


def test_a_quota_of_an_unknown_tenant_is_a_configuration_error(run: Run) -> None:
    """Exit code 4."""
    code, error = run("quota", "--tenant", "acme")

    assert (code, error["error"]["type"]) == (4, "TenantMissing")


def test_without_the_worker_the_quota_names_its_extra(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limiter comes with the worker: exit code 4, and the command that installs it."""
    monkeypatch.setitem(sys.modules, "requests", None)
    code, error = run("quota")

    assert code == 4
    assert "pip install 'gatepost[worker]'" in error["error"]["message"]


def test_without_the_worker_a_plan_has_no_finish_time(
    run: Run, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counts are there all the same, and the reason."""
    monkeypatch.setitem(sys.modules, "requests", None)
    code, made = run("campaign", "plan", people(3))

    assert (code, made["recipients"], made["forecasts"]) == (0, 3, [])
    assert "gatepost[worker]" in made["quota_failure"]


def test_a_redis_that_does_not_answer_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1."""
    monkeypatch.setenv("GATEPOST_REDIS_URL", "redis://127.0.0.1:1/0")
    code, error = run("quota")

    assert (code, error["error"]["type"]) == (1, "Unavailable")
