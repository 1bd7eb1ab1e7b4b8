"""The outbox: exact counts for ever, messages as far as the ring reaches."""

from __future__ import annotations

from gatepost_simulator.outbox import Message, Outbox


def put(outbox: Outbox, recipient: str, connection: str = "email") -> None:
    outbox.put(
        Message(
            sequence=outbox.next_sequence(),
            sent_at=0.0,
            connection=connection,
            channel=connection,
            recipient=recipient,
            kind="code",
            code="123456",
            link=None,
            language=None,
            client_id="app",
            request_id="0",
        )
    )


def test_counts_by_recipient_and_connection() -> None:
    """Each recipient's messages are counted, apart for each connection."""
    outbox = Outbox(10)
    put(outbox, "ada@example.com")
    put(outbox, "ada@example.com")
    put(outbox, "ada@example.com", "sms")

    assert outbox.count("ada@example.com") == 3
    assert outbox.count("ada@example.com", "sms") == 1
    assert outbox.count("bob@example.com") == 0


def test_repeated_recipients_show_at_once() -> None:
    """Totals, distinct recipients and repeated ones are known without a scan."""
    outbox = Outbox(10)
    for recipient in ("a", "b", "b", "b", "c", "c"):
        put(outbox, recipient)

    assert (outbox.total, outbox.distinct(), outbox.repeated) == (6, 3, 2)
    assert outbox.histogram() == {1: 1, 2: 1, 3: 1}
    assert list(outbox.counts(3)) == [("email", "b", 3)]


def test_counts_outlive_the_ring() -> None:
    """Only the newest messages are kept whole; counts stay exact."""
    outbox = Outbox(3)
    for number in range(100):
        put(outbox, f"{number}@example.com")

    assert [message.recipient for message in outbox.latest()] == ["99@example.com", "98@example.com", "97@example.com"]
    assert outbox.count("0@example.com") == 1


def test_search_finds_parts_of_an_address() -> None:
    """A search gives the newest first."""
    outbox = Outbox(10)
    for recipient in ("ada@example.com", "bob@example.org", "adam@example.com"):
        put(outbox, recipient)

    assert [message.recipient for message in outbox.search("ada")] == ["adam@example.com", "ada@example.com"]
