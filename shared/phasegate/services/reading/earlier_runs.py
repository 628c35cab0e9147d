"""Earlier runs of a pipeline have a newest word on each date."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime

from phasegate.domain.decisions.reconcile import DONE, TaskStatus, derive
from phasegate.domain.errors import UnreadableRun
from phasegate.domain.state.run import UnreadableDocument
from phasegate.ports import RunReader


def finished_in(state: RunReader, pipeline: str, days: Sequence[date]) -> dict[date, frozenset[str]]:
    """Find, for each date that some run covered, the refs that the newest run of it brought to a good end.

    A processor whose check blocks is not among them, although its task succeeded. Raises UnreadableRun when the newest
    run of a date may be one that cannot be read: nobody knows what failed there.
    """
    good_by_date: dict[date, dict[str, bool]] = {}
    for run in state.every_run():
        if run.pipeline not in (pipeline, None):
            continue
        try:
            if isinstance(run, UnreadableDocument):
                raise UnreadableRun(run.reason)
            covered = _covered(state, run.run_id, days)
            if not covered:
                continue
            index = state.index(run.run_id)
            board, _ = state.board(run.run_id)
            facts_by_date = state.dates(run.run_id, covered)
        except UnreadableRun as error:
            if open_days := [day for day in days if day not in good_by_date]:
                raise UnreadableRun(
                    f"--reprocess failed: what failed on {open_days[0]} is not known: {error}; or use "
                    "--reprocess missing, which goes by the tables"
                ) from error
            continue
        for day, facts in facts_by_date.items():
            views = derive(facts, index)
            bad = board.bad.get(day, {})
            is_good_by_ref = good_by_date.setdefault(day, {})
            for task, view in zip(index.tasks, views, strict=True):
                is_good_by_ref.setdefault(task.ref, view.status in DONE and task.ref not in bad)
    return {
        day: frozenset(ref for ref, is_good in is_good_by_ref.items() if is_good)
        for day, is_good_by_ref in good_by_date.items()
    }


def ran_empty(state: RunReader, pipeline: str, wanted: Mapping[str, Collection[date]]) -> dict[str, frozenset[date]]:
    """Find, among tables that are empty on these dates, those of which a run made and proved just that: ref -> dates.

    wanted: dates by ``phase/processor``. The newest run that worked on a table speaks: what it wrote and is gone, or
    failed to write, is not proved to be empty by an older one. A run that cannot be read, or was forgotten, proves
    nothing.
    """
    open_days = {ref: set(days) for ref, days in wanted.items() if days}
    found: dict[str, set[date]] = {ref: set() for ref in open_days}
    for run in state.every_run():
        if not any(open_days.values()):
            break
        if isinstance(run, UnreadableDocument) or run.pipeline != pipeline:
            continue
        try:
            covered = _covered(state, run.run_id, sorted(set().union(*open_days.values())))
            if not covered:
                continue
            index, facts_by_date = state.index(run.run_id), state.dates(run.run_id, covered)
        except UnreadableRun:
            continue
        for day, facts in facts_by_date.items():
            views = derive(facts, index)
            for ref, days in open_days.items():
                view = views[index.by_ref[ref].number] if day in days and ref in index.by_ref else None
                if view is None or not facts.tasks.get((ref.partition("/")[0], ref.partition("/")[2])):
                    continue
                days.discard(day)
                if view.attempt and view.status is TaskStatus.EMPTY_OK:
                    found[ref].add(day)
    return {ref: frozenset(days) for ref, days in found.items()}


def made_from_another_source(state: RunReader, pipeline: str, source: str, days: Sequence[date]) -> frozenset[date]:
    """Find the dates whose newest run read another source folder: their tables are not this source's.

    A run that was forgotten counts like any other. Of one that cannot be read it is taken to be so on every date,
    unless it says that it read this one; whether it is older than a forgotten one nobody knows.
    """
    newest: dict[date, tuple[datetime | None, str | None]] = {}
    for run in state.every_run():
        if run.pipeline not in (pipeline, None):
            continue
        try:
            covered = [*days] if isinstance(run, UnreadableDocument) else _covered(state, run.run_id, days)
        except UnreadableRun:
            covered = [*days]
        for day in covered:
            newest.setdefault(day, (None if isinstance(run, UnreadableDocument) else run.created_at, run.source))
    forgotten = state.sources_of_forgotten(pipeline)
    for day in forgotten.keys() & days:
        created_at, origin = forgotten[day]
        known_at, _ = newest.setdefault(day, forgotten[day])
        if origin != source if known_at is None else known_at < created_at:
            newest[day] = created_at, origin
    return frozenset(day for day, (_, origin) in newest.items() if origin != source)


def _covered(state: RunReader, run_id: str, days: Sequence[date]) -> list[date]:
    """The dates that are a run's, by its plan as it is stored: a run that is over need not be compiled for that."""
    of_run = frozenset(state.scope(run_id).days)
    return [day for day in days if day in of_run]
