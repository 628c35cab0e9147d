"""The live display shows a run: one bar per phase on a terminal, plain lines elsewhere."""

import sys
import time
from collections import deque

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from phasegate.adapters.embedded.engine import Progress as EngineProgress
from phasegate.domain.foreign_text import escaped
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.board import BADLY_ENDED, ENDED, Board

PLAIN_EVERY_SECONDS = 5.0
_PACE_SECONDS = 10.0


class Display:
    """A display shows what the engine reports, on standard error."""

    def __init__(self, run_id: str, index: PlanIndex) -> None:
        self._run_id, self._index = run_id, index
        self._console = Console(stderr=True)
        self._begun = time.monotonic()
        self._pace: deque[tuple[float, int]] = deque()
        self._printed = 0.0
        self._live: Live | None = None
        self._overdue: tuple[str, ...] = ()
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self._rows = {p: self._bars.add_task(p, total=len(index.days), note="") for p in index.plan.phases}

    def __enter__(self) -> "Display":
        """Begin to show."""
        if self._console.is_terminal:
            self._live = Live(
                Group(self._bars, Text(f"run {self._run_id}")), console=self._console, refresh_per_second=8
            )
            self._live.start()
        else:
            print(f"run {self._run_id}: {len(self._index.days)} dates", file=sys.stderr, flush=True)  # noqa: T201
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last state standing."""
        if self._live is not None:
            self._live.stop()

    def show(self, progress: EngineProgress) -> None:
        """Take one report of the engine."""
        now = time.monotonic()
        self._pace.append((now, progress.ended))
        while now - self._pace[0][0] > _PACE_SECONDS:
            self._pace.popleft()
        elapsed = now - self._pace[0][0]
        rate = (progress.ended - self._pace[0][1]) / elapsed if elapsed > 0.5 else 0.0
        states = {phase: _phase(self._index, progress.board, phase) for phase in self._rows}
        status = self._line(progress, rate, states)
        if self._live is not None:
            for phase, (done, bad) in states.items():
                self._bars.update(self._rows[phase], completed=done, note=f"{bad} failed or blocked" if bad else "")
            lines = [Text(status), Text(f"  running {', '.join(progress.working)}" if progress.working else "")]
            lines += [Text(f"  past its deadline  {line}", style="red") for line in progress.overdue]
            lines += [Text(escaped(f"  failed  {line}"), style="red", no_wrap=True) for line in progress.failing]
            self._live.update(Group(self._bars, *lines))
            return
        if fresh := [name for name in progress.overdue if name not in self._overdue]:
            print(f"past their deadline, and not waited for: {', '.join(fresh)}", file=sys.stderr, flush=True)  # noqa: T201
        self._overdue = progress.overdue
        if now - self._printed >= PLAIN_EVERY_SECONDS:
            self._printed = now
            counts = ", ".join(f"{phase} {done}" for phase, (done, _) in states.items())
            print(f"{status} | dates done: {counts}", file=sys.stderr, flush=True)  # noqa: T201

    def _line(self, progress: EngineProgress, rate: float, states: dict[str, tuple[int, int]]) -> str:
        cells = sum(len(self._index.days) for _ in states)
        done = sum(ended for ended, _ in states.values())
        elapsed = time.monotonic() - self._begun
        eta = f", {elapsed / done * (cells - done):,.0f} s to go" if 0 < done < cells and elapsed > 2 else ""
        bad = sum(bad for _, bad in states.values())
        failing = f", {bad} failed or blocked" if bad else ""
        return f"{elapsed:5.0f} s  {progress.ended:,} tasks, {rate:,.0f}/s, {progress.running} running{failing}{eta}"


def _phase(index: PlanIndex, board: Board, phase: str) -> tuple[int, int]:
    """(dates at their end, dates failed or blocked) of a phase."""
    strips = [board.groups[index.groups[n].name].decode("ascii") for n in index.groups_of(phase)]
    done = sum(all(letter in ENDED for letter in letters) for letters in zip(*strips, strict=True))
    bad = sum(any(letter in BADLY_ENDED for letter in letters) for letters in zip(*strips, strict=True))
    return done, bad
