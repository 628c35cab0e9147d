"""A rollback takes back outputs of some phases on some dates; this says what follows from that."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.errors import InputError
from phasegate.domain.plan import PlanIndex, compile_plan
from phasegate.domain.plan.blank import blank_plan, seasons_around
from phasegate.domain.spec.pipeline import NoOutput, ObjectOutput, Pipeline, TableOutput, did_you_mean, select_phases


@dataclass(frozen=True)
class Scope:
    """The scope of a rollback is some outputs on some dates."""

    pipeline: Pipeline
    """The pipeline whose outputs they are."""

    calendar: Calendar
    """Every date that the schedule knows, and those that a run lost to it."""

    phases: tuple[str, ...]
    """The phases that were named, in the pipeline's order."""

    refs: tuple[str, ...]
    """``phase/processor`` of each output, in the pipeline's order."""

    days: tuple[date, ...]
    """The selected dates, in order."""

    @cached_property
    def index(self) -> PlanIndex:
        """Compile every phase over the whole of every season that the dates lie in: windows reach beyond the dates."""
        dates = seasons_around(self.calendar, self.days)
        days = [d.day for d in dates]
        lost = [day for day in days if day in self.calendar.lost]
        plan = blank_plan(self.pipeline, self.pipeline.phase_names, days, dates, lost=lost)
        return compile_plan(plan)

    @cached_property
    def outputs(self) -> dict[str, TableOutput | ObjectOutput]:
        """Return what can be deleted, by ref."""
        found = {ref: self.index.processor(ref).output for ref in self.refs}
        return {ref: output for ref, output in found.items() if not isinstance(output, NoOutput)}


@dataclass(frozen=True, slots=True)
class Holding:
    """A holding is what one output holds on some dates."""

    ref: str
    """``phase/processor`` of the output."""

    output: TableOutput | ObjectOutput
    """The table, or the objects."""

    days: tuple[date, ...]
    """The dates on which there is something, in order."""

    rows: int
    """Rows on all these dates together; of objects: one per date."""

    @property
    def is_table(self) -> bool:
        """Tell whether it is rows of a table, not objects."""
        return isinstance(self.output, TableOutput)

    @property
    def name(self) -> str:
        """Return the table, or the objects' path."""
        return place_of(self.output)


def place_of(output: TableOutput | ObjectOutput) -> str:
    """Say where an output lies: the table, or the objects' path. Two processors with one place share an output."""
    return output.table if isinstance(output, TableOutput) else output.path


def choose_refs(pipeline: Pipeline, phases: str | None, processors: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Choose the phases of a name, a number or ``A..B``, and the refs of their processors, or of those that are named.

    processors: names or aliases, also ``phase/processor``. Raises InputError for what is not known.
    """
    if not phases:
        raise InputError(f"say which phase to roll back: --phase P (known: {', '.join(pipeline.phase_names)})")
    try:
        chosen = select_phases(pipeline, phases)
    except LookupError as error:
        raise InputError(f"--phase: {error}") from error
    named = {_resolve(pipeline, name, chosen) for name in processors}
    refs = [f"{phase}/{x.name}" for phase in chosen for x in pipeline.phase(phase).processors]
    return chosen, [ref for ref in refs if not named or ref in named]


def _resolve(pipeline: Pipeline, name: str, phases: Sequence[str]) -> str:
    owner, _, word = name.rpartition("/")
    registry = pipeline.registry
    found = [f"{p}/{registry[p, word]}" for p in phases if owner in ("", p) and (p, word) in registry]
    if len(found) > 1:
        raise InputError(f"--processor: '{name}' stands in several phases; write {' or '.join(found)}")
    if not found:
        known = {spelling for (phase, spelling) in registry if phase in phases}
        where = f"phase {phases[0]}" if len(phases) == 1 else f"phases {phases[0]}..{phases[-1]}"
        raise InputError(f"--processor: unknown processor '{name}' of {where}{did_you_mean(word, known)}")
    return found[0]
