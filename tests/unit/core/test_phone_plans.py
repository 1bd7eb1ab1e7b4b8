"""The compiled number plans answer as the `phonenumbers` library does."""

from __future__ import annotations

import random
import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from gatepost_core.identifiers import normalise_phone
from gatepost_core.number_rules import NumberRules, Numbers
from gatepost_core.phone_numbers import plan_and_use
from gatepost_core.phone_plans import Use
from support.examples import examples

FICTION = re.compile(r"\+447700900\d{3}|\+3363998\d{4}|\+3532091\d{5}")
VOICE = {
    PhoneNumberType.FIXED_LINE,
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
    PhoneNumberType.VOICEMAIL,
}
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def library_use(code: int, national: str) -> tuple[str | None, Use | None]:
    """What the library says of a number whose parts are known."""
    zeros = len(national) - len(national.lstrip("0"))
    parts = phonenumbers.PhoneNumber(
        country_code=code,
        national_number=int(national),
        italian_leading_zero=zeros > 0 or None,
        number_of_leading_zeros=zeros if zeros > 1 else None,
    )
    if not phonenumbers.is_valid_number(parts):
        return None, None
    use = Use.VOICE if phonenumbers.number_type(parts) in VOICE else Use.SMS
    return phonenumbers.region_code_for_number(parts), use


@pytest.mark.parametrize("code", CODES)
def test_plans_and_library_agree_on_random_numbers(code: int) -> None:
    """For every country code: the same region, and the same answer to whether it can receive SMS."""
    digits = random.Random(code)  # noqa: S311 - a repeatable sample, not a secret
    regions = phonenumbers.region_codes_for_country_code(code)
    plans = [phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region) for region in regions[:30]]
    starts = [str(kind.example_number) for plan in plans for kind in kinds_of(plan)]
    for start in starts:
        for kept in (1, 3, 5):
            national = start[:kept] + "".join(digits.choice("0123456789") for _ in start[kept:])
            number = f"+{code}{national}"
            if FICTION.fullmatch(number) or not int(national):
                continue
            region, use = library_use(code, national)

            found = plan_and_use(number)
            assert found[1] is use, number
            assert use is None or found[0] == region, number


def kinds_of(plan: phonenumbers.PhoneMetadata | None) -> list[phonenumbers.PhoneNumberDesc]:
    """The kinds of numbers in a plan that have an example."""
    kinds = () if plan is None else (plan.fixed_line, plan.mobile, plan.toll_free, plan.premium_rate, plan.shared_cost)
    more = () if plan is None else (plan.personal_number, plan.voip, plan.pager, plan.uan, plan.voicemail)
    return [one for one in (*kinds, *more) if one is not None and one.example_number]


@pytest.mark.parametrize("region", REGIONS)
def test_a_mobile_number_in_every_usual_notation_is_read(region: str) -> None:
    """The library's example of each region comes out alike from its international, its national and its RFC 3966 form."""
    example = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
    if example is None or not phonenumbers.is_valid_number(example):
        pytest.skip("the library has no mobile number of this region")
    expected = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    international = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    uri = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.RFC3966)
    national = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.NATIONAL)

    assert normalise_phone(expected) == expected
    assert normalise_phone(international) == expected
    assert normalise_phone(uri) == expected
    try:
        assert normalise_phone(national, region) == expected
    except ValueError as refused:
        assert "has two readings" in str(refused)  # noqa: PT017 - the other allowed answer


@settings(deadline=None, max_examples=examples(500))
@given(
    st.one_of(
        st.from_regex(r"\+?[0-9 ().-]{4,20}", fullmatch=True),
        st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True),
        st.text(max_size=300),
    ),
    st.sampled_from([None, *REGIONS]),
    st.sampled_from([*Numbers]),
)
def test_any_text_gives_a_number_that_stays_as_it_is_or_one_error(text: str, region: str | None, rule: Numbers) -> None:
    """Whatever a cell holds, its number is in E.164, and reading it again changes nothing."""
    rules = NumberRules(rule, allow_landlines=True)
    try:
        number = normalise_phone(text, region, rules)
    except ValueError as refused:
        assert text not in str(refused) or len(text) < 4  # noqa: PT017 - one of two right answers
        return

    assert re.fullmatch(r"\+[1-9]\d{1,14}", number)
    assert normalise_phone(number, region, rules) == number
    assert rule is Numbers.LENGTH or library_use_of(number)[1] is not None or FICTION.fullmatch(number)


def library_use_of(number: str) -> tuple[str | None, Use | None]:
    """What the library says of a number in E.164."""
    code = next(number[1:size] for size in (2, 3, 4) if int(number[1:size]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
    return library_use(int(code), number[1 + len(code) :])
