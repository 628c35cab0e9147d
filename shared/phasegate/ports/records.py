"""Records are kept beside a run for people to read: events set aside, what was healed, summaries of reports, the sum of
what was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from phasegate.domain.state.reads import Reads
from phasegate.domain.state.time_spent import TimeSpent


@dataclass(frozen=True, slots=True)
class QuarantineRecord:
    """A quarantine record holds an event that matched nothing or contradicts."""

    id: str
    """What makes it the same record when it is kept again."""
    run_id: str | None
    """The run that it names, when there is such a run."""
    reason: str
    """Why it could not be applied, as a sentence."""
    event: str
    """The event as it came."""
    at: datetime
    """When it was set aside, UTC."""


@dataclass(frozen=True, slots=True)
class Heal:
    """A heal is something that no message brought about, and that a sweep found and mended."""

    kind: str
    """``dispatch`` (due work that was not started), ``delivery`` (a task that never arrived), ``lease`` (an attempt
    that ended without a word), ``event`` (the table has the rows, the completion never came) or ``at_rest`` (a settled
    release group that nobody told the conductor of)."""
    subject: str
    """What it is about."""
    detail: str
    """Why it was healed."""
    at: datetime
    """When it was healed, UTC."""


@dataclass(frozen=True, slots=True)
class ReportNote:
    """A note is the summary of a report on a run."""

    id: str
    """What makes it the same note when it is kept again."""
    at: datetime
    """When the report was made, UTC."""
    agrees: bool
    """Nothing is missing, and state, tables and calendar say the same."""
    is_final: bool
    """The run had ended."""
    findings: int
    """How many findings there are."""
    kinds: Mapping[str, int]
    """Findings by kind, for those that there are."""
    verdict: str
    """The report's first sentence."""
    place: str
    """Where its files lie in the object store."""


class RecordStore(Protocol):
    """The store keeps records beside runs, each once."""

    def quarantine(self, records: Sequence[QuarantineRecord]) -> None:
        """Keep events that could not be applied. A known id changes nothing."""

    def quarantined(self, run_id: str | None) -> list[QuarantineRecord]:
        """Return what was set aside for a run, or (None) for no known run, oldest first."""

    def count_quarantined(self, run_id: str | None) -> int:
        """Return how many events were set aside for a run, or (None) for no known run."""

    def note_heal(self, run_id: str, heal: Heal) -> None:
        """Keep what a sweep mended. A known one changes nothing."""

    def heals(self, run_id: str) -> list[Heal]:
        """Return what sweeps mended in a run, oldest first."""

    def note_report(self, run_id: str, note: ReportNote) -> None:
        """Keep the summary of a report. A known one changes nothing."""

    def reports(self, run_id: str) -> list[ReportNote]:
        """Return the summaries of the reports on a run, oldest first."""

    def add_reads(self, run_id: str, reads: Reads) -> None:
        """Add to what was read for a run. Nothing is kept beside a warehouse that does not tell what it reads; a call
        whose first answer was lost may be counted twice."""

    def reads(self, run_id: str) -> Reads:
        """Return the sum of what was read for a run."""

    def add_time(self, run_id: str, spent: TimeSpent) -> None:
        """Keep where the time of one drive of a run went, when the drive is over. Nothing is kept where no process
        drives runs."""

    def time_spent(self, run_id: str) -> TimeSpent | None:
        """Return where the time of all drives of a run went, added up; None: nothing is kept of any. A process that was
        killed has left nothing."""
