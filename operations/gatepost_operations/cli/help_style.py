"""The style of `--help`: `FILE` and `email|sms`, where Typer would print `FILE <str>` and `<email|sms>`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from typer.core import TyperCommand, TyperGroup

if TYPE_CHECKING:
    from collections.abc import Iterable

_TYPE: Final = re.compile(r" <([^<>]*)>$")
_LIST: Final = re.compile(r"<list\[([^<>]*)\]>$")
_BETWEEN: Final = re.compile(r"([\d.]+)<=x<=([\d.]+)(?=\]$)")
_AT_LEAST: Final = re.compile(r"x>=([\d.]+)(?=\]$)")
_WITH_EXPONENT: Final = re.compile(r"(?<![\w.])\d(?:\.\d+)?e-\d+\b")
_REQUIRED: Final = re.compile(r"\{(\w+)\}")


class PlainCommand(TyperCommand):
    """A command with plain help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return _plain_usage(super().collect_usage_pieces(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options."""
        write_parameters(self.get_params(ctx), ctx, formatter)


class PlainGroup(TyperGroup):
    """A noun with verbs, with plain help."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return _plain_usage(super().collect_usage_pieces(ctx))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options and the verbs."""
        write_parameters(self.get_params(ctx), ctx, formatter)
        self.format_commands(ctx, formatter)


def write_parameters(parameters: Iterable[Any], ctx: Any, formatter: Any) -> None:
    """Write the arguments and options of a command, each with its name and help."""
    rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in parameters:
        record = parameter.get_help_record(ctx)
        if record is not None:
            name, text = record
            is_argument = parameter.param_type_name == "argument"
            # An argument's name is its metavar; an option's type is its metavar or its choices.
            shown = _TYPE.sub("", name) if is_argument else _TYPE.sub(r" \1", _LIST.sub(r"<\1>", name))
            rows[parameter.param_type_name].append((shown, _plain_range(text)))
    for title, kind in (("Arguments", "argument"), ("Options", "option")):
        if rows[kind]:
            with formatter.section(title):
                formatter.write_dl(rows[kind])


def _plain_range(text: str) -> str:
    return _AT_LEAST.sub(r"at least \1", _BETWEEN.sub(r"\1 to \2", without_exponents(text)))


def without_exponents(text: str) -> str:
    """Return a text with its small numbers in digits: `0.00001` for `1e-05`."""
    return _WITH_EXPONENT.sub(lambda found: f"{Decimal(found[0]):f}", text)


def _plain_usage(pieces: list[str]) -> list[str]:
    return [_REQUIRED.sub(r"\1", piece) for piece in pieces]
