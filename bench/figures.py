"""Figures are kept in a file, part by part, so that parts that were measured apart stand on one page; each part says
when, on which machine and of which commit it was taken.
"""

import json
import os
import platform
import sqlite3
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from bench.bounds import Bounds, Measure
from bench.checkout import ROOT
from phasegate.stack.emulators import FIRESTORE


@dataclass(frozen=True, slots=True)
class Taken:
    """Under what circumstances figures were taken."""

    day: str
    """The date, in UTC."""
    commit: str
    """Today's commit, with a ``+`` where files differ from it."""
    before: str
    """The commit beside which it was measured; empty: none."""
    sizes: str
    """``whole`` or ``quick``."""
    games: str
    """Whose games: ``the real source``, or ``a made-up league``."""
    machine: Mapping[str, str]
    """Cores, memory, processor, operating system and Python."""
    versions: Mapping[str, str]
    """What matters beside it, by name."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part is what one ``--only`` measures."""

    taken: Taken
    """How it was taken."""
    measures: tuple[Measure, ...]
    """Its lines, in the order in which they were printed."""
    details: Mapping[str, Any]
    """What the page tells beside them, by name."""


def taken_now(*, before: str, sizes: str, games: str) -> Taken:
    """Describe this machine and this checkout."""
    return Taken(
        day=str(datetime.now(UTC).date()),
        commit=_git("describe", "--always", "--dirty=+", "--exclude=*"),
        before=before,
        sizes=sizes,
        games=games,
        machine=_machine(),
        versions={
            "DuckDB": duckdb.__version__,
            "SQLite": sqlite3.sqlite_version,
            "Firestore's emulator": _firestore_version(),
            "google-cloud-bigquery": version("google-cloud-bigquery"),
        },
    )


def read_parts(file: Path) -> dict[str, Part]:
    """Return the parts that a file keeps, by name; none where there is no file."""
    if not file.exists():
        return {}
    return {
        name: Part(
            taken=Taken(**document["taken"]),
            measures=tuple(map(Measure.read, document["measures"])),
            details=document["details"],
        )
        for name, document in json.loads(file.read_text(encoding="utf-8")).items()
    }


def keep_part(file: Path, name: str, taken: Taken, bounds: Bounds) -> None:
    """Write what a part has measured into the file, in the place of what stood there of it."""
    parts = read_parts(file) | {name: Part(taken, tuple(bounds.measures), bounds.details)}
    text = json.dumps({key: asdict(part) for key, part in parts.items()}, indent=1, ensure_ascii=False)
    file.write_text(f"{text}\n", encoding="utf-8")


def _machine() -> dict[str, str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GB",
        "processor": _processor(),
        "operating system": _operating_system(),
        "Python": platform.python_version(),
    }


def _processor() -> str:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _operating_system() -> str:
    named = next((line for line in _lines(Path("/etc/os-release")) if line.startswith("PRETTY_NAME=")), "")
    return f"{named.partition('=')[2].strip(chr(34)) or platform.system()}, Linux {platform.release()}"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _firestore_version() -> str:
    """As the SDK, which brings the emulator, has written it down; ``unknown`` where it lies elsewhere."""
    command = FIRESTORE.find(0, 0, Path())
    jar = next((Path(word) for word in command if word.endswith(".jar")), Path())
    snapshot = jar.parents[2] / ".install" / "cloud-firestore-emulator.snapshot.json" if jar.name else jar
    if not snapshot.is_file():
        return "unknown"
    parts = json.loads(snapshot.read_text(encoding="utf-8"))["components"]
    return next(
        (part["version"]["version_string"] for part in parts if part["id"] == "cloud-firestore-emulator"), "unknown"
    )


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip() or "unknown"
