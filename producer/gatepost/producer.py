"""What an application imports: enqueue sends and logins, get handles back."""

from __future__ import annotations

import asyncio
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, Unpack

from gatepost.handles import AsyncHandle, Handle
from gatepost.shared_redis import Lease
from gatepost_core import commands
from gatepost_core.broker.operation_messages import OperationMessages
from gatepost_core.enqueue import Recorder
from gatepost_core.error_boundary import boundary, items_of_caller
from gatepost_core.ledger import ledger_at
from gatepost_core.redeem_tokens import read_reference
from gatepost_core.redis.key_checks import KeyChecks
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sequence
    from types import TracebackType

    from celery import Celery

    from gatepost.campaigns.async_control import AsyncCampaigns
    from gatepost.campaigns.control import Campaigns
    from gatepost.command_options import LoginOptions, SendEmailOptions, SmsOptions
    from gatepost.many import Item
    from gatepost_core.enqueue import Enqueued
    from gatepost_core.number_rules import NumberRules
    from gatepost_core.redeem_tokens import RedeemToken


@boundary
class Producer:
    """Enqueues operations. Thread-safe; make one for the process and keep it.

    Every method validates, seals, records in the ledger, publishes, and returns a handle. `gatepost.command_options` describes the keyword
    options. The same `idempotency_key` gives the same operation, its outcome included, until `GATEPOST_RECORD_LIFETIME` after its end.

    A new command whose deadline is more than a minute in the past is refused with `InvalidCommand`. One whose deadline passes on the way is
    recorded, expires, and takes no key.

    Without the broker, but with Redis, they return a handle all the same: the operation is recorded, the log says `publish.postponed`, and the
    reconciler publishes it when the broker is back.

    Args:
        settings: the configuration; read from the environment when absent.

    Raises:
        ConfigurationError: no sealing key, fingerprint key or tenant is configured.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or load_settings()
        self._keyring = self.settings.keyring()
        self._lease = Lease(self.settings)
        self.ledger = ledger_at(self._lease.client, self.settings)
        self._messages = OperationMessages(lambda: self.app, self.settings, self._lease.client)
        self._recorder = Recorder(self._messages, self.ledger, self.settings, keyring=self._keyring)
        self._keys = KeyChecks(
            self._lease.client, RedisKeys(self.settings.namespace), self._keyring, self.settings.fingerprints()
        )
        self._campaigns: Campaigns | None = None
        self._lock = threading.Lock()

    @cached_property
    def app(self) -> Celery:
        """The Celery app under the same settings. Closed with the producer."""
        # Imported here, because a producer needs no Celery where the broker is Redis.
        from gatepost_core.broker.publishing import build_app  # noqa: PLC0415

        return build_app(self.settings)

    @property
    def campaigns(self) -> Campaigns:
        """The campaigns under the same settings: create, add, start, pause, resume, cancel, retry, export. Closed with the producer."""
        with self._lock:
            self._lease.client.require_open()
            if self._campaigns is None:
                # Imported here, because an application that only enqueues should not load the modules of campaigns.
                from gatepost.campaigns.control import Campaigns  # noqa: PLC0415

                self._campaigns = Campaigns(self.settings, self._lease.client)
            return self._campaigns

    def send_email(self, email: str, **options: Unpack[SendEmailOptions]) -> Handle:
        """Enqueue an e-mail with a one-time code, or with a magic link.

        Args:
            email: the address.
            options: see `gatepost.command_options.SendEmailOptions`.

        Returns:
            The handle of the operation.

        Raises:
            InvalidCommand: a field is wrong; nothing was recorded.
            IdempotencyConflict: the key was used with another command.
            RecordGone: the key is known, and its operation's record was lost; nothing is sent.
            Unavailable: Redis did not answer. Ask again under the same idempotency key: it may have been recorded.
        """
        return self._enqueue(commands.SendEmail, {"email": email, **options})

    def send_sms(self, phone_number: str, **options: Unpack[SmsOptions]) -> Handle:
        """Enqueue an SMS with a one-time code.

        Args:
            phone_number: the number, with its country code.
            options: see `gatepost.command_options.SmsOptions`.

        Returns:
            The handle of the operation.

        Raises:
            InvalidCommand: a field is wrong, or the number cannot receive SMS; nothing was recorded. Other errors are those of `send_email`.
        """
        # Imported with the first number, as its plans are.
        from gatepost_core.number_rules import number_rules  # noqa: PLC0415

        numbers, allow = options.pop("numbers", "plan"), options.pop("allow_landlines", False)
        rules = number_rules(numbers, allow_landlines=allow)
        return self._enqueue(commands.SendSms, {"phone_number": phone_number, **options}, rules)

    def login_with_email(self, email: str, code: str, **options: Unpack[LoginOptions]) -> Handle:
        """Enqueue the exchange of an e-mailed code for a token set.

        Args:
            email: the address the code went to.
            code: the one-time code.
            options: see `gatepost.command_options.LoginOptions`. The deadline is the code's 180 s by default.

        Returns:
            The handle; its `redeem()` gives the token set, once. Keep its `reference` in the person's session to redeem in a later request.

        Raises:
            InvalidCommand: a field is wrong; nothing was recorded.
            IdempotencyConflict: the key was used with another command.
            RecordGone: the key is known, and its operation's record was lost; nothing is sent.
            Unavailable: Redis did not answer. Ask again under the same idempotency key: it may have been recorded.
        """
        return self._enqueue(commands.LoginWithEmail, {"email": email, "code": code, **options})

    def login_with_sms(self, phone_number: str, code: str, **options: Unpack[LoginOptions]) -> Handle:
        """Enqueue the exchange of a texted code for a token set. Options and errors are those of `login_with_email`."""
        return self._enqueue(commands.LoginWithSms, {"phone_number": phone_number, "code": code, **options})

    def enqueue(self, command: commands.Command, idempotency_key: str | None = None) -> Handle:
        """Enqueue a validated command; the four methods above end here.

        Raises:
            ConfigurationError: stored values need a sealing key that this producer lacks.
            KeyMismatch: the workers have other keys, so they could not open what this producer seals; nothing was recorded.
            Unusable: Redis refuses what Gatepost needs; the message names the cause and the setting.
        """
        # With the first command and not when the producer is made: making one needs no Redis.
        self._keys.require_once()
        enqueued = self._recorder.enqueue(command, idempotency_key)
        return self._handle(str(enqueued.operation_id), enqueued.redeem_token)

    def send_many(self, items: Iterable[Item]) -> Iterator[Enqueued]:
        """Enqueue many commands, 100 in a round trip, and yield a result for each, in their order.

        Memory does not grow with their number. A wrong command gives a result with the error; the other commands are not affected. For a message to a list
        of people, a campaign does more: it keeps to hours and quotas, and can be paused.

        If reading `items` raises an error, the commands before it are enqueued and yielded first. Then the error is raised.

        Args:
            items: dictionaries of a command's fields with `kind` ("send_email", "send_sms", "login_with_email" or "login_with_sms"), and
                `idempotency_key` if it has one.

        Returns:
            An iterator. It enqueues as it is read.

        Raises:
            KeyMismatch: the workers have other keys, so they could not open what this producer seals. Nothing was recorded.
            Unusable: Redis refuses what Gatepost needs. The message names the cause and the setting.
        """
        return self._send_many(items_of_caller(items))

    def _send_many(self, items: Iterator[Item]) -> Iterator[Enqueued]:
        # Imported here, because most producers never call it.
        from gatepost.chunks import in_chunks  # noqa: PLC0415
        from gatepost.many import CHUNK  # noqa: PLC0415

        for chunk in in_chunks(items, CHUNK):
            yield from self.send_chunk(chunk)

    def send_chunk(self, items: Sequence[Item]) -> list[Enqueued]:
        """Enqueue a few commands in one round trip. Items, results and errors are those of `send_many`."""
        from gatepost.many import enqueue_chunk  # noqa: PLC0415 - as above

        self._keys.require_once()
        return enqueue_chunk(self._recorder, items)

    def handle(self, reference: str) -> Handle:
        """Return the handle of an operation; nothing is read yet.

        Args:
            reference: the `reference` of an earlier handle. The operation's id alone is enough for all but `redeem`.

        Raises:
            WrongRedeemToken: the part after the id is not a redeem token.
        """
        return self._handle(*read_reference(reference))

    def close(self) -> None:
        """Close the connections. Those that wait, and every later call, get `ProducerClosed`. Recorded operations continue."""
        self._lease.close()
        with self._lock:
            if self._campaigns is not None:
                self._campaigns.close()
        self._messages.close()
        if "app" in vars(self):
            self.app.close()

    def _handle(self, operation_id: str, redeem_token: RedeemToken | None) -> Handle:
        return Handle(operation_id, self.ledger, self._lease, redeem_token)

    def _enqueue(
        self, model: type[commands.Command], fields: dict[str, Any], rules: NumberRules | None = None
    ) -> Handle:
        idempotency_key = fields.pop("idempotency_key", None)
        return self.enqueue(commands.build(model, fields, rules), idempotency_key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@boundary
class AsyncProducer:
    """Enqueues operations from an event loop. Every method is awaited, and handles are `AsyncHandle`. Use it as an async context manager.

    Methods that reach Redis run in a thread. They check, seal and sign, which takes processor time, and then make one round trip. Waits for
    outcomes take no thread each: one thread serves all of them.

    Args:
        settings: the configuration; read from the environment when absent.

    Raises:
        ConfigurationError: no sealing key, fingerprint key or tenant is configured.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._producer = Producer(settings)

    @cached_property
    def campaigns(self) -> AsyncCampaigns:
        """The campaigns under the same settings. Closed with the producer."""
        # Imported here, because an application that only enqueues should not load the modules of campaigns.
        from gatepost.campaigns.async_control import AsyncCampaigns  # noqa: PLC0415

        return AsyncCampaigns(lambda: self._producer.campaigns)

    async def send_email(self, email: str, **options: Unpack[SendEmailOptions]) -> AsyncHandle:
        """Enqueue an e-mail with a one-time code, or with a magic link. Options and errors are those of `Producer.send_email`."""
        return await self._call(self._producer.send_email, email, **options)

    async def send_sms(self, phone_number: str, **options: Unpack[SmsOptions]) -> AsyncHandle:
        """Enqueue an SMS with a one-time code. Options and errors are those of `Producer.send_sms`."""
        return await self._call(self._producer.send_sms, phone_number, **options)

    async def login_with_email(self, email: str, code: str, **options: Unpack[LoginOptions]) -> AsyncHandle:
        """Enqueue the exchange of an e-mailed code for a token set. Options and errors are those of `Producer.login_with_email`."""
        return await self._call(self._producer.login_with_email, email, code, **options)

    async def login_with_sms(self, phone_number: str, code: str, **options: Unpack[LoginOptions]) -> AsyncHandle:
        """Enqueue the exchange of a texted code for a token set. Options and errors are those of `Producer.login_with_sms`."""
        return await self._call(self._producer.login_with_sms, phone_number, code, **options)

    async def enqueue(self, command: commands.Command, idempotency_key: str | None = None) -> AsyncHandle:
        """Enqueue a validated command; the four methods above end here. Errors are those of `Producer.enqueue`."""
        return await self._call(self._producer.enqueue, command, idempotency_key)

    async def send_many(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Enqueued]:
        """Enqueue many commands, 100 in a round trip, and yield a result for each, in their order. Errors are those of `Producer.send_many`.

        Args:
            items: as for `Producer.send_many`, in an iterable or an asynchronous iterable.
        """
        # Imported here, as in `Producer`.
        from gatepost.chunks import async_in_chunks  # noqa: PLC0415
        from gatepost.many import CHUNK  # noqa: PLC0415

        async for chunk in async_in_chunks(items, CHUNK):
            for result in await asyncio.to_thread(self._producer.send_chunk, chunk):
                yield result

    def handle(self, reference: str) -> AsyncHandle:
        """Return the handle of an operation; nothing is read yet. Arguments and errors are those of `Producer.handle`."""
        return AsyncHandle(self._producer.handle(reference))

    async def close(self) -> None:
        """Close the connections. Those that wait, and every later call, get `ProducerClosed`."""
        await asyncio.to_thread(self._producer.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, method: Any, *args: Any, **options: Any) -> AsyncHandle:
        # Sealing, recording and publishing take about a millisecond; kombu has no asyncio form, so a thread does them.
        handle: Handle = await asyncio.to_thread(method, *args, **options)
        return AsyncHandle(handle)
