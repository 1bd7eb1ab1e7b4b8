"""Control API, what was sent: messages, counts, live codes, the request log, statistics."""

from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel

from gatepost_simulator.tenant import Tenant
from gatepost_simulator.tenant_access import the_tenant

router = APIRouter(tags=["what was sent"])
TheTenant = Annotated[Tenant, Depends(the_tenant)]
Limit = Annotated[int, Query(ge=1, le=100_000)]


class CountsOf(BaseModel):
    """A question for the counts of named recipients."""

    recipients: list[str]
    connection: str | None = None


@router.get("/outbox")
async def read_outbox(
    tenant: TheTenant, search: str = "", channel: str | None = None, limit: Limit = 100
) -> dict[str, Any]:
    """Give the newest messages, of recipients that contain `search`, over `channel` (`email` or `sms`)."""
    found = (message for message in tenant.outbox.search(search) if channel in (None, message.channel))
    return {"total": tenant.outbox.total, "messages": [message.document() for message in islice(found, limit)]}


@router.get("/outbox/{recipient}")
async def read_messages(
    tenant: TheTenant, recipient: str, channel: str | None = None, limit: Limit = 100
) -> dict[str, Any]:
    """Give a recipient's count (exact) and its newest messages (as far as they are kept)."""
    recipient = tenant.fold(recipient)
    messages = [message.document() for message in islice(tenant.outbox.latest(recipient, channel), limit)]
    return {"recipient": recipient, "count": tenant.outbox.count(recipient), "messages": messages}


@router.get("/codes/{recipient}")
async def read_code(tenant: TheTenant, recipient: str, channel: str | None = None) -> dict[str, Any]:
    """Give the recipient's newest code, which need not be good any more."""
    recipient = tenant.fold(recipient)
    for connection in tenant.connections.values():
        live = tenant.codes(connection).find(recipient)
        if live is not None and channel in (None, connection.strategy):
            return {
                "recipient": recipient,
                "connection": connection.name,
                "code": live.code,
                "expires_at": live.expires_at,
                "tries_left": live.tries_left,
                "live": live.tries_left > 0 and tenant.clock.now() < live.expires_at,
            }
    raise HTTPException(404, "No code was sent to this recipient, or it has been used")


@router.get("/counts")
async def read_counts(tenant: TheTenant, minimum: int = 2, limit: Limit = 1000) -> dict[str, Any]:
    """Give totals, and who got at least `minimum` messages. `repeated` is 0 if nobody got two."""
    outbox = tenant.outbox
    named = [
        {"connection": connection, "recipient": recipient, "count": count}
        for connection, recipient, count in islice(outbox.counts(minimum), limit)
    ]
    return {
        "total": outbox.total,
        "recipients": outbox.distinct(),
        "repeated": outbox.repeated,
        "surplus": outbox.total - outbox.distinct(),
        "histogram": outbox.histogram(),
        "at_least": named,
    }


@router.post("/counts")
async def count_recipients(tenant: TheTenant, question: CountsOf) -> dict[str, int]:
    """Give the count of each recipient named."""
    return {
        recipient: tenant.outbox.count(tenant.fold(recipient), question.connection) for recipient in question.recipients
    }


@router.get("/request-log")
async def read_request_log(
    tenant: TheTenant, endpoint: str | None = None, recipient: str | None = None, limit: Limit = 1000
) -> dict[str, Any]:
    """Give the newest requests, oldest first. Client secrets and assertions are never in it."""
    entries = [
        entry
        for entry in tenant.request_log.entries()
        if endpoint in (None, entry["path"]) and recipient in (None, entry["recipient"])
    ]
    return {"requests": entries[-limit:]}


@router.get("/stats")
async def read_statistics(tenant: TheTenant) -> dict[str, Any]:
    """Give counts of answers by endpoint, status and error."""
    return tenant.statistics.document()
