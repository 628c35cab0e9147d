"""The judge: what the tables say of release groups at rest, and of those that come to rest only by what the tables
say."""

from collections.abc import Iterable, Sequence
from typing import Any

from phasegate.domain.errors import InputError
from phasegate.domain.plan import WorkLetter, compile_plan
from phasegate.domain.state.board import BoardLetter
from phasegate.services.reading.prover import Prover
from phasegate.services.running.judge import Judge, Judgement
from tests.unit.builders import NOW, Day, plan, reported


class Gone:
    """Tables without rows, and a folder of objects that is not there any more."""

    def ask(self, questions: Sequence[Any]) -> list[Any]:
        """Every table is empty."""
        return [[] for _ in questions]

    def held(self, names: Iterable[str]) -> set[str]:
        """The folder cannot be asked."""
        raise InputError("no such bucket")


def judged(day: Day) -> Judgement:
    """What comes of a date whose sources are gone."""
    gone: Any = Gone()
    return Judge(Prover(gone, gone)).judge(day.index, {day.facts.day: day.facts}, (), NOW)


def test_a_lane_that_rests_since_a_proof_failed_is_for_the_next_round() -> None:
    work = {
        task.ref: (WorkLetter.ADOPT if task.ref == "raw/b" else WorkLetter.RUN) * 6
        for task in compile_plan(plan()).tasks
    }
    day = Day(work=work).release("fetch", "raw")
    day.note("fetch/a", 1, reported(rows=None)).note("fetch/b", 1, reported(rows=None))
    found = judged(day)
    assert [(outcome.group, outcome.letter) for outcome in found.outcomes] == [(0, BoardLetter.FAILED)]
    assert {key.ref for key, proof in found.proofs if not proof.ok} == {"fetch/a", "fetch/b"}
