"""The sections of the benchmark report about crashes and single operations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from comparison import operations
from comparison.counting_stub import counting

CRASH = {"recipients": 200, "interrupted": 10, "lost": 0, "doubled": 0, "unknown": 10, "waited_s": 30.0}
FULL: dict[str, Any] = {
    "crash_s": 150.0,
    "crashes": {"gatepost": CRASH, "bullmq": {**CRASH, "doubled": 10, "unknown": None}},
    "beside": {
        "logins": 450,
        "campaign_rate": 80.0,
        "p99_ratio": 1.1,
        "alone_ms": {"p50": 60.0, "p99": 70.0},
        "beside_a_campaign_ms": {"p50": 61.0, "p99": 77.0},
    },
    "enqueueing": {"Gatepost": [{"rate": 1000.0, "cpu_s_per_1000": 0.2}]},
    "producers": {"Gatepost": [{"construct_s": 0.3, "construct_cpu_s": 0.25, "first_call_s": 0.31, "mib": 54.0}]},
    "memory": {"queued": 2800.0, "settled": 480.0, "celery_result": 350.0, "idempotency_key": 290.0},
}
SECTIONS = [operations.crashes, operations.beside, operations.enqueueing, operations.producers, operations.memory]


def test_a_crash_shows_what_was_lost_doubled_and_reported() -> None:
    """Gatepost's row has its unknown recipients, and a peer that reports nothing says so."""
    (text,) = operations.crashes(FULL)

    rows = [[cell.strip() for cell in line.split("|")[1:6]] for line in text.splitlines() if line.startswith("| ")]
    assert ["Gatepost", "10", "0", "0", "10 `unknown`"] in rows
    assert ["BullMQ + undici", "10", "0", "10", "none"] in rows


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_has_a_table_and_is_left_out_without_figures(section: Any) -> None:
    """A report of an earlier version has no figures for some of them."""
    (text,) = section(FULL)

    assert "\n|---" in text
    assert section({"enqueueing": {}}) == []


def test_the_stub_counts_a_request_whose_sender_does_not_wait_for_the_answer() -> None:
    """The message was sent, whatever becomes of its sender."""
    body = b'{"email": "ana@example.com"}'

    async def send_and_leave(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    with counting(delay_s=0.0) as stub:
        asyncio.run(send_and_leave(int(stub.url(tls=False).rpartition(":")[2])))
        for _ in range(1000):
            if stub.arrivals:
                break
            asyncio.run(asyncio.sleep(0.01))

        assert stub.arrivals == {"ana@example.com": 1}
