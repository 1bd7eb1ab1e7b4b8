"""Columns, quotation marks and rows as exports really have them: who is read, or why the file or the row is refused."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Channel
from gatepost_operations.files.rows import FileError, RowError, read_rows
from support.recipient_files import one_error, one_row, reader_of, recipients_of, rows_of

SAMPLES = Path(__file__).parent / "samples"
SMS, EMAIL, AUTO = Channel.SMS, Channel.EMAIL, Channel.AUTO

# The header rows of exports, each with the columns that count.
HEADERS = [
    ("Email Address,First Name,Last Name,SMS Phone Number,TAGS", "Email Address", "SMS Phone Number"),
    ("Emailadresse,Vorname,Nachname,Mobile", "Emailadresse", "Mobile"),
    ("Record ID,First Name,Email,Phone Number,Mobile Phone Number", "Email", "Mobile Phone Number"),
    ("Salutation,Name,Email,Phone,Mobile,Fax", "Email", "Mobile"),
    ("Id,FirstName,Email,Phone,MobilePhone", "Email", "MobilePhone"),
    ("user_id,email,phone_number,given_name", "email", "phone_number"),
    ("First Name,E-mail Address,Business Phone,Mobile Phone", "E-mail Address", "Mobile Phone"),
    ("Vorname,E-Mail-Adresse,Telefon geschäftlich,Mobiltelefon", "E-Mail-Adresse", "Mobiltelefon"),
    ("Prénom,Adresse de messagerie,Tél. mobile", "Adresse de messagerie", "Tél. mobile"),
    ("Nombre,Dirección de correo electrónico,Teléfono móvil", "Dirección de correo electrónico", "Teléfono móvil"),
    ("Nome,Indirizzo posta elettronica,Cellulare", None, "Cellulare"),
    ("Nome,Indirizzo e-mail,Cellulare", "Indirizzo e-mail", "Cellulare"),
    ("Nome,Endereço de e-mail,Telemóvel", "Endereço de e-mail", "Telemóvel"),
    ("Naam,E-mailadres,Mobiele telefoon", "E-mailadres", "Mobiele telefoon"),
    ("Imię,Adres e-mail,Telefon komórkowy", "Adres e-mail", "Telefon komórkowy"),
    ("Name,E-mail 1 - Value,Phone 1 - Value", "E-mail 1 - Value", "Phone 1 - Value"),
    ("id,Customer Email,Customer Phone,Name", "Customer Email", "Customer Phone"),
    ("CONTACT ID,EMAIL,FIRSTNAME,SMS", "EMAIL", "SMS"),
    ("Kunde,E-Mail,Handynummer,Telefon", "E-Mail", "Handynummer"),
    ("Client,Courriel,Téléphone,Portable", "Courriel", "Portable"),
    ("Correo,Celular", "Correo", "Celular"),
    ("Klient,Adres email,Numer telefonu", "Adres email", "Numer telefonu"),
    ("contact,Emailadres,GSM", "Emailadres", "GSM"),
]


@pytest.mark.parametrize(("header", "email", "phone"), HEADERS)
def test_the_columns_of_an_export_are_known(header: str, email: str | None, phone: str) -> None:
    """The address and the mobile number are found by the names that programs give, in eight languages."""
    names = header.split(",")
    cells = ["x"] * len(names)
    cells[names.index(phone)] = "+44 7700 900123"
    if email:
        cells[names.index(email)] = "ana@example.com"
    content = f"{header}\n{','.join(cells)}\n"

    assert recipients_of(content, channel=SMS) == ["+447700900123"]
    if email:
        assert recipients_of(content, channel=EMAIL) == ["ana@example.com"]


@pytest.mark.parametrize(
    "name",
    [
        "Sprache",
        "Langue",
        "Idioma",
        "Lingua",
        "Taal",
        "Język",
        "Preferred Language",
        "preferred_locale",
        "Language Code",
    ],
)
def test_the_language_of_an_export_is_known(name: str) -> None:
    """In several languages too."""
    assert one_row(f"email,{name}\nana@example.com,PT_br\n").language == "pt-BR"


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("mailchimp_de.csv", {}, ["ana@example.com", "bob@example.com"]),
        ("mailchimp_de.csv", {"channel": SMS}, ["+447700900123", "+447700900124"]),
        ("hubspot.csv", {}, ["ana@example.com"]),
        ("hubspot.csv", {"channel": SMS}, ["+447700900123"]),
        ("long_note.csv", {}, ["ana@example.com", "bob@example.com"]),
        ("unclosed.csv", {}, ["line 2, row: has a cell whose lines look like rows", "eve@example.com"]),
        ("ragged_short.csv", {}, ["ana@example.com", "bob@example.com"]),
        ("jsonl_dupkey.jsonl", {}, ["line 1, row: has a key twice; remove one"]),
        ("dup_header.csv", {"columns": {"email": "#1"}}, ["ana@example.com"]),
        ("dup_header.csv", {"columns": {"email": "#3"}}, ["bob@example.com"]),
        ("only_header.csv", {}, []),
    ],
)
def test_a_sample_of_a_structure_comes_out_right(name: str, options: dict[str, Any], expected: list[str]) -> None:
    """Each row has its recipient or its problem."""
    with read_rows(SAMPLES / name, **options) as rows:
        found = [row.recipient if isinstance(row, Row) else str(row) for row in rows]

    assert len(found) == len(expected)
    assert all(one.startswith(beginning) for one, beginning in zip(found, expected, strict=True)), found


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        ("email,Manager\na@example.com,b@example.com\n", {}, "Manager contains addresses"),
        ("email,Manager\na@example.com,b@example.com\n", {"channel": EMAIL}, "--column email=Manager"),
        ("email,Anschluss\na@example.com,+44 7700 900123\n", {}, "--column phone_number=Anschluss"),
        (
            "phone,Anschluss 2\n+44 7700 900123,+44 7700 900124\n",
            {"channel": SMS},
            "Anschluss 2 contains phone numbers",
        ),
        ("email,Anschluss\na@example.com,07700 900123\n", {"default_region": "GB"}, "Anschluss contains phone numbers"),
        ("phone,Kontakt\n+44 7700 900123,a@example.com\n", {}, "Kontakt contains addresses"),
        ('{"email":"a@example.com","boss":"b@example.com"}\n', {}, "boss contains addresses"),
        ("email,+44 7700\na@example.com,b@example.com\n", {}, "--column 'email=#2'"),
        ("Email,Name,Email\na@example.com,Ana,b@example.com\n", {}, "--column email=#1"),
        ("phone,telephone\n+44 7700 900123,+44 7700 900124\n", {"channel": SMS}, "phone_number has two columns"),
    ],
)
def test_a_column_that_may_count_is_not_passed_over(content: str, options: dict[str, Any], problem: str) -> None:
    """The file is refused with the option that settles it."""
    with pytest.raises(FileError) as refused:
        reader_of(content, **options)

    assert problem in str(refused.value)
    assert "@" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        ("email,Manager\na@example.com,b@example.com\n", {"columns": {"email": "Manager"}}, ["b@example.com"]),
        ("email,Manager\na@example.com,b@example.com\n", {"columns": {"email": "#2"}}, ["b@example.com"]),
        ("email,Anschluss\na@example.com,+44 7700 900123\n", {"channel": EMAIL}, ["a@example.com"]),
        ("phone,Kontakt\n+44 7700 900123,a@example.com\n", {"channel": SMS}, ["+447700900123"]),
        ("email,Record ID,Zip\na@example.com,1001234567,02139\n", {"default_region": "US"}, ["a@example.com"]),
        ("email,Joined,IP 2\na@example.com,2026-11-29,198.51.100.2\n", {"default_region": "DE"}, ["a@example.com"]),
        ("email,Note\na@example.com,write to b@example.com first\n", {}, ["a@example.com"]),
        ("phone,mobile\n+44 20 7946 0991,+44 7700 900123\n", {"channel": SMS}, ["+447700900123"]),
    ],
)
def test_a_column_that_was_settled_or_holds_something_else_is_no_hindrance(
    content: str, options: dict[str, Any], expected: list[str]
) -> None:
    """Identifiers, dates, addresses of computers and texts are not recipients."""
    assert recipients_of(content, **options) == expected


QUOTING = [
    ('a@example.com,"line 1\nline 2"\n', ["a@example.com"]),
    ('a@example.com,"line 1\nb@example.com says hello"\n', ["a@example.com"]),
    ('a@example.com,"6"" of snow\nb@example.com,fine\nc@example.com,needs 6"\n', [RowError]),
    ('a@example.com,"open\nb@example.com,closed"\nc@example.com,x\n', [RowError, "c@example.com"]),
    ('a@example.com,"x"y\nb@example.com,x\n', [RowError, "b@example.com"]),
    ('a@example.com,6" of snow\nb@example.com,x\n', ["a@example.com", "b@example.com"]),
    ("a@example.com\nb@example.com,x\n", ["a@example.com", "b@example.com"]),
    ("a@example.com,x,,\n", ["a@example.com"]),
    ("a@example.com,x,y\n", [RowError]),
    ("Total: 2\n", [RowError]),
    ("\n\na@example.com,x\n\n  \n,\n", ["a@example.com"]),
]


@pytest.mark.parametrize(("rows", "expected"), QUOTING)
def test_no_text_of_a_cell_becomes_a_recipient(rows: str, expected: list[Any]) -> None:
    """A cell may have several lines; rows that may have vanished into one are an error."""
    found = [row.recipient if isinstance(row, Row) else RowError for row in rows_of(f"email,note\n{rows}")]

    assert found == expected


@pytest.mark.parametrize(
    "rows",
    [
        'a@example.com,"open\nb@example.com,x\n',
        'a@example.com,"open',
        'a@example.com,"open\nb@example.com,x\nc@example.com,"fine"\nd@example.com,y\n',
    ],
)
def test_a_quotation_mark_without_end_refuses_the_file(rows: str) -> None:
    """The line where it opened is named, and nothing after it is guessed."""
    with pytest.raises(FileError, match="line 3 opens a quotation mark"):
        rows_of(f"email,note\nz@example.com,x\n{rows}")


@pytest.mark.parametrize(
    ("line", "is_read"),
    [
        ('{"email":"a@example.com","email":"b@example.com"}', False),
        ('{"email":"a@example.com","email":"a@example.com"}', False),
        ('{"email":"a@example.com","\\u0065mail":"b@example.com"}', False),
        ('{"email":"a@example.com","plan":1,"plan":2}', False),
        ('{"email":"a@example.com","authParams":{"state":"x","state":"y"}}', False),
        ('{"email":"a@example.com","authParams":{"state":"x"},"note":"\\"email\\":"}', True),
        ('{"email":"a@example.com","plan":null,"tags":["a","b"]}', True),
    ],
)
def test_a_key_counts_once(line: str, is_read: bool) -> None:  # noqa: FBT001 - a table
    """A repeated key has two values, and the parser would keep the last."""
    [row] = rows_of(line)

    assert isinstance(row, Row) is is_read


@pytest.mark.parametrize(
    ("cell", "language"),
    [
        *((word, None) for word in ["none", "NULL", "default", "unknown", "N/A", "-", "nan", "undefined", "(blank)"]),
        ("EN", "en"),
        ("DE-de", "de-DE"),
        ("pt_BR", "pt-BR"),
        ("zh-hant-tw", "zh-Hant-TW"),
    ],
)
def test_a_language_that_is_not_known_is_none(cell: str, language: str | None) -> None:
    """Words for a missing value set no language; a tag gets its usual form."""
    assert one_row(f"email,language\nana@example.com,{cell}\n").language == language


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("English", "Did you mean en?"),
        ("German", "Did you mean de?"),
        ("Portuguese (Brazil)", "Did you mean pt-BR?"),
        ("Français", "Did you mean fr?"),
        ("en-US;q=0.9", "write its tag"),
        ("fr_FR.UTF-8", "write its tag"),
        ("klingonese", "write its tag"),
    ],
)
def test_a_word_for_a_language_is_refused(cell: str, advice: str) -> None:
    """The advice names the tag where there is one."""
    error = one_error(f"email,language\nana@example.com,{cell}\n")

    assert error.field == "language"
    assert advice in error.problem


def national_numbers(prefixes: str, count: int = 50) -> str:
    """Italian mobile numbers without anything before them."""
    choice = random.Random(7)  # noqa: S311 - a repeatable sample
    return "".join(f"3{choice.choice(prefixes)}{choice.randrange(10**8):08}\n" for _ in range(count))


def test_the_column_itself_proves_that_bare_numbers_are_national() -> None:
    """Where ten numbers can be nothing but national, another with a second reading is national too; alone it is refused."""
    assert one_error("phone\n3281234567\n", default_region="IT").problem.startswith("has two readings")
    assert "+393281234567" in recipients_of(f"phone\n{national_numbers('34')}3281234567\n", default_region="IT")


def test_a_column_with_country_codes_proves_nothing() -> None:
    """One number that can only have a country code leaves the others unclear."""
    content = f"phone\n447700900123\n{national_numbers('34')}3281234567\n"

    assert "+393281234567" not in recipients_of(content, default_region="IT")
