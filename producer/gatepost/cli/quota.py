"""`gatepost quota`: what the limiter knows of the tenants' quotas."""

# No `from __future__ import annotations`: the command line reads the annotations of the options.

from typing import Annotated, Literal

import typer
from rich.table import Table

from gatepost.campaigns.quota import Bucket, Quota
from gatepost.cli.exits import ExitCode
from gatepost.cli.moments import duration_text, rate_text
from gatepost.cli.options import JsonOption, TenantOption, command_app, examples
from gatepost.cli.output import say, write_json
from gatepost.cli.quota_source import START, TOKEN, read_quotas
from gatepost.cli.terminal import console

app = command_app()


@app.command(
    epilog=examples("gatepost quota", "gatepost quota --probe", "gatepost quota --json | jq '.quotas[].bucket.level'")
)
def quota(
    *,
    tenant: TenantOption = None,
    endpoint: Annotated[
        Literal["passwordless/start", "oauth/token"] | None,
        typer.Option("--endpoint", help="Only sends, or only logins; both when absent."),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Where nothing is known, ask Auth0 with a start that is refused on purpose."),
    ] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Show what the limiter knows of the quota.

    The workers learn it from Auth0's headers. `left` is what the bucket holds, `reserve` what campaigns leave to logins, `free` what
    flows in and nobody else takes, `refill` the most that was seen flowing in. --probe costs one request and sends nothing.
    """
    quotas, failures = read_quotas(tenant, [endpoint] if endpoint else [START, TOKEN], probing=probe)
    if as_json:
        write_json({"quotas": [one.as_json() for one in quotas], "failures": failures})
    else:
        console().print(_table(quotas))
        if not probe and any(not one.is_known and one.endpoint == START for one in quotas):
            say("Not known yet: the first sends tell, or --probe.")
        for failure in failures:
            say(f"gatepost: {failure}")
    return ExitCode.UNEXPECTED if failures else ExitCode.DONE


def _table(quotas: list[Quota]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("tenant", "endpoint"):
        table.add_column(name)
    for name in ("left", "limit", "reserve", "free", "refill", "others"):
        table.add_column(name, justify="right")
    table.add_column("state")
    for one in quotas:
        table.add_row(one.tenant, one.endpoint, *_numbers(one.bucket), _state(one))
        if one.policy is not None:
            table.add_row("", "  policy for this client", *_numbers(one.policy), "")
    return table


def _numbers(bucket: Bucket | None) -> list[str]:
    if bucket is None:
        return [""] * 6
    rates = (bucket.available_rate, bucket.refill_rate, bucket.foreign_rate)
    shown = [rate_text(max(0.0, rate)) for rate in rates] if bucket.is_learnt else ["", "", ""]
    return [f"{bucket.level:,.0f}", f"{bucket.limit:,}", f"{bucket.reserve:,}", *shown]


def _state(quota: Quota) -> str:
    parts = []
    if quota.blind:
        parts.append(f"no headers: {rate_text(quota.fallback_rate)}")
    elif not quota.is_known:
        parts.append("not known")
    elif not quota.is_learnt:
        parts.append("refill not learnt")
    if quota.blocked_for_s > 0:
        parts.append(f"blocked for {duration_text(quota.blocked_for_s)}")
    if quota.max_rate is not None:
        parts.append(f"at most {rate_text(quota.max_rate)}")
    if quota.reading_age_s is not None:
        parts.append(f"read {duration_text(quota.reading_age_s)} ago")
    return ", ".join(parts)
