"""The settings' reference names every variable that is read, and no other."""

from __future__ import annotations

import re

import pytest

from gatepost_core.settings import Settings, environment_names
from gatepost_core.settings.known_names import probe_names
from gatepost_core.settings.probe import ProbeSettings
from gatepost_operations.web.console.security.settings import ConsoleSettings, console_environment_names
from support.checkout import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "settings.md"


@pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")
def test_every_variable_is_documented_and_nothing_else() -> None:
    """Every setting is documented, and every documented setting exists."""
    documented = set(re.findall(r"`((?:AUTH0|GATEPOST)_[A-Z0-9_]+)`", PAGE.read_text(encoding="utf-8")))

    assert documented - {"GATEPOST_CONFIG"} == {*environment_names(), *probe_names(), *console_environment_names()}


@pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")
def test_every_default_on_the_page_is_the_settings_own() -> None:
    """A number, a switch or a word in the column `default` is what applies without the variable."""
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    shown = {name: text.strip("`") for names, text in rows for name in re.findall(r"`((?:AUTH0|GATEPOST)_\w+)`", names)}
    of_console = {f"console_{name}": field for name, field in ConsoleSettings.model_fields.items()}
    known = {**Settings.model_fields, **ProbeSettings.model_fields, **of_console}
    fields = {name: known.get(name.removeprefix("GATEPOST_").lower()) for name in shown}

    wrong = {
        name: shown[name]
        for name, field in fields.items()
        if field is not None
        and isinstance(field.default, bool | int | float)
        and shown[name] != _written(field.default)
    }

    assert sum(field is not None for field in fields.values()) > 30
    assert wrong == {}


def _written(default: float) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default:.10g}"
