"""Where the time went in which a process drove a run: calls, proofs, what Phasegate does itself, waiting."""

from dataclasses import dataclass, field

THREADS = "threads"
"""What is waited for while all threads are in calls."""

CALLS = "calls"
"""What is waited for while threads are free: what is due next needs what the calls under way make."""

NOTHING = "nothing"
"""What is waited for while no call is under way: the end of a backoff, an event, a person."""


@dataclass(slots=True)
class TimeSpent:
    """The time spent says where the seconds of a drive went, on the wall; ``work`` alone is of all threads together."""

    calls: int = 0
    """Calls that ended: of workers, and SELECTs that were run in place of one. Each carried one date or several."""
    attempts: int = 0
    """Attempts that these calls were made for."""
    work: float = 0.0
    """What the calls took, from beginning to end, those under way at once added up."""
    proofs: float = 0.0
    """What it took to count tables, to judge them by their checks, and to record what they were made from."""
    orchestration: float = 0.0
    """What Phasegate itself took for the rest: looks at dates, facts, queues, releases."""
    waiting: dict[str, float] = field(default_factory=dict)
    """By what was waited for: ``THREADS``, ``CALLS``, ``NOTHING``, or the name of a limit."""

    @property
    def seconds(self) -> float:
        """Return the seconds from the beginning of the drive to its end."""
        return self.proofs + self.orchestration + sum(self.waiting.values())

    def __add__(self, more: "TimeSpent") -> "TimeSpent":
        """Add up what two drives took, one after the other."""
        whats = self.waiting | more.waiting
        return TimeSpent(
            self.calls + more.calls,
            self.attempts + more.attempts,
            self.work + more.work,
            self.proofs + more.proofs,
            self.orchestration + more.orchestration,
            {what: self.waiting.get(what, 0.0) + more.waiting.get(what, 0.0) for what in whats},
        )

    def call(self, attempts: int, seconds: float) -> None:
        """Count a call that took so many seconds; for no attempt: none was made."""
        if attempts:
            self.calls, self.attempts, self.work = self.calls + 1, self.attempts + attempts, self.work + seconds

    def work_here(self, seconds: float, proofs: float) -> None:
        """Count so many seconds in which something was done here; proofs: those of them that went into proofs."""
        self.proofs, self.orchestration = self.proofs + proofs, self.orchestration + seconds - proofs

    def wait(self, what: str, seconds: float) -> None:
        """Count so many seconds in which something was waited for."""
        self.waiting[what] = self.waiting.get(what, 0.0) + seconds
