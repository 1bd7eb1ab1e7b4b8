"""Each field of a send is described once; commands, campaigns, rows, files, options and requests agree with the description."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

import pytest

from gatepost import command_options
from gatepost.campaigns.report import COLUMNS
from gatepost.errors import InvalidCommand, SealError
from gatepost_core.campaigns import row
from gatepost_core.campaigns.batch import pack_rows, unpack_rows
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.commands import IN_REQUEST, LoginWithEmail, LoginWithSms, SendCommand, SendEmail, SendSms, build
from gatepost_core.kinds import Channel
from gatepost_core.message_fields import MessageFields
from gatepost_operations.cli.message_options import MessageOptions
from gatepost_operations.files.columns import field_of
from gatepost_worker.delivery.calls import overrides_of
from support.sources import sources

if TYPE_CHECKING:
    from collections.abc import Callable

# The recipient, the code and the kind are not keyword options.
PERSONAL = {"email", "phone_number", "code", "kind"}
NUMBER_RULES = {"numbers", "allow_landlines"}
NAMES_A_FIELD_OF_A_SEND = {
    "gatepost_core/message_fields.py",
    "gatepost_core/campaigns/row.py",
    "gatepost/command_options.py",
    "gatepost_operations/cli/message_options.py",
}
# A login has the field too, a test send over HTTP can have another one, and the client of the Authentication API has other arguments.
OTHER_USES = {
    "gatepost_core/commands.py",
    "gatepost_operations/cli/login.py",
    "gatepost_operations/cli/options.py",
    "gatepost_operations/web/api/campaigns.py",
}


def packed_as(change: Callable[[list[Any]], list[Any]]) -> bytes:
    """A stored batch of one row, changed by a function of its columns."""
    stored = pack_rows([Row(1, Channel.EMAIL, "ana@example.com", "de")])
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(json.dumps(change(json.loads(zlib.decompress(stored, -15)))).encode()) + packer.flush()


@pytest.mark.parametrize(
    ("options", "model"),
    [
        (command_options.SendEmailOptions, SendEmail),
        (command_options.SmsOptions, SendSms),
        (command_options.LoginOptions, LoginWithEmail),
        (command_options.LoginOptions, LoginWithSms),
    ],
)
def test_the_typed_options_of_a_producer_are_its_commands_fields(options: Any, model: Any) -> None:
    """A type checker accepts an option if and only if the command does."""
    names = {"datetime": object, "timedelta": object, "Mapping": dict, "IPv4Address": object, "IPv6Address": object}

    assert set(get_type_hints(options, localns=names)) - NUMBER_RULES == (set(model.model_fields) - PERSONAL) | {
        "idempotency_key"
    }


def test_a_send_and_a_campaign_have_the_same_fields_of_a_message() -> None:
    """A field of the message is one of both sends, of a campaign's options and of the command line."""
    assert issubclass(SendCommand, MessageFields)
    assert issubclass(Options, MessageFields)
    assert {option.name for option in fields(MessageOptions)} == set(MessageFields.model_fields)


def test_a_row_has_the_fields_that_have_columns() -> None:
    """A row's fields after the recipient are the ones that a recipient file can give, and an export writes them all."""
    per_row = {name for name, place in IN_REQUEST.items() if place.columns is not None}

    assert set(row.MESSAGE_FIELDS) == per_row
    assert per_row < set(COLUMNS)


@pytest.mark.parametrize("name", row.MESSAGE_FIELDS)
def test_each_name_of_a_column_leads_to_its_field(name: row.Field) -> None:
    """A file may call a column by the field's name, or by any other name in the description."""
    assert field_of(name) is name
    assert {field_of(other) for other in IN_REQUEST[name].columns or ()} <= {name}


@pytest.mark.parametrize(("name", "place"), IN_REQUEST.items())
def test_a_field_reaches_auth0_under_its_name_in_the_request(name: str, place: Any) -> None:
    """It goes into the body or into a header, and a field without a value goes nowhere."""
    made = overrides_of({name: "a value", "on_unknown": "hold"})

    assert {**made.body, **made.headers} == {place.member or place.header: "a value"}
    assert overrides_of({name: None}).body == overrides_of({name: None}).headers == {}


@pytest.mark.parametrize("name", sorted({place.member for place in IN_REQUEST.values() if place.member}))
@pytest.mark.parametrize(
    ("model", "fields"),
    [
        (SendEmail, {"email": "ana@example.com"}),
        (SendSms, {"phone_number": "+447700900123"}),
        (LoginWithEmail, {"email": "ana@example.com", "code": "123456"}),
    ],
)
def test_a_further_field_of_the_body_cannot_replace_a_field_of_a_command(
    model: Any, fields: dict[str, Any], name: str
) -> None:
    """Otherwise the request would differ from what the command shows. It holds for every kind, also one that lacks the field."""
    with pytest.raises(InvalidCommand, match="extra must not hold"):
        build(model, {**fields, "extra": {name: "x"}})


@pytest.mark.parametrize(
    "build_one",
    [
        lambda value: build(SendEmail, {"email": "a@example.com", "language": value}),
        lambda value: Options(language=value),
    ],
)
def test_a_language_has_one_form(build_one: Any) -> None:
    """A send and a campaign take what a recipient file takes, and refuse what it refuses."""
    assert build_one("pt_BR").language == "pt-BR"
    with pytest.raises(ValueError, match="language"):
        build_one("de\r\nX-Other: 1")


def test_a_batch_of_an_earlier_version_with_fewer_columns_is_read() -> None:
    """A new field is a column at the end, which stored batches lack."""
    packed = packed_as(lambda columns: columns[:-1])

    assert unpack_rows(packed) == [Row(0, Channel.EMAIL, "ana@example.com", "de")]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda columns: [*columns, ["x"]], id="field"),
        pytest.param(lambda columns: [columns[0], "?", *columns[2:]], id="channel"),
    ],
)
def test_a_batch_of_a_newer_version_is_not_sent_by_halves(change: Any) -> None:
    """A field or a channel that this version does not know blocks the batch; the recipients stay open."""
    with pytest.raises(SealError, match="newer version"):
        unpack_rows(packed_as(change))


def test_a_field_of_a_send_is_named_in_four_source_files() -> None:
    """A further field needs its description, its place in a row, its type in Python and its option; the rest follows."""
    named = re.compile(r"^ *language: ", re.MULTILINE)
    files = {name: file for name, file in sources().items() if "authentication" not in file.parts}
    found = {name for name, file in files.items() if named.search(file.read_text(encoding="utf-8"))}

    assert found - OTHER_USES == NAMES_A_FIELD_OF_A_SEND
