"""A board follows waivers a few at a time, so that many that end together do not fill one commit."""

from datetime import timedelta

from phasegate.domain.decisions.waiving import follow_waivers
from phasegate.domain.state.run import Waiver
from tests.unit.builders import NOW, Conduct, days, run


def test_waivers_of_many_dates_are_followed_one_after_the_other() -> None:
    day = days(450)
    waivers = tuple(
        Waiver(
            id=f"w{n}",
            dates=tuple(day[150 * n : 150 * (n + 1)]),
            check="rows",
            why="known",
            by="me",
            at=NOW,
            until=NOW + timedelta(days=1),
        )
        for n in range(3)
    )
    asked, board = run(waivers=waivers), Conduct().board
    steps = []
    while (step := follow_waivers(board, asked, NOW)).days:
        board.waivers = step.waivers
        steps.append((len(step.days), step.waivers))
    assert steps == [(150, ("w0",)), (150, ("w0", "w1")), (150, ("w0", "w1", "w2"))]
    assert follow_waivers(board, asked, NOW + timedelta(days=2)).waivers == ("w1", "w2")
