"""``python -m bench.peers``: measures other tools on W(D) and prints a table of their pace.

Environments that are missing are made under .venv/peers/NAME, for which PyPI must be reached. A peer that cannot be
installed, or fails, is named with the reason and left out; the exit status is 0 all the same. What the scripts keep
lies below TMPDIR: a folder in memory spares the peers that sync every commit the wait for the disk.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.shape import TASKS_A_DATE

ROOT = Path(__file__).parents[2]
PINS = Path(__file__).parent
ENVIRONMENTS = ROOT / ".venv" / "peers"

DATES = 200
TIMES = 3
"""How often each peer is measured; the best counts, since other work on the machine only slows."""
GIVEN_UP_SECONDS = 900.0
"""How long a peer may take for one measurement."""

Answer = dict[str, Any]
"""What a peer's script tells: name, version, settings, dates, tasks, seconds and tasks_per_second."""


class PeerFailed(Exception):
    """A peer could not be installed or measured; the message says why in one line."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer is a tool that is measured by a script of its own."""

    name: str
    """The script's name within ``bench.peers``, and that of the file of its pins (NAME.txt)."""
    most_dates: int = DATES
    """The most dates that it is measured with, where more are asked for."""

    @property
    def pins(self) -> Path:
        """Return the file of its requirements; a peer without one runs in the environment of the project."""
        return PINS / f"{self.name}.txt"


PEERS = (
    Peer("raw", 10_000),
    Peer("loop", 10_000),
    Peer("dbos", 1_000),
    Peer("luigi", 1_000),
    # Some 80 tasks a second, each run on its own: 200 dates take over a minute and have the pace of 50.
    Peer("dagster", 50),
    # Some 50 tasks a second, and the server falls behind the longer the flow is.
    Peer("prefect", 20),
    # Some 20 tasks a second, each date on its own: 200 dates take five minutes and have the pace of ten.
    Peer("airflow", 10),
)


def last_line(text: str) -> str:
    """The last line that says anything; empty where none does."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def run(words: Sequence[object]) -> str:
    """Type a command in the project's folder; returns standard output.

    Raises PeerFailed when it does not end well or takes longer than GIVEN_UP_SECONDS.
    """
    environment = dict(os.environ)
    if "PIP_INDEX_URL" in environment:
        environment.setdefault("UV_DEFAULT_INDEX", environment["PIP_INDEX_URL"])
    try:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=GIVEN_UP_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerFailed(str(error)) from error
    if done.returncode:
        raise PeerFailed(last_line(done.stderr) or f"{words[0]} ended with {done.returncode}")
    return done.stdout


def interpreter(peer: Peer) -> Path:
    """The interpreter that runs a peer's script; its environment is made where it is missing or its pins are newer.

    Raises PeerFailed when the environment cannot be made.
    """
    if not peer.pins.exists():
        return Path(sys.executable)
    folder = ENVIRONMENTS / peer.name
    python, made = folder / "bin" / "python", folder / ".installed"
    if not made.exists() or made.stat().st_mtime < peer.pins.stat().st_mtime:
        uv = Path(sys.executable).with_name("uv")
        run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder])
        run([uv, "pip", "install", "--quiet", "--compile-bytecode", "-r", peer.pins, "--python", folder])
        made.touch()
    return python


def measure(peer: Peer, dates: int) -> Answer:
    """Measure a peer TIMES times on W(dates), or on as many dates as it is measured with; returns the best answer.

    Raises PeerFailed when it cannot be installed or measured.
    """
    words = [interpreter(peer), "-m", f"bench.peers.{peer.name}", "--dates", min(dates, peer.most_dates)]
    answers: list[Answer] = [json.loads(last_line(run(words))) for _ in range(TIMES)]
    return max(answers, key=lambda answer: float(answer["tasks_per_second"]))


def table(answers: Iterable[Answer]) -> str:
    """The answers as a table, the fastest first."""
    header = f"{'peer':<12} {'version':<14} {'dates':>6} {'tasks':>8} {'seconds':>9} {'tasks/s':>9}  settings"
    fastest_first = sorted(answers, key=lambda answer: float(answer["tasks_per_second"]), reverse=True)
    lines = (
        f"{told['name']:<12} {told['version']:<14} {told['dates']:>6,} {told['tasks']:>8,} {told['seconds']:>9,.2f}"
        f" {told['tasks_per_second']:>9,.0f}  {told['settings']}"
        for told in fastest_first
    )
    return "\n".join([header, *lines])


def main(words: Sequence[str] | None = None) -> None:
    """Measure other tools on the work that Phasegate's orchestration is measured on."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=main.__doc__)
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in PEERS], metavar="NAME", help="these peers")
    parser.add_argument("--dates", type=int, default=DATES, help=f"dates of W(D), {TASKS_A_DATE} tasks each")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the answers are written, as a list")
    arguments = parser.parse_args(words)
    answers = []
    for peer in PEERS:
        if arguments.only is None or peer.name in arguments.only:
            try:
                answers.append(measure(peer, arguments.dates))
            except PeerFailed as failure:
                print(f"{peer.name} is left out: {failure}", flush=True)
    print(table(answers))
    if arguments.json:
        arguments.json.write_text(json.dumps(answers, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
