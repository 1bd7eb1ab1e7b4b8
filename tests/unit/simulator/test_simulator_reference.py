"""The reference page names everything there is: switches, faults, tags, numbers, routes, options."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import pytest
import typer

from gatepost_simulator.__main__ import app
from gatepost_simulator.control import ControlClient
from gatepost_simulator.control_api import control_application
from gatepost_simulator.exchange import Drop, Shape
from gatepost_simulator.faults import Fault, TokenFault
from gatepost_simulator.settings import (
    BruteForce,
    Client,
    Connection,
    OpenPoints,
    Providers,
    Quota,
    SimulatorSettings,
    Smtp,
)
from gatepost_simulator.tagged_recipients import phone_tags, tags
from gatepost_simulator.tenant import Tenant
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

PAGE = (CHECKOUT / "docs" / "reference" / "simulator.md").read_text(encoding="utf-8")
NAMES = set(re.findall(r"`([^`\n]+)`", PAGE))
WORDS = set(re.findall(r"[\w./{}+-]+", " ".join(NAMES)))


def missing(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name not in WORDS)


@pytest.mark.parametrize(
    "model", [SimulatorSettings, Quota, OpenPoints, Connection, Client, Providers, Smtp, BruteForce, Fault]
)
def test_every_setting_and_member_is_documented(model: type[BaseModel]) -> None:
    """The page has each field's name."""
    documented_elsewhere = {"enabled", "name"}

    assert missing(set(model.model_fields) - documented_elsewhere) == []


def test_every_reading_of_an_open_point_is_documented() -> None:
    """A row has the name, then the values with the default first."""
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE))
    defaults = OpenPoints()
    wrong = []
    for name, field in OpenPoints.model_fields.items():
        values = [str(value).lower() if isinstance(value, bool) else str(value) for value in get_args(field.annotation)]
        shown = re.findall(r"[\w-]+", rows[name])
        default = str(getattr(defaults, name))
        first = default.lower() if isinstance(getattr(defaults, name), bool) else default.split(maxsplit=1)[0]
        if shown[0] != first or (values and set(values) != set(shown)):
            wrong.append(name)

    assert wrong == []


def test_every_fault_is_documented() -> None:
    """Shapes, drops and wrong tokens."""
    assert missing([*Shape, *Drop, *TokenFault]) == []


def test_every_tag_and_number_is_documented() -> None:
    """Named tags, and the table of phone numbers with the right tag beside each."""
    named = {name for names in tags().values() for name in names if not name.startswith("idtoken-")}
    table = dict(re.findall(r"\| (\d{4}) \| `([\w-]+)`", PAGE))

    assert missing(named) == []
    assert table == dict(phone_tags())


def test_every_route_and_method_is_documented() -> None:
    """The control API's routes, and the client's methods."""
    document = control_application(Tenant(SimulatorSettings(), "localhost:1")).openapi()
    methods = [name for name in vars(ControlClient) if not name.startswith("_") and name != "call"]

    assert missing(document["paths"]) == []
    assert missing(methods) == []


def test_every_option_is_documented() -> None:
    """The command line's options."""
    command = typer.main.get_command(app)
    options = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]

    assert missing(options) == []
