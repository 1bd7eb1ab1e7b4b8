"""Redis memory a recipient, rows added a second, broker memory and status latency, at a million recipients.

Run: python benchmarks/campaign_memory.py [recipients]
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import redis

from campaign_setup import expect, keep, people, settings_for, valkey
from gatepost.campaigns.control import Campaigns
from gatepost_core.campaigns.model import Options
from gatepost_core.campaigns.row import Row
from gatepost_core.kinds import Queue
from gatepost_core.reasons import Reason
from gatepost_core.redis.keys import RedisKeys
from gatepost_core.states import State
from gatepost_operations.files.check import check_file
from gatepost_operations.files.rows import read_rows
from gatepost_worker.bulk.store import BatchStore, Begun, Claim, Claimed, Mark, PermitSource, Settlement
from gatepost_worker.limiter import LimiterKey, LimiterSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatepost.campaigns.control import Added
    from gatepost_operations.local.embedded_valkey import EmbeddedValkey

KEYS = RedisKeys()

FAILURES = 0.02


def main() -> None:
    """Run the benchmark."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with valkey() as server, TemporaryDirectory() as directory:
        keep("campaign_memory", measure(server, Path(directory) / "people.csv", count))


def measure(server: EmbeddedValkey, path: Path, count: int) -> dict[str, Any]:
    """Import a file, start the campaign, and settle every recipient."""
    with path.open("w", encoding="utf-8") as file:
        file.write("email\n")
        file.writelines(f"{row.recipient}\n" for row in people(count))
    figures: dict[str, Any] = {"recipients": count}
    client = redis.Redis.from_url(server.url)
    with Campaigns(settings_for(server.url)) as campaigns:
        campaign_id = campaigns.create("benchmark")
        before = used(client)

        started = time.perf_counter()
        check_file(path)
        checked = time.perf_counter()
        added = import_file(campaigns, campaign_id, path)
        done = time.perf_counter()
        expect(added.added == count, "everybody is added")
        figures["checked_rows_per_s"] = count / (checked - started)
        figures["added_rows_per_s"] = count / (done - checked)
        figures["checked_and_added_rows_per_s"] = count / (done - started)
        figures["bytes_per_recipient_added"] = (used(client) - before) / count

        campaigns.start(campaign_id)
        figures["broker_bytes_at_the_start"] = queue_bytes(client)
        # As wide as the window can become: the most that a campaign ever has on the broker, whatever its size.
        most = Options().max_in_flight
        client.hset(KEYS.campaign(campaign_id), mapping={"calling": most, "leased": most})
        campaigns.resume(campaign_id)
        figures["broker_messages_at_most"] = client.llen(KEYS.queue(Queue.BULK))
        figures["broker_bytes_at_most"] = queue_bytes(client)
        figures["status_ms_median"], figures["status_ms_worst"] = latency(campaigns, campaign_id)

        settle_all(campaigns, client, campaign_id)
        campaign = campaigns.status(campaign_id)
        expect(campaign.open == 0, "everybody is settled")
        figures["bytes_per_recipient_settled"] = (used(client) - before) / count
        figures["share_failed"] = campaign.counts[State.REJECTED] / count
    return figures


def import_file(campaigns: Campaigns, campaign_id: str, path: Path) -> Added:
    """Add a file's rows, as the command line does."""
    with read_rows(path) as reader:
        return campaigns.add(campaign_id, (row for row in reader if isinstance(row, Row)))


def queue_bytes(client: redis.Redis) -> int:
    """Return the size of the messages on the queue, in bytes."""
    return int(client.memory_usage(KEYS.queue(Queue.BULK), samples=0) or 0)


def used(client: redis.Redis) -> int:
    """Return the bytes that Redis uses for data, once unlinked keys are freed."""
    time.sleep(0.3)
    return int(client.info("memory")["used_memory"])


def latency(campaigns: Campaigns, campaign_id: str) -> tuple[float, float]:
    """Return the median and the worst time of a hundred status calls, in milliseconds."""
    times = []
    for _ in range(100):
        started = time.perf_counter()
        campaigns.status(campaign_id)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), max(times)


def settle_all(campaigns: Campaigns, client: redis.Redis, campaign_id: str) -> None:
    """Settle all rows as a worker that always gets a permit: accepted, except for a usual share of bad addresses."""
    store = BatchStore(client, KEYS, republish_after_s=30)
    every = round(1 / FAILURES)
    for batch in batches(client, campaigns, campaign_id):
        claim = Claim(campaign_id, batch, f"{batch}")
        claimed = store.claim(claim, 60)
        expect(isinstance(claimed, Claimed), "the batch is free")
        settlements: list[Settlement] = []
        seq = 0
        while True:
            seq += 1
            key = LimiterKey(f"benchmark-{batch}-{seq}", "passwordless/start")
            source = PermitSource(key=key, settings=LimiterSettings(cold_permits=256))
            step = store.step(claim, seq, 60, source=source, settlements=settlements, want=256)
            client.delete(KEYS.limiter(key.tenant, key.endpoint))
            if not isinstance(step, Begun):
                break
            settlements = [settlement(row, failed=(batch * 256 + row) % every == 0) for row in step.rows]
        store.release(claim)


def settlement(row: int, *, failed: bool) -> Settlement:
    """Return the settlement of a row."""
    if failed:
        return Settlement(row, State.REJECTED, Mark.PLAIN, Reason.RECIPIENT_REJECTED, 400, 1, int(time.time()))
    return Settlement(row, State.ACCEPTED, http_status=200, attempts=1)


def batches(client: redis.Redis, campaigns: Campaigns, campaign_id: str) -> Iterator[int]:
    """Yield every batch as it would be published."""
    client.delete(KEYS.queue(Queue.BULK))
    client.delete(KEYS.queue(Queue.BULK))
    for batch in range(campaigns.status(campaign_id).batches):
        client.hset(KEYS.campaign(campaign_id), "next", batch + 1)
        yield batch


if __name__ == "__main__":
    main()
