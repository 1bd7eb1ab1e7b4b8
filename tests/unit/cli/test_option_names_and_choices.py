"""Options and closed choices of the command line are those of the commands and campaigns that they fill."""

from __future__ import annotations

import re
from dataclasses import fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter

from gatepost.campaigns.suppression import SuppressionReason
from gatepost_core.campaigns.model import Options
from gatepost_core.commands import LoginWithEmail, OnUnknown, SendEmail, SendSms
from gatepost_core.kinds import Channel, Endpoint, Kind
from gatepost_core.message_fields import Send
from gatepost_core.number_rules import Numbers
from gatepost_core.settings import Settings
from gatepost_operations.cli.campaign.delivery_options import DeliveryOptions
from gatepost_operations.cli.command_table import TABLE
from gatepost_operations.cli.entry import load
from gatepost_operations.cli.web import Role
from gatepost_operations.files.export import ExportFormat
from gatepost_operations.maintenance.api_keys import Scope
from gatepost_operations.web.console.security.operators import Level
from gatepost_worker.authentication import Send as ClientSend
from support.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = CHECKOUT / "docs" / "reference" / "campaigns.md"


def values_of(kind: Any) -> set[str]:
    """The values of a closed choice, `None` left out; empty for any other kind."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {member.value for member in kind}
    if get_origin(kind) is Literal:
        return set(get_args(kind))
    return set().union(*map(values_of, get_args(kind)))


CHOICES = {
    "--send": values_of(Send),
    "--on-unknown": values_of(OnUnknown),
    "--channel": values_of(Channel),
    "--numbers": values_of(Numbers),
    "--format": values_of(ExportFormat),
    "--reason": values_of(SuppressionReason),
    "--endpoint": values_of(Endpoint),
    "--kind": values_of(Kind),
    "--scope": values_of(Scope),
    "--role": values_of(Role),
    "--level": {str(level) for level in Level},
    "--log-level": {level.lower() for level in values_of(Settings.model_fields["log_level"].annotation)},
    "--log-format": values_of(Settings.model_fields["log_format"].annotation),
}
# Whom a file is read for is an option of the file, and guests are given as a file.
ELSEWHERE = {"channel", "guests"}
NOT_FIELDS = {"timezone", "guest_list"}
OF_A_SEND = (
    {"address", "send", "idempotency_key", "wait", "timeout", "as_json"}
    | {"code_file", "redeem", "reference_file", "force"}
    | {"email", "numbers", "allow_landlines"}
)


def commands() -> Iterator[tuple[str, Any]]:
    for entry in TABLE:
        command = load(entry)
        yield entry.name, command
        for verb, one in getattr(command, "commands", {}).items():
            yield f"{entry.name} {verb}", one


def closed_choices() -> list[tuple[str, str, set[str]]]:
    found = [
        (name, param.opts[0], values_of(param.type_descriptor.annotation))
        for name, command in commands()
        for param in command.params
    ]
    return [choice for choice in found if choice[2]]


@pytest.mark.parametrize(("command", "option", "offered"), closed_choices())
def test_a_closed_choice_offers_what_is_accepted_and_no_other(command: str, option: str, offered: set[str]) -> None:
    """A value that is offered and refused misleads; one that is accepted and not offered cannot be typed."""
    assert offered == CHOICES[option], command


@pytest.mark.parametrize("value", sorted(values_of(Send)))
def test_each_value_of_send_is_accepted_everywhere(value: str) -> None:
    """By a command, a campaign and the client of the Authentication API."""
    assert SendEmail.model_validate({"email": "ana@example.com", "send": value}).send == value
    assert Options.model_validate({"send": value}).send == value
    assert TypeAdapter(ClientSend).validate_python(value) == value
    assert values_of(ClientSend) == values_of(Send)


def test_a_campaigns_options_have_one_name_on_the_command_line_and_in_python() -> None:
    """Each field of `CampaignOptions` is an option of `campaign create`, spelled with hyphens."""
    offered = {field.name for field in fields(DeliveryOptions)}
    spelled = {
        param.name: param.opts[0]
        for name, command in commands()
        if name == "campaign create"
        for param in command.params
        if param.name in offered
    }

    assert offered - NOT_FIELDS == set(Options.model_fields) - ELSEWHERE
    assert spelled == {name: f"--{name.replace('_', '-')}" for name in offered}


def test_a_campaigns_options_are_all_in_the_reference() -> None:
    """The table of options names every field but the list of guests, which `create` takes by itself."""
    table = PAGE.read_text(encoding="utf-8").split("## Options")[1].split("\n## ")[0]
    named = {
        name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }

    assert named == set(Options.model_fields) - {"guests"}


@pytest.mark.parametrize(
    ("command", "model"), [("send-email", SendEmail), ("send-sms", SendSms), ("login", LoginWithEmail)]
)
def test_a_commands_fields_have_one_name_on_the_command_line_and_in_python(command: str, model: Any) -> None:
    """Personal fields and the operation's name are given in another way."""
    options = {param.name for name, one in commands() if name == command for param in one.params}
    personal = {"email", "phone_number", "code", "kind", "redeem_token"}

    assert set(model.model_fields) - personal <= options
    assert options - set(model.model_fields) <= OF_A_SEND | {"help"}
