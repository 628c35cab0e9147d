"""The frozen plan of a run is a document that is shown, confirmed, stored, hashed and never changed."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from phasegate.domain.calendar.dates import CalendarDate
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError
from phasegate.domain.spec.dispatch import Observed
from phasegate.domain.spec.pipeline import Pipeline, RampStep

PLAN_VERSION = 1
PLAN_MINOR = 2
"""Raised when the document gains a key that an earlier version may ignore (decision 23).

1: ``details``, ``by_numbers``. 2: ``selection``, ``unless_same``, and ``lost`` of a later generation.
"""


class WorkLetter(StrEnum):
    """A letter says what a run does for a task on a date."""

    RUN = "r"
    """The task is run."""
    ADOPT = "a"
    """Its output was found sound, and is adopted."""
    ADOPT_EMPTY = "o"
    """Nothing is there, and that is adopted: its table may be empty, and was proved to be, or its source is gone."""
    NOT_NEEDED = "n"
    """It leaves no table, and nothing that reads it runs: nobody is called, and nobody looks."""
    NOTHING_DUE = "z"
    """Nothing is expected of it: nobody is called, and what is there is counted all the same."""


_LESS: Mapping[str, str] = {
    WorkLetter.ADOPT_EMPTY: WorkLetter.ADOPT,
    WorkLetter.NOT_NEEDED: WorkLetter.RUN,
    WorkLetter.NOTHING_DUE: WorkLetter.RUN,
}
"""What stands in ``Plan.work`` where ``Plan.details`` has another letter: what a version that does not know it does."""

_SAME = "."
"""In ``Plan.details``: the letter of ``Plan.work`` says all."""

UNLESS_SAME = "w"
"""In ``Plan.unless_same``: a table that runs only because something that it is made from does."""


class PlanScope(NamedTuple):
    """The scope of a plan is what it is about: what most of those need to know who look at many runs."""

    phases: tuple[str, ...]
    """The selected phases, in order."""
    days: tuple[date, ...]
    """The selected dates, in order."""


class Plan(BaseModel):
    """A plan says what one run does; it is frozen when the run starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(default=PLAN_VERSION, description="the layout of this document")
    schema_minor: int = Field(
        default=0,
        exclude_if=lambda minor: minor == 0,
        description="counts the keys that joined the layout since, which an earlier version ignores; 0 is not written",
    )
    pipeline: Pipeline = Field(description="the whole pipeline file, as it was when the run was planned")
    phases: tuple[str, ...] = Field(description="the selected phases, in order")
    days: tuple[date, ...] = Field(description="the selected dates, in order")
    calendar: tuple[CalendarDate, ...] = Field(
        description="every date of the seasons concerned: windows reach beyond the selection"
    )
    lost: tuple[date, ...] = Field(
        default=(),
        exclude_if=lambda lost: not lost,
        description="those of the selected dates that the schedule does not have any more: nothing is due on them",
    )
    work: dict[str, str] = Field(description="by phase/processor: RUN or ADOPT for each selected date")
    details: dict[str, str] = Field(
        default={},
        exclude_if=lambda details: not details,
        description="by phase/processor, where some date has another WorkLetter than these two: it for each selected "
        "date, or a dot; an earlier version, which ignores it, does what `work` says",
    )
    unless_same: dict[str, str] = Field(
        default={},
        exclude_if=lambda marks: not marks,
        description="by phase/processor, where some date has it: UNLESS_SAME or a dot for each selected date. It is "
        "left alone where its inputs come to hold what it was made from; an earlier version, which ignores this, runs "
        "it",
    )
    by_numbers: bool = Field(
        default=False,
        exclude_if=lambda by_numbers: not by_numbers,
        description="whether numbers of rows that checks demand say that some are due, or none; false: an earlier "
        "version made it",
    )
    selection: Selection | None = Field(
        default=None,
        exclude_if=lambda selection: selection is None,
        description="what was asked for, in plain dates and seasons; none: an earlier version made it",
    )
    ramp: tuple[RampStep, ...] = Field(default=(), description="how many dates may be active while the run ramps up")
    canary: tuple[date, ...] = Field(
        default=(), description="the dates that go first, each with those of its windows; none: all go alike"
    )
    stops_at_bad_date: bool = Field(
        default=False,
        exclude_if=lambda stops: not stops,
        description="whether the dates enter in the order of the calendar, and none after one that ended badly; a plan "
        "that has this key is of a pipeline whose profile has it, which an earlier version refuses",
    )
    reprocess: str = Field(description="what was asked to be made again: missing, stale, failed or all")
    code_version: str = Field(description="the version of the program that planned it")

    @cached_property
    def hash(self) -> str:
        """Return the first 16 hex digits of the SHA-256 over the plan's content."""
        content = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def scope(self) -> PlanScope:
        """Return the phases and dates that it is about."""
        return PlanScope(self.phases, self.days)

    def selects(self, day: date, season: str) -> bool:
        """Tell whether a date lies where the run was asked to look, in its calendar or not.

        Of a plan that does not say what was asked for: between its first date and its last.
        """
        if self.selection is None:
            return self.days[0] <= day <= self.days[-1]
        return self.selection.covers(day, season)

    @property
    def observed_topics(self) -> tuple[str, ...]:
        """List the topics on which an existing system reports on the selected phases."""
        how = (self.pipeline.phase(name).how for name in self.phases)
        return tuple(each.topic for each in how if isinstance(each, Observed))

    def require_readable(self) -> None:
        """Read the plan back as it will be stored: raises InputError when another one, or none, comes back.

        A stored plan that cannot be read would take its run with it; so this comes before the run.
        """
        try:
            is_same = Plan.model_validate_json(self.model_dump_json(by_alias=True)).hash == self.hash
        except ValueError as error:
            raise InputError(f"the plan of this pipeline cannot be read back once it is stored: {error}") from error
        if not is_same:
            raise InputError("the plan of this pipeline is another one once it is stored and read back")

    @cached_property
    def letters(self) -> Mapping[str, str]:
        """Map each ``phase/processor`` to one WorkLetter per selected date."""
        return {
            ref: "".join(w if d == _SAME else d for w, d in zip(work, self.details[ref], strict=True))
            if ref in self.details
            else work
            for ref, work in self.work.items()
        }

    def with_letters(self, letters: Mapping[str, str], unless_same: Mapping[str, str] | None = None) -> "Plan":
        """Make the same plan with other letters, one WorkLetter per selected date for each ``phase/processor``.

        unless_same: as the field of that name; None: of none.
        """
        details = {
            ref: "".join(letter if letter in _LESS else _SAME for letter in strip)
            for ref, strip in letters.items()
            if not _LESS.keys().isdisjoint(strip)
        }
        work = {ref: "".join(_LESS.get(x, x) for x in strip) for ref, strip in letters.items()}
        marks = {ref: strip for ref, strip in (unless_same or {}).items() if UNLESS_SAME in strip}
        minor = PLAN_MINOR if details or marks else self.schema_minor
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return Plan(**{**fields, "work": work, "details": details, "unless_same": marks, "schema_minor": minor})
