"""Rows, records and settlements survive a round trip through Redis, and no two values share a code."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.errors import SealError
from gatepost_core.campaigns.batch import open_rows, pack_rows, seal_rows, unpack_rows
from gatepost_core.campaigns.model import Options, Pause, PauseReason
from gatepost_core.campaigns.row import Row
from gatepost_core.campaigns.wire_format import (
    RECORD_BYTES,
    STATES,
    Record,
    unpack_records,
)
from gatepost_core.kinds import Channel
from gatepost_core.reasons import Reason
from gatepost_core.sealing import Key, Keyring
from gatepost_core.states import State
from gatepost_worker.bulk.store import Mark, Settlement

TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=40)
ROWS = st.builds(
    Row,
    line=st.just(0),
    kind=st.sampled_from([Channel.EMAIL, Channel.SMS]),
    recipient=TEXTS,
    language=st.none() | TEXTS,
    client_ip=st.none() | TEXTS,
    auth_params=st.none() | TEXTS,
)


@given(st.lists(ROWS, min_size=1, max_size=256))
def test_packed_rows_come_back(rows: list[Row]) -> None:
    """Every column of every row, in order."""
    assert unpack_rows(pack_rows(rows)) == rows


def test_a_batch_opens_only_in_its_own_place() -> None:
    """Rows that were moved to another batch or campaign do not open."""
    keyring = Keyring([Key.new("test")])
    rows = [Row(0, Channel.EMAIL, "ana@example.com")]
    sealed = seal_rows(rows, keyring, "campaign", 3)

    assert open_rows(sealed, keyring, "campaign", 3) == rows
    for campaign, batch in (("campaign", 4), ("other", 3)):
        with pytest.raises(SealError):
            open_rows(sealed, keyring, campaign, batch)


def test_every_state_and_reason_has_a_unique_code() -> None:
    """Each code is unique and fits into its byte."""
    assert len(STATES) == len(State)
    assert all(len(state.char) == 1 for state in State)
    assert len({reason.code for reason in Reason}) == len(Reason)
    assert all(0 < reason.code < 256 for reason in Reason)


def test_records_come_back() -> None:
    """Row, reason, HTTP status, attempts and time."""
    records = [Record(0, Reason.CLIENT_REJECTED, 401, 3, 1_800_000_000), Record(255, None, None, 2, 0)]
    packed = b"".join(record.pack() for record in records)

    assert len(packed) == 2 * RECORD_BYTES
    assert unpack_records(packed) == {0: records[0], 255: records[1]}


def test_a_settlement_holds_the_record_that_is_kept_of_it() -> None:
    """The script takes the record out of the settlement byte by byte."""
    settlement = Settlement(7, State.REJECTED, Mark.FAILED, Reason.RECIPIENT_REJECTED, 400, 2, 1_800_000_000)
    packed = settlement.pack()
    record = Record(7, Reason.RECIPIENT_REJECTED, 400, 2, 1_800_000_000)

    assert len(packed) == 11
    assert packed[0:1] + packed[3:11] == record.pack()
    assert struct.unpack_from("<BcB", packed) == (7, b"r", 1)


def test_options_survive_being_stored() -> None:
    """JSON and back, the hours and the guests included; `auth_params` are stored apart, sealed."""
    options = Options.model_validate({"hours": "09:00-18:00 Europe/Berlin", "rate": 5, "guests": ["ab" * 8]})
    with_params = options.model_copy(update={"auth_params": {"state": "canary"}})

    assert Options.model_validate_json(with_params.stored()) == options
    assert "canary" not in with_params.stored()


def test_every_pause_says_what_to_do() -> None:
    """The sentence of the pause, and that of its cause."""
    for reason in PauseReason:
        assert Pause(reason).advice
    assert Reason.CLIENT_REJECTED.advice in Pause(PauseReason.REFUSED, Reason.CLIENT_REJECTED).advice
