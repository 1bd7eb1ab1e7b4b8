"""The kinds of operations: one entry for each.

An entry feeds commands, tasks, queues, messages, the worker's calls, campaigns, the command line, the demo and the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, Self

CODE_LIFETIME: Final = timedelta(seconds=180)
"""How long Auth0 accepts a one-time code by default. A later login cannot succeed."""
SEND_LIFETIME: Final = timedelta(minutes=15)
"""How late a single message may leave. Its recipient has stopped waiting by then."""


class Queue(StrEnum):
    """The queues; `RedisKeys.queue` gives their names. Campaigns and webhooks have their own, so that they never delay a login."""

    LOGIN = "login"
    SEND = "send"
    BULK = "bulk"
    WEBHOOKS = "webhooks"


class Identifier(StrEnum):
    """The identifier of a recipient. The value is the field's name in commands and in Auth0's requests."""

    EMAIL = "email"
    PHONE_NUMBER = "phone_number"


class Endpoint(StrEnum):
    """The endpoints of the Authentication API that operations call. Each has a quota."""

    START = "passwordless/start"
    TOKEN = "oauth/token"  # noqa: S105 - a path, not a credential


class Lane(StrEnum):
    """The kind of request. It decides whether the limiter's reserve may be used."""

    INTERACTIVE = "interactive"
    """A login or a single send: a person is waiting. May use the reserve."""
    BULK = "bulk"
    """A campaign. Must not use the reserve."""


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """One channel.

    Attributes:
        name: its name in options, files and reports.
        identifier: the identifier of its recipients; None if each row decides.
        letter: its letter in a stored batch. A letter is never given to another channel.
        label: its name in texts.
    """

    name: str
    identifier: Identifier | None
    letter: str
    label: str


class Channel(StrEnum):
    """How recipients are reached. `auto` takes what each row has, the address before the number."""

    identifier: Identifier | None
    letter: str
    label: str

    def __new__(cls, entry: Any) -> Self:
        """Make a member of its entry."""
        channel = str.__new__(cls, entry.name)
        channel._value_ = entry.name
        channel.identifier, channel.letter, channel.label = entry.identifier, entry.letter, entry.label
        return channel

    EMAIL = ChannelEntry("email", Identifier.EMAIL, "e", "e-mail")
    SMS = ChannelEntry("sms", Identifier.PHONE_NUMBER, "s", "SMS")
    AUTO = ChannelEntry("auto", None, "", "e-mail or SMS")


CHANNELS: Final = tuple(channel for channel in Channel if channel.identifier is not None)
"""The channels that a recipient can have: all but `auto`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One kind.

    Attributes:
        name: its name in Redis, messages, JSON and logs. The task is `gatepost.NAME`.
        channel: the channel of its message, or of the code that a login takes.
        identifier: the field that holds the recipient.
        endpoint: the endpoint that it calls.
        queue: the queue of its task.
        lane: the limiter's lane.
        lifetime: the time to the deadline of a command that has none.
        connection: the passwordless connection of a command that names none.
        time_limit: the setting that limits one call.
        in_campaigns: whether campaigns send it to the recipients of its channel.
        shell_command: the command of `gatepost` that enqueues it.
        summary: the first line of that command's help.
        label: its plural in texts.
    """

    name: str
    channel: Channel
    endpoint: Endpoint
    queue: Queue
    lifetime: timedelta
    connection: str
    time_limit: str
    shell_command: str
    summary: str
    label: str
    in_campaigns: bool = False
    lane: Lane = Lane.INTERACTIVE


_LOG_IN: Final = "Log a person in: exchange a one-time code for a token set."


class Kind(StrEnum):
    """What an operation does. The attributes are those of its entry."""

    channel: Channel
    identifier: Identifier
    endpoint: Endpoint
    queue: Queue
    lane: Lane
    lifetime: timedelta
    connection: str
    time_limit: str
    in_campaigns: bool
    shell_command: str
    summary: str
    label: str

    def __new__(cls, entry: Any) -> Self:
        """Make a member of its entry."""
        kind = str.__new__(cls, entry.name)
        kind._value_ = entry.name
        kind.channel, kind.identifier, kind.endpoint = entry.channel, entry.channel.identifier, entry.endpoint
        kind.queue, kind.lane, kind.lifetime, kind.connection = (
            entry.queue,
            entry.lane,
            entry.lifetime,
            entry.connection,
        )
        kind.time_limit, kind.in_campaigns = entry.time_limit, entry.in_campaigns
        kind.shell_command, kind.summary, kind.label = entry.shell_command, entry.summary, entry.label
        return kind

    SEND_EMAIL = Entry(
        name="send_email",
        channel=Channel.EMAIL,
        endpoint=Endpoint.START,
        queue=Queue.SEND,
        lifetime=SEND_LIFETIME,
        connection="email",
        time_limit="email_deadline",
        in_campaigns=True,
        shell_command="send-email",
        summary="Send a one-time code or a magic link to an e-mail address.",
        label="e-mails",
    )
    SEND_SMS = Entry(
        name="send_sms",
        channel=Channel.SMS,
        endpoint=Endpoint.START,
        queue=Queue.SEND,
        lifetime=SEND_LIFETIME,
        connection="sms",
        time_limit="sms_deadline",
        in_campaigns=True,
        shell_command="send-sms",
        summary="Send a one-time code to a phone number.",
        label="SMS",
    )
    LOGIN_WITH_EMAIL = Entry(
        name="login_with_email",
        channel=Channel.EMAIL,
        endpoint=Endpoint.TOKEN,
        queue=Queue.LOGIN,
        lifetime=CODE_LIFETIME,
        connection="email",
        time_limit="login_deadline",
        shell_command="login",
        summary=_LOG_IN,
        label="logins by e-mail",
    )
    LOGIN_WITH_SMS = Entry(
        name="login_with_sms",
        channel=Channel.SMS,
        endpoint=Endpoint.TOKEN,
        queue=Queue.LOGIN,
        lifetime=CODE_LIFETIME,
        connection="sms",
        time_limit="login_deadline",
        shell_command="login",
        summary=_LOG_IN,
        label="logins by SMS",
    )

    @property
    def is_login(self) -> bool:
        """Whether the operation exchanges a code for tokens. The others send a message."""
        return self.endpoint is Endpoint.TOKEN

    @property
    def task(self) -> str:
        """The name of its Celery task."""
        return f"gatepost.{self.value}"


CAMPAIGN_KINDS: Final = {kind.channel: kind for kind in Kind if kind.in_campaigns}
"""The kind that a campaign sends to the recipients of each channel."""
SHELL_COMMANDS: Final = {kind.shell_command: kind.summary for kind in Kind}
"""The commands of `gatepost` that enqueue an operation, with the first line of their help."""
