"""The commands, a frozen and validated class for each kind."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from gatepost_core.error_boundary import boundary, model_boundary
from gatepost_core.errors import FieldError, InvalidCommand, NewerForm
from gatepost_core.identifiers import NUMBER_RULES, REVEAL, STORED, CodeField, EmailField, PhoneField, SentPhoneField
from gatepost_core.kinds import Kind
from gatepost_core.message_fields import (
    ClientIp,
    Connection,
    ConnectionName,
    Headers,
    InRequest,
    IsNumber,
    JsonObject,
    Language,
    MessageFields,
    Send,
    in_request,
)
from gatepost_core.points_in_time import Deadline
from gatepost_core.redeem_tokens import RedeemTokenField

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatepost_core.number_rules import NumberRules

# As in the settings.
_TENANT_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,31}$"

_RESERVED_FIELDS: Final = frozenset(
    {
        *("client_id", "client_secret", "client_assertion", "client_assertion_type", "grant_type", "otp", "username"),
        # For every kind: an SMS command must not reach an address or use a hidden connection. See also `_IN_REQUEST`.
        *("email", "phone_number", "phoneNumber", "realm", "code"),
    }
)


class OnUnknown(StrEnum):
    """The choice for a message that may have been sent, if its answer is lost."""

    HOLD = "hold"
    RESEND = "resend"


@model_boundary
class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)

    kind: Kind
    tenant: Annotated[str, Field(pattern=_TENANT_NAME)] | None = Field(
        default=None, description="Name of a configured tenant; by default, the first."
    )
    deadline: Deadline | None = Field(default=None, description="No attempt starts after this time.")
    client_ip: ClientIp = Field(default=None, description="The recipient's IP address, sent as auth0-forwarded-for.")
    # Not printed, like auth_params: a hint or a state can hold an address.
    extra: JsonObject = Field(default_factory=dict, repr=False, description="Further fields of the request's body.")
    headers: Headers | None = Field(
        default=None, repr=False, description="Headers of this call, which the tenant's settings must allow."
    )

    @model_validator(mode="after")
    def _extra_takes_nothing_reserved(self) -> Self:
        if not self.extra:
            return self
        taken = sorted((_RESERVED_FIELDS | _IN_REQUEST | type(self).model_fields.keys()) & self.extra.keys())
        if taken:
            raise ValueError(f"extra must not hold {', '.join(taken)}: use the command's own fields and the tenant")
        return self

    def ends_at(self, now: datetime | None = None) -> datetime:
        """Return the command's deadline, or now plus the lifetime of its kind."""
        return self.deadline or (now or datetime.now(UTC)) + self.kind.lifetime


class SendCommand(_Command, MessageFields):
    """The fields that all sends share."""

    connection: Connection
    on_unknown: OnUnknown = OnUnknown.HOLD


class LoginCommand(_Command):
    """The fields that all logins share."""

    code: CodeField
    realm: ConnectionName
    language: Language = Field(default=None, description="Language of the request, sent as x-request-language.")
    scope: str | None = None
    audience: str | None = None
    organization: Annotated[str | None, InRequest(member="organization")] = Field(
        default=None, description="An org_… id or a name; sent, and compared with the id_token."
    )
    nonce: str | None = Field(default=None, description="Compared with the id_token; not sent.")
    max_age: Annotated[int, Field(ge=0, description="Seconds."), IsNumber] | None = None
    redeem_token: RedeemTokenField | None = Field(
        default=None, description="Opens the result: 32 random bytes as base64url. A producer makes one."
    )


class SendEmail(SendCommand):
    """Send a one-time code or a magic link to an e-mail address."""

    kind: Literal[Kind.SEND_EMAIL] = Kind.SEND_EMAIL
    email: EmailField
    send: Send = "code"
    connection: Connection = Kind.SEND_EMAIL.connection


class SendSms(SendCommand):
    """Send a one-time code to a phone number."""

    kind: Literal[Kind.SEND_SMS] = Kind.SEND_SMS
    phone_number: PhoneField
    connection: Connection = Kind.SEND_SMS.connection


class LoginWithEmail(LoginCommand):
    """Exchange the code that an e-mail address received for a token set."""

    kind: Literal[Kind.LOGIN_WITH_EMAIL] = Kind.LOGIN_WITH_EMAIL
    email: EmailField
    realm: ConnectionName = Kind.LOGIN_WITH_EMAIL.connection


class LoginWithSms(LoginCommand):
    """Exchange the code that a phone received for a token set."""

    kind: Literal[Kind.LOGIN_WITH_SMS] = Kind.LOGIN_WITH_SMS
    phone_number: SentPhoneField
    realm: ConnectionName = Kind.LOGIN_WITH_SMS.connection


Command = SendEmail | SendSms | LoginWithEmail | LoginWithSms
C = TypeVar("C", bound=_Command)
COMMANDS: Final[Mapping[Kind, type[Command]]] = {
    model.model_fields["kind"].default: model for model in get_args(Command)
}
"""The command class of each kind."""
IN_REQUEST: Final = {name: carried for model in COMMANDS.values() for name, carried in in_request(model).items()}
"""The fields of commands that reach Auth0 under a name of the request."""
_IN_REQUEST: Final = IN_REQUEST.keys() | {place.member for place in IN_REQUEST.values()}

_ANY_COMMAND: Final[TypeAdapter[Command]] = TypeAdapter(Annotated[Command, Field(discriminator="kind")])


def recipient_of(command: Command) -> str:
    """Return the address or number in clear. Only for the request and for fingerprints."""
    recipient: SecretStr = getattr(command, command.kind.identifier)
    return recipient.get_secret_value()


@boundary
def build(model: type[C], fields: Mapping[str, Any], rules: NumberRules | None = None) -> C:
    """Validate fields into a command.

    Args:
        model: the command's class.
        fields: its fields.
        rules: the rules for a phone number that gets a message.

    Raises:
        InvalidCommand: a field is not valid. The message names each field and its problem, never a value.
    """
    try:
        return model.model_validate(dict(fields), context={NUMBER_RULES: rules})
    except ValidationError as failure:
        raise invalid_command_of(failure) from None


@boundary
def parse_command(document: Mapping[str, Any]) -> Command:
    """Validate a foreign document, as JSON gives it, into the command its `kind` names.

    Raises:
        InvalidCommand: names every bad field and its problem, never a value.
    """
    try:
        return _ANY_COMMAND.validate_python(dict(document))
    except ValidationError as failure:
        raise invalid_command_of(failure) from None


def dump_command(command: Command) -> bytes:
    """Return the command as JSON, with personal values in clear. Only for sealing."""
    return command.model_dump_json(context=REVEAL, exclude_none=True).encode()


def require_redeem_token(command: Command) -> None:
    """Refuse a login whose result could not be opened.

    Raises:
        InvalidCommand: it has no redeem token.
    """
    if isinstance(command, LoginCommand) and command.redeem_token is None:
        raise InvalidCommand([("redeem_token", "is missing: 32 random bytes as base64url, to open the result with")])


def dump_without_deadline(command: Command) -> bytes:
    """Return what `dump_command` returns for the same command without a deadline."""
    return dump_command(command if command.deadline is None else command.model_copy(update={"deadline": None}))


def with_members(dumped: bytes, **members: str) -> bytes:
    """Return what `dump_without_deadline` returned, with more members, such as a deadline."""
    more = "".join(f',"{name}":{json.dumps(text)}' for name, text in members.items())
    return b"%s%s}" % (dumped[:-1], more.encode())


@boundary
def load_command(document: bytes) -> Command:
    """Read what `dump_command` wrote.

    Raises:
        NewerForm: a newer version wrote it.
        InvalidCommand: it has another form. The message names fields, never a value.
    """
    try:
        return _ANY_COMMAND.validate_json(document, context=STORED)
    except ValidationError as failure:
        # The first form has no member `form`.
        if any(error["loc"][-1:] == ("form",) for error in failure.errors(include_input=False)):
            raise NewerForm from None
        raise invalid_command_of(failure) from None


_KINDS: Final = frozenset(kind.value for kind in Kind)
# pydantic's message repeats the value.
_UNKNOWN_KIND: Final = "kind must be one of " + ", ".join(kind.value for kind in Kind)
_FIELDS: Final = frozenset(field for model in COMMANDS.values() for field in model.model_fields)
# The name of an unknown field may be an address or a number. Only plain words are repeated.
_WORD: Final = re.compile(r"[A-Za-z]{1,16}(_[A-Za-z]{1,16}){0,2}")


def invalid_command_of(failure: ValidationError) -> InvalidCommand:
    """Return the error that names each wrong field, and never a value."""
    # pydantic's `input` and `ctx` can hold the value.
    errors = failure.errors(include_url=False, include_context=False, include_input=False)
    return InvalidCommand(
        [
            FieldError(
                _field_at([str(part) for part in error["loc"] if part not in _KINDS]),
                _UNKNOWN_KIND if error["type"] == "union_tag_invalid" else error["msg"].removeprefix("Value error, "),
            )
            for error in errors
        ]
    )


def _field_at(place: list[str]) -> str:
    # The names below a field come from the input.
    field = place[0] if place else "command"
    return field if field in _FIELDS or _WORD.fullmatch(field) else "an unknown field"
