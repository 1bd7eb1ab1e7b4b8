"""Builds the HTTP API as a FastAPI app."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from gatepost.producer import Producer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gatepost_core.settings import Settings


def create_app(settings: Settings) -> FastAPI:
    """Return the HTTP API. Its connections close when the server stops.

    Args:
        settings: the configuration, with the sealing keys.

    Raises:
        ConfigurationError: no sealing key, fingerprint key or tenant is configured.
    """
    producer = Producer(settings)

    @asynccontextmanager
    async def closing(_app: FastAPI) -> AsyncIterator[None]:
        yield
        producer.close()

    app = FastAPI(title="Gatepost", version="1", lifespan=closing, docs_url=None, redoc_url=None)

    @app.get("/v1/health", operation_id="get_health")
    def health() -> dict[str, bool]:
        """Return whether the api runs."""
        return {"healthy": True}

    return app
