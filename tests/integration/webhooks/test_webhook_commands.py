"""`gatepost webhooks` and what `gatepost doctor` says about endpoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.webhooks.deliveries import Backlog
from gatepost_core.webhooks.endpoints import Endpoint
from gatepost_operations.cli.doctor.webhooks import judge_webhooks
from gatepost_operations.cli.entry import main
from gatepost_operations.cli.exit_codes import ExitCode
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from support.webhook_bench import WebhookBench
    from support.webhook_receiver import WebhookReceiver

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("configured")


@pytest.fixture
def configured_for_development(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GATEPOST_WEBHOOK_ALLOW_PRIVATE", "1")
    return


def test_an_endpoint_is_added_listed_and_removed(run: Callable[..., Any], redis_client: redis.Redis) -> None:
    """The secret is shown once, and the URL never in full, because a path may be a secret."""
    code, added = run("webhooks", "add", "https://hooks.example.com/canary-path?key=canary", "--event", "probe.failed")
    _, listed = run("webhooks", "list")
    stored = b" ".join(redis_client.hgetall(KEYS.webhook(added["id"])).values())
    removed, _ = run("webhooks", "remove", added["id"][:8], "--yes")
    _, empty = run("webhooks", "list")

    assert (code, removed) == (ExitCode.DONE, ExitCode.DONE)
    assert added["secret"].startswith("whsec_")
    (one,) = listed["endpoints"]
    assert (one["host"], one["types"], one["enabled"], one["waiting"]) == (
        "hooks.example.com",
        ["probe.failed"],
        True,
        0,
    )
    assert "secret" not in one
    assert b"canary" not in stored
    assert added["secret"].encode() not in stored
    assert empty == {"endpoints": []}
    assert redis_client.keys("gatepost:webhook*") == []


def test_a_url_comes_from_standard_input(run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Other users of the machine see arguments."""
    import io  # noqa: PLC0415

    monkeypatch.setattr("sys.stdin", io.StringIO("https://hooks.example.com/key\n"))
    code, added = run("webhooks", "add", "-")

    assert (code, len(added["types"])) == (ExitCode.DONE, 6)


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("add", "http://hooks.example.com/"), ExitCode.INVALID, "must begin with https://"),
        (("add", "https://169.254.169.254/canary"), ExitCode.INVALID, "names an address that is not on the internet"),
        (("add", "https://example.com/", "--event", "campaign.ended"), ExitCode.USAGE, "there are campaign.finished"),
        (("test", "3f2a"), ExitCode.UNEXPECTED, "there is no such webhook endpoint"),
        (("replay", "3f2a"), ExitCode.USAGE, "--since is missing; give the start"),
        (("rotate", "3f2a", "--overlap", "soon"), ExitCode.USAGE, "is not a duration"),
    ],
)
def test_a_mistake_is_told_with_the_way_out(
    run: Callable[..., Any], arguments: tuple[str, ...], code: ExitCode, problem: str
) -> None:
    """With the exit codes of other commands; nothing is changed."""
    given, shown = run("webhooks", *arguments)

    assert given == code
    assert problem in shown["error"]["message"]
    assert "canary" not in shown["error"]["message"]


def test_acts_are_in_the_audit_log(
    run: Callable[..., Any], bench: WebhookBench, configured_for_development: None
) -> None:
    """With ids and counts, without URL and secret."""
    _, added = run("webhooks", "add", "http://127.0.0.1:1/canary")
    for verb in (["disable"], ["enable"], ["rotate"], ["replay", "--since", "1h"], ["remove", "--yes"]):
        assert run("webhooks", verb[0], added["id"], *verb[1:])[0] == ExitCode.DONE
    entries = list(bench.audit.entries())

    assert [entry.action for entry in entries if not entry.action.endswith(".done")] == [
        "webhook.add",
        "webhook.disable",
        "webhook.enable",
        "webhook.rotate",
        "webhook.replay",
        "webhook.remove",
    ]
    assert "canary" not in str(entries)
    assert added["secret"] not in str(entries)


def test_a_test_without_a_worker_says_so(
    run: Callable[..., Any], receiver: WebhookReceiver, configured_for_development: None
) -> None:
    """Exit code 3, and the event waits."""
    _, added = run("webhooks", "add", receiver.url)
    code, shown = run("webhooks", "test", added["id"], "--timeout", "0.5")
    _, listed = run("webhooks", "list")

    assert (code, shown["result"], shown["failure"]) == (ExitCode.NOT_ACCEPTED, "waiting", None)
    assert listed["endpoints"][0]["waiting"] == 1


def test_texts_fit_a_screen_and_name_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    """No line of a text is wider than 80 columns, besides ids and types."""
    main(["webhooks", "add", "https://hooks.example.com/"])
    added = capsys.readouterr()
    main(["webhooks", "list"])
    listed = capsys.readouterr()

    assert "gatepost webhooks test" in added.err
    assert "hooks.example.com  enabled" in listed.out
    assert "0 delivered, 0 waiting" in listed.out


def endpoint(**given: Any) -> Endpoint:
    fields = {"id": "3f2a0000-0000-4000-8000-000000000000", "types": ("probe.failed",), "enabled": True}
    return Endpoint(**{**fields, "created_at": NOW, **given})


@pytest.mark.parametrize(
    ("one", "backlog", "status", "found", "advice"),
    [
        (endpoint(delivered=3), None, "ok", "3 delivered", ""),
        (endpoint(lost=4), None, "failed", "4 events were dropped", "GATEPOST_WEBHOOK_RETENTION"),
        (endpoint(given_up=2), None, "warning", "2 events given up", "webhooks replay 3f2a0000"),
        (endpoint(enabled=False, disabled_reason="gone"), None, "failed", "disabled (gone)", "webhooks enable"),
        (endpoint(enabled=False, disabled_reason="operator"), None, "ok", "disabled (operator)", "webhooks enable"),
        (
            endpoint(failing_since=NOW - timedelta(hours=2), last_failure="http_500"),
            None,
            "warning",
            "failing for 2 h (http_500)",
            "webhooks test 3f2a0000",
        ),
        (endpoint(), Backlog(12, NOW - timedelta(hours=1)), "warning", "12 events wait, the oldest for 1 h", "worker"),
        (endpoint(), Backlog(12, NOW - timedelta(minutes=9)), "ok", "0 delivered", ""),
    ],
)
def test_the_doctor_says_what_is_wrong_with_an_endpoint(
    one: Endpoint, backlog: Backlog | None, status: str, found: str, advice: str
) -> None:
    """Lost, given up, disabled, failing, late; each with the next step."""
    urls = {one.id: "https://example.com/"}
    waiting = {} if backlog is None else {one.id: backlog}
    (check,) = judge_webhooks([one], waiting, NOW, urls=urls, allow_private=False, installed=True)

    assert check.name == "webhook 3f2a0000"
    assert check.status.value == status
    assert found in check.found
    assert advice in check.advice


def test_the_doctor_names_a_url_that_workers_refuse_and_a_missing_extra() -> None:
    """And says nothing without endpoints."""
    one = endpoint()
    found = list(
        judge_webhooks([one], {}, NOW, urls={one.id: "http://127.0.0.1/"}, allow_private=False, installed=False)
    )

    assert [check.status.value for check in found] == ["warning", "failed"]
    assert "gatepost[webhooks]" in found[0].advice
    assert "must begin with https://" in found[1].found
    assert list(judge_webhooks([], {}, NOW, urls={}, allow_private=False, installed=False)) == []


def test_the_doctor_shows_endpoints_that_are_stored(
    run: Callable[..., Any], bench: WebhookBench, receiver: WebhookReceiver
) -> None:
    """From the same Redis, without a call to them."""
    endpoint_id, _ = bench.added(receiver.url)
    _, shown = run("doctor", "--offline")

    named = {check["name"]: check for check in shown["checks"]}
    assert named[f"webhook {endpoint_id[:8]}"]["status"] == "failed"
    assert "https://" in named[f"webhook {endpoint_id[:8]}"]["found"]
    assert receiver.received == []
