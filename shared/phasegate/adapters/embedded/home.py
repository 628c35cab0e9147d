"""The home folder of embedded mode keeps everything, and says who drives it."""

import fcntl
import os
import re
import shutil
import time
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TextIO

from phasegate.domain.errors import HomeInUse, InputError
from phasegate.domain.protocol.object_names import LINES, UNFINISHED

_FORMERLY = re.compile(r"tmp\w{8}\.jsonl")
"""The rows on their way into the warehouse, as earlier versions called them."""


@dataclass(frozen=True, slots=True)
class Home:
    """A home has ``state.sqlite``, ``warehouse.duckdb``, ``objects/`` and ``reports/`` below one folder."""

    root: Path
    """The folder, which need not be there yet; absolute from now on: a worker may change the current folder."""

    def __post_init__(self) -> None:
        """Settle where the folder is, now."""
        object.__setattr__(self, "root", self.root.absolute())

    @property
    def state(self) -> Path:
        """Return the path of the state file."""
        return self.root / "state.sqlite"

    @property
    def warehouse(self) -> Path:
        """Return the path of the file with the tables."""
        return self.root / "warehouse.duckdb"

    @property
    def objects(self) -> Path:
        """Return the folder of the object store."""
        return self.root / "objects"

    @property
    def reports(self) -> Path:
        """Return the folder of reports, and of the logs of runs without a terminal."""
        return self.root / "reports"

    @property
    def lock(self) -> Path:
        """Return the path of the file that whoever drives the home holds locked."""
        return self.root / "engine.lock"

    def log_of(self, run_id: str) -> Path:
        """Return the path of the log of a run."""
        return self.reports / f"{run_id}.log"

    def require_whole(self) -> None:
        """Refuse a home in which a file stands where a folder belongs, or a folder where a file does: raises
        InputError."""
        for file in (self.state, self.warehouse, self.lock):
            if file.is_dir():
                raise InputError(f"{file} is a folder, and a file belongs there; move it away, then try again")
        for folder in (self.objects, self.reports):
            if folder.exists() and not folder.is_dir():
                raise InputError(f"{folder} is a file, and a folder belongs there; move it away, then try again")

    def driver(self) -> str | None:
        """Say who drives a run in this home now ("process 1234, run shop-…"), or None.

        Raises InputError when that cannot be read.
        """
        path = self.lock
        if not path.exists():
            return None
        try:
            handle = path.open(errors="replace")
        except OSError as error:
            raise InputError(_unusable(path, error)) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return handle.read().strip() or "another process"
        return None

    def sweep_unfinished(self) -> None:
        """Delete the temporary files of processes that were killed. For whoever holds the lock: nobody else writes.

        They lie beside what they were to become: objects and reports, and rows on their way into the warehouse.
        """
        for folder, _, names in chain(os.walk(self.objects), os.walk(self.reports), islice(os.walk(self.root), 1)):
            for name in names:
                is_ours = name.startswith(UNFINISHED) or (Path(folder) == self.root and _FORMERLY.fullmatch(name))
                if is_ours:
                    Path(folder, name).unlink(missing_ok=True)
        for left in (f"{self.warehouse.name}.tmp", LINES):
            shutil.rmtree(self.warehouse.with_name(left), ignore_errors=True)

    def last_driver(self) -> str:
        """Say who drives this home, or did so last, in the words of ``driver``."""
        return self.lock.read_text(errors="replace").strip()


def _unusable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be used as a home folder: {error.strerror} ({error.filename})"


def driver_of(process: int, run_id: str) -> str:
    """Say that a process drives a run, as ``Home.driver`` does."""
    return f"process {process}, run {run_id}"


def drives(driver: str | None, run_id: str) -> bool:
    """Tell whether it is this run that the driver of a home drives, or is about to."""
    return driver is not None and driver.endswith(f" run {run_id}")


def may_drive(driver: str, run_id: str) -> bool:
    """Tell whether the driver of a home drives this run, or has not said yet which one, if any."""
    return drives(driver, run_id) or " run " not in driver


class HomeLock:
    """The lock is held by the one process that drives runs in a home; the operating system frees it when the process
    dies.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._handle: TextIO | None = None

    def __enter__(self) -> "HomeLock":
        """Take the lock. Raises HomeInUse when another process has it, InputError when the folder cannot be made, or
        is no home."""
        path = self._home.lock
        self._home.require_whole()
        try:
            self._home.root.mkdir(parents=True, exist_ok=True)
            handle = path.open("a+", errors="replace")
        except OSError as error:
            raise InputError(_unusable(self._home.root, error)) from error
        try:
            self._lock(handle)
        except OSError as error:
            handle.seek(0)
            owner = handle.read().strip() or "another process"
            handle.close()
            _, names_run, run_id = owner.rpartition(" run ")
            what_to_do = (
                f"follow it with `phasegate watch {run_id}`, stop it with `phasegate drain {run_id}`"
                if names_run
                else "wait until it has ended"
            )
            raise HomeInUse(f"{self._home.root} is in use by {owner}; {what_to_do}, or give another --home") from error
        self._handle = handle
        self._write(f"process {os.getpid()}")
        return self

    def announce(self, run_id: str) -> None:
        """Say which run will be driven when the workers are ready."""
        self._write(f"process {os.getpid()}, about to drive run {run_id}")

    def name_run(self, run_id: str) -> None:
        """Say which run is driven."""
        self._write(driver_of(os.getpid(), run_id))

    def _write(self, text: str) -> None:
        if self._handle is not None:
            self._handle.truncate(0)
            self._handle.write(text)
            self._handle.flush()

    @staticmethod
    def _lock(handle: TextIO) -> None:
        """Try for half a second: somebody may just be asking who drives the home, which takes the lock for a moment."""
        for _ in range(20):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(0.025)
            else:
                return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def __exit__(self, *_: object) -> None:
        """Free the lock."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
