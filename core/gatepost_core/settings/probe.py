"""The settings of the login probe. Only `gatepost probe` reads them."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - pydantic resolves it at run time
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from gatepost_core.identifiers import Personal, is_address, normalise_email, normalise_phone
from gatepost_core.settings.secret_sources import Configuration

# Six digits that are no part of a word, a longer number, an amount, a colour or a URL.
USUAL_CODE: Final = r"(?<![\w#&/=.,+-])\d{6}(?![\w/=-]|[.,]\d)"
"""The default of GATEPOST_PROBE_CODE_PATTERN."""
_LONGEST_PATTERN: Final = 200


class ProbeSettings(Configuration):
    """The configuration of `gatepost probe`."""

    probe_address: Personal | None = Field(
        default=None, description="The mailbox's e-mail address, or a phone number, that the probe sends to."
    )
    probe_connection: str | None = Field(
        default=None, description="The passwordless connection; by default, email or sms."
    )
    probe_imap_host: str | None = Field(default=None, description="The IMAP server of the mailbox.")
    probe_imap_port: Annotated[int, Field(ge=1, le=65_535, description="Its port, with TLS from the first byte.")] = 993
    probe_imap_user: Personal | None = Field(default=None, description="The user; by default, the address.")
    probe_imap_password: SecretStr | None = None
    probe_imap_folder: str = Field(default="INBOX", min_length=1, description="The folder that messages arrive in.")
    probe_imap_ca_bundle: Path | None = Field(
        default=None, description="Trusted authorities, a PEM file; by default, those of the system."
    )
    probe_code_command: SecretStr | None = Field(
        default=None, description="A command that prints the message or its code, in place of a mailbox."
    )
    probe_code_pattern: str = Field(
        default=USUAL_CODE,
        max_length=_LONGEST_PATTERN,
        description="The regular expression of a code; by default, six digits that stand alone.",
    )
    probe_used_messages: Literal["delete", "mark", "keep"] = Field(
        default="delete", description="What happens to a message whose code was used."
    )
    probe_arrival_timeout: Annotated[
        float, Field(gt=0, le=600, description="Seconds to wait for the message, at most.")
    ] = 60.0
    probe_operation_timeout: Annotated[
        float, Field(gt=0, le=300, description="Seconds to wait for the send, and again for the login, at most.")
    ] = 45.0

    @field_validator("probe_address")
    @classmethod
    def _can_receive(cls, value: Personal | None) -> Personal | None:
        if value is None:
            return None
        normalise = normalise_email if is_address(value.get_secret_value()) else normalise_phone
        return Personal(normalise(value.get_secret_value()))

    @field_validator("probe_imap_user", "probe_imap_password", "probe_imap_folder")
    @classmethod
    def _is_one_line(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        if not (value.get_secret_value() if isinstance(value, SecretStr) else value or "").isprintable():
            raise ValueError("must be one line without control characters")
        return value

    @field_validator("probe_code_pattern")
    @classmethod
    def _is_a_pattern(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except (re.error, RecursionError, OverflowError):
            raise ValueError(r"must be a regular expression, such as \b\d{6}\b") from None
        if groups > 1:
            raise ValueError("must have at most one group, which is the code; write the others as (?:…)")
        return value
