"""`gatepost keys`: create, rotate and forget the keys that seal stored values."""

# No `from __future__ import annotations`: the command line reads the annotations of the options.

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from redis import Redis
from rich.table import Table

from gatepost_core.audit_log import AuditLog
from gatepost_core.redis.connections import connect
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.sealing import KEY_BYTES, Key, Keyring
from gatepost_core.sealing.key_checks import KeyChecks
from gatepost_core.settings import load_settings
from gatepost_operations.cli.connection import ENV_FILE, log_to_stderr
from gatepost_operations.cli.exit_codes import ExitCode
from gatepost_operations.cli.formatting import counted, in_zone
from gatepost_operations.cli.inputs import confirm
from gatepost_operations.cli.options import JsonOption, command_app, examples
from gatepost_operations.cli.output import say, write, write_json
from gatepost_operations.cli.terminal import console
from gatepost_operations.maintenance.key_rotation import KeyUsage, Rotation, RotationResult, Sealed

app = command_app()

_RANDOM_BYTES: Final = 6
_SAY_EVERY_S: Final = 5.0
_FINGERPRINT_KEY: Final = "fingerprint-key"


@app.callback(epilog=examples("gatepost keys new >> .env", "gatepost keys status", "gatepost keys rotate"))
def keys() -> None:
    """Create and rotate the keys that seal stored values."""


@app.command(epilog=examples("gatepost keys new >> .env", "gatepost keys new --kid 2026-01 --json"))
def new(
    *,
    kid: Annotated[
        str | None,
        typer.Option("--kid", metavar="ID", help="The sealing key's id [default: today's date and random letters]."),
    ] = None,
    as_json: JsonOption = False,
) -> ExitCode:
    """Print a new sealing key and a new fingerprint key, as environment lines."""
    # Keys that two environments create on one day need different ids.
    sealing = Key.new(kid or f"k{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(_RANDOM_BYTES)}").reveal()
    fingerprint = secrets.token_urlsafe(KEY_BYTES)
    if as_json:
        write_json({"GATEPOST_SEALING_KEYS": sealing, "GATEPOST_FINGERPRINT_KEY": fingerprint})
        return ExitCode.DONE
    write(f"GATEPOST_SEALING_KEYS={sealing}")
    write(f"GATEPOST_FINGERPRINT_KEY={fingerprint}")
    say("To rotate, first append the new sealing key to the old ones, after a comma. Keep your fingerprint key.")
    return ExitCode.DONE


@dataclass(frozen=True)
class _Parts:
    client: Redis
    keys: RedisKeys
    keyring: Keyring
    audit: AuditLog
    checks: KeyChecks

    @property
    def rotation(self) -> Rotation:
        return Rotation(self.client, self.keys, self.keyring, self.audit)

    @property
    def use(self) -> KeyUsage:
        return KeyUsage(self.client, self.keys)


@contextmanager
def _parts() -> Iterator[_Parts]:
    log_to_stderr()
    settings = load_settings(env_file=ENV_FILE)
    keyring, fingerprints = settings.keyring(), settings.fingerprints()
    with connect(settings) as client:
        keys = settings.redis_keys
        audit = AuditLog(client, keys, fingerprints, who=settings.operator)
        yield _Parts(client, keys, keyring, audit, KeyChecks(client, keys, keyring, fingerprints))


@app.command(epilog=examples("gatepost keys status", "gatepost keys status --json | jq '.keys[] | select(.values)'"))
def status(*, as_json: JsonOption = False) -> ExitCode:
    """Show which keys stored values are sealed with.

    Reads the key id of every stored value, without opening it. Exit code 4 when a needed key is not in the ring.
    """
    with _parts() as parts:
        used = parts.use.last_used()
        found = parts.rotation.look(_progress())
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
        _show(rows)
    missing = any(row["role"] == "missing" and row["values"] for row in rows)
    return ExitCode.CONFIGURATION if missing else ExitCode.DONE


@app.command(epilog=examples("gatepost keys rotate"))
def rotate(*, as_json: JsonOption = False) -> ExitCode:
    """Re-seal all stored values with the ring's first key.

    Workers and producers keep running. After an interruption, run it again. At the end it names the keys that can be removed. Exit
    code 3 when a process still uses an old key, 4 when stored values need a key that is not in the ring.
    """
    with _parts() as parts:
        parts.checks.publish()
        done = parts.rotation.run(_progress())
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
    kid: Annotated[str, typer.Argument(metavar="ID", help="The sealing key's id, or fingerprint-key.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> ExitCode:
    """Let workers start after a key was lost or the fingerprint key was replaced.

    Values sealed with a lost key can never be opened: its operations expire, and its campaigns have to be deleted. Not needed after a rotation.
    With another fingerprint key, existing suppressions and idempotency keys have no effect, and the audit log no longer verifies.
    """
    with _parts() as parts:
        confirm(f"Forget {kid} permanently?", sure=yes)
        with parts.audit.act("keys.forget", kid=kid):
            forgotten = parts.checks.forget_fingerprint() if kid == _FINGERPRINT_KEY else parts.use.forget(kid)
    if as_json:
        write_json({"kid": kid, "forgotten": forgotten})
    else:
        write("forgotten" if forgotten else "not in use")
    return ExitCode.DONE


def _progress() -> Callable[[int, int], None]:
    last = time.monotonic()

    def say_now_and_then(seen: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _SAY_EVERY_S:
            last = time.monotonic()
            say(f"{seen:,} of about {total:,} Redis keys read")

    return say_now_and_then


def _named(counts: Mapping[Sealed, int]) -> dict[str, int]:
    return {kind.value: number for kind, number in counts.items() if number}


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("key", "role", "sealed values", "last sealed"):
        table.add_column(column, overflow="fold")
    for row in rows:
        last = in_zone(datetime.fromisoformat(row["last_sealed"])) if row["last_sealed"] else ""
        values = ", ".join(f"{number:,} {name}" for name, number in row["values"].items())
        table.add_row(row["kid"], row["role"], values or "none", last)
    console().print(table)


def _say_rotated(done: RotationResult, still: list[str], others: list[str]) -> None:
    total = sum(done.resealed.values())
    parts = ", ".join(f"{number:,} {name}" for name, number in _named(done.resealed).items())
    write(f"{counted(total, 'value')} re-sealed with {done.first}{f' ({parts})' if parts else ''}")
    for kid in sorted(done.left.kids):
        say(
            f"{counted(sum(done.left.of(kid).values()), 'value')} need {kid}, which is not in the ring or does not open them."
        )
    for kid in still:
        say(
            f"{kid} was used during the rotation: give every process a ring that begins with {done.first}, then run it again."
        )
    if others:
        say(f"Can be removed from GATEPOST_SEALING_KEYS: {', '.join(others)}")
