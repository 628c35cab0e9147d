"""Luigi: local scheduler, one worker, one build per date, an empty file per task as its target.

- The local scheduler lives in this process; a central one would add a request over HTTP for every task.
- One worker runs its tasks in this process. Several would fork a process for each task.
- One build per date. The scheduler looks at all tasks that it knows whenever it is asked for the next one, so that one
  build over all dates takes time in proportion to the square of their number (``findings/luigi-get-work.sh``).
- A target is how Luigi keeps state: a task is done when its file is there. The files are empty, and written as Luigi
  writes a local target, to a temporary file that is renamed.
"""

import logging
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import luigi

from bench.peers.script import answer
from bench.shape import TASKS_A_DATE, days, task_needs

NEEDS = task_needs()


class Idle(luigi.Task):
    """One task of a day, which does nothing but say that it is done."""

    folder = luigi.Parameter(significant=False)
    """Where the targets lie, in a folder per day."""
    day = luigi.Parameter()
    """The date, as YYYY-MM-DD."""
    name = luigi.Parameter()
    """The task's name within the shape of a date."""

    def requires(self) -> list["Idle"]:
        """Return the tasks of the day that it waits for."""
        return [Idle(folder=self.folder, day=self.day, name=need) for need in NEEDS[self.name]]

    def output(self) -> luigi.LocalTarget:
        """Return the file that says that it is done."""
        return luigi.LocalTarget(str(Path(self.folder) / self.day / self.name))

    def run(self) -> None:
        """Write the empty file."""
        with self.output().open("w"):
            pass


def measure(dates: int) -> float:
    """Run W(dates) date by date; returns seconds."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        for day in days(dates):
            last = Idle(folder=folder, day=day, name="predictions")
            assert luigi.build([last], local_scheduler=True, workers=1), day
        seconds = time.perf_counter() - begun
        assert sum(each.is_file() for each in Path(folder).glob("*/*")) == dates * TASKS_A_DATE
    return seconds


if __name__ == "__main__":
    settings = "local scheduler, one worker, one build per date, files as targets"
    answer("Luigi", version("luigi"), settings, measure)
