"""The fields of a message: each is described here once, with its type, its columns in a recipient file and its place in Auth0's request.

Commands, campaign options, rows, recipient files and the worker's requests follow from this description.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, JsonValue, PlainValidator
from pydantic_core import from_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_OBJECT: Final = 65_536
"""Characters of one object as JSON."""
_REFUSED: Final = (
    f"cannot be carried: an object has at most {LONGEST_OBJECT:,} characters and some 200 levels, finite numbers, and no half of a"
    " surrogate pair"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InRequest:
    """How a field reaches Auth0, and how a recipient file gives it. An annotation of the field.

    Attributes:
        member: its name in the request's body; empty if a header carries it.
        header: the header that carries it; empty if the body does.
        columns: its column in a recipient file may also have these names. None if all recipients have the campaign's value.
        flaw: why a value in a file is refused. It follows the field's name and does not repeat the value. A function gets the value.
    """

    member: str = ""
    header: str = ""
    columns: tuple[str, ...] | None = None
    flaw: str | Callable[[str], str] = "is not valid"

    def flaw_of(self, value: str) -> str:
        """Return why this value in a file is refused, without the value."""
        return self.flaw if isinstance(self.flaw, str) else self.flaw(value)


def _survives_sealing(members: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    if not members:
        return members
    try:
        text = json.dumps(members, ensure_ascii=False, allow_nan=False)
        # In a list: the command's own object adds a level when it is read again.
        readable = len(text) <= LONGEST_OBJECT and from_json(f"[{text}]".encode()) == [members]
    except (ValueError, RecursionError):
        # The texts of these errors can quote the value.
        readable = False
    if not readable:
        raise ValueError(_REFUSED)
    return members


JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_survives_sealing)]
"""A JSON object that survives sealing."""


def _ip_address(given: object) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(given) if isinstance(given, str | IPv4Address | IPv6Address) else None
    except ValueError:
        address = None
    if address is None:
        raise ValueError("is not a valid IPv4 or IPv6 address")
    # A zone ("%eth0") means nothing on another machine, and may hold anything, line breaks included.
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError("must be an address without a zone")
    return address


def _normalised_language(tag: str) -> str:
    # Imported here, because most sends name no language.
    from gatepost_core.languages import normalise_language  # noqa: PLC0415

    return normalise_language(tag)


def _language_problem(given: str) -> str:
    # Imported here, as above.
    from gatepost_core.languages import language_problem  # noqa: PLC0415

    return language_problem(given)


def _no_other_type(given: object) -> object:
    if isinstance(given, bool | str | bytes):
        raise ValueError("must be a number, without quotes")  # noqa: TRY004 - pydantic's errors are ValueErrors
    return given


IsNumber: Final = BeforeValidator(_no_other_type)
"""Refuses text and true or false for a number: pydantic takes "5" for 5, and true for 1."""

Send = Annotated[Literal["code", "link", "link_ios", "link_android"], InRequest(member="send")]
"""The content of an e-mail."""

ConnectionName = Annotated[str, Field(min_length=1, max_length=128)]
Connection = Annotated[ConnectionName, InRequest(member="connection")]
"""The passwordless connection of a send."""

Language = Annotated[
    Annotated[str, AfterValidator(_normalised_language)] | None,
    InRequest(header="x-request-language", columns=("lang", "locale"), flaw=_language_problem),
]
"""The language of the message's template, one that Auth0 supports. `pt_BR` becomes `pt-BR`."""

ClientIp = Annotated[
    Annotated[IPv4Address | IPv6Address, PlainValidator(_ip_address)] | None,
    InRequest(header="auth0-forwarded-for", columns=("ip", "forwarded_for"), flaw="is not an IPv4 or IPv6 address"),
]
"""The recipient's IP address."""

AuthParams = Annotated[JsonObject | None, InRequest(member="authParams", columns=("authparams",))]
"""Parameters of a magic link: scope, redirect_uri, state …"""


# RFC 9110, 5.6.2 and 5.5: a token, and visible ASCII with spaces inside.
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ !-~]{0,4094}[!-~])?")
_FORBIDDEN_HEADERS: Final = frozenset(
    {
        *("authorization", "cookie", "auth0-client", "content-type", "content-encoding"),
        # These have separate fields.
        *("x-request-language", "auth0-forwarded-for"),
        # The Authentication client refuses these, and all of `Proxy-`.
        *("host", "content-length", "transfer-encoding", "te", "trailer"),
        *("connection", "keep-alive", "upgrade", "expect"),
    }
)


def checked_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers that may be added to a request.

    Raises:
        ValueError: one is malformed, or Gatepost sets it. The message repeats no other name, and no value.
    """
    if len({name.lower() for name in headers}) != len(headers):
        raise ValueError("must not name a header twice")
    for name, value in headers.items():
        if name.lower() in _FORBIDDEN_HEADERS or name.lower().startswith("proxy-"):
            raise ValueError(f"must not set {name.lower()}, which Gatepost sets")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ValueError("must be names of headers with values of at most 4,096 visible ASCII characters")
    return headers


Headers = Annotated[dict[str, str], AfterValidator(checked_headers)]
"""Headers of one call, by name."""


class MessageFields(BaseModel):
    """The fields of a message that single sends and campaigns share. A recipient's own value is stronger than the campaign's."""

    language: Language = Field(
        default=None, description="Language of the message's template, sent as x-request-language."
    )
    # Not printed: a state or a hint can hold an address.
    auth_params: AuthParams = Field(
        default=None, repr=False, description="authParams: scope, redirect_uri, state … of a magic link."
    )


def in_request(model: type[BaseModel]) -> dict[str, InRequest]:
    """Return the fields of a model that reach Auth0, by name."""
    return {
        name: carried
        for name, field in model.model_fields.items()
        for carried in field.metadata
        if isinstance(carried, InRequest)
    }
