"""How many calls a process makes at once, and how a campaign's share grows and shrinks."""

from __future__ import annotations

from gatepost_worker.bulk.calls import FIRST_CALLS, Slots


def test_no_more_calls_than_slots_are_under_way() -> None:
    """Two campaigns together."""
    slots = Slots(20)
    slots.learn("a", succeeded=100, failed=0)
    slots.learn("b", succeeded=100, failed=0)
    first, second = slots.take("a", 15), slots.take("b", 15)
    slots.give_back("a", 10)

    assert (first, second) == (15, 5)
    assert slots.take("b", 15) == 10


def test_a_campaign_begins_with_few_calls_and_doubles_them_with_its_successes() -> None:
    """Each success adds one, up to all slots."""
    slots = Slots(100)
    taken = []
    for _ in range(5):
        taken.append(slots.take("a", 1000))
        slots.give_back("a", taken[-1])
        slots.learn("a", succeeded=taken[-1], failed=0)

    assert taken == [8, 16, 32, 64, 100]


def test_a_few_failures_cost_no_speed_and_many_leave_few_calls() -> None:
    """One failure in ten, and then nothing else."""
    slots = Slots(100)
    for _ in range(30):
        slots.learn("a", succeeded=9, failed=1)
    few = slots.take("a", 1000)
    slots.give_back("a", few)
    slots.learn("a", succeeded=0, failed=30)

    assert few == 100
    assert slots.take("a", 1000) == FIRST_CALLS


def test_an_ended_campaign_is_forgotten_when_its_calls_have_ended() -> None:
    """What it learned would not fit another start."""
    slots = Slots(100)
    slots.learn("a", succeeded=50, failed=0)
    slots.take("a", 2)
    slots.forget("a")
    slots.give_back("a", 2)
    kept = slots.take("a", 1000)
    slots.give_back("a", kept)
    slots.forget("a")

    assert kept == 58
    assert slots.take("a", 1000) == FIRST_CALLS
