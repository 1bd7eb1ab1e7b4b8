"""Sentinel URLs, which the ledger, kombu and Celery read in three ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatepost_core.broker.publishing import build_app
from gatepost_core.redis.connections import connect, of_all_sentinels
from gatepost_core.settings import Settings

if TYPE_CHECKING:
    from typing import Any


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("sentinel://a:1;sentinel://b:2/3", "sentinel://a:1/3;sentinel://b:2/3"),
        ("sentinel://u:p%40s@a:1;sentinel://b:2/0", "sentinel://u:p%40s@a:1/0;sentinel://u:p%40s@b:2/0"),
        ("sentinel://a:1/2", "sentinel://a:1/2"),
        ("sentinel://a;sentinel://[::1]:4", "sentinel://a;sentinel://[::1]:4"),
        ("redis://:secret@a:1/2", "redis://:secret@a:1/2"),
    ],
)
def test_every_sentinel_gets_user_password_and_database(written: str, read: str) -> None:
    """A reader of only the first or only the last one reads the same."""
    assert of_all_sentinels(written) == read


def test_ledger_broker_and_results_mean_the_same_database_and_user() -> None:
    """The database is written once, at the end; the password once, at the beginning, and quoted."""
    settings = Settings(redis_url="sentinel://me:p%40s@a:1;sentinel://b:2/3", sentinel_master="m")
    app = build_app(settings)
    backend: Any = app.backend
    ledger = connect(settings).connection_pool.connection_kwargs

    with app.connection_for_write() as broker:
        assert (broker.virtual_host, broker.userid, broker.password) == ("3", "me", "p@s")
    assert (backend.connparams["db"], backend.connparams["username"], backend.connparams["password"]) == (
        3,
        "me",
        "p@s",
    )
    assert (ledger["db"], ledger["username"], ledger["password"]) == (3, "me", "p@s")
