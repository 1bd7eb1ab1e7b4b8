"""The campaigns' Lua: constants and parts, from which the core and the worker assemble their scripts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from gatepost_core.doubt import rule_in_lua
from gatepost_core.reasons import IMPLIED, Reason
from gatepost_core.redis.keys import SERVER_CLOCK, event_recorder
from gatepost_core.states import OPEN_STATES, Outlook, State, states_in_lua

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatepost_core.redis.keys import RedisKeys

FILE_FIELD: Final = "file:"
"""In a campaign's record, before the fingerprint of a file whose rows it got."""


SILENT_MS: Final = 3000
"""A worker that has made no step for longer is silent: its batches do not count as out. Workers make a step each second."""


@cache
def part(name: str) -> str:
    """Return the text of one part."""
    return files("gatepost_core.campaigns").joinpath(f"{name}.lua").read_text(encoding="utf-8")


def library(keys: RedisKeys, clock: str = SERVER_CLOCK) -> str:
    """Return the beginning of every script on a campaign: clock, names, events, constants, index, rows."""
    return clock + keys.lua + event_recorder() + lua_constants() + part("index") + part("rows")


def lua_constants() -> str:
    """Return the states, the tables of states and reasons, and the rule of doubt as Lua. A script writes a row's state as its letter."""
    names = ", ".join(f"{state.char} = '{state.value}'" for state in State)
    terminal = ", ".join(f"{state.char} = true" for state in State if state.is_terminal)
    codes = ", ".join(f"{reason.value} = {reason.code}" for reason in Reason)
    doubts = ", ".join(f"[{reason.code}] = true" for reason in Reason if reason.doubt)
    implied = ", ".join(f"{state.char} = {reason.code}" for state, reason in IMPLIED.items())
    waiting = _chars(state for state in State if state.outlook is Outlook.WAITING)
    tables = {
        "NAME": f"{{ {names} }}",
        "TERMINAL": f"{{ {terminal} }}",
        "CODE": f"{{ {codes} }}",
        "DOUBT": f"{{ {doubts} }}",
        "IMPLIED": f"{{ {implied} }}",
        "WAITING": f"'[{waiting}]'",
        "OPEN": f"'[{_chars(OPEN_STATES)}]'",
        "NOT_A_STATE": f"'[^{_chars(State)}]'",
        "OPEN_FIELDS": _fields(OPEN_STATES),
        "SILENT": str(SILENT_MS),
        "FILE_FIELD": f"'{FILE_FIELD}'",
        "FAILURE_FIELDS": _fields(state for state in State if state.counts_as_failure),
    }
    constants = "".join(f"local {name} = {value}\n" for name, value in tables.items())
    return states_in_lua(_letter) + constants + rule_in_lua(_letter)


def _letter(state: State) -> str:
    return state.char


def _chars(states: Iterable[State]) -> str:
    return "".join(state.char for state in states)


def _fields(states: Iterable[State]) -> str:
    return "{ " + ", ".join(f"'{state.value}'" for state in states) + " }"
