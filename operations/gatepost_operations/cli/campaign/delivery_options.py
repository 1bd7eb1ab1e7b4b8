"""The command-line options that decide how a campaign is sent."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from gatepost_core.campaigns.hours import SendingHours
from gatepost_core.campaigns.model import LOWEST_RATE, Options
from gatepost_core.campaigns.row import Row
from gatepost_core.commands import OnUnknown, invalid_command_of
from gatepost_core.errors import FieldError, InvalidCommand
from gatepost_core.kinds import Channel
from gatepost_core.message_fields import Send
from gatepost_operations.cli.campaign.recipient_file import FileOptions
from gatepost_operations.cli.inputs import given_only
from gatepost_operations.cli.message_options import MessageOptions, OnUnknownOption
from gatepost_operations.cli.options import TenantOption
from gatepost_operations.cli.time_input import read_moment, read_zone
from gatepost_operations.files.rows import read_rows

Moment = "MOMENT"
RateText = Annotated[
    float | None,
    typer.Option(
        "--rate", metavar="N", min=LOWEST_RATE, help="Maximum recipients per second. Auth0's quota can be lower."
    ),
]


@dataclass(frozen=True, kw_only=True)
class CampaignMessageOptions(MessageOptions):
    """The options for the content of a campaign's messages. `test` has no others."""

    send: Annotated[Send, typer.Option("--send", help="What e-mails contain.")] = "code"
    connection: Annotated[
        str | None,
        typer.Option(
            "--connection",
            metavar="NAME",
            help="Passwordless connection [default: email for e-mails, sms for SMS].",
        ),
    ] = None
    tenant: TenantOption = None
    on_unknown: OnUnknownOption = OnUnknown.HOLD


@dataclass(frozen=True, kw_only=True)
class DeliveryOptions(CampaignMessageOptions):
    """The options that `create`, `send` and `plan` share."""

    start_at: Annotated[
        str | None,
        typer.Option(
            "--start-at",
            metavar=Moment,
            help="Send nothing before this time, such as 2026-05-04T09:00+02:00, or 2d for two days from now.",
        ),
    ] = None
    hours: Annotated[
        str | None,
        typer.Option("--hours", metavar="HH:MM-HH:MM", help="Hours of the day in which to send, such as 09:00-18:00."),
    ] = None
    timezone: Annotated[
        str | None,
        typer.Option(
            "--timezone",
            metavar="NAME",
            help="Time zone of --hours and of times without a zone. Example: Europe/Berlin.",
        ),
    ] = None
    rate: RateText = None
    deadline: Annotated[
        str | None,
        typer.Option(
            "--deadline",
            metavar=Moment,
            help="Send nothing after this time. The remaining recipients become expired. Same forms as --start-at.",
        ),
    ] = None
    pause_after_errors: Annotated[
        int,
        typer.Option(
            "--pause-after-errors", metavar="N", min=0, help="Pause after N identical failures in a row. 0: never."
        ),
    ] = 25
    pause_above_error_share: Annotated[
        float,
        typer.Option(
            "--pause-above-error-share",
            metavar="SHARE",
            min=0,
            max=1,
            help="Pause if more than this share of the recipients fails. 0: never.",
        ),
    ] = 0.25
    max_in_flight: Annotated[
        int,
        typer.Option(
            "--max-in-flight",
            metavar="N",
            min=1,
            max=1000,
            help="Maximum batches in progress at once. A batch has up to 256 recipients.",
        ),
    ] = 256
    guest_list: Annotated[
        Path | None,
        typer.Option(
            "--guest-list",
            metavar="FILE",
            help="Rehearsal: send only to recipients who are also in this file.",
        ),
    ] = None

    def options(self, channel: Channel, *, now: datetime | None = None) -> Options:
        """Return the options of the campaign.

        Args:
            channel: the channel of the file.
            now: the start of durations.

        Raises:
            InvalidCommand: one of them is malformed.
        """
        now = now or datetime.now(UTC)
        if self.timezone is not None:
            read_zone(self.timezone)
        given: dict[str, Any] = given_only(
            {
                "connection": self.connection,
                "tenant": self.tenant,
                "start_at": read_moment(self.start_at, "start-at", now=now, timezone=self.timezone),
                "hours": self._hours(),
                "rate": self.rate,
                "deadline": read_moment(self.deadline, "deadline", now=now, timezone=self.timezone),
                **self.message_fields(),
            }
        )
        try:
            return Options(
                channel=channel,
                send=self.send,
                on_unknown=self.on_unknown,
                pause_after_errors=self.pause_after_errors or None,
                pause_above_error_share=self.pause_above_error_share or None,
                max_in_flight=self.max_in_flight,
                **given,
            )
        except ValidationError as failure:
            raise invalid_command_of(failure) from None

    def guests(self, reading: FileOptions | None = None) -> list[str] | None:
        """Return the recipients of the guest list, in clear; None without one.

        Args:
            reading: the options of the campaign's file. Its phone numbers and those of the list are read in the same way.

        Raises:
            FileError: the list cannot be read.
            InvalidCommand: a row of the list is invalid; without the error, that guest would get no message.
        """
        if self.guest_list is None:
            return None
        options = reading.number_keywords() if reading else {}
        with read_rows(self.guest_list, **options) as reader:
            guests = []
            for item in reader:
                if not isinstance(item, Row):
                    raise InvalidCommand([FieldError("guest-list", str(item))])
                guests.append(item.recipient)
        return guests

    def _hours(self) -> SendingHours | None:
        if self.hours is None:
            return None
        if self.timezone is None:
            raise InvalidCommand([FieldError("hours", "needs a timezone, such as --timezone Europe/Berlin")])
        try:
            return SendingHours.parse(self.hours, self.timezone)
        except ValueError as problem:
            raise InvalidCommand([FieldError("hours", str(problem).removeprefix("hours: "))]) from None
