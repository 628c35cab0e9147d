"""What is measured is the code of a checkout, by the interpreter of its own environment: today's, and that of a commit
before, which stands beside it for as long as it is measured.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

BEFORE = "8f46fca"
"""The commit before dates travelled together: the yardstick of the measures."""


@dataclass(frozen=True, slots=True)
class Typed:
    """What a command was typed for: its output, and what it took."""

    out: str
    """Its standard output."""
    seconds: float
    """Seconds from its start to its end, with those of the interpreter's own."""
    megabytes: float
    """The most memory that it, or a process of its own, had at a time."""

    @property
    def document(self) -> Any:
        """Return the output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout is a working tree with its environment."""

    name: str
    """``today`` or ``before``."""
    root: Path
    """The working tree."""
    python: Path
    """The interpreter in whose environment the tree's ``phasegate`` is installed."""

    @property
    def pipeline(self) -> Path:
        """Return the tree's reference pipeline."""
        return self.root / "pipelines" / "nba" / "pipeline.yaml"

    def phasegate(self, *words: object) -> Typed:
        """Type a command of this checkout. Exits with its message when it fails."""
        return self._type(self.root, "-m", "phasegate.cli.main", *words)

    def measure(self, module: str, *words: object) -> Typed:
        """Run a module of *today's* ``bench`` over this checkout's ``phasegate``. Exits with its message when it
        fails."""
        return self._type(ROOT, "-m", module, *words)

    def run_own(self, code: str) -> Typed:
        """Run a few lines over this checkout's own ``bench`` and tests. Exits with the message when they fail."""
        return self._type(self.root, "-c", code)

    def _type(self, folder: Path, *words: object) -> Typed:
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            begun = time.perf_counter()
            process = subprocess.Popen(
                [str(self.python), *map(str, words)], stdout=out, stderr=err, cwd=folder, env=_environment()
            )
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                process.kill()
                raise
            seconds = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            if process.returncode:
                typed = " ".join(map(str, words))
                sys.exit(f"{self.name}: {typed} ended with {process.returncode}:\n{out.read()}\n{err.read()}")
            return Typed(out.read(), seconds, used.ru_maxrss / 1024)


def today() -> Checkout:
    """This checkout, and the interpreter that runs it."""
    return Checkout("today", ROOT, Path(sys.executable))


def require_commit(commit: str) -> None:
    """Exit with status 2, and say what to do, where a commit cannot be checked out here."""
    if _git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0:
        return
    told = f"{commit}, which today is measured beside, is not in this clone"
    if _git("rev-parse", "--is-inside-work-tree").returncode != 0:
        remedy = "no clone of the repository is here: clone it"
    elif _git("rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        remedy = "it is shallow: git fetch --unshallow"
    else:
        remedy = "name another one with --before, or fetch it: git fetch origin"
    print(f"{told}; {remedy}. --without-before measures today's alone.", file=sys.stderr)
    sys.exit(2)


@contextmanager
def checked_out(commit: str, *, emulators: bool) -> Iterator[Checkout]:
    """Check a commit out beside this tree, with the environment that its Makefile makes from its own lock; both are
    gone with the block.

    emulators: whether it needs the stand-in for BigQuery as well, as a stack does.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "before"
        _require(_git("worktree", "add", "--detach", str(root), commit), f"{commit} could not be checked out")
        try:
            targets = [".venv/.installed", *(["stand-in"] if emulators else [])]
            interpreter = getattr(sys, "_base_executable", sys.executable)
            words = ["make", "--silent", f"PYTHON={interpreter}", *targets]
            done = subprocess.run(words, cwd=root, env=_environment(), capture_output=True, text=True, check=False)
            _require(done, f"the environment of {commit} could not be made")
            yield Checkout("before", root, root / ".venv" / "bin" / "python")
        finally:
            _git("worktree", "remove", "--force", str(root))


def _environment() -> dict[str, str]:
    """This process's, without what another make has set, and with compiled files: they are there after the first run
    of each checkout, whatever the shell says."""
    without = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in without}


def _git(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607


def _require(done: subprocess.CompletedProcess[str], told: str) -> None:
    if done.returncode:
        sys.exit(f"{told}:\n{done.stdout}{done.stderr}")
