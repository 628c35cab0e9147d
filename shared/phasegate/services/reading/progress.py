"""A report on a run says where it stands: counts by phase and by task, failures, blocked dates; and why something
waits."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from phasegate.domain.decisions.edges import Blockage, Obstacle, awaited_approvals
from phasegate.domain.decisions.outcome import let_pass
from phasegate.domain.decisions.reconcile import TaskStatus, TaskView, derive
from phasegate.domain.decisions.waiving import blocks
from phasegate.domain.plan import PlanIndex, TaskSpec
from phasegate.domain.state.board import BADLY_ENDED, GOOD, OPEN, Board, BoardLetter
from phasegate.domain.state.facts import AttemptKey, DateFacts, Verdict
from phasegate.domain.state.reads import Reads
from phasegate.domain.state.run import RunStatus
from phasegate.domain.state.unsound import Blocked, Failure, Unsound
from phasegate.ports import Claim, State
from phasegate.services.reading.listing import current_status, utc_text
from phasegate.services.reading.notices import DecisionsByPeople, Notice, notices, notices_document

TASK_STATES = (
    "pending",
    "blocked",
    "queued",
    "running",
    "reported",
    "succeeded",
    "empty_ok",
    "not_needed",
    "failed",
    "unrecoverable",
)
DONE = ("succeeded", "empty_ok", "not_needed")
"""Those of the states that are a good end."""

DATES_AT_ONCE = 100
"""Dates read in one go: their facts are held in memory together."""

PHASE_STATES = ("pending", "blocked", "released", "passed", "skipped", "failed")


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A failed task ended badly."""

    date: date
    """The date."""
    phase: str
    """The phase."""
    processor: str
    """The processor."""
    attempt: int
    """The number of the attempt that counts."""
    failure: Failure
    """How it ended."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason says why a cell does not pass."""

    check: str
    """The check's name, the kind of edge, or that a processor failed (``failed``) or was not run (``needs``)."""
    detail: str
    """What it found."""


@dataclass(frozen=True, slots=True)
class BlockedCell:
    """A blocked cell, a (date, phase), cannot go on until somebody acts."""

    date: date
    """The date."""
    phase: str
    """The phase."""
    reasons: tuple[Reason, ...]
    """Why."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """A report says where a run stands."""

    run_id: str
    """The run."""
    pipeline: str
    """The name of its pipeline."""
    status: RunStatus
    """Its status; what people asked for and the conductor has not seen yet counts already."""
    dates: int
    """How many dates it has."""
    started_at: datetime
    """When it was begun."""
    finished_at: datetime | None
    """When it came to its end."""
    seconds: float
    """For how many seconds it went on by itself: rests between an end and a retry, or of a held run, do not count."""
    eta_seconds: float | None
    """Seconds to go at the pace so far; None when nothing moves."""
    phases: dict[str, dict[str, int]]
    """Phase -> state -> how many dates; they add up to ``dates``."""
    tasks: dict[str, int]
    """State -> how many tasks; they add up to ``expected``, which stands beside them."""
    failures: tuple[FailedTask, ...]
    """The tasks that ended badly by themselves."""
    blocked: tuple[BlockedCell, ...]
    """The cells that cannot go on until somebody acts."""
    halted_because: str
    """Why nothing more is released; empty: it is."""
    quarantined: int
    """How many messages were set aside."""
    by_people: DecisionsByPeople
    """What people decided, and what waits for their decision."""
    now: datetime
    """When this was read."""
    missing: tuple[tuple[date, str], ...] = field(default=())
    """(date, ``phase/processor``) of every task that is not done."""
    notices: tuple[Notice, ...] = field(default=())
    """Verdicts that are not right and held nothing back."""
    overdue: tuple["OverdueCall", ...] = field(default=())
    """Calls that have not ended by their deadline, oldest first."""
    reads: Reads = field(default=Reads())
    """What was read for the run, where the warehouse tells."""

    @property
    def done(self) -> int:
        """Count the tasks that came to a good end."""
        return sum(self.tasks[name] for name in DONE)


@dataclass(frozen=True, slots=True)
class OverdueCall:
    """An overdue call is a claimed attempt that has not ended by its worker's deadline."""

    claim: Claim
    """Its claim."""

    def __str__(self) -> str:
        key, claim = self.claim.key, self.claim
        return (
            f"{key.processor}: attempt {key.attempt} began at {claim.claimed_at:%Y-%m-%d %H:%M:%S} UTC and has not "
            f"ended by its deadline, {claim.deadline:%H:%M:%S}"
        )


def overdue_calls(state: State, run_id: str, now: datetime) -> tuple[OverdueCall, ...]:
    """Find the calls of a run of which no end is known though their deadline has passed, oldest first."""
    board, _ = state.board(run_id)
    return _overdue(state.open_claims(run_id, board.open_days(state.index(run_id, board.plan))), now)


def _overdue(claims: Iterable[Claim], now: datetime) -> tuple[OverdueCall, ...]:
    return tuple(OverdueCall(claim) for claim in sorted(claims, key=lambda c: c.fence) if claim.deadline <= now)


Seen = Callable[[DateFacts, Sequence[TaskView]], None]
"""Told of each date's facts, and of the status of its tasks in the order of the plan."""


def report(state: State, run_id: str, now: datetime, seen: Seen = lambda _facts, _views: None) -> RunReport:
    """Derive everything from the facts. Reads every date of the run; ``seen`` is told of each."""
    run, (board, _) = state.run(run_id), state.board(run_id)
    index = state.index(run_id, board.plan)
    blockage = Blockage(index, board)
    claims = state.open_claims(run_id, board.open_days(index))
    running = {claim.key for claim in claims}
    tasks: Counter[str] = Counter()
    failures: list[FailedTask] = []
    missing: list[tuple[date, str]] = []
    noted: list[Notice] = []
    verdicts: dict[date, BlockingVerdicts] = {}
    for first in range(0, len(index.days), DATES_AT_ONCE):
        for facts in state.dates(run_id, index.days[first : first + DATES_AT_ONCE]).values():
            views = derive(facts, index)
            _count_tasks(facts, views, index, blockage, board, running, tasks, failures, missing)
            seen(facts, views)
            noted += notices(facts)
            if found := blocking_verdicts(facts):
                verdicts[facts.day] = found
    counts = {name: tasks[name] for name in TASK_STATES}
    finished = sum(tasks[name] for name in DONE)
    status = current_status(run, board)
    return RunReport(
        run_id=run_id,
        pipeline=run.pipeline,
        status=status,
        dates=len(index.days),
        started_at=board.started_at,
        finished_at=board.finished_at,
        seconds=board.seconds_at_work(now),
        eta_seconds=eta_seconds(board, status, finished, sum(counts.values()) - finished - tasks["blocked"], now),
        phases={phase: count_phase(index, board, blockage, phase) for phase in index.plan.phases},
        tasks={"expected": len(index.tasks) * len(index.days), **counts},
        failures=tuple(failures),
        blocked=tuple(_blocked_cells(index, board, blockage, verdicts)),
        halted_because=board.halted_because,
        quarantined=state.count_quarantined(run_id),
        by_people=DecisionsByPeople(run.waivers, run.approvals, awaited_approvals(index, board)),
        now=now,
        missing=tuple(missing),
        notices=tuple(noted),
        overdue=_overdue(claims, now),
        reads=state.reads(run_id),
    )


def _count_tasks(
    facts: DateFacts,
    views: Sequence[TaskView],
    index: PlanIndex,
    blockage: Blockage,
    board: Board,
    running: set[AttemptKey],
    tasks: Counter[str],
    failures: list[FailedTask],
    missing: list[tuple[date, str]],
) -> None:
    position, passing = index.position[facts.day], let_pass(facts)
    for task, view in zip(index.tasks, views, strict=True):
        name = view.status.value
        group = index.groups[task.group]
        if task.ref in passing:
            name = TaskStatus.EMPTY_OK.value
        elif is_blocked(board, index, task, facts.day):
            name = "blocked"
        elif view.status is TaskStatus.PENDING and board.is_pending(group.name, position):
            name = "blocked" if blockage.roots(group.number, position) else "pending"
        elif view.status is TaskStatus.PENDING and view.attempt:
            name = "queued"
        elif view.status is TaskStatus.QUEUED:
            attempt = view.facts.number if view.facts else 0
            key = AttemptKey(facts.day, task.phase, task.processor, attempt)
            name = "running" if key in running else "queued"
        tasks[name] += 1
        if name not in DONE:
            missing.append((facts.day, task.ref))
        if name in (TaskStatus.FAILED.value, TaskStatus.UNRECOVERABLE.value) and view.failure is not None:
            failures.append(FailedTask(facts.day, task.phase, task.processor, view.attempt, view.failure))


def is_blocked(board: Board, index: PlanIndex, task: TaskSpec, day: date) -> bool:
    """Tell whether a check of its own holds back a task's output, which the worker left behind: it is not done."""
    letter = board.letter(index.groups[task.group].name, index.position[day])
    return letter in BADLY_ENDED and isinstance(board.bad.get(day, {}).get(task.ref), Blocked)


def count_phase(index: PlanIndex, board: Board, blockage: Blockage, phase: str) -> dict[str, int]:
    """Count the dates of a phase by the state of their cells."""
    counts: Counter[str] = Counter(cell_state(index, board, blockage, phase, p) for p in range(len(index.days)))
    return {"dates": len(index.days), **{name: counts[name] for name in PHASE_STATES}}


def cell_state(index: PlanIndex, board: Board, blockage: Blockage, phase: str, position: int) -> str:
    """Give one word for a (date, phase): pending, blocked, released, passed, skipped or failed."""
    groups = [index.groups[n] for n in index.groups_of(phase)]
    letters = {board.letter(group.name, position) for group in groups}
    if BoardLetter.FAILED in letters:
        return "failed"
    if BoardLetter.BLOCKED in letters:
        return "blocked"
    if letters <= GOOD:
        return "skipped" if letters == {BoardLetter.SKIPPED} else "passed"
    waiting = [group for group in groups if board.is_pending(group.name, position)]
    if any(blockage.roots(group.number, position) for group in waiting):
        return "blocked"
    return "released" if letters & (OPEN | GOOD) else "pending"


BlockingVerdicts = Mapping[str, Sequence[Verdict]]
"""``phase/processor`` -> the verdicts that hold it back on a date."""


def blocking_verdicts(facts: DateFacts) -> BlockingVerdicts:
    """Find what the checks of one date hold back."""
    found: dict[str, list[Verdict]] = {}
    for phase, cell in facts.cells.items():
        for group in cell.groups.values():
            for verdict in filter(blocks, group.verdicts):
                found.setdefault(f"{phase}/{verdict.subject}", []).append(verdict)
    return found


def _blocked_cells(
    index: PlanIndex, board: Board, blockage: Blockage, verdicts: Mapping[date, BlockingVerdicts]
) -> list[BlockedCell]:
    """Find every cell that cannot go on until somebody acts, with its reasons; earliest date first."""
    return [
        BlockedCell(day, phase, tuple(cell_reasons(index, board, blockage, phase, position, verdicts.get(day, {}))))
        for position, day in enumerate(index.days)
        for phase in index.plan.phases
        if cell_state(index, board, blockage, phase, position) == "blocked"
    ]


def cell_reasons(
    index: PlanIndex, board: Board, blockage: Blockage, phase: str, position: int, verdicts: BlockingVerdicts
) -> list[Reason]:
    """Say why a cell does not pass: its own checks and failures, then the roots of what it waits for.

    verdicts: those that hold something back on its date.
    """
    day = index.days[position]
    reasons: dict[Reason, None] = {}
    for ref, why in board.bad.get(day, {}).items():
        if ref.startswith(f"{phase}/"):
            reasons.update(dict.fromkeys(_reasons(ref, why, verdicts.get(ref, ()))))
    for number in index.groups_of(phase):
        if board.is_pending(index.groups[number].name, position):
            for root in blockage.roots(number, position):
                reasons[Reason(root.check, describe(root, day))] = None
    return list(reasons)


def _reasons(ref: str, why: Unsound, verdicts: Sequence[Verdict]) -> list[Reason]:
    """Each check that blocks is a reason of its own; they stand with the date, if it has come to its end."""
    if isinstance(why, Blocked):
        found = [Reason(verdict.check, str(verdict)) for verdict in verdicts]
        return found or [Reason(", ".join(why.checks) or "check", why.verdict)]
    processor = ref.partition("/")[2]
    return [Reason("failed" if isinstance(why, Failure) else "needs", f"{processor}: {why}")]


def describe(root: Obstacle, day: date) -> str:
    """Put one obstacle into words; the date is named when it is another one."""
    where = root.ref if root.day == day else f"{root.day} {root.ref}"
    kind = "blocked" if root.letter == BoardLetter.BLOCKED else "failed"
    return f"{where} is {kind}: {root.detail}" if root.detail else f"{where} is {kind}"


def eta_seconds(board: Board, status: RunStatus, finished: int, left: int, now: datetime) -> float | None:
    """Return the seconds to go at the average pace so far; None when nothing moves or nothing has finished yet."""
    if status is not RunStatus.RUNNING or not finished or left <= 0:
        return None
    return round(board.seconds_at_work(now) / finished * left, 1)


def progress_document(found: RunReport) -> Mapping[str, object]:
    """Write the report in the shape of the contract's ``status --json``."""
    return {
        "run_id": found.run_id,
        "pipeline": found.pipeline,
        "status": found.status.value,
        "dates": found.dates,
        "started_at": utc_text(found.started_at),
        "finished_at": found.finished_at and utc_text(found.finished_at),
        "eta_seconds": found.eta_seconds,
        "phases": found.phases,
        # A key that is there only where there is such a task: whoever reads the others finds them as they were.
        "tasks": {name: n for name, n in found.tasks.items() if n or name != "not_needed"},
        "failures": [
            {
                "date": f.date.isoformat(),
                "phase": f.phase,
                "processor": f.processor,
                "attempt": f.attempt,
                "error_class": f.failure.error_class.value,
                "signature": f.failure.signature(f.processor),
                "message": f.failure.message,
            }
            for f in found.failures
        ],
        "blocked": [
            {
                "date": b.date.isoformat(),
                "phase": b.phase,
                "reasons": [{"check": r.check, "detail": r.detail} for r in b.reasons],
            }
            for b in found.blocked
        ],
        "overdue": [
            {
                "date": call.claim.key.day.isoformat(),
                "phase": call.claim.key.phase,
                "processor": call.claim.key.processor,
                "attempt": call.claim.key.attempt,
                "began_at": utc_text(call.claim.claimed_at),
                "deadline": utc_text(call.claim.deadline),
            }
            for call in found.overdue
        ],
        **({"reads": found.reads._asdict()} if found.reads.statements else {}),
        **notices_document(found.by_people, found.notices, found.now),
    }
