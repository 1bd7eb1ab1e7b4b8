"""The arithmetic of the benchmark report."""

from __future__ import annotations

import pytest

from comparison.figures import percentile, plateau, ramp_s, rates, spread, tail_s


def test_a_spread_has_the_median_and_the_distance_of_the_extremes_as_a_share_of_it() -> None:
    """Three rounds of 90, 100 and 130 have a median of 100 and a noise of 40 %."""
    found = spread([130, 90, 100])

    assert (found.median, found.low, found.high) == (100, 90, 130)
    assert found.noise == pytest.approx(0.4)


def test_a_spread_around_zero_has_no_noise() -> None:
    """A median of zero is no divisor."""
    assert spread([0, 0, 1]).noise == 0


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_value_that_the_share_does_not_exceed(share: float, expected: int) -> None:
    """Of the numbers 1 to 100 in any order, the 99th percentile is 99."""
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_rates_count_the_events_of_each_bin() -> None:
    """Four events in the first second, and one in the third."""
    assert rates([10.0, 10.1, 10.2, 10.9, 12.0, 13.0], 1, 10.0)[:3] == [4, 0, 1]


def test_the_last_bin_counts_for_the_time_until_the_last_event() -> None:
    """Five events within half of the last bin are a rate of ten a second."""
    last = rates([0.0, 1.1, 1.2, 1.3, 1.4, 1.5], 1, 0.0)[-1]

    assert last == pytest.approx(10)


def test_the_plateau_is_the_median_of_the_middle_half() -> None:
    """The slow start and the slow end do not count."""
    assert plateau([0, 10, 100, 110, 100, 90, 5, 0]) == 100


def test_the_ramp_ends_with_the_first_bin_at_four_fifths_of_the_plateau() -> None:
    """Bins of a quarter of a second that rise for half a second."""
    assert ramp_s([20, 70, 85, 100, 100, 100, 100, 100], 0.25) == pytest.approx(0.5)


def test_the_tail_is_the_end_under_half_of_the_plateau() -> None:
    """Three slow bins at the end count, and one in the middle does not."""
    assert tail_s([100, 100, 30, 100, 100, 100, 100, 100, 100, 40, 30, 10], 0.25) == pytest.approx(0.75)


def test_a_run_of_fewer_than_four_bins_has_no_ramp_and_no_tail() -> None:
    """Too short to say where its plateau is."""
    assert ramp_s([1, 2, 3], 0.25) is None
    assert tail_s([1, 2, 3], 0.25) is None
