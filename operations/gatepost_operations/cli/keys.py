"""`gatepost keys`: create, rotate and forget the keys that seal stored values."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from gatepost_core.audit_log import AuditLog
from gatepost_core.errors import ConfigurationError
from gatepost_core.redis.key_checks import KeyChecks
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.sealing import KEY_BYTES, Key, Keyring
from gatepost_operations.cli.connection import open_redis
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.inputs import confirm
from gatepost_operations.cli.options import JsonOption, YesOption, command_app, examples, listed
from gatepost_operations.cli.output import say, show, write, write_json
from gatepost_operations.cli.progress import Row, progress_display
from gatepost_operations.cli.terminal import show_table
from gatepost_operations.formatting import counted, in_zone
from gatepost_operations.maintenance.key_rotation import KeyUsage, Rotation, RotationResult, Sealed

app = command_app()

_RANDOM_BYTES: Final = 6
_SAY_EVERY_S: Final = 5.0
_FINGERPRINT_KEY: Final = "fingerprint-key"
_NOUNS: Final = {
    Sealed.COMMAND: ("command",),
    Sealed.ROWS: ("batch", "batches"),
    Sealed.AUTH_PARAMS: ("campaign's authParams", "campaigns' authParams"),
    Sealed.DEAD_LETTER: ("dead letter",),
    Sealed.WEBHOOK: ("webhook endpoint",),
}


@app.callback(epilog=examples("gatepost keys new >> .env", "gatepost keys status"))
def keys() -> None:
    """Create and rotate the keys that encrypt stored values."""


@app.command(epilog=examples("gatepost keys new >> .env", "gatepost keys new --kid 2026-01 --json"))
def new(
    *,
    kid: Annotated[
        str | None,
        typer.Option("--kid", metavar="ID", help="Id of the sealing key [default: today's date and random digits]."),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Print a new sealing key and fingerprint key, as environment lines."""
    # Keys that two environments create on one day need different ids.
    try:
        sealing = Key.new(kid or f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(_RANDOM_BYTES)}").reveal()
    except ConfigurationError as problem:
        raise typer.BadParameter(str(problem), param_hint="--kid") from None
    fingerprint = secrets.token_urlsafe(KEY_BYTES)
    made = {"GATEPOST_SEALING_KEYS": sealing, "GATEPOST_FINGERPRINT_KEY": fingerprint}
    show(made, *(f"{name}={value}" for name, value in made.items()), as_json=as_json)
    if not as_json:
        say("To rotate, first append the new sealing key to the old ones, after a comma. Keep your fingerprint key.")
    return ExitCode.DONE


@dataclass(frozen=True)
class _Parts:
    keyring: Keyring
    audit: AuditLog
    rotation: Rotation
    use: KeyUsage
    checks: KeyChecks


@contextmanager
def _parts() -> Iterator[_Parts]:
    with open_redis() as (settings, client, audit):
        keys, keyring = RedisKeys(settings.namespace), settings.keyring()
        checks = KeyChecks(client, keys, keyring, settings.fingerprints())
        yield _Parts(keyring, audit, Rotation(client, keys, keyring, audit), KeyUsage(client, keys), checks)


@app.command(epilog=examples("gatepost keys status", "gatepost keys status --json | jq '.keys[] | select(.values)'"))
def status(*, as_json: JsonOption = False) -> ExitCode:
    """Show which keys encrypt the stored values.

    Reads the key id of every stored value, but does not decrypt the value. The exit code is 4 if stored values need a key that is not in
    GATEPOST_SEALING_KEYS.
    """
    with _parts() as parts, _progress() as progress:
        used = parts.use.last_used()
        found = parts.rotation.look(progress)
        ring = parts.keyring.kids
    kids = [*ring, *sorted((set(used) | found.kids) - set(ring))]
    rows: list[dict[str, Any]] = [
        {
            "kid": kid,
            "role": "seals" if kid == ring[0] else "opens" if kid in ring else "missing",
            "values": {kind.value: number for kind, number in found.of(kid).items()},
            "last_sealed": used[kid].isoformat() if kid in used else None,
        }
        for kid in kids
    ]
    if as_json:
        write_json({"keys": rows})
    else:
        show_table(("key", "role", "sealed values", "last sealed"), map(_row, rows))
    missing = any(row["role"] == "missing" and row["values"] for row in rows)
    return ExitCode.CONFIGURATION if missing else ExitCode.DONE


@app.command(
    epilog=listed(
        "Exit codes:",
        "0  all stored values are encrypted with the first key",
        "3  a process still uses an old key",
        "4  stored values need a key that is not in GATEPOST_SEALING_KEYS",
    )
    + examples("gatepost keys rotate")
)
def rotate(*, as_json: JsonOption = False) -> ExitCode:
    """Encrypt all stored values again, with the first sealing key.

    The first sealing key is the first in GATEPOST_SEALING_KEYS. Workers and producers keep running. After an interruption, run the command again. At the
    end, the command names the keys that you can remove.
    """
    with _parts() as parts, _progress() as progress:
        parts.checks.publish()
        done = parts.rotation.run(progress)
        still = sorted(set(parts.use.last_used()) - {done.first} - done.left.kids)
        others = [kid for kid in parts.keyring.kids if kid not in {done.first, *still, *done.left.kids}]
    if as_json:
        left = {kid: _named(done.left.of(kid)) for kid in sorted(done.left.kids)}
        document = {"first": done.first, "resealed": _named(done.resealed), "left": left}
        write_json(document | {"in_use": still, "removable": others})
    else:
        _say_rotated(done, still, others)
    if done.left.kids:
        return ExitCode.CONFIGURATION
    return ExitCode.NOT_ACCEPTED if still else ExitCode.DONE


@app.command(epilog=examples("gatepost keys forget k20260104"))
def forget(
    kid: Annotated[str, typer.Argument(metavar="ID", help="Id of the sealing key, or the word fingerprint-key.")],
    *,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Let workers start after a key was lost or replaced.

    Use this command after you have lost a sealing key, or set another fingerprint key. After a rotation, it is not needed.

    Values that were encrypted with a lost key can never be decrypted. Operations with such values expire. Campaigns with such values must be deleted. With
    another fingerprint key, the existing suppressions and idempotency keys have no effect, and the check of the audit log fails.
    """
    with _parts() as parts:
        confirm(f"Forget {kid} permanently?", sure=yes)
        with parts.audit.act("keys.forget", kid=kid):
            forgotten = parts.checks.forget_fingerprint() if kid == _FINGERPRINT_KEY else parts.use.forget(kid)
    show(
        {"kid": kid, "forgotten": forgotten},
        f"{kid} forgotten" if forgotten else f"{kid} is not in use; nothing changed",
        as_json=as_json,
    )
    return ExitCode.DONE


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    with progress_display(every_s=_SAY_EVERY_S, first_after_s=_SAY_EVERY_S) as display:
        yield lambda seen, total: display.update([Row("reading Redis", seen, total, "Redis keys read")])


def _named(counts: Mapping[Sealed, int]) -> dict[str, int]:
    return {kind.value: number for kind, number in counts.items() if number}


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    last = in_zone(datetime.fromisoformat(row["last_sealed"])) if row["last_sealed"] else ""
    return row["kid"], row["role"], _values(row["values"]) or "none", last


def _values(counts: Mapping[str, int]) -> str:
    return ", ".join(counted(number, *_NOUNS[Sealed(kind)]) for kind, number in counts.items())


def _say_rotated(done: RotationResult, still: list[str], others: list[str]) -> None:
    total = sum(done.resealed.values())
    parts = _values(_named(done.resealed))
    write(f"{counted(total, 'value')} sealed with {done.first}{f' ({parts})' if parts else ''}")
    for kid in sorted(done.left.kids):
        say(
            f"{counted(sum(done.left.of(kid).values()), 'value')} need {kid}, which is not in GATEPOST_SEALING_KEYS or does not open them."
        )
    for kid in still:
        say(
            f"{kid} was used during the rotation. Put {done.first} first in GATEPOST_SEALING_KEYS of every process, then run the command again."
        )
    if others:
        say(f"Can be removed from GATEPOST_SEALING_KEYS: {', '.join(others)}")
