"""The times of a campaign's options."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from gatepost_core.campaigns.model import Options


@pytest.mark.parametrize("name", ["start_at", "deadline"])
@pytest.mark.parametrize("value", [30, 1.5e9, "1767225600", " 1e9 "])
def test_a_number_is_no_time(name: str, value: object) -> None:
    """Seconds from now and seconds since 1970 look alike."""
    with pytest.raises(ValidationError, match="not a number"):
        Options.model_validate({name: value})


@pytest.mark.parametrize("name", ["rate", "pause_after_errors", "pause_above_error_share", "max_in_flight"])
@pytest.mark.parametrize("value", [True, False, "1", "true", b"1"])
def test_text_or_a_truth_value_is_no_number(name: str, value: object) -> None:
    """`true` would be 1 message a second."""
    with pytest.raises(ValidationError, match="must be a number"):
        Options.model_validate({name: value})
