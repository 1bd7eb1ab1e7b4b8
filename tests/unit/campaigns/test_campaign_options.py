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
