"""A check has a subject, and a finding says what it found there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.checks.proof import Found
from phasegate.domain.spec.pipeline import Pipeline, Processor, TableOutput

KEYS_SHOWN = 20
"""Keys that a verdict keeps."""

KEYS_NAMED = 5
"""Keys that its sentence names."""


@dataclass(frozen=True, slots=True)
class CheckSubject:
    """A check is about a processor with its table, over some dates."""

    pipeline: Pipeline
    """The pipeline of the processor."""

    calendar: Calendar
    """Every date of the seasons concerned, with what is expected of it."""

    phase: str
    """The name of the processor's phase."""

    processor: Processor
    """What the pipeline file says of the processor."""

    output: TableOutput
    """The processor's table."""

    days: tuple[date, ...]
    """The dates to check, all of them dates of the calendar."""

    counts: Mapping[date, Found] = field(default_factory=dict)
    """Date -> what the table holds of it; a date that is absent has no rows."""

    def owes(self, name: str, day: date) -> bool:
        """Tell whether the table of another processor that the check names must hold rows on a date."""
        phase, processor = self._other(name)
        return expectation(self.pipeline, self.calendar, phase, processor, day)[0] == ExpectationLetter.EXPECTED

    def other(self, name: str) -> tuple[Processor, TableOutput]:
        """Return another processor that the check names, with its table."""
        _, processor = self._other(name)
        assert isinstance(processor.output, TableOutput)  # noqa: S101 - asserted when the pipeline file was loaded
        return processor, processor.output

    def _other(self, name: str) -> tuple[str, Processor]:
        phases = self.pipeline.phase_names[: self.pipeline.phase_names.index(self.phase) + 1]
        phase, canonical = self.pipeline.resolve(name, phases)
        return phase, next(x for x in self.pipeline.phase(phase).processors if x.name == canonical)


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding says what one check found on one date."""

    is_right: bool
    """Whether the check's demand is met."""

    expected: int
    """Rows, keys or values that should be there, as the check counts them."""

    found: int
    """How many of what is counted are there."""

    detail: str
    """The numbers as a sentence."""

    keys: tuple[str, ...] = ()
    """The keys that it is about, missing or doubled; at most 20, sorted."""


NOTHING = Finding(False, 0, 0, "no rows to look at")


def checked_days(expects: Mapping[date, str], counts: Mapping[date, Found]) -> tuple[date, ...]:
    """Return the dates that checks apply to: not where emptiness is right, nor where it is allowed and found."""
    return tuple(
        d
        for d, letter in expects.items()
        if letter == ExpectationLetter.EXPECTED
        or (letter == ExpectationLetter.OPTIONAL and d in counts and counts[d].rows)
    )


def named(keys: Sequence[str], how_many: int) -> str:
    """Name the first of so many keys, for a sentence."""
    return f"{', '.join(keys[:KEYS_NAMED])}{', …' if how_many > KEYS_NAMED else ''}"
