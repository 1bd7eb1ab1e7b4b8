"""The tables and the rule of doubt as the scripts have them are those of the entries of states and reasons."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

from gatepost_core.campaigns.model import PauseReason, Status
from gatepost_core.campaigns.scripts import lua_constants
from gatepost_core.doubt import end_after, rule_in_lua
from gatepost_core.reasons import IMPLIED, Reason
from gatepost_core.states import OPEN_STATES, Outlook, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

DOUBT = Reason.SERVER_FAILED
LEDGER = "gatepost_core/ledger/ledger.lua"
CAMPAIGN_SCRIPTS = (
    *(f"gatepost_core/campaigns/{name}.lua" for name in ("control", "repair", "rows")),
    "gatepost_worker/bulk/batch.lua",
)


def text_of(script: str) -> str:
    package, path = script.split("/", 1)
    return files(package).joinpath(path).read_text(encoding="utf-8")


def evaluated(client: Redis, text: str) -> Any:
    return json.loads(client.eval(text, 0))  # type: ignore[arg-type] # redis-py's types mix in its asyncio form


def test_the_scripts_have_the_entries_of_states_and_reasons(redis_client: Redis) -> None:
    """Names, codes, doubts, implied reasons, and the sets of states."""
    tables = "NAME = NAME, CODE = CODE, TERMINAL = TERMINAL, OPEN = OPEN, WAITING = WAITING, FAILURES = FAILURE_FIELDS"
    lists = """
    local doubts, implied = {}, {}
    for code in pairs(DOUBT) do doubts[tostring(code)] = true end
    for state, code in pairs(IMPLIED) do implied[state] = code end
    """
    found = evaluated(
        redis_client,
        f"{lua_constants()}{lists}return cjson.encode({{ {tables}, DOUBT = doubts, IMPLIED = implied, UNKNOWN = NOT_A_STATE }})",
    )

    assert found["NAME"] == {state.char: state.value for state in State}
    assert found["CODE"] == {reason.value: reason.code for reason in Reason}
    assert set(found["DOUBT"]) == {str(reason.code) for reason in Reason if reason.doubt}
    assert found["IMPLIED"] == {state.char: reason.code for state, reason in IMPLIED.items()}
    assert set(found["TERMINAL"]) == {state.char for state in State if state.is_terminal}
    assert set(found["OPEN"].strip("[]")) == {state.char for state in OPEN_STATES}
    assert set(found["WAITING"].strip("[]")) == {state.char for state in State if state.outlook is Outlook.WAITING}
    assert set(found["UNKNOWN"].strip("[^]")) == {state.char for state in State}
    assert set(found["FAILURES"]) == {state.value for state in State if state.counts_as_failure}


@pytest.mark.parametrize(
    ("script", "spelled"),
    [(LEDGER, "value"), *((script, "char") for script in CAMPAIGN_SCRIPTS)],
)
def test_no_script_spells_a_state(script: str, spelled: str) -> None:
    """Scripts write a state as the constant that `states_in_lua` gives it."""
    literals = set(re.findall(r"'([^'\n]*)'", text_of(script)))

    assert literals
    assert not literals & {getattr(state, spelled) for state in State}


def test_scripts_name_reasons_and_statuses_that_exist() -> None:
    """Lua gives nil for a name that is misspelt; `Reason`, `Status` and `PauseReason` are the only homes."""
    ledger, campaigns = text_of(LEDGER), "".join(map(text_of, CAMPAIGN_SCRIPTS))
    reasons = set(re.findall(r"(?:EXPIRED|UNKNOWN|CANCELLED|'doubt'), (?:get\('doubt'\) or )?'(\w+)'", ledger))
    codes = set(re.findall(r"\bCODE\.(\w+)", campaigns))
    statuses = set(re.findall(r"(?:\bstatus|\bfound\[1\]|get\('status'\)) [~=]= '(\w+)'", campaigns))
    pauses = set(re.findall(r"\bpause\('(\w+)'|'pause_reason', '(?!pause_cause)(\w+)'", campaigns))

    assert len(reasons) == 4
    assert reasons <= set(Reason)
    assert codes
    assert codes <= set(Reason)
    assert statuses >= {"draft", "running", "paused"}
    assert statuses <= set(Status)
    assert {"".join(found) for found in pauses} == set(PauseReason)


@pytest.mark.parametrize("spelled", [lambda state: state.char, lambda state: state.value], ids=["letter", "name"])
def test_the_rule_of_doubt_is_the_same_in_lua(redis_client: Redis, spelled: Callable[[State], str]) -> None:
    """For every state, with and without a doubt."""
    for state in State:
        for doubt in (None, DOUBT):
            given = "nil" if doubt is None else f"'{doubt}'"
            call = f"cjson.encode({{ end_after({given}, '{spelled(state)}', 'deadline_passed') }})"
            ended, reason = end_after(doubt, state, Reason.DEADLINE_PASSED)

            assert evaluated(redis_client, f"{rule_in_lua(spelled)}return {call}") == [spelled(ended), reason.value]
