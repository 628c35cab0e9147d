"""The small world, undisturbed: the run that all others are compared with."""

from pathlib import Path

from phasegate.domain.state.run import RunStatus
from tests.world import World


def test_an_undisturbed_run_passes_every_phase_and_computes_from_complete_inputs(tmp_path: Path) -> None:
    world = World(tmp_path)
    board = world.run()
    found = world.report()
    assert board.status is RunStatus.COMPLETED
    assert found.tasks["expected"] == 9 * 6 == found.tasks["succeeded"] + found.tasks["empty_ok"]
    assert found.phases["final"]["skipped"] == 0
    left = {day: sum(v for d, _, v in world.tables()["shape.left_side"] if d == day) for day in map(str, world.days)}
    ahead = {d: v for d, _, v in world.tables()["shape.ahead"]}
    for i, day in enumerate(world.days):
        assert ahead[str(day)] == sum(left[str(d)] for d in world.days[max(0, i - 3) : i])
