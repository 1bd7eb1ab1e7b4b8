"""Shared by the benchmarks of campaigns: a Valkey, settings, recipients, and the output of figures."""

from __future__ import annotations

import json
import os
import platform
import random
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_core.sealing import Key
from gatepost_core.settings import Settings
from gatepost_operations.local.embedded_valkey import EmbeddedValkey

if TYPE_CHECKING:
    from collections.abc import Iterator

RESULTS = Path(__file__).parent / "results"
SEALING_KEY = Key("bench", bytes(range(32)))

_FIRST_NAMES = (
    "anna ben clara david emma felix greta hans ida jonas klara leon mia noah olivia paul quinn rosa simon tina ulrich vera "
    "walter xenia yara zoe maria jose juan luis carlos james mary john patricia robert jennifer michael linda wei fang li "
    "mohammed fatima ahmed yuki kenji aisha omar nina sven lars ingrid pierre marie jean luc chloe hugo giulia marco sofia"
)
_LAST_NAMES = (
    "smith johnson williams brown jones garcia miller davis rodriguez martinez hernandez lopez gonzalez wilson anderson "
    "thomas taylor moore jackson martin lee perez thompson white harris sanchez clark ramirez lewis robinson mueller schmidt "
    "schneider fischer weber meyer wagner becker schulz hoffmann dubois laurent rossi ferrari esposito kowalski nowak novak"
)
_DOMAINS = (
    ["gmail.com"] * 40
    + ["yahoo.com"] * 10
    + ["hotmail.com", "outlook.com"] * 8
    + ["icloud.com"] * 5
    + ["gmx.de", "web.de", "t-online.de", "aol.com", "live.com", "me.com", "orange.fr", "libero.it", "proton.me"]
)


_FIRST, _LAST = _FIRST_NAMES.split(), _LAST_NAMES.split()


def people(count: int, seed: int = 1) -> Iterator[Row]:
    """Yield recipients with distinct addresses of realistic length, about 24 characters."""
    chance = random.Random(seed)  # noqa: S311 - made-up people
    for number in range(count):
        first, last = chance.choice(_FIRST), chance.choice(_LAST)
        joint = chance.choice(("", ".", "_", "."))
        name = f"{first}{joint}{last}" if chance.random() < 0.7 else f"{first[0]}{joint}{last}"
        # A tenth has domains that hardly repeat.
        domain = chance.choice(_DOMAINS) if chance.random() < 0.9 else f"{last}{chance.randrange(5000)}.example"
        yield Row(number + 1, Channel.EMAIL, f"{name}{number:x}@{domain}")


@contextmanager
def valkey() -> Iterator[EmbeddedValkey]:
    """Yield a Valkey that ends with the benchmark."""
    with TemporaryDirectory(prefix="gatepost-bench-") as directory, EmbeddedValkey(directory) as server:
        yield server


def settings_for(url: str, **given: Any) -> Settings:
    """Return settings for a Valkey and a tenant."""
    fields: dict[str, Any] = {
        "redis_url": url,
        "sealing_keys": SEALING_KEY.reveal(),
        "fingerprint_key": "a fingerprint key for benchmarks alone",
        "auth0_domain": "localhost:1",
        "auth0_client_id": "client",
        "auth0_client_secret": "secret",
    }
    return Settings(**{**fields, **given})


def expect(holds: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Exit unless a condition holds, without which the figures are meaningless."""
    if not holds:
        raise SystemExit(f"not as expected: {what}")


def machine() -> dict[str, Any]:
    """Return a description of the machine."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else ""
    return {
        "cpus": os.cpu_count(),
        "cpu": model,
        "python": sys.version.split()[0],
        "system": platform.platform(),
        # What else ran: figures by the clock mean little above one a core.
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def keep(name: str, figures: dict[str, Any]) -> None:
    """Print the figures, and write them with a description of the machine."""
    for key, value in figures.items():
        print(f"{key:40} {value:,.3f}" if isinstance(value, float) else f"{key:40} {value}")
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"benchmark": name, "machine": machine(), "figures": figures}, indent=2)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
