"""Tests for assigning columns to fields."""

from __future__ import annotations

import re

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_operations.files.rows import FileError, RowError
from support.recipient_files import one_error, one_row, reader_of, recipients_of, rows_of


@pytest.mark.parametrize("name", ["email", "E-Mail", "mail", " Email ", "EMAIL ADDRESS", "e_mail", "recipient"])
def test_address_column_is_known_by_its_usual_names(name: str) -> None:
    """Case, spaces, hyphens and underscores make no difference."""
    assert one_row(f"{name}\nguest@example.com").recipient == "guest@example.com"


@pytest.mark.parametrize("name", ["phone", "phone_number", "Phone Number", "mobile", "recipient"])
def test_number_column_is_known_by_its_usual_names(name: str) -> None:
    """Case, spaces, hyphens and underscores make no difference."""
    row = one_row(f"{name}\n+12025550123")

    assert (row.kind, row.recipient) == (Channel.SMS, "+12025550123")


@pytest.mark.parametrize("name", ["language", "lang", "locale"])
def test_language_column_sets_the_language(name: str) -> None:
    """The locale's underscore becomes the header's hyphen."""
    assert one_row(f"email,{name}\nguest@example.com,pt_BR").language == "pt-BR"


@pytest.mark.parametrize("name", ["ip", "client_ip", "forwarded_for", "Client-IP"])
def test_ip_column_sets_the_forwarded_address(name: str) -> None:
    """The IP address comes out in its canonical form."""
    assert one_row(f"email,{name}\nguest@example.com,2001:DB8:0::1").client_ip == "2001:db8::1"


@pytest.mark.parametrize("name", ["auth_params", "authParams"])
def test_auth_params_column_holds_json(name: str) -> None:
    """The JSON comes out compact and with sorted keys, so that equal parameters are equal text."""
    row = one_row(f'email,{name}\nguest@example.com,"{{""state"": ""s 1"", ""scope"": ""openid""}}"')

    assert row.auth_params == '{"scope":"openid","state":"s 1"}'


def test_dotted_columns_add_single_parameters() -> None:
    """A plain spreadsheet can set one parameter without writing JSON; an empty cell sets nothing."""
    content = "email,authParams.state,auth_params.redirect_uri\na@example.com,s1,\nb@example.com,,\n"

    first, second = (row for row in rows_of(content) if isinstance(row, Row))

    assert first.auth_params == '{"state":"s1"}'
    assert second.auth_params is None


def test_parameter_given_twice_is_an_error() -> None:
    """JSON and a dotted column must not fight over one name."""
    error = one_error('email,auth_params,authParams.state\na@example.com,"{""state"":""x""}",y')

    assert error.field == "auth_params"
    assert "in an authParams.NAME column" in error.problem


def test_unknown_columns_are_ignored_and_named() -> None:
    """The summary tells which columns had no effect."""
    reader = reader_of("email,plan,langauge\nguest@example.com,gold,fr")

    assert reader.ignored_columns == ("plan", "langauge")
    assert [type(row) for row in reader] == [Row]


@pytest.mark.parametrize("name", ["ada@example.org", "+12025550123", "42", "x" * 41, ""])
def test_column_name_that_may_be_data_is_shown_by_number(name: str) -> None:
    """A file without a header must not leak its first row into a report."""
    assert reader_of(f"email,{name}\nguest@example.com,1").ignored_columns == ("column 2",)


def test_mapping_names_the_columns() -> None:
    """A mapped field is found in its column only, whatever other names say."""
    content = "Kontakt,email,Mundart\nguest@example.com,old@example.org,de"

    row = one_row(content, columns={"email": "Kontakt", "language": "Mundart"})

    assert (row.recipient, row.language) == ("guest@example.com", "de")
    assert reader_of(content, columns={"email": "Kontakt"}).ignored_columns == ("email", "Mundart")


@pytest.mark.parametrize(
    ("mapping", "problem"),
    [
        ({"email": "Kontakt"}, "no column has the name given for email"),
        ({"nickname": "email"}, "unknown field"),
        ({"email": "email", "language": "email"}, "shares its column"),
        ({"email": "email", "mail": "other"}, "two columns"),
    ],
)
def test_mapping_that_does_not_fit_is_refused(mapping: dict[str, str], problem: str) -> None:
    """A typing error in an option must not end in a file without languages."""
    with pytest.raises(FileError, match=problem):
        reader_of("email,other\nguest@example.com,x", columns=mapping)


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        ("email,mail", "email has two columns"),
        ("phone,telephone", "phone_number has two columns"),
        ("mobile,cell", "phone_number has two columns"),
        ("email,authParams.state,authParams.state", "two columns of the same name"),
    ],
)
def test_field_with_two_columns_is_refused(header: str, problem: str) -> None:
    """Which of two columns counts is for the caller to say."""
    with pytest.raises(FileError, match=problem):
        reader_of(header + "\n")


@pytest.mark.parametrize(
    "content", ["e-mail,mail\n", '{"plan":"gold","mail":"a@example.com","e-mail":"b@example.com"}\n']
)
def test_two_columns_with_different_names_are_told_apart_by_name(content: str) -> None:
    """In JSON Lines, the position of a key can differ from row to row."""
    try:
        said = "\n".join(str(row) for row in reader_of(content))
    except FileError as refused:
        said = str(refused)

    assert re.search(r"choose one \(--column email=(e-mail|mail)\)", said)


def test_file_without_recipients_says_what_it_has() -> None:
    """The names that were seen show a typing error at a glance."""
    with pytest.raises(FileError, match="it has emial, plan"):
        reader_of("emial,plan\nguest@example.com,gold")


@pytest.mark.parametrize("row", ["Guest 017,guest-017@example.com", "Guest 017,+1 202 555 0123"])
def test_several_columns_without_header_are_refused_without_showing_them(row: str) -> None:
    """The first row is data, not a header."""
    with pytest.raises(FileError, match="has no header row") as refusal:
        reader_of(row)

    assert "017" not in str(refusal.value)


def test_bare_list_needs_no_header() -> None:
    """One column of addresses and numbers is understood as it is, its first row included."""
    content = "a@example.com\n+1 202 555 0123\nb@example.com\n"

    assert recipients_of(content) == ["a@example.com", "+12025550123", "b@example.com"]
    assert reader_of(content).columns == ("recipient",)


@pytest.mark.parametrize(
    ("channel", "recipients"),
    [
        (Channel.AUTO, ["both@example.com", "mail@example.com", "+12025550102"]),
        (Channel.EMAIL, ["both@example.com", "mail@example.com"]),
        (Channel.SMS, ["+12025550101", "+12025550102"]),
    ],
)
def test_channel_decides_between_address_and_number(channel: Channel, recipients: list[str]) -> None:
    """`auto` takes the address of a row that has both; the others want their own."""
    content = "email,phone\nboth@example.com,+12025550101\nmail@example.com,\n,+12025550102\n"

    assert recipients_of(content, channel=channel) == recipients


@pytest.mark.parametrize(
    ("channel", "field"), [(Channel.AUTO, "recipient"), (Channel.EMAIL, "email"), (Channel.SMS, "phone_number")]
)
def test_row_without_recipient_is_an_error(channel: Channel, field: str) -> None:
    """The error of a row with only a language names the missing field."""
    error = one_error("email,phone,language\n,,fr", channel=channel)

    assert error == RowError(2, field, "is missing")


def test_bad_address_is_not_replaced_by_the_number() -> None:
    """A person with an address does not get an SMS instead."""
    error = one_error("email,phone\nnot an address,+12025550101\n")

    assert (error.line, error.field) == (2, "email")


@pytest.mark.parametrize(
    ("channel", "content", "missing"),
    [(Channel.SMS, "email,plan\na@example.com,x", "phone_number"), (Channel.EMAIL, "phone\n+12025550101", "email")],
)
def test_file_without_the_channels_column_is_refused(channel: Channel, content: str, missing: str) -> None:
    """A campaign by SMS from a file of addresses is one error, not one for each row."""
    with pytest.raises(FileError, match=f"has no {missing} column"):
        reader_of(content, channel=channel)


def test_bare_list_obeys_the_channel() -> None:
    """A number in a campaign by e-mail is a bad address."""
    error = one_error("recipient\n+12025550101", channel=Channel.EMAIL)

    assert (error.field, error.problem[:12]) == ("recipient", "is not an e-")
