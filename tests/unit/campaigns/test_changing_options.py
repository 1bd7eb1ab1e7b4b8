"""A change of options applies only to the version that was read; a late change starts again, and gives up with a clear error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gatepost.campaigns.option_update import change_options
from gatepost.errors import CampaignConflict, TooManyChanges
from gatepost_core.campaigns.model import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Busy:
    """A store in which the options change between a read and a write, a given number of times."""

    def __init__(self, meanwhile: Callable[[Options], Options], times: int) -> None:
        self.options = Options()
        self.reads = 0
        self.fields: Mapping[str, str | int | float] = {}
        self._meanwhile = meanwhile
        self._times = times

    def record(self, campaign_id: str) -> Mapping[str, str]:  # noqa: ARG002 - the store's signature
        self.reads += 1
        return {"options": self.options.model_dump_json()}

    def change(self, campaign_id: str, before: str, after: str, fields: Mapping[str, str | int | float]) -> bool:  # noqa: ARG002 - as above
        if self._times > 0:
            self._times -= 1
            self.options = self._meanwhile(self.options)
        if self.options.model_dump_json() != before:
            return False
        self.options = Options.model_validate_json(after)
        self.fields = fields
        return True


def faster(options: Options) -> Options:
    return options.model_copy(update={"max_in_flight": options.max_in_flight - 1})


def slower(options: Options) -> Options:
    return options.model_copy(update={"rate": 5.0})


def test_a_change_between_read_and_write_is_kept() -> None:
    """Both changes hold, the other's and this one."""
    store: Any = Busy(faster, 3)
    changed = change_options(store, "campaign", slower)

    assert changed
    assert (store.options.rate, store.options.max_in_flight, store.reads) == (5.0, 253, 4)


def test_a_change_that_is_always_too_late_is_an_error() -> None:
    """The error says that nothing was changed and what to do; nothing was."""
    store: Any = Busy(faster, 1000)

    with pytest.raises(CampaignConflict, match="nothing was changed; try again") as raised:
        change_options(store, "campaign", slower)

    assert isinstance(raised.value, TooManyChanges)
    assert store.options.rate is None
    assert store.reads < 100


def test_a_change_that_has_become_needless_writes_nothing() -> None:
    """Another process makes the same change meanwhile."""
    store: Any = Busy(slower, 1)
    changed = change_options(store, "campaign", lambda options: None if options.rate else slower(options))

    assert not changed
    assert (store.options.rate, store.reads) == (5.0, 2)


def test_what_the_scripts_read_changes_with_the_options() -> None:
    """The campaign's record repeats the options of the Lua scripts, under the same names."""
    store: Any = Busy(faster, 0)
    change_options(store, "campaign", lambda options: options.model_copy(update={"pause_after_errors": None}))

    assert store.fields == {
        "deadline": "",
        "on_unknown": "hold",
        "pause_after_errors": 0,
        "pause_above_error_share": 0.25,
        "max_in_flight": 256,
    }
