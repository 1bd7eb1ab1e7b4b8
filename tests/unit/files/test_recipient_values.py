"""Tests for the values of cells."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost_core.campaigns.row import Row
from gatepost_core.commands import SendEmail, build
from gatepost_operations.files.rows import FileError, RowError
from support.examples import examples
from support.recipient_files import one_error, one_row, rows_of

MISSING_PLUS = "write it in E.164"


@pytest.mark.parametrize(
    ("cell", "recipient"),
    [
        ("'+12025550123", "+12025550123"),
        ("'=guest@example.com", "=guest@example.com"),
        ("'-guest@example.com", "-guest@example.com"),
        ("'\tguest@example.com", "guest@example.com"),
        ("'guest@example.com", "'guest@example.com"),
        ("  Guest@Example.COM\u00a0", "guest@example.com"),
    ],
)
def test_spreadsheet_apostrophe_is_taken_off(cell: str, recipient: str) -> None:
    """The apostrophe that guards a formula goes; the one that belongs to an address stays."""
    assert one_row(f"recipient\n{cell}\n").recipient == recipient


@pytest.mark.parametrize(
    ("cell", "region", "number"),
    [
        ("+44 7700 900123", None, "+447700900123"),
        ("07700 900123", "GB", "+447700900123"),
        ("07700 900123", "gb", "+447700900123"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("+1-202-555-0123", "GB", "+12025550123"),
        ("0044 7700 900123", "GB", "+447700900123"),
    ],
)
def test_numbers_come_out_in_e164(cell: str, region: str | None, number: str) -> None:
    """The default region serves numbers without a country code, and only them."""
    assert one_row(f"phone\n{cell}", default_region=region).recipient == number


def test_national_number_without_region_is_an_error() -> None:
    """The country is not guessed."""
    error = one_error("phone\n07700 900123")

    assert error.field == "phone_number"
    assert MISSING_PLUS in error.problem


@pytest.mark.parametrize("region", ["UK", "GBR", "44", "x"])
def test_unknown_region_is_refused(region: str) -> None:
    """A wrong option is one error, not an error of every row."""
    with pytest.raises(FileError, match="default region"):
        rows_of("phone\n07700 900123", default_region=region)


@pytest.mark.parametrize("cell", ["4.477E+11", '"4,477E+11"', "4E11", "447700900123.0", '"447700900123,00"'])
def test_number_that_a_spreadsheet_changed_is_not_guessed(cell: str) -> None:
    """Scientific notation has lost digits, and a decimal zero would become one."""
    error = one_error(f"phone\n{cell}", default_region="GB")

    assert error == RowError(
        2, "phone_number", "was changed by a spreadsheet; format the column as text and enter it again"
    )


@pytest.mark.parametrize(
    ("value", "tag"), [("fr", "fr"), ("PT_br", "pt-BR"), ("zh-hant-tw", "zh-Hant-TW"), ("de-AT", "de-AT")]
)
def test_a_language_is_a_tag_that_auth0_takes(value: str, tag: str) -> None:
    """Every region of a language passes, in the usual form of its tag."""
    assert one_row(f'email,language\nguest@example.com,"{value}"').language == tag


@pytest.mark.parametrize("value", ["fr\r\nX-Injected: 1", "x" * 101, "<fr>", "de;q=0.8, en", "*", "xx", "klingonese"])
def test_other_language_is_an_error(value: str) -> None:
    """Nothing gets into a header that does not belong there."""
    assert one_error(f'email,language\nguest@example.com,"{value}"').field == "language"


@pytest.mark.parametrize(
    ("value", "tag"), [("English", "en"), ("french", "fr"), ("français", "fr"), ("Deutsch", "de"), ("Portugese", "pt")]
)
def test_a_language_by_its_name_gets_the_tag(value: str, tag: str) -> None:
    """The English and the own name of a language, also mistyped."""
    error = one_error(f'email,language\nguest@example.com,"{value}"')

    assert error.problem == f"is not a language that Auth0 supports. Did you mean {tag}?"


@pytest.mark.parametrize(
    "value", ["192.0.2.1:443", "192.0.2.1, 192.0.2.2", "fe80::1%eth0", "::1%a\r\nX: 1", "host", "1"]
)
def test_other_ip_is_an_error(value: str) -> None:
    """Ports, lists, zones and names are not an address."""
    error = one_error(f'email,ip\nguest@example.com,"{value}"')

    assert (error.field, error.problem) == ("client_ip", "is not an IPv4 or IPv6 address")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("[1]", "is not a JSON object"),
        ('"x"', "is not a JSON object"),
        ("{", "is not a JSON object"),
        ("state=x", "is not a JSON object"),
        ('{"a":NaN' + "}", "contains a number"),
        ('{"a":1e999}', "contains a number"),
        ('{"a":"\\ud800"}', "is not a JSON object"),
        ("[" * 5_000, "is not a JSON object"),
        ('{"a":' * 5_000, "is longer than 8,192"),
        (json.dumps({"a": "x" * 8_192}), "is longer than 8,192"),
        ('{"a":"\ufffd"}', "could not be decoded"),
    ],
)
def test_other_auth_params_are_an_error(value: str, problem: str) -> None:
    """Only a JSON object within the size limit is accepted."""
    quoted = value.replace('"', '""')

    error = one_error(f'email,auth_params\nguest@example.com,"{quoted}"')

    assert error.field == "auth_params"
    assert problem in error.problem


@pytest.mark.parametrize("value", [r'{"a":"\ufffd"}', r'{"a":{"\ufffd":1}}'])
def test_lost_character_inside_auth_params_is_an_error(value: str) -> None:
    """However it is written."""
    quoted = value.replace('"', '""')

    assert "could not be decoded" in one_error(f'{{"email":"guest@example.com","authParams":{value}}}').problem
    assert "could not be decoded" in one_error(f'email,auth_params\nguest@example.com,"{quoted}"').problem


def test_auth_params_are_limited_in_every_form() -> None:
    """As an object, and put together from columns."""
    long = "x" * 8_192

    assert "is longer" in one_error(f'{{"email":"guest@example.com","authParams":{{"a":"{long}"}}}}').problem
    assert "is longer" in one_error(f"email,authParams.a\nguest@example.com,{long}").problem


def test_empty_auth_params_are_none() -> None:
    """An empty object asks for nothing."""
    assert one_row("email,auth_params\nguest@example.com,{}").auth_params is None


def test_replacement_character_is_not_an_address() -> None:
    """Where an earlier program lost a character, the address is not the person's any more."""
    error = one_error("email\ngu\ufffdst@example.com")

    assert error == RowError(2, "email", "contains characters that could not be decoded; check the file's encoding")


@pytest.mark.parametrize("document", ['{"email":1}', '{"email":["a@example.com"]}', '{"email":true}'])
def test_json_value_of_another_type_is_an_error(document: str) -> None:
    """Only text is an address; a number has lost its plus and its zeros."""
    assert one_error(document) == RowError(1, "email", "must be text, in quotation marks")


def test_row_hides_the_person() -> None:
    """A row can be logged by accident without harm."""
    row = one_row("email,ip,authParams.state\nguest-017@example.com,192.0.2.17,secret-017")

    assert "017" not in repr(row)
    assert "017" not in f"{row}"


def test_error_hides_the_value() -> None:
    """An error names line and field, and shows no value."""
    rows = "bad-017,,,\na@example.com,<017>,,\na@example.com,,017,\na@example.com,,,[017]\n017"

    errors = rows_of(f"email,language,ip,auth_params\n{rows}")

    assert [type(error) for error in errors] == [RowError] * 5
    assert all("017" not in f"{error!r} {error}" for error in errors)


ANY_CELL = st.one_of(st.text(max_size=30), st.sampled_from(["fr", "::1", "192.0.2.1", "{}", '{"a":[1.5,null]}']))


@settings(deadline=None, max_examples=examples(200))
@given(st.emails(), ANY_CELL, ANY_CELL, ANY_CELL)
def test_every_row_builds_a_command(email: str, language: str, client_ip: str, auth_params: str) -> None:
    """The command accepts every value that the check accepts, unchanged."""
    document = {"email": email, "language": language, "client_ip": client_ip, "auth_params": auth_params}
    [row] = rows_of(json.dumps(document))

    if isinstance(row, Row):
        fields = {"email": row.recipient, "language": row.language, "client_ip": row.client_ip}
        command = build(SendEmail, fields | {"auth_params": json.loads(row.auth_params or "null")})

        assert command.email.get_secret_value() == row.recipient
        assert command.language == row.language
        assert str(command.client_ip) == str(row.client_ip)
