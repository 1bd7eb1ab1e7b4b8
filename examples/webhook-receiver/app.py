"""Receives Gatepost's webhooks: verifies each signature, and drops events that it has already handled."""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
database = os.environ.get("WEBHOOK_DATABASE", "webhooks.db")


@app.post("/gatepost")
async def receive(request: Request) -> Response:
    """Answer 204 once the event is stored. Gatepost repeats an event until it gets such an answer."""
    body = await request.body()
    try:
        # The signature covers the exact bytes, so verify them before you parse them.
        event = webhook.verify(body, dict(request.headers))
    except WebhookVerificationError:
        return Response(status_code=401)
    await run_in_threadpool(handle_once, request.headers["webhook-id"], event)
    return Response(status_code=204)


def handle_once(webhook_id: str, event: dict[str, Any]) -> None:
    """Handle an event, unless its id is known. The id and the effect are stored in one transaction."""
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS handled (id TEXT PRIMARY KEY)")
        new = connection.execute("INSERT OR IGNORE INTO handled VALUES (?)", (webhook_id,)).rowcount
        if new:
            handle(event)


def handle(event: dict[str, Any]) -> None:
    """Do what the event asks for. Ignore types that you do not know: later versions add some."""
    match event:
        case {"type": "campaign.finished", "data": {"campaign_id": campaign, "counts": counts}}:
            print(f"campaign {campaign} has ended: {counts['accepted']} accepted", flush=True)
        case {"type": "campaign.paused", "data": {"campaign_id": campaign, "reason": reason}}:
            print(f"Gatepost paused campaign {campaign}: {reason}", flush=True)
        case {"type": name}:
            print(f"event {name}", flush=True)
