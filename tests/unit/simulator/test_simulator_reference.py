"""The reference pages name everything there is: switches, faults, tags, numbers, routes, options."""

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


def _page(name: str) -> str:
    return (CHECKOUT / "docs" / "reference" / name).read_text(encoding="utf-8")


START = _page("simulator.md")
SETTINGS = _page("simulator-settings.md")
FAULTS = _page("simulator-faults.md")
CONTROL = _page("simulator-control-api.md")


def missing(names: Iterable[str], page: str) -> list[str]:
    marked = set(re.findall(r"`([^`\n]+)`", page))
    words = set(re.findall(r"[\w./{}+-]+", " ".join(marked)))
    return sorted(name for name in names if name not in words)


@pytest.mark.parametrize(
    ("model", "page"),
    [
        *((model, SETTINGS) for model in (SimulatorSettings, Quota, OpenPoints, Connection, Smtp, BruteForce)),
        (Client, START),
        (Providers, FAULTS),
        (Fault, FAULTS),
    ],
)
def test_every_setting_and_member_is_documented(model: type[BaseModel], page: str) -> None:
    """The page has each field's name."""
    documented_elsewhere = {"enabled", "name"}

    assert missing(set(model.model_fields) - documented_elsewhere, page) == []


def test_every_reading_of_an_open_point_is_documented() -> None:
    """A row has the name, then the values with the default first."""
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", SETTINGS, re.MULTILINE))
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
    assert missing([*Shape, *Drop, *TokenFault], FAULTS) == []


def test_every_tag_and_number_is_documented() -> None:
    """Named tags, and the table of phone numbers with the right tag beside each."""
    named = {name for names in tags().values() for name in names if not name.startswith("idtoken-")}
    table = dict(re.findall(r"\| (\d{4}) \| `([\w-]+)`", FAULTS))

    assert missing(named, FAULTS) == []
    assert table == dict(phone_tags())


def test_every_route_and_method_is_documented() -> None:
    """The control API's routes, and the client's methods."""
    document = control_application(Tenant(SimulatorSettings(), "localhost:1")).openapi()
    methods = [name for name in vars(ControlClient) if not name.startswith("_") and name != "call"]

    assert missing(document["paths"], CONTROL) == []
    assert missing(methods, CONTROL) == []


def test_every_option_is_documented() -> None:
    """The command line's options."""
    command = typer.main.get_command(app)
    options = [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]

    assert missing(options, START) == []
