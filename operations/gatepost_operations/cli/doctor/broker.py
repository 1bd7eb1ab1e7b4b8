"""The checks of `gatepost doctor` on the broker: connection, publishing, queues, and their workers."""

from __future__ import annotations

import ssl
import uuid
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import AccessRefused, NotAllowed, PreconditionFailed, ResourceLocked

from gatepost_core.broker.amqp_timeouts import BrokerBlocked, BrokerSilent
from gatepost_core.broker.publishing import BROKER_ERRORS, build_app, connection_for_questions
from gatepost_core.kinds import Queue as GatepostQueue
from gatepost_core.redis.errors import BROKER_URL, broker_cause
from gatepost_core.redis.keys import RedisKeys
from gatepost_operations.cli.doctor.checks import Check, Status, judge_workers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from celery import Celery
    from kombu import Queue

    from gatepost_core.settings import Settings

_ASK_WORKERS_S: Final = 2
_CHECK_URL: Final = "Check GATEPOST_BROKER_URL, or GATEPOST_REDIS_URL when it is not set."
_CAUSES: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (
        PreconditionFailed,
        "exists with another type or other arguments",
        "Gatepost needs durable classic queues without arguments. Delete the queue once it is empty; Gatepost declares it again.",
    ),
    (ResourceLocked, "is exclusive to another connection", "Delete the queue; Gatepost declares it again."),
    (
        AccessRefused,
        "refused the user",
        "Check the user and password in GATEPOST_BROKER_URL. docs/reference/settings.md has the permissions that the user needs, under RabbitMQ.",
    ),
    (
        NotAllowed,
        "refused the virtual host",
        "The virtual host in GATEPOST_BROKER_URL does not exist, or the user has no permissions there.",
    ),
    (
        BrokerBlocked,
        "accepts no messages: it is in a memory or disk alarm",
        "Run rabbitmq-diagnostics alarms, and free memory or disk space. The reconciler then publishes the recorded operations.",
    ),
    (BrokerSilent, "did not answer in time", _CHECK_URL),
    (ssl.SSLError, "failed the TLS handshake", "Check GATEPOST_BROKER_CA_BUNDLE and the broker's certificate."),
)


def examine_broker(settings: Settings, *, webhooks: bool = False) -> Iterator[Check]:
    """Give the findings about the broker, its queues and its workers.

    Args:
        settings: the configuration.
        webhooks: whether a worker is needed for webhooks, because there is an endpoint.
    """
    app = build_app(settings)
    try:
        yield from _examine(
            app, unneeded=() if webhooks else (RedisKeys(settings.namespace).queue(GatepostQueue.WEBHOOKS),)
        )
    finally:
        app.close()


def _examine(app: Celery, unneeded: Collection[str]) -> Iterator[Check]:
    with connection_for_questions(app, _ASK_WORKERS_S) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=_ASK_WORKERS_S)
            _probe(connection)
        except BROKER_ERRORS as failure:
            yield _failed("broker", "", failure)
            return
        yield Check("broker", Status.OK, "answers")
        flaws = [flaw for queue in app.amqp.queues.values() if (flaw := _flaw_of(connection, queue))]
        yield from flaws
        if flaws:
            return
        yield Check("queues", Status.OK, "declared")
        try:
            replies = app.control.inspect(timeout=_ASK_WORKERS_S, connection=connection).active_queues() or {}
        except BROKER_ERRORS as failure:
            yield _failed("workers", "", failure)
            return
    served = {worker: [queue["name"] for queue in queues] for worker, queues in replies.items()}
    yield judge_workers(served, [name for name in app.amqp.queues if name not in unneeded])


def _probe(connection: Any) -> None:
    # RabbitMQ reports an alarm only to a connection that publishes. No queue has this name, so it drops the message.
    if connection.transport.driver_type == "amqp":
        with connection.channel() as channel:
            channel.basic_publish(channel.prepare_message(b""), "", f"gatepost.probe.{uuid.uuid4()}")


def _flaw_of(connection: Any, queue: Queue) -> Check | None:
    # A channel for each queue: a refused declaration closes its channel.
    try:
        with connection.channel() as channel:
            queue(channel).declare()
    except BROKER_ERRORS as failure:
        return _failed("queues", f"{queue.name} ", failure)
    return None


def _failed(name: str, subject: str, failure: BaseException) -> Check:
    kind = type(failure).__name__
    if cause := broker_cause(failure):
        return Check(
            name, Status.FAILED, f"{subject}{cause.label}", cause.about(BROKER_URL), configuration=cause.permanent
        )
    for error, found, advice in _CAUSES:
        if isinstance(failure, error):
            return Check(name, Status.FAILED, f"{subject}{found} ({kind})", advice)
    return Check(name, Status.FAILED, f"{subject}does not answer ({kind})", _CHECK_URL)
