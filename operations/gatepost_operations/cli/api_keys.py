"""`gatepost api-keys`: the keys of the HTTP API."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from gatepost_core.kinds import CAMPAIGN_KINDS, Channel, Kind
from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.cli.connection import open_redis
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.options import JsonOption, Missing, command_app, examples
from gatepost_operations.cli.output import say, show, write, write_json
from gatepost_operations.formatting import in_zone
from gatepost_operations.maintenance.api_keys import ApiKey, ApiKeys, Scope, grant_of

app = command_app()
_ANY = "any"
_TEXTS = CAMPAIGN_KINDS[Channel.SMS]


@app.callback(
    epilog=examples(
        "gatepost api-keys create shop --kind login_with_email --scope redeem",
        "gatepost api-keys list",
        "gatepost api-keys revoke shop",
    )
)
def api_keys() -> None:
    """Manage the keys of the HTTP API.

    Redis stores an HMAC of each key, not the key. The audit log records when a key is created or revoked.
    """


@contextmanager
def _keys() -> Iterator[ApiKeys]:
    with open_redis() as (settings, client, audit):
        yield ApiKeys(client, RedisKeys(settings.namespace), settings.fingerprints(), audit)


@app.command(
    epilog=examples(
        "gatepost api-keys create shop --kind send_email --domain example.com",
        f"gatepost api-keys create texts --kind {_TEXTS.value} --country GB --country IE",
        "gatepost api-keys create reports --scope read",
    )
)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the key, which the audit log shows.")],
    *,
    kind: Annotated[
        list[Kind] | None, typer.Option("--kind", help="Operation that the key may enqueue; repeatable.")
    ] = None,
    scope: Annotated[list[Scope] | None, typer.Option("--scope", help="Other right of the key; repeatable.")] = None,
    tenant: Annotated[
        list[str] | None, typer.Option("--tenant", metavar="NAME", help="Only this tenant; repeatable [default: all].")
    ] = None,
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain", metavar="DOMAIN", help="Only e-mail addresses of this domain; repeatable [default: all]."
        ),
    ] = None,
    country: Annotated[
        list[str] | None,
        typer.Option(
            "--country",
            metavar="CODE",
            help="Only phone numbers of this country, such as GB, or `any` for all countries. Repeatable. Required for SMS.",
        ),
    ] = None,
    per_hour: Annotated[
        int, typer.Option("--per-hour", metavar="N", min=1, help="Maximum messages and logins per hour.")
    ] = 10_000,
    per_country: Annotated[
        int, typer.Option("--per-country", metavar="N", min=1, help="Maximum SMS per hour to one country.")
    ] = 1_000,
    per_recipient: Annotated[
        int,
        typer.Option(
            "--per-recipient", metavar="N", min=1, help="Maximum messages and logins per hour for one person."
        ),
    ] = 10,
    as_json: JsonOption = False,
) -> ExitCode:
    """Create a key, and print it once.

    Without --kind, the key cannot send or log in. Without --scope, it can only read and cancel the operations that it has enqueued.

    A key for SMS needs --country. This limits the damage of a stolen key, because SMS to some countries are expensive.
    """
    kinds, countries = kind or [], country or []
    if _TEXTS in kinds and not countries:
        raise Missing("--country", "name the countries that get SMS, such as GB, or any")
    grant = grant_of(
        {
            "name": name,
            "kinds": kinds,
            "scopes": scope or [],
            "tenants": tenant or [],
            "domains": domain or [],
            "countries": [] if _ANY in countries else countries,
            "per_hour": per_hour,
            "per_country": per_country,
            "per_recipient": per_recipient,
        }
    )
    with _keys() as keys:
        made, secret = keys.create(grant)
    text = secret.get_secret_value()
    show({**made.as_json(), "key": text}, text, as_json=as_json)
    if not as_json:
        say(
            f"Store the key of {made.grant.name} (id {made.id}) now; it is not shown again. Send it as: Authorization: Bearer KEY"
        )
    return ExitCode.DONE


@app.command("list", epilog=examples("gatepost api-keys list", "gatepost api-keys list --json | jq '.keys[].name'"))
def list_command(*, as_json: JsonOption = False) -> ExitCode:
    """List the keys with their rights, without their secrets."""
    with _keys() as keys:
        found = keys.all()
    if as_json:
        write_json({"keys": [one.as_json() for one in found]})
    else:
        write(*(line for one in found for line in _lines(one)))
        if not found:
            say("There are no keys; create one with: gatepost api-keys create NAME")
    return ExitCode.DONE


@app.command(epilog=examples("gatepost api-keys revoke shop", "gatepost api-keys revoke 3f6b0c1d2e4a"))
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key's id or name.")], *, as_json: JsonOption = False
) -> ExitCode:
    """Delete a key. The HTTP API refuses it within a second."""
    with _keys() as keys:
        revoked = keys.revoke(key)
    show(
        {"revoked": revoked.id, "name": revoked.grant.name},
        f"revoked: {revoked.grant.name} ({revoked.id})",
        as_json=as_json,
    )
    return ExitCode.DONE


def _lines(key: ApiKey) -> Iterator[str]:
    rights = key.grant
    yield f"{key.id}  {rights.name}, since {in_zone(key.created_at)}"
    for label, names in (
        ("kinds", rights.kinds),
        ("scopes", rights.scopes),
        ("tenants", rights.tenants),
        ("domains", rights.domains),
        ("countries", rights.countries),
    ):
        if names:
            yield f"  {label:<9}  {', '.join(sorted(names))}"
    limits = {"an hour": rights.per_hour, "to a country": rights.per_country, "for a person": rights.per_recipient}
    yield f"  at most    {', '.join(f'{most:,} {what}' for what, most in limits.items() if most)}"
