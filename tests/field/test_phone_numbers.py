"""Phone numbers as people really send them: the number that comes out, or why the row is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost_core.campaigns.row import Row
from gatepost_core.identifiers import normalise_phone, normalise_recipient
from gatepost_core.number_rules import NumberRules, Numbers
from gatepost_operations.files.check import check_file
from gatepost_operations.files.rows import RowError, read_rows
from support.recipient_files import one_error, recipients_of, rows_of

SAMPLES = Path(__file__).parent / "samples"
LETTERS = "contains letters or words"
SIGNS = "contains a character that a phone number cannot have"
TWO = "has two readings"
NO_PLAN = "is not in its country's number plan"
NO_SMS = "cannot receive SMS"
LENGTH = "has the wrong number of digits"
NO_CODE = "has no country code"
FORMER = "is in a form that is no longer used"

# Each: the cell, the region, and the number or the beginning of the problem.
LETTERS_AND_LABELS = [
    ("+44 7700 90XXXX", None, LETTERS),
    ("+49 151 XXXXXXXX", None, LETTERS),
    ("+33 6 39 XX XX XX", None, LETTERS),
    ("+49 171 392OOO6", None, LETTERS),
    ("+49 171 392O006", None, LETTERS),
    ("+40720 123 d456", None, LETTERS),
    ("0151 23456789 (Ana)", "DE", LETTERS),
    ("0171 3920006 mobil", "DE", LETTERS),
    ("0171 3920006 Handy", "DE", LETTERS),
    ("Tel. 0171 3920006", "DE", LETTERS),
    ("+1 800 FLOWERS", None, LETTERS),
    ("1-800-FLOWERS", "US", LETTERS),
    ("+49 171 39200l6", None, LETTERS),
    ("+49 171 3920006 oder +49 171 3920015", None, LETTERS),
    ("+49 171 3920006 Мама", None, LETTERS),
    ("+1 202 555 0123 x12", None, LETTERS),
    ("whatsapp:+491713920006", None, LETTERS),
    ("N/A", "DE", LETTERS),
    ("none", "DE", LETTERS),
    ("-", "DE", "is not a phone number"),
    ("+49 171 3920006, +49 171 3920015", None, "has a + that is not at the beginning"),
    ("0171 3920006, 0171 3920015", "DE", SIGNS),
    ("0171 3920006; 0171 3920015", "DE", SIGNS),
    ("0171 3920006 / 0171 3920015", "DE", LENGTH),
    ("*31#01713920006", "DE", SIGNS),
    ("+49 171 392_006", None, SIGNS),
    ("+49 171 392000?", None, SIGNS),
    ("++491713920006", None, "has a + that is not at the beginning"),
    ("49+1713920006", "DE", "has a + that is not at the beginning"),
    ('=HYPERLINK("tel:+491713920006";"Ana")', None, "is a spreadsheet formula"),
    ("+49 171\u200b3920006", None, "contains an invisible character at position 8: zero width space (U+200B)"),
]
COUNTRY_CODES = [
    ("4915123456789", "DE", "+4915123456789"),
    ("491713920006", "DE", "+491713920006"),
    ("49(0)171 3920006", "DE", "+491713920006"),
    ("00573211234567", "CO", "+573211234567"),
    ("00573133333333", "CO", "+573133333333"),
    ("00491713920006", "DE", "+491713920006"),
    ("00491713920006", None, "+491713920006"),
    ("0049 (0)171 3920006", None, "+491713920006"),
    ("011 49 171 3920006", "US", "+491713920006"),
    ("0011 49 171 3920006", "AU", "+491713920006"),
    ("00 1 202 555 0123", "GB", "+12025550123"),
    ("447700900123", "GB", "+447700900123"),
    ("07700900123", "GB", "+447700900123"),
    ("7700900123", "GB", "+447700900123"),
    ("4915123456789", "GB", "+4915123456789"),
    ("12025550123", "US", "+12025550123"),
    ("2025550123", "US", "+12025550123"),
    ("919876543210", "IN", "+919876543210"),
    ("09876543210", "IN", "+919876543210"),
    ("0 15 11 91234-5678", "BR", "+5511912345678"),
    ("0 11 91234-5678", "BR", "+5511912345678"),
    ("5511912345678", "BR", "+5511912345678"),
    ("+49 0171 3920006", None, "+491713920006"),
    ("+49 (0171) 3920006", None, "+491713920006"),
    ("+0049 171 3920006", None, "+491713920006"),
    ("+44 44 7700 900123", None, "+447700900123"),
    ("+1 1 202 555 0123", None, "+12025550123"),
    ("15123456789", "DE", TWO),
    ("33612345678", "DE", TWO),
    ("447400123456", "DE", TWO),
    ("3235550123", "US", TWO),
    ("323-555-0123", "US", "+13235550123"),
    ("(323) 555-0123", "US", "+13235550123"),
    ("13812345678", "CN", "+8613812345678"),
    ("13012345678", "CN", TWO),
    ("130 1234 5678", "CN", "+8613012345678"),
    ("+49 49 151 23456789", None, TWO),
    ("1713920006", "DE", "+491713920006"),
    ("612345678", "FR", "+33612345678"),
    ("4915123456789", None, NO_CODE),
    ("07700 900123", None, NO_CODE),
    ("020 7946 0123", None, NO_CODE),
    ("+999 12345678", None, "has a country code that does not exist"),
    ("+0171 3920006", None, "has a country code that does not exist"),
]
ZERO_IN_BRACKETS = [
    ("+48 (0)512 345 678", None, "+48512345678"),
    ("+39 (0)347 123 4567", None, "+393471234567"),
    ("+30 (0)691 234 5678", None, "+306912345678"),
    ("+852 (0)5123 4567", None, "+85251234567"),
    ("+420 (0)601 123 456", None, "+420601123456"),
    ("+49 (0)151 23456789", None, "+4915123456789"),
    ("+49(0)15123456789", None, "+4915123456789"),
    ("+49 [0] 151 23456789", None, "+4915123456789"),
    ("+49 ( 0 ) 151 23456789", None, "+4915123456789"),
    ("(0)151 23456789", "DE", "+4915123456789"),
    ("+44 (0) 7700 900123", None, "+447700900123"),
    ("+225 (0)7 12 34 56 78", None, "+2250712345678"),
    ("+39 (0)6 698 12345", None, NO_SMS),
]
PLANS = [
    ("0772345678", "GB", NO_PLAN),
    ("+44 (0)7723 456 78", "GB", NO_PLAN),
    ("+55 11 8123 4567", "GB", FORMER),
    ("+49 160 123456", "GB", NO_PLAN),
    ("0000000000", "GB", NO_PLAN),
    ("1111111111", "GB", NO_PLAN),
    ("0000000000", "DE", NO_PLAN),
    ("29.11.2026", "DE", "is written like a date"),
    ("2026-11-29", "DE", "is written like a date"),
    ("11/29/2026", "US", "is written like a date"),
    ("01.02.90", "DE", "is written like a date"),
    ("80331", "DE", NO_PLAN),
    ("192.168.1.1", "DE", "is written like an IP address"),
    ("203.0.113.7", "DE", "is written like an IP address"),
    ("+1 999 555 0123", None, NO_PLAN),
    ("+1 202 555 012", None, LENGTH),
    ("+1 202 555 01234", None, LENGTH),
    ("555 0123", "US", LENGTH),
    ("7946 0123", "GB", LENGTH),
    ("12345678901234567890123456", "GB", "has too many digits"),
]
WITHOUT_SMS = [
    ("+44 20 7946 0991", None, NO_SMS),
    ("020 7946 0991", "GB", NO_SMS),
    ("+49 30 23125005", None, NO_SMS),
    ("+1 800 555 0123", None, NO_SMS),
    ("+1 900 234 5678", None, NO_SMS),
    ("+44 909 879 0123", None, NO_SMS),
    ("+33 1 99 00 12 34", None, NO_SMS),
    ("+800 1234 5678", None, NO_SMS),
    ("+1 202 555 0123", None, "+12025550123"),
    ("+1 416 555 0123", None, "+14165550123"),
]
FORMER_FORMS = [
    ("+52 1 55 1234 5678", None, FORMER),
    ("0052 1 55 1234 5678", None, FORMER),
    ("52 1 55 1234 5678", "MX", FORMER),
    ("044 55 1234 5678", "MX", FORMER),
    ("045 55 1234 5678", "MX", FORMER),
    ("55 1234 5678", "MX", "+525512345678"),
    ("+225 07 12 34 56", None, FORMER),
    ("07 12 34 56", "CI", FORMER),
    ("+225 712 3456", None, FORMER),
    ("+229 97 12 34 56", None, FORMER),
    ("+84 121 234 5678", None, FORMER),
    ("(11) 8123-4567", "BR", FORMER),
]
NOTATIONS = [
    ("tel:+49-171-3920006", None, "+491713920006"),
    ("TEL:+49-171-3920006;ext=5", None, "+491713920006"),
    ("tel:171-3920006;phone-context=+49", None, "+491713920006"),
    ("tel:1713920006;phone-context=example.com", "DE", SIGNS),
    ("+1 202 555 0123 ext. 12", None, "+12025550123"),
    ("+1 202 555 0123 extension 12", None, "+12025550123"),
    ("+1 202 555 0123;ext=12", None, "+12025550123"),
    ("+49\u00a0171\u202f3920006", None, "+491713920006"),
    ("+49\u2011171\u20133920006", None, "+491713920006"),
    ("+49 171 \u2212 3920006", None, "+491713920006"),
    ("\u202a+49 171 3920006\u202c", None, "+491713920006"),
    ("\ufeff+49 171 3920006", None, "+491713920006"),
    ("\uff0b\uff14\uff19\uff11\uff17\uff11\uff13\uff19\uff12\uff10\uff10\uff10\uff16", None, "+491713920006"),
    ("\u0660\u0661\u0667\u0661\u0663\u0669\u0662\u0660\u0660\u0660\u0666", "DE", "+491713920006"),
    ("(+49) 171 3920006", None, "+491713920006"),
    ("+(49) 171 3920006", None, "+491713920006"),
    ("0171/3920006", "DE", "+491713920006"),
    ("0171.392.0006", "DE", "+491713920006"),
    ("'+49 171 3920006", None, "+491713920006"),
    ("'0171 3920006", "DE", "+491713920006"),
    ('="+491713920006"', None, "+491713920006"),
    ("4.91512E+12", "DE", "was changed by a spreadsheet"),
    ("4,91512E+12", "DE", "was changed by a spreadsheet"),
    ("4915123456789.0", "DE", "was changed by a spreadsheet"),
]
ALL = [
    *LETTERS_AND_LABELS,
    *COUNTRY_CODES,
    *ZERO_IN_BRACKETS,
    *PLANS,
    *WITHOUT_SMS,
    *FORMER_FORMS,
    *NOTATIONS,
]


@pytest.mark.parametrize(("cell", "region", "expected"), ALL)
def test_a_number_is_read_the_one_way_that_is_proven(cell: str, region: str | None, expected: str) -> None:
    """A cell of a file gives its number in E.164, or one problem."""
    quoted = cell.replace('"', '""')
    [row] = rows_of(f'phone\n"{quoted}"\n', default_region=region)

    if expected.startswith("+"):
        assert isinstance(row, Row), row
        assert row.recipient == expected
    else:
        assert isinstance(row, RowError), "accepted"
        assert row.problem.startswith(expected), row.problem


@pytest.mark.parametrize(
    ("name", "region", "expected"),
    [
        ("letters_region_none.csv", None, [LETTERS] * 6),
        ("label_after_de.csv", "DE", [LETTERS] * 3),
        ("de_lost_plus.csv", "DE", ["+4915123456789", "+491713920006", "+493023125005"]),
        ("idd_co.csv", "CO", ["+573211234567", "+573133333333"]),
        (
            "zero_in_brackets.csv",
            None,
            ["+48512345678", "+393471234567", "+306912345678", "+85251234567", "+420601123456"],
        ),
        ("missing_digit_gb.csv", "GB", [NO_PLAN, NO_PLAN, FORMER, NO_PLAN, NO_PLAN, NO_PLAN]),
    ],
)
def test_a_sample_of_numbers_comes_out_right(name: str, region: str | None, expected: list[str]) -> None:
    """Each row of a sample has its number or its problem."""
    with read_rows(SAMPLES / name, default_region=region, allow_landlines=True) as rows:
        found = [row.recipient if isinstance(row, Row) else row.problem for row in rows]

    assert len(found) == len(expected)
    assert all(one.startswith(beginning) for one, beginning in zip(found, expected, strict=True)), found


def test_two_readings_are_both_named() -> None:
    """The message gives the countries and the ways of reading, and not the number."""
    error = one_error("phone\n15123456789", default_region="DE")

    assert error.problem == (
        "has two readings: DE as a national number, without its prefix, or US with another country code, without +; "
        "write it with + and its country code"
    )


def test_a_former_form_is_refused_with_the_new_one() -> None:
    """The advice is the new form, where the country defined one."""
    assert "07 before such a mobile number" in one_error("phone\n+225 07 12 34 56").problem
    assert "delete it" in one_error("phone\n+52 1 55 1234 5678").problem


def test_length_accepts_a_number_of_a_new_range() -> None:
    """`numbers=length` accepts what the plan may not know yet, and the check counts such rows."""
    content = "phone\n+1 999 555 0123\n+44 7700 900123\n+1 202 555 012\n"

    assert recipients_of(content) == ["+447700900123"]
    assert recipients_of(content, numbers=Numbers.LENGTH) == ["+19995550123", "+447700900123"]


def test_a_number_without_sms_is_counted_in_both_ways(tmp_path: Path) -> None:
    """The check counts rows that cannot receive SMS, refused or accepted."""
    path = tmp_path / "numbers.csv"
    path.write_text("phone\n+44 20 7946 0991\n+44 7700 900123\n+1 999 555 0123\n")

    refused, accepted = check_file(path), check_file(path, allow_landlines=True)

    assert (refused.valid, refused.cannot_receive_sms, refused.valid_by_length) == (1, 1, 1)
    assert (accepted.valid, accepted.cannot_receive_sms, accepted.valid_by_length) == (2, 1, 1)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ('{"phone": 4915123456789}', "+4915123456789"),
        ('{"phone": 4.91512e12}', "is a decimal number"),
        ('{"phone": true}', "must be text"),
        ('{"phone": ["+491713920006"]}', "must be text"),
        ('{"phone": {"mobile": "+491713920006"}}', "must be text"),
    ],
)
def test_a_json_number_is_read_like_its_digits(document: str, expected: str) -> None:
    """A whole number of JSON is exact, and a decimal one may not be."""
    [row] = rows_of(document, default_region="DE")

    assert (row.recipient if isinstance(row, Row) else row.problem).startswith(expected)


@pytest.mark.parametrize(("cell", "region", "expected"), [one for one in ALL if one[2].startswith("+")])
def test_a_number_in_its_normal_form_stays_as_it_is(cell: str, region: str | None, expected: str) -> None:
    """Normalising twice changes nothing, also for the rules of look-ups."""
    rules = NumberRules(Numbers.LENGTH, allow_landlines=True)

    assert normalise_phone(expected) == expected
    assert normalise_phone(expected, region, rules) == expected
    assert normalise_recipient(expected) == expected
