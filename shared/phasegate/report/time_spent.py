"""Where the time of a run went, for people and programs: what would have to be quicker, or which limit to raise."""

from typing import Any

from phasegate.domain.state.time_spent import CALLS, NOTHING, THREADS, TimeSpent

_WAITING = {
    THREADS: "all threads in calls",
    CALLS: "threads free, as what is next needs the calls under way",
    NOTHING: "nothing due (backoff, an event, a person)",
}

_SHOWN_SECONDS = 0.05
"""What took less is not worth a word."""


def waiting_for(what: str) -> str:
    """Say what was waited for: one of ``TimeSpent``'s names, or a limit, which then is the one to raise."""
    return _WAITING.get(what, f"held back by {what}")


def time_document(spent: TimeSpent) -> dict[str, Any]:
    """Return where the time went, in seconds: ``work`` of all threads together, the rest on the wall."""
    waiting = sorted(spent.waiting.items(), key=lambda each: -each[1])
    return {
        "calls": spent.calls,
        "attempts": spent.attempts,
        "seconds": round(spent.seconds, 2),
        "work": round(spent.work, 2),
        "proofs": round(spent.proofs, 2),
        "orchestration": round(spent.orchestration, 2),
        "waiting": {what: round(seconds, 2) for what, seconds in waiting},
    }


def time_lines(spent: TimeSpent) -> list[str]:
    """Say how many calls were made and where the time went, what took longest first.

    Of tasks of which nothing is due there is no call. The process goes on when the run has come to its end, to record
    it: its seconds are more than the run's.
    """
    parts = {
        "proofs and checks": spent.proofs,
        "orchestration": spent.orchestration,
        **{waiting_for(what): seconds for what, seconds in spent.waiting.items()},
    }
    told = [
        f"{seconds:,.1f} s {what}"
        for what, seconds in sorted(parts.items(), key=lambda part: -part[1])
        if seconds >= _SHOWN_SECONDS
    ]
    return [
        f"calls: {spent.calls:,} for {spent.attempts:,} attempts; they took {spent.work:,.1f} s, all threads together",
        f"time: {spent.seconds:,.1f} s of this process, until all was recorded: {', '.join(told)}",
    ]
