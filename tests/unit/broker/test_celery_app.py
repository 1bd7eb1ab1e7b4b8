"""Gatepost's Celery app reads nothing from the environment, and its description shows no secret."""

from __future__ import annotations

import json

import pytest

from gatepost_core.broker.publishing import build_app
from gatepost_core.settings import Settings

CANARY = "canary-password"
HOSTS = {
    "CELERY_BROKER_URL": "redis://host-of-the-application/0",
    "CELERY_BROKER_READ_URL": "redis://host-of-the-application/0",
    "CELERY_BROKER_WRITE_URL": "redis://host-of-the-application/0",
    "CELERY_RESULT_BACKEND": "redis://host-of-the-application/0",
    "CELERY_CONFIG_MODULE": "settings_of_the_application",
    "CELERY_LOADER": "loader_of_the_application",
}
URLS = {
    f"redis://user:{CANARY}@one:6399/3": "redis://user:**@one:6399/3",
    f"rediss://user:{CANARY}@one:6399/3": "rediss://user:**@one:6399/3",
    f"sentinel://user:{CANARY}@one:1;sentinel://two:2/1": "sentinel://user:**@one:1/1",
    f"amqp://user:{CANARY}@one:5673/virtual": "amqp://user:**@one:5673/virtual",
}


@pytest.fixture(params=["redis://127.0.0.1:6399/3", "amqp://one:5673/virtual"])
def settings(request: pytest.FixtureRequest) -> Settings:
    return Settings(broker_url=request.param)


def test_variables_of_the_hosts_celery_lead_nowhere(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that embeds a producer has another Celery app, which these variables are for."""
    for name, value in HOSTS.items():
        monkeypatch.setenv(name, value)

    app = build_app(settings)

    connections = app.connection(), app.connection_for_read(), app.connection_for_write()
    assert {connection.as_uri() for connection in connections} == {connections[0].as_uri()}
    assert connections[0].port == (6399 if settings.broker.startswith("redis") else 5673)
    assert app.backend.as_uri() == "redis://127.0.0.1:6379/0"


@pytest.mark.parametrize("url", URLS)
def test_a_connection_is_described_without_its_password(url: str) -> None:
    """As JSON, for `celery inspect stats`, which takes the password out; other Sentinels' URLs have it too."""
    connection = build_app(Settings(broker_url=url)).connection_for_read()

    described = connection.info()
    described.pop("password")

    assert described["hostname"] == "one"
    assert CANARY not in json.dumps(described)
    assert connection.as_uri() == URLS[url]
