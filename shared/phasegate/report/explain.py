"""An explanation says why something is not done: cells, reasons down to the root, what to type for each root."""

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from phasegate.domain.checks.proof import LEFT_STANDING
from phasegate.domain.decisions.edges import Blockage, Obstacle, awaited_approvals, obstacles
from phasegate.domain.decisions.reconcile import TaskStatus, TaskView, derive
from phasegate.domain.errors import NOBODYS, YIELDS_NOTHING, InputError
from phasegate.domain.foreign_text import escaped
from phasegate.domain.plan import ApprovalEdge, PlanIndex, TaskSpec, WorkLetter
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.checks import UNRECOVERABLE
from phasegate.domain.spec.pipeline import did_you_mean
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.facts import Verdict
from phasegate.domain.state.run import Run, RunStatus, Waiver
from phasegate.domain.state.unsound import Blocked, Failure, NotRun, Unsound
from phasegate.ports import RunReader
from phasegate.report.new_run import new_run, options_of
from phasegate.services.reading.listing import current_status
from phasegate.services.reading.progress import (
    DATES_AT_ONCE,
    OverdueCall,
    blocking_verdicts,
    cell_reasons,
    cell_state,
    is_blocked,
)

CLOCK_BEHIND = timedelta(minutes=1)
"""So far behind what is recorded the clock of who asks is worth a word."""

DATES_LOOKED_AT = 50
"""Dates under way of which the last moment is looked for."""


@dataclass(frozen=True, slots=True)
class Root:
    """A root is something that ended badly or waits: it says what waits for it, and what to type."""

    day: date
    """The date on which it ended badly, or on which something waits first."""

    phase: str
    """The phase of the processor; empty: it belongs to none."""

    processor: str
    """The processor, or what else the root is about."""

    kind: str
    """In what way it ended badly, in a few words."""

    detail: str
    """What was found or said."""

    waiting: tuple[tuple[date, str], ...]
    """The cells that wait for it: (date, phase)."""

    remedy: str
    """What to type."""


@dataclass(frozen=True, slots=True)
class CellExplained:
    """A cell is explained by its state, the reasons for it, what it waits for, and what the checks found."""

    day: date
    """The date of the cell."""

    phase: str
    """The phase of the cell."""

    state: str
    """One word, as ``cell_state`` has it."""

    reasons: tuple[str, ...]
    """Why it does not pass."""

    waits_for: tuple[str, ...]
    """What keeps it from being released."""

    tasks: tuple[tuple[str, str, str], ...]
    """(processor, status, what was said) of each task."""

    verdicts: tuple[Verdict, ...]
    """What the checks found."""

    waivers: tuple[Waiver, ...]
    """The waivers that are about it, or were used."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """An explanation says why a run, or some of its cells, are not done."""

    run_id: str
    """The run's name."""

    status: RunStatus
    """The run's status."""

    note: str
    """What there is to say of the run as a whole; empty: nothing."""

    roots: tuple[Root, ...]
    """What ended badly, or waits for a person or an answer."""

    cells: tuple[CellExplained, ...]
    """The cells of the date (and phase) that was asked about; empty: the whole run was."""


def explain(
    state: RunReader,
    run_id: str,
    day: date | None,
    phase: str | None,
    now: datetime | None = None,
    overdue: Iterable[OverdueCall] = (),
    rescheduled: Collection[date] = (),
) -> Explanation:
    """Explain a run, one of its dates, or a (date, phase). Raises InputError for a date or phase that it has not.

    now: the time on the clock of who asks, which may be wrong; None: nothing is said of it. overdue: the calls that
    have passed their deadline. rescheduled: the dates of which the schedule says something else than the run goes by.
    """
    run, (board, _) = state.run(run_id), state.board(run_id)
    index = state.index(run_id, board.plan)
    if day is not None and day not in index.position:
        raise InputError(f"{day} is not a date of run '{run_id}' ({index.days[0]} to {index.days[-1]})")
    if phase is not None and phase not in index.plan.phases:
        raise InputError(f"unknown phase '{phase}' of run '{run_id}'{did_you_mean(phase, index.plan.phases)}")
    blockage = Blockage(index, board)
    bad = tuple(_by_the_schedule(run, root, rescheduled) for root in _roots(run, index, board, blockage))
    roots = bad + _approvals(index, board) + _under_way(state, run_id, index, board)
    roots += tuple(map(_hanging, overdue))
    cells: tuple[CellExplained, ...] = ()
    if day is not None:
        phases = [phase] if phase else list(index.plan.phases)
        cells = tuple(_cell(state, run, index, board, blockage, day, name) for name in phases)
        cells_asked = {(day, name) for name in phases}
        roots = tuple(r for r in roots if (r.day, r.phase) in cells_asked or cells_asked & set(r.waiting))
    is_calm = not roots and all(cell.state not in ("failed", "blocked") for cell in cells)
    note = "; ".join(filter(None, (_note(run, index, board, is_calm), _clock_note(state, run_id, index, board, now))))
    return Explanation(run_id, current_status(run, board), note, roots, cells)


def _clock_note(state: RunReader, run_id: str, index: PlanIndex, board: Board, now: datetime | None) -> str:
    """That what happened last lies ahead, by the clock of who asks; of the dates under way, the first ones are read."""
    if now is None or board.status.is_final:
        return ""
    moments = [board.started_at]
    for facts in state.dates(run_id, board.open_days(index)[:DATES_LOOKED_AT]).values():
        moments += [facts.changed_at] if facts.changed_at else []
    behind = max(moments) - now
    if behind < CLOCK_BEHIND:
        return ""
    return (
        f"the clock of this machine is {behind.total_seconds():,.0f} s behind what the run recorded last; the run goes "
        "on by its own time, which never goes back: set this clock right if it is wrong; if the record is (a clock was "
        "ahead when it was written), its times stay ahead until this one has caught up"
    )


def _note(run: Run, index: PlanIndex, board: Board, is_calm: bool) -> str:
    status = current_status(run, board)
    if board.halted_because:
        return f"halted: {board.halted_because}"
    if status in (RunStatus.PAUSED, RunStatus.DRAINING):
        return f"{status.value}: nothing is started until `phasegate resume {run.run_id}`"
    if status is RunStatus.CANCELLED:
        again = new_run(run, index.plan, reprocess="failed")
        return f"cancelled: nothing is started any more; a new run over the same: {again}"
    return "nothing failed and nothing is blocked" if is_calm else ""


def _roots(run: Run, index: PlanIndex, board: Board, blockage: Blockage) -> tuple[Root, ...]:
    waiting: dict[tuple[date, str], dict[tuple[date, str], None]] = {}
    for group in index.groups:
        for position, day in enumerate(index.days):
            if board.is_pending(group.name, position):
                for root in blockage.roots(group.number, position):
                    for ref in _refs(index, board, root):
                        waiting.setdefault((root.day, ref), {})[day, group.phase] = None
    for day, bad in board.bad.items():
        for ref in (ref for ref, why in bad.items() if isinstance(why, NotRun)):
            phase = ref.partition("/")[0]
            for need in _by_itself(index, bad, ref):
                if not need.startswith(f"{phase}/"):
                    waiting.setdefault((day, need), {})[day, phase] = None
    roots: list[Root] = []
    for day, bad in sorted(board.bad.items()):
        for ref in sorted(bad):
            why = bad[ref]
            if isinstance(why, NotRun):
                continue
            phase, _, processor = ref.partition("/")
            behind = tuple(waiting.pop((day, ref), ()))
            name, detail = "blocked" if isinstance(why, Blocked) else "failed", str(why)
            remedy = _remedy(run, index, why, day, ref)
            if (breaker := board.breakers.get(ref)) is not None and breaker.first == day:
                detail = f"{detail}; {breaker}"
                which = ["--phase", phase, "--processor", processor]
                if breaker.signature:
                    which = ["--signature", escaped(breaker.signature)]
                mend = "mend the source" if breaker.is_of_a_check else "mend the cause"
                remedy = f"{mend}, then: {shlex.join(['phasegate', 'retry', run.run_id, *which])}"
            roots.append(Root(day, phase, processor, name, detail, behind, remedy))
    outside = [(day, ref) for day, ref in sorted(waiting) if day not in index.position or ref not in index.by_ref]
    for day, ref in outside:
        phase, _, processor = ref.partition("/")
        of_phase = [d for d, r in outside if r.startswith(f"{phase}/")]
        dates = ["--from", str(of_phase[0]), "--to", str(of_phase[-1]), "--phases", f"1..{phase}"]
        remedy = f"{shlex.join(['phasegate', 'run', *options_of(run), *dates])}, then: phasegate retry {run.run_id}"
        detail = (board.outside or {}).get(ref, {}).get(day, "not sound")
        cells = tuple(waiting[day, ref])
        roots.append(Root(day, phase, processor, "missing outside the run", detail, cells, remedy))
    return tuple(roots)


def _by_the_schedule(run: Run, root: Root, rescheduled: Collection[date]) -> Root:
    """A retry goes by the schedule of before for ever: where it says something else now, that is taken over first."""
    if root.day not in rescheduled:
        return root
    taken = f"the schedule says something else of that now; to go by it: phasegate refresh {run.run_id} --yes"
    return replace(root, remedy=f"{taken}; else {root.remedy}")


def _refs(index: PlanIndex, board: Board, root: Obstacle) -> set[str]:
    """The processors that ended badly by themselves behind an obstacle, which names one that was not run, or, as a
    barrier does, the phase alone."""
    if root.group is None:
        return {root.ref}
    bad = board.bad.get(root.day, {})
    named = [root.ref] if "/" in root.ref else [index.tasks[number].ref for number in index.groups[root.group].tasks]
    return {found for ref in named if ref in bad for found in _by_itself(index, bad, ref)}


def _by_itself(index: PlanIndex, bad: Mapping[str, Unsound], ref: str) -> set[str]:
    """A processor of a date, or, where it was not run, those that it was not run for."""
    if not isinstance(bad[ref], NotRun):
        return {ref}
    return {found for need in index.task(ref).need_refs if need in bad for found in _by_itself(index, bad, need)}


def _approvals(index: PlanIndex, board: Board) -> tuple[Root, ...]:
    """The phases that wait for a person, from the first date on which nothing else is in the way."""
    roots: list[Root] = []
    for phase in awaited_approvals(index, board):
        held = [
            (index.days[p], group.phase)
            for group in index.groups
            if any(isinstance(edge, ApprovalEdge) and edge.phase == phase for edge in group.edges)
            for p in range(len(index.days))
            if board.is_pending(group.name, p)
        ]
        behind = tuple(dict.fromkeys(held))
        remedy = f"phasegate approve {board.run_id} {phase}"
        roots.append(Root(behind[0][0], phase, phase, "waiting for a person", "nobody said go", behind, remedy))
    return tuple(roots)


def _under_way(state: RunReader, run_id: str, index: PlanIndex, board: Board) -> tuple[Root, ...]:
    """What goes on by itself but not smoothly: attempts after a failure, and checks that could not be asked."""
    unasked = [(day, "a table or a check", why) for day, why in sorted(board.unjudged.items())]
    if board.outside_unasked is not None:
        unasked.append((index.days[0], "a table outside the run", board.outside_unasked))
    roots = [
        Root(day, "", what, "waiting for an answer", why, (), f"asked again by itself (try {tries + 1})")
        for day, what, (tries, _, why) in unasked
    ]
    released = [
        day
        for position, day in enumerate(index.days)
        if any(board.letter(group.name, position) == BoardLetter.RELEASED for group in index.groups)
    ]
    for first in range(0, len(released), DATES_AT_ONCE):
        for day, facts in state.dates(run_id, released[first : first + DATES_AT_ONCE]).items():
            roots += [
                Root(day, task.phase, task.processor, "being tried again", view.message, (), "goes on by itself")
                for task, view in zip(index.tasks, derive(facts, index), strict=True)
                if view.message and view.status in (TaskStatus.QUEUED, TaskStatus.PENDING)
            ]
    return tuple(roots)


def _hanging(call: OverdueCall) -> Root:
    key, until = call.claim.key, call.claim.lease_until
    remedy = (
        f"its output is looked at after {until:%Y-%m-%d %H:%M:%S} UTC, and it is tried again; where the worker hangs, "
        "mend it, or give it a longer timeout_seconds, and begin the process anew in which it is called"
    )
    return Root(key.day, key.phase, key.processor, "past its deadline", str(call), (), remedy)


def _remedy(run: Run, index: PlanIndex, why: Blocked | Failure, day: date, ref: str) -> str:
    phase, _, processor = ref.partition("/")
    command = f"phasegate retry {run.run_id} --date {day} --phase {phase}"
    if isinstance(why, Blocked) and index.by_ref[ref].work[index.position[day]] == WorkLetter.NOTHING_DUE:
        which = ["--phase", phase, "--processor", processor]
        if day in index.calendar.lost:
            # Nothing at all is right on the date: one command for all that stands there.
            which = ["--phase", f"{index.plan.phases[0]}..{index.plan.phases[-1]}"]
            command = f"phasegate retry {run.run_id} --date {day}"
        about = [*options_of(run), *which, "--dates", str(day), "--yes"]
        return f"{shlex.join(['phasegate', 'rollback', *about])} deletes what stands there, then: {command}"
    if isinstance(why, Blocked) and UNRECOVERABLE not in why.checks:
        return f"mend the source, then: {command}"
    if isinstance(why, Blocked) or why.error_class is ErrorClass.UNRECOVERABLE:
        waive = f"phasegate waive {run.run_id} --date {day} --check {UNRECOVERABLE} --phase {phase}"
        return (
            f"the source is gone; to go on without it: {waive} --processor {processor} --until DATE --why TEXT; "
            f"or bring it back, then: {command}"
        )
    if YIELDS_NOTHING in why.message and NOBODYS in why.message:
        return f"mend the source, then: {command}; or look whose these rows are, delete them by hand, then: {command}"
    if YIELDS_NOTHING in why.message:
        accept = f"{command} --processor {processor} --accept-empty --why TEXT"
        return f"mend the source, then: {command}; or, if nothing is right there: {accept}"
    if LEFT_STANDING in why.message:
        words = [*options_of(run), "--dates", str(day), "--phase", phase, "--processor", processor, "--yes"]
        delete = shlex.join(["phasegate", "rollback", *words])
        return f"mend the source, then: {command}; or, if nothing is right there: {delete}, then: {command}"
    if why.error_class is ErrorClass.BUG:
        return f"mend the cause (it is not tried again by itself), then: {command}"
    return command


def _cell(
    state: RunReader, run: Run, index: PlanIndex, board: Board, blockage: Blockage, day: date, phase: str
) -> CellExplained:
    position = index.position[day]
    facts = state.dates(run.run_id, (day,))[day]
    views, blocking = derive(facts, index), blocking_verdicts(facts)
    waits: dict[str, None] = {}
    for number in index.groups_of(phase):
        group = index.groups[number]
        if board.is_pending(group.name, position):
            for obstacle in obstacles(index, board, group, position):
                where = f"{obstacle.day} {obstacle.ref}"
                waits[f"{obstacle.check}: {where}{f' ({obstacle.detail})' if obstacle.detail else ''}"] = None
    cell = facts.cells.get(phase)
    verdicts = tuple(v for group in cell.groups.values() for v in group.verdicts) if cell else ()
    used = {verdict.waived_by for verdict in verdicts}
    return CellExplained(
        day=day,
        phase=phase,
        state=cell_state(index, board, blockage, phase, position),
        reasons=tuple(r.detail for r in cell_reasons(index, board, blockage, phase, position, blocking)),
        waits_for=tuple(waits),
        tasks=tuple(
            (t.processor, *_status(board, index, t, v, day))
            for t, v in zip(index.tasks, views, strict=True)
            if t.phase == phase
        ),
        verdicts=verdicts,
        waivers=tuple(w for w in run.waivers if w.id in used or (day in w.dates and w.phase in (None, phase))),
    )


def _status(board: Board, index: PlanIndex, task: TaskSpec, view: TaskView, day: date) -> tuple[str, str]:
    """A task's status in a word, as it is counted, and what is said of it: what a check of its own holds back is not
    done, and what was adopted is not right then."""
    if is_blocked(board, index, task, day):
        return "blocked", view.message if view.attempt else ""
    return view.status.value, view.message or _silence(index, task.number, view)


def _silence(index: PlanIndex, number: int, view: TaskView) -> str:
    """What an observed task waits for; nothing for any other."""
    observed = index.observed.get(number)
    if observed is None or view.status is not TaskStatus.QUEUED:
        return ""
    return f"waits for a message on topic {observed.topic}; after {observed.timeout_seconds} s the output is looked at"
