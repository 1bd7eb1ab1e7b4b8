"""The settings' reference names every variable that is read, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatepost_core.settings import environment_names

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"


@pytest.mark.skipif(not PAGE.exists(), reason="the wheel's tests run without the documentation")
def test_every_variable_is_documented_and_nothing_else() -> None:
    """Every setting is documented, and every documented setting exists."""
    documented = set(re.findall(r"`((?:AUTH0|GATEPOST)_[A-Z0-9_]+)`", PAGE.read_text(encoding="utf-8")))

    assert documented - {"GATEPOST_CONFIG"} == set(environment_names())
