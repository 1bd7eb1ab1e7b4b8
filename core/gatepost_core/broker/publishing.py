"""The Celery app of producers and workers, and the publishing of messages.

The app never becomes Celery's current app and shares no tasks, so that it does not disturb the Celery app of a host application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import AMQPError, MessageNacked
from kombu import Exchange
from kombu import Queue as KombuQueue
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from gatepost_core.broker.app import ANSWER_TIMEOUT, GatepostCelery
from gatepost_core.broker.messages import SHOWN_ARGUMENTS, log_postponed
from gatepost_core.kinds import Queue
from gatepost_core.redis.connections import SOCKETS, of_all_sentinels, sockets_of_sentinels, tls_of_broker, tls_of_redis
from gatepost_core.redis.keys import RedisKeys

if TYPE_CHECKING:
    from celery import Celery

    from gatepost_core.settings import Settings

# redis-py's default is 100. A worker may have more slots, and each stores results.
_RESULT_CONNECTIONS: Final = 10_000
BROKER_ERRORS: Final = (KombuError, AMQPError, MessageNacked, RedisError, OSError)
"""The errors of kombu, py-amqp and redis-py for a broker that does not answer or refuses."""


def build_app(settings: Settings) -> Celery:
    """Return a Celery app with Gatepost's settings, without tasks."""
    app = GatepostCelery("gatepost")
    results = of_all_sentinels(settings.redis_url.get_secret_value())
    app.use_results_of(results)
    redis_tls = tls_of_redis(settings)
    keys = RedisKeys(settings.namespace)
    app.conf.update(
        broker_url=of_all_sentinels(settings.broker),
        broker_use_ssl=_broker_tls(settings),
        redis_backend_use_ssl=redis_tls and redis_tls.of_redis_client(),
        result_backend=results,
        result_backend_transport_options={
            "master_name": settings.sentinel_master,
            "sentinel_kwargs": sockets_of_sentinels(redis_tls),
            "global_keyprefix": keys.of_libraries,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(settings),
        redis_max_connections=_RESULT_CONNECTIONS,
        broker_pool_acquire_timeout=settings.broker_timeout,
        redis_socket_timeout=SOCKETS["socket_timeout"],
        redis_socket_connect_timeout=SOCKETS["socket_connect_timeout"],
        redis_socket_keepalive=True,
        redis_backend_health_check_interval=SOCKETS["health_check_interval"],
        result_expires=settings.record_lifetime,
        result_extended=False,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        task_send_sent_event=False,
        task_store_errors_even_if_ignored=False,
        task_default_queue=keys.queue(Queue.SEND),
        task_queues=[_queue(keys.queue(queue), alias=queue.value) for queue in Queue],
        task_create_missing_queues=False,
        worker_pool="threads",
        worker_concurrency=settings.concurrency,
        worker_prefetch_multiplier=1,
        # The pool's threads would raise it again, and over AMQP wait for an answer that the consumer's loop has read.
        worker_enable_prefetch_count_reduction=False,
        worker_eta_task_limit=1000,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=True,
        control_exchange=keys.control_exchange,
        event_exchange=keys.event_exchange,
        event_queue_prefix=keys.event_exchange,
        enable_utc=True,
        timezone="UTC",
    )
    return app


def _queue(name: str, *, alias: str) -> KombuQueue:
    # The app finds the queue by its alias in any namespace.
    return KombuQueue(name, Exchange(name), routing_key=name, alias=alias)


def _broker_tls(settings: Settings) -> dict[str, Any] | None:
    tls = tls_of_broker(settings)
    if tls is None:
        return None
    return tls.of_amqp(settings.broker) if settings.broker.startswith("amqp") else tls.of_redis_client()


def _transport_options(settings: Settings) -> dict[str, Any]:
    if not settings.broker.startswith(("redis", "rediss", "sentinel")):
        # Without confirms, a message written to a dead connection is lost silently.
        return {"confirm_publish": True, ANSWER_TIMEOUT: settings.broker_timeout}
    return {
        **SOCKETS,
        "socket_timeout": settings.broker_timeout,
        "visibility_timeout": settings.visibility_timeout,
        # Looks for lost messages every ten seconds instead of every hundred.
        "unacked_restore_throttle": 1,
        "master_name": settings.sentinel_master,
        "sentinel_kwargs": sockets_of_sentinels(tls_of_broker(settings)),
        "global_keyprefix": RedisKeys(settings.namespace).of_libraries,
    }


def connection_for_questions(app: Celery, timeout_s: float) -> Any:
    """Return a connection that asks workers, and takes no work.

    kombu's consumers of Redis put messages back that a worker has held for too long. This one does not: its user may lack the right.

    Args:
        app: the app.
        timeout_s: seconds to wait for the connection.
    """
    options = {} if app.conf.broker_url.startswith(("amqp", "pyamqp")) else {"ack_emulation": False}
    return app.connection_for_write(connect_timeout=timeout_s, transport_options=options)


def publish(
    app: Celery, task: str, queue: Queue, task_id: str, kwargs: dict[str, Any], *, countdown: float | None = None
) -> None:
    """Publish one task message, with a countdown in seconds if one is given.

    `send_task` is not used, because it subscribes to every result.
    """
    message = app.amqp.create_task_message(
        task_id,
        task,
        args=(),
        kwargs=kwargs,
        argsrepr=SHOWN_ARGUMENTS,
        kwargsrepr=SHOWN_ARGUMENTS,
        countdown=countdown,
        create_sent_event=False,
    )
    with app.producer_or_acquire() as producer:
        try:
            app.amqp.send_task_message(
                producer, task, message, queue=app.amqp.queues[queue.value], retry=True, retry_policy=_RETRY
            )
        except BaseException:
            # The next message must not read the confirm of this one.
            producer.connection.collect()
            raise


def publish_recorded(
    app: Celery,
    task: str,
    queue: Queue,
    task_id: str,
    kwargs: dict[str, Any],
    *,
    countdown: float | None = None,
    **logged: str,
) -> bool:
    """Publish a message for a recorded operation or batch, and return whether the broker took it.

    If not, the log says `publish.postponed`, and the reconciler publishes the message later. No error is raised: the caller would repeat
    the call, and the work would be recorded twice.

    Args:
        app: the Celery app.
        task: the task's name.
        queue: the queue.
        task_id: the task's id.
        kwargs: its arguments.
        countdown: seconds until the task may run.
        logged: fields for the log.
    """
    try:
        publish(app, task, queue, task_id, kwargs, countdown=countdown)
    except Exception as failure:  # noqa: BLE001 - py-amqp raises AttributeError, KeyError and struct.error too when a connection breaks
        log_postponed(error=type(failure).__name__, **logged)
        return False
    return True


_RETRY: Final = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 1.0}
