"""A worker's channel to Redis uses one client for its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery


def test_commands_of_a_channel_share_a_client(app: Celery) -> None:
    """Kombu makes another for every command, which takes longer than the command."""
    with app.connection_for_write() as connection:
        channel = connection.default_channel

        with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
            assert first is second
            assert first.ping()


def test_a_client_whose_connections_were_dropped_is_replaced(app: Celery) -> None:
    """After an outage, kombu makes another pool of connections."""
    with app.connection_for_write() as connection:
        channel = connection.default_channel
        with channel.conn_or_acquire() as first:
            pass
        channel._disconnect_pools()

        with channel.conn_or_acquire() as second:
            assert second is not first
            assert second.ping()
