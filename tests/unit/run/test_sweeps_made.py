"""What one sweep stands for."""

from datetime import timedelta

import pytest

from phasegate.services.running.sweeps_made import LONGEST_SWEEP, SweepsMade
from tests.unit.builders import NOW

LATER = timedelta(seconds=1)


@pytest.mark.parametrize(("took", "is_made"), [(LONGEST_SWEEP - LATER, False), (LONGEST_SWEEP, True)])
def test_a_sweep_that_has_not_ended_stands_for_others_as_long_as_its_request_may_last(
    took: timedelta, is_made: bool
) -> None:
    sweeps = SweepsMade()
    assert sweeps.begin("r", NOW, NOW)
    assert sweeps.begin("r", NOW + took, NOW + took) is is_made


def test_the_late_end_of_a_sweep_that_was_given_up_is_not_that_of_its_successor() -> None:
    sweeps = SweepsMade()
    second = NOW + LONGEST_SWEEP
    assert sweeps.begin("r", NOW, NOW) and sweeps.begin("r", second, second)
    sweeps.end("r", NOW, is_well=True)
    assert not sweeps.begin("r", second + LATER, second + LATER), "the second goes on"


def test_a_sweep_of_one_run_stands_for_no_other() -> None:
    sweeps = SweepsMade()
    assert sweeps.begin("r", NOW, NOW) and sweeps.begin("q", NOW, NOW)
