"""`gatepost doctor`: check everything that a worker needs, and name the next steps."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Final

import typer
from redis.exceptions import RedisError
from rich.console import Group
from rich.table import Table
from rich.text import Text

from gatepost.campaigns.control import Campaigns
from gatepost_core.dead_letters import count_letters
from gatepost_core.errors import ConfigurationError, KeyMismatch, SealError, Unavailable
from gatepost_core.ledger import ledger_at
from gatepost_core.redis.check import defect_of, missing_commands
from gatepost_core.redis.connections import connect, connect_to_broker
from gatepost_core.redis.errors import REDIS_URL, UNKNOWN, Cause, diagnose
from gatepost_core.redis.key_checks import KeyChecks
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import Settings, load_settings
from gatepost_core.settings.cleartext import IN_CLEAR, cleartext_servers, cleartext_settings
from gatepost_core.webhooks.deliveries import Deliveries
from gatepost_core.webhooks.endpoints import Endpoints
from gatepost_operations.cli.dev_environment import env_file
from gatepost_operations.cli.doctor.broker import examine_broker
from gatepost_operations.cli.doctor.checks import (
    Check,
    Status,
    judge_dead_letters,
    judge_forms,
    judge_keys,
    judge_reconciler,
    judge_server,
    worst,
)
from gatepost_operations.cli.doctor.webhooks import judge_webhooks
from gatepost_operations.cli.doctor.work import judge_campaigns, judge_operations, judge_tenants
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import AllTenantsOption, JsonOption, command_app, examples, listed
from gatepost_operations.cli.output import write_json
from gatepost_operations.cli.terminal import console
from gatepost_operations.extras import require_worker
from gatepost_operations.maintenance.form_census import FormCensus
from gatepost_operations.maintenance.tenants import TenantControl

app = command_app()

BROKER_URL: Final = "GATEPOST_BROKER_URL"
_MARKS: Final = {Status.OK: "✓", Status.WARNING: "!", Status.FAILED: "✗"}
_STYLES: Final = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red"}


@app.command(
    epilog=listed(
        "Exit codes:",
        "0  no check failed",
        "1  a check failed, but not because of the configuration",
        "4  the configuration or a credential is wrong",
    )
    + examples("gatepost doctor", "gatepost doctor --json | jq '.checks[] | select(.status != \"ok\")'")
)
def doctor(
    *,
    tenant: AllTenantsOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not call Auth0.")] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Check the configuration, Redis, the workers and Auth0.

    Makes one invalid request to Auth0 for each tenant, so Auth0 sends nothing.
    """
    checks = list(_examine(tenant, offline=offline))
    if as_json:
        write_json({"status": worst(checks).value, "checks": [check.as_json() for check in checks]})
    else:
        _show(checks)
    failed = [check for check in checks if check.status is Status.FAILED]
    if any(check.configuration for check in failed):
        return ExitCode.CONFIGURATION
    return ExitCode.UNEXPECTED if failed else ExitCode.DONE


def _examine(tenant_name: str | None, *, offline: bool) -> Iterator[Check]:
    try:
        settings = load_settings(env_file=env_file())
    except ConfigurationError as failure:
        yield Check("settings", Status.FAILED, "malformed", str(failure), configuration=True)
        return
    yield Check("settings", Status.OK, "read")
    if in_clear := cleartext_servers(settings) + cleartext_settings(settings):
        yield Check(
            "encryption", Status.WARNING, ", ".join(in_clear), f"{IN_CLEAR}. Use https://, rediss:// or amqps://."
        )
    yield _configured("sealing keys", lambda: ", ".join(settings.keyring().kids))
    yield _configured("fingerprint key", lambda: bool(settings.fingerprints()) and "set")
    yield _configured("tenants", lambda: ", ".join(settings.all_tenants()))
    webhooks: list[Check] = []
    at_redis = list(_redis(settings))
    yield from at_redis
    failed = next((check for check in at_redis if check.name == "redis" and check.status is Status.FAILED), None)
    if failed is None:
        yield from _work(settings)
        webhooks = list(_webhooks(settings))
        yield from webhooks
    yield from _broker(settings, failed, webhooks=bool(webhooks))
    if not offline:
        yield from _auth0(settings, tenant_name)


def _configured(name: str, read: Callable[[], Any]) -> Check:
    try:
        return Check(name, Status.OK, str(read()))
    except ConfigurationError as failure:
        return Check(name, Status.FAILED, "missing or malformed", str(failure), configuration=True)


def _redis(settings: Settings) -> Iterator[Check]:
    client: Any = connect(settings)
    keys = RedisKeys(settings.namespace)
    try:
        with client:
            before = time.time()
            seconds, micros = client.time()
            between = (before + time.time()) / 2
            info: dict[str, Any] = client.info()
            last = client.get(keys.reconciler_last_run)
            kids = {kid.decode() for kid in client.hkeys(keys.kids)}
            dead_letters = count_letters(client, keys, settings.dead_letter_lifetime)
            missing = missing_commands(client)
    except (RedisError, OSError, ValueError) as failure:
        advice = "Check GATEPOST_REDIS_URL and that the server runs; for a local one: gatepost dev"
        yield _unusable("redis", client, failure, REDIS_URL, advice)
        return
    server_now = int(seconds) + int(micros) / 1e6
    yield _judge_use("redis", defect_of(info), REDIS_URL)
    if missing:
        yield Check(
            "commands", Status.FAILED, f"{', '.join(missing)} missing", UNKNOWN.about(REDIS_URL), configuration=True
        )
    yield from judge_server(info, ahead_s=between - server_now, allow_eviction=settings.allow_eviction)
    with contextlib.suppress(ConfigurationError):  # reported by an earlier check
        yield judge_keys(kids, settings.keyring().kids)
        yield _judge_key_checks(settings)
    yield judge_dead_letters(dead_letters)
    if defect_of(info) is None and not missing:
        yield from _forms(settings)
    yield judge_reconciler(None if last is None else server_now - int(last) / 1000, settings.reconcile_every)


def _forms(settings: Settings) -> Iterator[Check]:
    with contextlib.suppress(ConfigurationError, RedisError, OSError), connect(settings) as client:
        yield judge_forms(FormCensus(client, RedisKeys(settings.namespace), settings.keyring()).take())


def _unusable(name: str, client: Any, failure: Exception, url: str, advice: str) -> Check:
    cause = diagnose(client, failure) if isinstance(failure, RedisError) else None
    if cause is None:
        return Check(name, Status.FAILED, f"does not answer ({type(failure).__name__})", advice)
    return _judge_use(name, cause, url)


def _judge_use(name: str, cause: Cause | None, url: str) -> Check:
    if cause is None:
        return Check(name, Status.OK, "answers")
    return Check(name, Status.FAILED, cause.label, cause.about(url), configuration=cause.permanent)


def _judge_key_checks(settings: Settings) -> Check:
    try:
        with connect(settings) as client:
            KeyChecks(client, RedisKeys(settings.namespace), settings.keyring(), settings.fingerprints()).require()
    except KeyMismatch as failure:
        return Check("workers' keys", Status.FAILED, "differ", str(failure), configuration=True)
    return Check("workers' keys", Status.OK, "the same")


def _work(settings: Settings) -> Iterator[Check]:
    try:
        with Campaigns(settings) as campaigns, connect(settings) as client:
            control = TenantControl(client, ledger_at(client, settings), settings, campaigns.audit)
            uses, blocked = control.look(), control.blocked()
            campaigns.names()
            active = campaigns.active()
    except (ConfigurationError, Unavailable):  # reported by an earlier check
        return
    yield from judge_tenants(uses)
    yield judge_operations(blocked)
    yield from judge_campaigns(active)


def _webhooks(settings: Settings) -> Iterator[Check]:
    try:
        with connect(settings) as client:
            keys = RedisKeys(settings.namespace)
            endpoints, deliveries = Endpoints(client, keys, settings.keyring()), Deliveries(client, keys)
            found, backlog, urls = endpoints.list(), deliveries.backlog(), {}
            for one in found:
                with contextlib.suppress(SealError):
                    urls[one.id] = endpoints.target(one.id).url
    except (ConfigurationError, Unavailable):  # reported by an earlier check
        return
    yield from judge_webhooks(
        found,
        backlog,
        datetime.now(UTC),
        urls=urls,
        allow_private=settings.webhook_allow_private,
        installed=find_spec("standardwebhooks") is not None,
    )


def _broker(settings: Settings, failed_redis: Check | None, *, webhooks: bool) -> Iterator[Check]:
    if failed_redis and settings.broker == settings.redis_url.get_secret_value():
        # The same server: a second connection would only wait for the same timeout.
        yield replace(failed_redis, name="broker")
        return
    if (client := connect_to_broker(settings)) is not None:
        try:
            with client:
                found = _judge_use("broker", defect_of(client.info()), BROKER_URL)
        except (RedisError, OSError) as failure:
            advice = "Check GATEPOST_BROKER_URL and that the server runs."
            found = _unusable("broker", client, failure, BROKER_URL, advice)
        if found.status is not Status.OK:
            yield found
            return
    yield from examine_broker(settings, webhooks=webhooks)


def _auth0(settings: Settings, tenant_name: str | None) -> Iterator[Check]:
    try:
        require_worker()
        tenants = [settings.tenant_named(tenant_name)] if tenant_name else list(settings.all_tenants().values())
    except ConfigurationError as failure:
        yield Check("Auth0", Status.FAILED, "not called", str(failure), configuration=True)
        return
    # Imported here because the worker is an extra.
    auth0 = import_module("gatepost_operations.cli.doctor.auth0")
    for tenant in tenants:
        yield from auth0.examine_tenant(settings, tenant)


def _show(checks: list[Check]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    for check in checks:
        mark = Text(_MARKS[check.status], style=_STYLES[check.status])
        table.add_row(mark, check.name, Group(*filter(None, (check.found, check.advice))))
    counts = {status: sum(check.status is status for check in checks) for status in Status}
    terminal = console()
    terminal.print(table)
    terminal.print(", ".join(f"{count:,} {status}" for status, count in counts.items()))
