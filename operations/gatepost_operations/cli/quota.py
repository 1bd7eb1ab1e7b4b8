"""`gatepost quota`: the tenants' quotas as the limiter has learned them."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.table import Table

from gatepost_core.kinds import Endpoint
from gatepost_operations.cli.connection import open_redis, read_settings
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.limiter import open_limiter
from gatepost_operations.cli.options import AllTenantsOption, JsonOption, command_app, examples, listed
from gatepost_operations.cli.output import say, show, write, write_json
from gatepost_operations.cli.terminal import console
from gatepost_operations.formatting import duration_text, limit_text, rate_text
from gatepost_operations.planning.tenant_quota import Bucket, TenantQuota

app = command_app()

EndpointOption = Annotated[
    Endpoint | None,
    typer.Option("--endpoint", help="Only sends (passwordless/start) or only logins (oauth/token) [default: both]."),
]


@app.callback(
    invoke_without_command=True,
    epilog=listed(
        "Columns:",
        "left     tokens that are in the bucket now",
        "limit    size of the bucket",
        "reserve  tokens that campaigns leave for logins and other applications",
        "refill   tokens per second that Auth0 adds: the highest measured value",
        "others   requests per second of other applications",
        "free     refill minus others: tokens per second that are left for Gatepost",
    )
    + examples("gatepost quota", "gatepost quota --probe", "gatepost quota --json | jq '.quotas[].bucket.level'"),
)
def quota(
    context: typer.Context,
    *,
    tenant: AllTenantsOption = None,
    endpoint: EndpointOption = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="If the quota is unknown, learn it from the answer to an invalid request. Auth0 sends nothing.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show the quota that workers have learned.

    Auth0 counts the requests of a tenant with a token bucket. Each request takes a token, and Auth0 adds tokens at a fixed rate. Workers
    learn the size of the bucket and the rate from Auth0's answers.
    """
    if context.invoked_subcommand is not None:
        return ExitCode.DONE
    with open_limiter(read_settings()) as limiter:
        quotas, failures = limiter.read(tenant, [endpoint] if endpoint else list(Endpoint), probing=probe)
    if as_json:
        write_json({"quotas": [one.as_json() for one in quotas], "failures": failures})
    else:
        console().print(_table(quotas))
        write(*(line for one in quotas for line in _notes(one)))
        if not probe and any(not one.is_known and one.endpoint == Endpoint.START for one in quotas):
            say("Not known yet. The limiter learns it from the first sends, or from --probe.")
        for failure in failures:
            say(f"gatepost: {failure}")
    return ExitCode.UNEXPECTED if failures else ExitCode.DONE


@app.command(epilog=examples("gatepost quota clear", "gatepost quota clear --tenant acme"))
def clear(
    context: typer.Context,
    *,
    tenant: AllTenantsOption = None,
    endpoint: EndpointOption = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """End the wait that follows a 429.

    After a 429, all requests to the same endpoint wait for the time that Auth0 asks for. The output calls this wait a block.

    After the command, the requests continue within a minute. If Auth0 answers 429 again, they wait again. The audit log records the command.
    """
    # `quota --tenant acme clear` means that tenant too.
    before = context.parent.params if context.parent is not None else {}
    tenant, endpoint = tenant or before.get("tenant"), endpoint or before.get("endpoint")
    as_json = as_json or bool(before.get("as_json"))
    with open_redis() as (settings, _, audit), open_limiter(settings) as limiter:
        cleared = limiter.clear(audit, tenant, endpoint)
    show({"cleared": cleared}, *map(_cleared_line, cleared), as_json=as_json)
    return ExitCode.DONE


def _cleared_line(cleared: dict[str, Any]) -> str:
    left = cleared["blocked_for_s"]
    what = f"lifted a block of {duration_text(left)}" if left > 0 else "no block"
    return f"{cleared['tenant']}  {cleared['endpoint']}: {what}"


def _table(quotas: list[TenantQuota]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("tenant", "endpoint"):
        table.add_column(name, overflow="fold")
    for name in ("left", "limit", "reserve", "free", "refill", "others"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in quotas:
        table.add_row(one.tenant, one.endpoint, *_numbers(one.bucket))
        if one.policy is not None:
            table.add_row("", "  client's policy", *_numbers(one.policy))
    return table


def _notes(quota: TenantQuota) -> Iterator[str]:
    yield f"{quota.tenant}, {quota.endpoint}: {_state(quota)}"
    for campaign in quota.campaigns:
        yield f"  campaign {campaign.name}: at most {limit_text(campaign.rate)}"


def _numbers(bucket: Bucket | None) -> list[str]:
    if bucket is None:
        return [""] * 6
    rates = (bucket.available_rate, bucket.refill_rate, bucket.foreign_rate)
    shown = [rate_text(max(0.0, rate)) for rate in rates] if bucket.is_learned else ["", "", ""]
    return [f"{bucket.level:,.0f}", f"{bucket.limit:,}", f"{bucket.reserve:,}", *shown]


def _state(quota: TenantQuota) -> str:
    parts = []
    if quota.blind:
        parts.append(f"no headers: {rate_text(quota.fallback_rate)}")
    elif not quota.is_known:
        parts.append("not known")
    elif not quota.is_learned:
        parts.append("refill not learned")
    if quota.blocked_for_s > 0:
        parts.append(f"blocked for {duration_text(quota.blocked_for_s)}")
    if quota.ignored_hint_s is not None and quota.ignored_hint_age_s is not None:
        wait, age = duration_text(quota.ignored_hint_s), duration_text(quota.ignored_hint_age_s)
        parts.append(f"ignored a hint to wait {wait}, {age} ago")
    if quota.max_rate is not None:
        parts.append(f"at most {limit_text(quota.max_rate)} (AUTH0_MAX_RATE)")
    if quota.reading_age_s is not None:
        parts.append(f"read {duration_text(quota.reading_age_s)} ago")
    return ", ".join(parts)
