"""What a check is about, and what it found there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.checks.proof import Found
from phasegate.domain.plan import ExpectationLetter
from phasegate.domain.spec.pipeline import Pipeline, Processor, TableOutput

KEYS_SHOWN = 20
"""Keys that a verdict keeps."""

KEYS_NAMED = 5
"""Keys that its sentence names."""


@dataclass(frozen=True, slots=True)
class CheckSubject:
    """What a check is about: a processor with its table, over some dates, each with the rows counted in it.

    counts: what the table holds by date; a date that is absent has no rows.
    """

    pipeline: Pipeline
    calendar: Calendar
    phase: str
    processor: Processor
    output: TableOutput
    days: tuple[date, ...]
    counts: Mapping[date, Found] = field(default_factory=dict)

    def other(self, name: str) -> tuple[Processor, TableOutput]:
        """Another processor that the check names, with its table."""
        phases = self.pipeline.phase_names[: self.pipeline.phase_names.index(self.phase) + 1]
        phase, wanted = self.pipeline.resolve(name, phases)
        processor = next(x for x in self.pipeline.phase(phase).processors if x.name == wanted)
        assert isinstance(processor.output, TableOutput)  # noqa: S101 - asserted when the pipeline file was loaded
        return processor, processor.output


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found on one date. ``keys``: those that it is about, missing or doubled, at most 20, sorted."""

    is_right: bool
    expected: int
    found: int
    detail: str
    keys: tuple[str, ...] = ()


NOTHING = Finding(False, 0, 0, "no rows to look at")


def checked_days(expects: Mapping[date, str], counts: Mapping[date, Found]) -> tuple[date, ...]:
    """The dates that checks apply to: not where emptiness is right, nor where it is allowed and found."""
    return tuple(
        d
        for d, letter in expects.items()
        if letter == ExpectationLetter.EXPECTED
        or (letter == ExpectationLetter.OPTIONAL and d in counts and counts[d].rows)
    )


def named(keys: Sequence[str], how_many: int) -> str:
    """The first of so many keys, for a sentence."""
    return f"{', '.join(keys[:KEYS_NAMED])}{', …' if how_many > KEYS_NAMED else ''}"
