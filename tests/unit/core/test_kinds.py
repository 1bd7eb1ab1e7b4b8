"""Each kind of operation is described once, and all dependent tables agree with the description."""

from __future__ import annotations

import re
from inspect import isfunction
from typing import Any

import pytest

import gatepost
from gatepost_core.broker.message_validation import TASKS, Carries
from gatepost_core.commands import COMMANDS, SendCommand
from gatepost_core.kinds import CAMPAIGN_KINDS, CHANNELS, Channel, Kind
from gatepost_core.settings import Settings
from gatepost_operations.cli.command_table import TABLE
from support.checkout import CHECKOUT
from support.sources import sources

# The worker's calls know the two starts of the Authentication API, by address and by number, whatever the kind.
STARTS = "gatepost_worker/delivery/calls.py"
NAMES_SENDS_BY_SMS = {
    "gatepost_core/kinds.py",
    "gatepost_core/commands.py",
    "gatepost/producer.py",
    "gatepost_operations/cli/send.py",
}


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_a_command_that_says_the_same(kind: Kind) -> None:
    """The command holds the recipient in the field of the kind's channel, and is a send or a login as the kind is."""
    model = COMMANDS[kind]
    connection = model.model_fields["connection" if issubclass(model, SendCommand) else "realm"]

    assert kind.identifier in model.model_fields
    assert connection.default == kind.connection
    assert issubclass(model, SendCommand) is not kind.is_login


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("producer", [gatepost.Producer, gatepost.AsyncProducer])
def test_a_producer_has_a_method_for_each_kind(producer: Any, kind: Kind) -> None:
    """An application enqueues every kind by a method of its name."""
    assert isfunction(getattr(producer, kind.value))


@pytest.mark.parametrize("kind", Kind)
def test_a_worker_accepts_the_task_of_each_kind(kind: Kind) -> None:
    """The check of messages knows every task that the producer publishes."""
    assert TASKS[kind.task] is Carries.OPERATION


@pytest.mark.parametrize("kind", Kind)
def test_the_limit_of_a_call_is_a_setting(kind: Kind) -> None:
    """An operator can change how long a call of each kind may take."""
    assert Settings.model_fields[kind.time_limit].annotation is float


def test_each_channel_has_one_kind_that_campaigns_send() -> None:
    """A recipient of any channel can be in a campaign, and `auto` is no recipient's channel."""
    assert set(CAMPAIGN_KINDS) == set(CHANNELS) == set(Channel) - {Channel.AUTO}
    assert len({channel.letter for channel in CHANNELS}) == len(CHANNELS)


def test_each_kind_has_a_command_of_the_command_line() -> None:
    """`gatepost --help` lists a command for every kind, with the kind's summary."""
    shown = {entry.name: entry.summary for entry in TABLE}

    assert {kind.shell_command: kind.summary for kind in Kind}.items() <= shown.items()


def test_the_page_of_message_formats_names_all_kinds() -> None:
    """An integrator finds every kind in the first row of the table of fields."""
    page = (CHECKOUT / "docs/how-to/other-languages.md").read_text(encoding="utf-8")
    [row] = [line for line in page.splitlines() if line.startswith("| `kind` |")]

    assert re.findall(r"`(\w+)`", row.split("|")[3]) == [kind.value for kind in Kind]


def test_a_kind_is_named_in_four_source_files() -> None:
    """A further kind needs an entry, a command, the producer's methods and a command of the command line; the rest follows."""
    named = re.compile(r"send_sms|SEND_SMS|SendSms|send-sms")
    files = {name: file for name, file in sources().items() if "authentication" not in file.parts}
    found = {name for name, file in files.items() if named.search(file.read_text(encoding="utf-8"))}

    assert found - {STARTS} == NAMES_SENDS_BY_SMS
