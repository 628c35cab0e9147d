"""A waiver lets a blocked check pass, or a source that is gone, for some dates, until an end; a person gives it.

The verdict stays BLOCK (or UNKNOWN) in what is stored, with the waiver's id. It is never asked again for that: what was
found once is judged again (``outcome``), with the waivers that are in force, when one is added and when one ends.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from phasegate.domain.state.board import Board
from phasegate.domain.state.facts import BLOCK, UNKNOWN, Verdict
from phasegate.domain.state.run import MOST_WAIVED, Run, Waiver


def is_in_force(waiver: Waiver, now: datetime) -> bool:
    """Tell whether a waiver has not ended."""
    return now < waiver.until


def in_force(run: Run, now: datetime) -> tuple[Waiver, ...]:
    """Return the waivers of a run that have not ended."""
    return tuple(waiver for waiver in run.waivers if is_in_force(waiver, now))


def waived(verdicts: Iterable[Verdict], day: date, phase: str, waivers: Sequence[Waiver]) -> tuple[Verdict, ...]:
    """Mark each verdict that holds back with the first waiver that covers it, or with none."""
    marked: list[Verdict] = []
    for verdict in verdicts:
        covering = (w.id for w in waivers if w.covers(day, phase, verdict.subject, verdict.check))
        waived_by = next(covering, "") if _holds_back(verdict) else ""
        marked.append(verdict if verdict.waived_by == waived_by else replace(verdict, waived_by=waived_by))
    return tuple(marked)


@dataclass(frozen=True, slots=True)
class Waiving:
    """One step in which a board follows what people waived."""

    days: list[date]
    """The dates to judge again."""
    waivers: tuple[str, ...]
    """The waivers in force, as far as the board follows them with this step."""


def follow_waivers(board: Board, run: Run, now: datetime, most_dates: int = MOST_WAIVED) -> Waiving:
    """Follow the waivers that came into force or ended since the board was written, a few at a time.

    They concern ``most_dates`` dates at most together, or one of them does by itself.
    """
    going = {waiver.id for waiver in in_force(run, now)}
    followed, days = set(board.waivers), set[date]()
    for waiver in run.waivers:
        if (waiver.id in going) == (waiver.id in followed):
            continue
        if days and len(days.union(waiver.dates)) > most_dates:
            break
        days.update(waiver.dates)
        followed ^= {waiver.id}
    return Waiving(sorted(days), tuple(waiver.id for waiver in run.waivers if waiver.id in followed))


def blocks(verdict: Verdict) -> bool:
    """Tell whether a verdict holds its release group back."""
    return _holds_back(verdict) and not verdict.waived_by


def _holds_back(verdict: Verdict) -> bool:
    return verdict.outcome == BLOCK or (verdict.outcome == UNKNOWN and not verdict.is_asked_again)
