"""Groups of options: a command takes a dataclass, the command line shows its fields."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from gatepost_operations.cli.options import grouped


@dataclass(frozen=True, kw_only=True)
class Colours:
    """A group with a default and a list."""

    front: Annotated[str, typer.Option("--front", help="In front.")] = "red"
    more: Annotated[list[str] | None, typer.Option("--more")] = None


@pytest.fixture
def seen() -> list[Any]:
    return []


@pytest.fixture
def app(seen: list[Any]) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)

    @app.command()
    @grouped
    def paint(what: str, *, colours: Colours, twice: Annotated[bool, typer.Option("--twice")] = False) -> None:
        """Paint something."""
        seen.append((what, colours, twice))

    return app


def test_a_command_gets_its_groups(app: typer.Typer, seen: list[Any]) -> None:
    """Arguments, the group's options and the command's other options work in any order."""
    result = CliRunner().invoke(app, ["wall", "--more", "blue", "--twice", "--front", "green", "--more", "white"])

    assert result.exit_code == 0, result.output
    assert seen == [("wall", Colours(front="green", more=["blue", "white"]), True)]


def test_a_group_has_its_defaults(app: typer.Typer, seen: list[Any]) -> None:
    """As if its options were the command's own."""
    CliRunner().invoke(app, ["wall"])

    assert seen == [("wall", Colours(), False)]


def test_help_shows_the_options_and_not_the_group(app: typer.Typer) -> None:
    """The help looks the same as without groups."""
    shown = CliRunner().invoke(app, ["--help"]).output

    assert "--front" in shown
    assert "In front." in shown
    assert "colours" not in shown
