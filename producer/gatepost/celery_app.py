"""The class of Gatepost's Celery apps: configured by Gatepost's settings alone, and safe to describe.

Celery takes its broker, its results and its configuration from `CELERY_…` variables first. In an application that embeds a producer those
belong to the application's own Celery.
"""

from __future__ import annotations

from typing import Any, Final

from celery import Celery
from celery.app.amqp import AMQP
from celery.loaders.app import AppLoader

from gatepost.bounded_amqp import BoundedConnection

_LOADER: Final = "gatepost.celery_app:OwnLoader"
# JSON's own values without a password, a certificate's path or a URL.
_SHOWN: Final = (
    "hostname",
    "port",
    "virtual_host",
    "userid",
    "password",
    "transport",
    "connect_timeout",
    "heartbeat",
    "login_method",
)


class OwnLoader(AppLoader):
    """Reads no configuration module."""

    def read_configuration(self, env: str = "CELERY_CONFIG_MODULE") -> dict[str, Any]:  # noqa: ARG002 - Celery's signature
        """Return nothing: `CELERY_CONFIG_MODULE` is the host's."""
        return {}


class DescribedConnection(BoundedConnection):
    """A connection whose description names the kind of broker, also where its transport is a class of ours.

    `celery inspect stats` sends the description as JSON, without the field `password`.
    """

    def info(self) -> dict[str, Any]:
        """Return what may be shown of the connection, and its password, which Celery takes out."""
        found = super().info()
        found["transport"] = getattr(found["transport"], "shown_as", found["transport"])
        return {name: found[name] for name in _SHOWN}


class DescribedAMQP(AMQP):
    """Makes connections that can be described."""

    Connection = DescribedConnection


class GatepostCelery(Celery):
    """A Celery app that takes nothing from the environment."""

    amqp_cls = "gatepost.celery_app:DescribedAMQP"

    def __init__(self, name: str) -> None:
        super().__init__(name, loader=_LOADER, set_as_current=False, fixups=[])

    def connection_for_read(self, url: Any = None, **options: Any) -> Any:
        """Return a connection to Gatepost's broker, for a consumer."""
        return super().connection_for_read(url or self.conf["broker_url"], **options)

    def connection_for_write(self, url: Any = None, **options: Any) -> Any:
        """Return a connection to Gatepost's broker, for a producer."""
        return super().connection_for_write(url or self.conf["broker_url"], **options)

    def connection(self, hostname: Any = None, **options: Any) -> Any:  # type: ignore[override] # the other arguments are options here
        """Return a connection to Gatepost's broker."""
        return self.connection_for_write(hostname, **options)

    def use_results_of(self, url: str) -> None:
        """Store results at a URL, whatever `CELERY_RESULT_BACKEND` says."""
        self.backend_cls = url
