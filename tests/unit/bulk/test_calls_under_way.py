"""The outcomes of a batch's calls: gathered for a step, and each heard once."""

from __future__ import annotations

import threading

from gatepost_worker.bulk.calls import ENOUGH, UnderWay

LONG_S = 60.0


def test_enough_outcomes_end_the_wait() -> None:
    """They come in on another thread."""
    ended: list[int] = []
    under_way = UnderWay(lambda: ended.append(1))
    dones = [under_way.add(row, row + 1000) for row in range(2 * ENOUGH)]
    threading.Thread(target=lambda: [done(OSError()) for done in dones]).start()
    heard = []
    while under_way:
        heard += under_way.wait(LONG_S)

    assert [(row, ticket) for row, ticket, _ in heard] == [(row, row + 1000) for row in range(2 * ENOUGH)]
    assert len(ended) == 2 * ENOUGH


def test_the_last_outcomes_are_not_waited_for_in_vain() -> None:
    """Fewer calls than are worth a step: all of them are enough."""
    under_way = UnderWay(lambda: None)
    done = under_way.add(3, 7)
    done(OSError())

    assert [(row, ticket) for row, ticket, _ in under_way.wait(LONG_S)] == [(3, 7)]
    assert len(under_way) == 0


def test_what_was_given_up_is_not_heard_again() -> None:
    """Its row has been settled; a late outcome must not settle the next attempt."""
    under_way = UnderWay(lambda: None)
    late = under_way.add(3, 7)
    lost = under_way.give_up()
    under_way.add(3, 8)
    late(OSError())

    assert [(row, ticket, type(error)) for row, ticket, error in lost] == [(3, 7, TimeoutError)]
    assert under_way.wait(0) == []
    assert len(under_way) == 1


def test_a_call_that_is_given_up_frees_its_slot_once() -> None:
    """Its late outcome must not free another call's slot."""
    ended: list[int] = []
    under_way = UnderWay(lambda: ended.append(1))
    late = under_way.add(3, 7)
    under_way.give_up()
    at_once = len(ended)
    late(OSError())

    assert (at_once, len(ended)) == (1, 1)


def test_outcomes_are_heard_in_the_order_in_which_their_calls_began() -> None:
    """Whatever order the answers come in."""
    under_way = UnderWay(lambda: None)
    dones = [under_way.add(row, 10 + row) for row in range(5)]
    for done in reversed(dones):
        done(OSError())

    assert [ticket for _, ticket, _ in under_way.wait(LONG_S)] == [10, 11, 12, 13, 14]
