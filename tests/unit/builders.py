"""Plans, boards and facts of the small world, made in memory."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from phasegate.domain.calendar.dates import Calendar, CalendarDate
from phasegate.domain.decisions.advance import Decisions, GroupOutcome, advance
from phasegate.domain.plan import Plan, PlanIndex, WorkLetter, compile_plan
from phasegate.domain.protocol.worker import ErrorClass, ResultStatus
from phasegate.domain.spec.pipeline import Pipeline, select_phases
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.facts import (
    AttemptKey,
    Cell,
    DateFacts,
    Dispatched,
    Fact,
    GroupState,
    Proved,
    Reported,
    record,
)
from phasegate.domain.state.run import DesiredState, Run
from phasegate.domain.state.unsound import Blocked, Failure, Unsound
from tests.world import FIRST_DAY, definition

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Change = Callable[[dict[str, Any]], None]


def unchanged(_: dict[str, Any]) -> None:
    """The world's pipeline as it is."""


def days(count: int, first: date = FIRST_DAY) -> list[date]:
    """Consecutive days."""
    return [first + timedelta(days=n) for n in range(count)]


def game_date(day: date, season: str = "2023-24", games: int = 2) -> CalendarDate:
    """A game date with teams T0, T1, …"""
    return CalendarDate(day, season, {"games": games}, {"teams": tuple(f"T{n}" for n in range(2 * games))})


def calendar(*seasons: Sequence[date]) -> Calendar:
    """Seasons named S1, S2, … of these days."""
    return Calendar.of(game_date(day, f"S{n}") for n, season in enumerate(seasons, 1) for day in season)


def pipeline(change: Change = unchanged) -> Pipeline:
    """The world's pipeline, changed."""
    document = definition()
    change(document)
    return Pipeline.model_validate(document)


def plan(
    change: Change = unchanged,
    *,
    dates: int = 6,
    selected: Sequence[date] | None = None,
    among: Calendar | None = None,
    phases: str = "1..4",
    **more: Any,
) -> Plan:
    """A plan of the world over its first dates, or over ``selected`` ones of a calendar."""
    found = pipeline(change)
    known = among or calendar(days(dates))
    chosen = tuple(selected or [d.day for d in known.dates])
    names = select_phases(found, phases)
    content: dict[str, Any] = {
        "pipeline": found,
        "phases": names,
        "days": chosen,
        "calendar": known.dates,
        "work": {f"{n}/{x.name}": WorkLetter.RUN * len(chosen) for n in names for x in found.phase(n).processors},
        "reprocess": "all",
        "code_version": "test",
    }
    return Plan(**{**content, **more})


def run(**more: Any) -> Run:
    """A run of the world."""
    content: dict[str, Any] = {
        "run_id": "r",
        "pipeline": "world",
        "pipeline_file": "pipeline.yaml",
        "plan_hash": "h",
        "request_hash": "",
        "desired_state": DesiredState.RUNNING,
        "created_at": NOW,
    }
    return Run(**{**content, **more})


class Conduct:
    """A board and the decisions made on it, step by step."""

    def __init__(self, change: Change = unchanged, *, run: Run | None = None, **plan_of: Any) -> None:
        self.index: PlanIndex = compile_plan(plan(change, **plan_of))
        self.board = Board.blank("r", self.index, NOW)
        self.run = run or globals()["run"]()
        self.groups = {group.name: group.number for group in self.index.groups}

    def advance(self, *outcomes: GroupOutcome, most_releases: int = 400) -> set[tuple[str, int]]:
        """Enter outcomes; the release groups that were released, as (name, position)."""
        found: Decisions = advance(self.index, self.board, self.run, outcomes, NOW, most_releases=most_releases)
        return {(self.index.groups[group].name, position) for position, group in found.releases}

    def ends(
        self, group: str, *positions: int, letter: str = BoardLetter.PASSED, **bad: str | Unsound
    ) -> list[GroupOutcome]:
        """Outcomes of a release group; ``bad``: processor -> what is wrong, or a word on a block or a bug."""
        phase = self.index.groups[self.groups[group]].phase
        reasons = {f"{phase}/{name}": _unsound(letter, why) for name, why in bad.items()}
        return [GroupOutcome(p, self.groups[group], letter, dict(reasons)) for p in positions]

    def strips(self) -> dict[str, str]:
        """The board's letters."""
        return {name: strip.decode() for name, strip in self.board.groups.items()}

    def pass_all(self) -> None:
        """Go on until nothing more is released, everything passing."""
        released = self.advance()
        while released:
            released = self.advance(*(o for name, position in released for o in self.ends(name, position)))


def _unsound(letter: str, why: str | Unsound) -> Unsound:
    if not isinstance(why, str):
        return why
    return Blocked(why) if letter == BoardLetter.BLOCKED else Failure(ErrorClass.BUG, why)


def dispatched(dispatch: int = 1, *, generation: int = 1, inputs: Any = (), at: datetime = NOW) -> Dispatched:
    """A dispatch."""
    return Dispatched(dispatch, generation, tuple(inputs), at)


def reported(
    status: ResultStatus = ResultStatus.SUCCESS,
    *,
    rows: int | None = 4,
    error_class: ErrorClass | None = None,
    message: str = "",
    generation: int = 1,
    inputs: Any = (),
    at: datetime = NOW,
    event_id: str = "e",
) -> Reported:
    """A completion."""
    return Reported(status, rows, error_class, message, 1, generation, tuple(inputs), at, at, event_id)


def failed(error_class: ErrorClass, message: str = "it broke", at: datetime = NOW) -> Reported:
    """A completion that says so."""
    return reported(ResultStatus.FAILED, rows=None, error_class=error_class, message=message, at=at)


def proved(*, ok: bool = True, rows: int | None = 4, error_class: ErrorClass | None = None) -> Proved:
    """A proof."""
    return Proved(ok, rows, "" if ok else "the table holds no row", error_class, NOW)


class Day:
    """The facts of the world's first date, written one by one."""

    def __init__(self, change: Change = unchanged, **plan_of: Any) -> None:
        self.index = compile_plan(plan(change, **plan_of))
        self.facts = DateFacts(self.index.days[0])

    def release(self, *groups: str, generation: int = 1, redo: dict[str, int] | None = None) -> "Day":
        """Release release groups by name."""
        for group in groups:
            phase = group.partition(".")[0]
            cell = self.facts.cells.get(phase, Cell())
            states = {**cell.groups, group: GroupState(generation, NOW)}
            self.facts.cells[phase] = Cell(generation, states, redo or cell.redo)
        return self

    def note(self, ref: str, attempt: int, *facts: Fact) -> "Day":
        """Record facts of an attempt."""
        phase, _, processor = ref.partition("/")
        for fact in facts:
            record(self.facts, AttemptKey(self.facts.day, phase, processor, attempt), fact)
        return self


def observing(document: dict[str, Any]) -> None:
    """Change the world so that the existing system starts its raw phase and reports on ``raw-done``."""
    raw = document["phases"][1]
    raw["dispatch"] = {
        "observed": {
            "topic": "raw-done",
            "fields": {
                "date": "data.day",
                "processor": "who",
                "status": "status",
                "rows": "rows",
                "message": "said",
                "error": "error.type",
            },
            "statuses": {"ok": "success", "some": "partial", "none": "empty", "broken": "failed"},
            "errors": {"Schema": "bug", "TooEarly": "not_yet"},
            "ignore": {"status": ["begun"], "data.kind": ["replay"]},
            "timeout_seconds": 600,
        }
    }
    for processor in raw["processors"]:
        processor["output"] = {k: v for k, v in processor["output"].items() if k != "fence_column"}
