"""Earlier runs of a pipeline have a newest word on each date."""

from collections.abc import Sequence
from datetime import date

from phasegate.domain.decisions.reconcile import PROVED, derive
from phasegate.ports import RunReader


def finished_in(state: RunReader, pipeline: str, days: Sequence[date]) -> dict[date, frozenset[str]]:
    """Find, for each date that some run covered, the refs that the newest run of it brought to a good end.

    A processor whose check blocks is not among them, although its task succeeded.
    """
    good_by_date: dict[date, dict[str, bool]] = {}
    for run in state.runs():
        if run.pipeline != pipeline:
            continue
        index = state.index(run.run_id)
        board, _ = state.board(run.run_id)
        for day, facts in state.dates(run.run_id, [day for day in days if day in index.position]).items():
            views = derive(facts, index)
            bad = board.bad.get(day, {})
            is_good_by_ref = good_by_date.setdefault(day, {})
            for task, view in zip(index.tasks, views, strict=True):
                is_good_by_ref.setdefault(task.ref, view.status in PROVED and task.ref not in bad)
    return {
        day: frozenset(ref for ref, is_good in is_good_by_ref.items() if is_good)
        for day, is_good_by_ref in good_by_date.items()
    }


def made_from_another_source(state: RunReader, pipeline: str, source: str, days: Sequence[date]) -> frozenset[date]:
    """Find the dates whose newest run read another source folder: their tables are not this source's."""
    newest: dict[date, str | None] = {}
    for run in state.runs():
        if run.pipeline == pipeline:
            position = state.index(run.run_id).position
            for day in days:
                if day in position:
                    newest.setdefault(day, run.source)
    return frozenset(day for day, origin in newest.items() if origin != source)
