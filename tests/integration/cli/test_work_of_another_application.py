"""Work that no worker here may carry out, as operators see it: `tenants`, `status`, `campaign status`, `plan` and `doctor`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatepost import Producer
from gatepost_core.blocks import Block, BlockKind
from gatepost_core.campaigns.model import Options
from gatepost_core.settings.tenants import Application
from gatepost_core.tenant_registry import TenantRegistry
from gatepost_operations.cli.campaign.text import block_lines
from gatepost_operations.cli.entry import main
from gatepost_operations.planning.watch import snapshot_of
from support.campaign_parts import rows
from support.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import redis

    from gatepost_core.settings import Settings

    Run = Callable[..., tuple[int, Any]]

pytestmark = pytest.mark.usefixtures("configured")
OTHER = {"auth0_domain": "production.example", "auth0_client_id": "production-client"}
ACME = {"name": "acme", "domain": "acme.example", "client_id": "a", "client_secret": "s"}


@pytest.fixture
def production(make_settings: Callable[..., Settings], redis_client: redis.Redis) -> Iterator[Producer]:
    """A producer of the environment that this Redis belongs to; the shell's configuration is of another."""
    with Producer(make_settings(**OTHER)) as producer:
        TenantRegistry(redis_client, KEYS).register("default", Application("production.example", "production-client"))
        yield producer


def checks_of(run: Run) -> tuple[int, dict[str, dict[str, str]]]:
    code, found = run("doctor", "--offline")
    return code, {check["name"]: check for check in found["checks"]}


def started(producer: Producer, **options: Any) -> str:
    campaign_id = producer.campaigns.create("spring", Options(**options))
    producer.campaigns.add(campaign_id, rows(3))
    producer.campaigns.start(campaign_id)
    return campaign_id


def test_the_doctor_says_that_this_redis_is_of_another_application(run: Run, production: Producer) -> None:
    """And what to do: it was all green before."""
    code, checks = checks_of(run)

    assert code == 4
    found = checks["default: application"]
    assert found["status"] == "failed"
    assert "production-client at production.example" in found["found"]
    assert "Redis database for itself" in found["advice"]


def test_tenants_are_listed_and_accepted(run: Run, production: Producer) -> None:
    """Open operations of the earlier application are counted, then taken over; nothing is done unasked."""
    operation_id = production.send_email("guest@example.com").operation_id

    listed, before = run("tenants", "list")
    unasked, refused = run("tenants", "accept", "default")
    _, counted = run("tenants", "accept", "default", "--dry-run")
    accepted, done = run("tenants", "accept", "default", "--yes")
    afterwards, after = run("tenants", "list")

    assert (listed, unasked, accepted, afterwards) == (4, 5, 0, 0)
    assert refused["error"]["type"] == "Refused"
    assert before["tenants"][0]["registered"]["client_id"] == "production-client"
    assert before["tenants"][0]["open_operations"][0]["count"] == 1
    assert (counted["operations"], counted["dry_run"], done["operations"]) == (1, True, 1)
    assert after["tenants"][0]["registered"] == after["tenants"][0]["configured"]
    assert run("status", operation_id)[1]["blocked"] is None


def test_lines_for_people_name_both_applications(production: Producer, capsys: pytest.CaptureFixture[str]) -> None:
    """In the form that --from takes."""
    production.send_email("guest@example.com")
    main(["tenants", "list"])
    listed = capsys.readouterr().out
    main(["tenants", "accept", "default", "--from", "other@elsewhere.example", "--dry-run"])
    counted = capsys.readouterr().out

    assert "production-client@production.example" in listed
    assert "configured here: " in listed
    assert "1 open operation for production-client@production.example" in listed
    assert "0 open operations" in counted
    assert main(["tenants", "accept", "default", "--from", "no pair"]) == 2
    assert main(["tenants", "accept", "acme", "--yes"]) == 4


def test_an_operation_that_was_put_back_says_why(
    run: Run, production: Producer, capsys: pytest.CaptureFixture[str]
) -> None:
    """In `status` and in the doctor."""
    operation_id = production.send_email("guest@example.com").operation_id
    production.ledger.postpone(operation_id, 30, free=True, blocked=Block(BlockKind.KEY_MISSING, "k2026"))

    _, shown = run("status", operation_id)
    main(["status", operation_id])
    said = capsys.readouterr().err
    _, checks = checks_of(run)

    assert (shown["blocked"]["kind"], shown["blocked"]["detail"]) == ("key_missing", "k2026")
    assert "k2026" in said
    assert operation_id in checks["operations"]["found"]
    assert "k2026" in checks["operations"]["advice"]


def test_operations_for_an_earlier_client_id_fail_the_doctor(
    run: Run, production: Producer, redis_client: redis.Redis
) -> None:
    """Although the name is accepted: a producer was not restarted."""
    run("tenants", "accept", "default", "--yes")
    production.send_email("guest@example.com")

    _, checks = checks_of(run)

    assert checks["default: application"]["status"] == "failed"
    assert "--from production-client@production.example" in checks["default: application"]["advice"]


def test_a_campaign_of_another_application_says_so_and_can_be_accepted(run: Run, production: Producer) -> None:
    """In `status`, `list`, `plan` and the doctor, each with a failing exit code; after the repair it continues."""
    campaign_id = started(production)

    code, shown = run("campaign", "status", campaign_id)
    _, listed = run("campaign", "list")
    doctor, checks = checks_of(run)
    _, resumed = run("campaign", "resume", campaign_id, "--accept-tenant")

    assert (code, doctor) == (4, 4)
    assert shown["blocks"][0]["kind"] == listed["campaigns"][0]["blocks"][0]["kind"] == "wrong_application"
    assert "gatepost campaign resume spring --accept-tenant" in shown["blocks"][0]["advice"]
    assert "--accept-tenant" in checks["campaign spring"]["advice"]
    assert resumed["blocks"] == []
    assert resumed["application"]["client_id"] == "client"


def test_a_campaign_whose_tenant_is_not_configured_is_named_everywhere(
    run: Run,
    make_settings: Callable[..., Settings],
    tmp_path: Path,
    redis_client: redis.Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`doctor` was all green, and the finish time was invented from the rate of better times."""
    with Producer(make_settings(tenants=[ACME])) as producer:
        campaign_id = started(producer, tenant="acme")
    redis_client.hset(KEYS.campaign(campaign_id), "rate", 100)
    Path(tmp_path / "people.csv").write_text("email\nana@example.com\n", encoding="utf-8")

    code, shown = run("campaign", "status", campaign_id)
    main(["campaign", "status", campaign_id])
    lines = capsys.readouterr().out
    doctor, checks = checks_of(run)
    _, planned = run("campaign", "plan", str(tmp_path / "people.csv"), "--offline")

    assert (code, doctor) == (4, 4)
    assert shown["eta_s"] is None
    assert "no tenant named acme" in lines
    assert "finishes" not in lines
    assert "no tenant named acme" in checks["campaign spring"]["advice"]
    assert any("no tenant named acme" in sentence for sentence in planned["unknowns"])


@pytest.mark.parametrize(
    ("block", "told", "expected"),
    [
        (Block(BlockKind.KEY_MISSING, "k2026"), "lack the sealing key k2026", 4),
        (Block(BlockKind.TENANT_MISSING, "default"), "no tenant named default", 4),
        (Block(BlockKind.UNUSABLE, "AUTH0_CLIENT_SIGNING_KEY is no PEM"), "is no PEM", 4),
        (Block(BlockKind.DAMAGED, "A sealed value was moved from another place."), "batch 0: It cannot be opened", 1),
    ],
    ids=["key", "tenant", "credential", "damaged"],
)
def test_what_a_worker_met_is_named_everywhere(
    run: Run,
    settings: Settings,
    redis_client: redis.Redis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    block: Block,
    told: str,
    expected: int,
) -> None:
    """In `status`, `doctor` and `plan`, although this shell's own configuration has everything; no finish time is given."""
    with Producer(settings) as producer:
        campaign_id = started(producer)
    key = KEYS.campaign(campaign_id)
    redis_client.hset(key, "rate", 100)
    redis_client.hset(f"{key}:blocked", "0", f"1800000000000 {block.stored}")
    Path(tmp_path / "people.csv").write_text("email\nana@example.com\n", encoding="utf-8")

    code, shown = run("campaign", "status", campaign_id)
    main(["campaign", "status", campaign_id])
    lines = capsys.readouterr().out
    doctor, checks = checks_of(run)
    _, planned = run("campaign", "plan", str(tmp_path / "people.csv"), "--offline")

    assert (code, shown["eta_s"]) == (expected, None)
    assert told in lines
    assert "finishes" not in lines
    assert checks["campaign spring"]["status"] == "failed"
    assert doctor == (4 if expected == 4 else 1)
    assert any(told in sentence for sentence in planned["unknowns"])


def test_a_plan_tells_no_time_where_workers_are_for_another_application(
    run: Run, production: Producer, tmp_path: Path
) -> None:
    """They would put the campaign back."""
    Path(tmp_path / "people.csv").write_text("email\nana@example.com\n", encoding="utf-8")

    _, planned = run("campaign", "plan", str(tmp_path / "people.csv"), "--offline")

    assert planned["forecasts"] == []
    assert planned["unknowns"][0].startswith("No finish time can be estimated.")
    assert "production-client" in planned["unknowns"][0]


def test_watching_says_what_blocks(production: Producer, capsys: pytest.CaptureFixture[str]) -> None:
    """It waited for a worker in silence before."""
    campaign = production.campaigns.status(started(production))
    block = Block(BlockKind.DAMAGED, "A sealed value was moved from another place.", (0, 7))
    blocked = snapshot_of(replace(campaign, blocks=(block,)), campaign.updated_at)

    assert next(block_lines(blocked.campaign)).startswith("blocked: batches 0, 7: It cannot be opened")
    assert blocked.as_json()["blocks"][0]["batches"] == [0, 7]


def test_key_ids_are_unique(run: Run) -> None:
    """Two environments that make their keys on one day can tell them apart."""
    kids = {run("keys", "new")[1]["GATEPOST_SEALING_KEYS"].partition(":")[0] for _ in range(20)}

    assert len(kids) == 20
    assert all(len(kid) <= 32 for kid in kids)
