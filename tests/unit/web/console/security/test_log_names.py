"""How a log line of the console names an operator and a browser."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from pydantic import SecretStr

from gatepost_operations.web.console.security.log_names import LogNames
from gatepost_operations.web.console.security.operators import Level, Operator

NAMES = LogNames(SecretStr("key"))


def named(account: str, names: LogNames = NAMES) -> str:
    return names.operator(Operator("ana@example.com", Level.ADMIN, account))


@pytest.mark.parametrize("account", ["password:otto", "oidc:auth0|65f1c2", "oidc:7", "oidc:https://id.example.com/u/9"])
def test_an_account_without_an_address_is_named(account: str) -> None:
    """An auditor finds the subject at the identity provider. The name in pages, which may be an address, is left out."""
    assert named(account) == account


@pytest.mark.parametrize(
    "account",
    [
        "password:ana@example.com",
        "password:ana@localhost",
        "oidc:email|ana@example.com",
        "oidc:ana%40example.com",
        "oidc:sms|+12025550143",
        "oidc:sms%7C%2B12025550143",
    ],
)
def test_an_account_with_an_address_or_a_number_is_a_digest(account: str) -> None:
    """The way to sign in stays readable."""
    way = account.partition(":")[0]

    assert re.fullmatch(f"{way}:[0-9a-f]{{16}}", named(account))


def test_the_digest_needs_the_key_and_is_what_the_page_describes() -> None:
    """A plain hash of an address could be guessed. Who has the key finds the lines of an operator."""
    whole = hmac.new(b"key", b"operator ana@example.com", hashlib.sha256).hexdigest()

    assert named("password:ana@example.com") == f"password:{whole[:16]}"
    assert named("password:ana@example.com", LogNames(SecretStr("other"))) != f"password:{whole[:16]}"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_tries_from_one_network_have_one_digest(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """As they are counted. The address is not readable."""
    first, second = NAMES.browser(one), NAMES.browser(other)

    assert re.fullmatch("[0-9a-f]{16}", first)
    assert (first == second) is same
