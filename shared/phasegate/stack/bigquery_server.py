"""The stand-in for BigQuery, made quick: local-bigquery 0.3.2, with tables in a plain DuckDB file and few old results.

This file runs in the stand-in's own environment, and takes the words of its command. The stand-in keeps tables in a
DuckLake, of which each statement reads the catalogue several times, and the result of each statement for ever, among
whose columns each statement looks for those of its tables, and so takes longer each time. Nothing that is asked of it
here needs either.
"""

import functools
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from local_bigquery import cli
from local_bigquery.catalog import tables
from local_bigquery.engine import database
from local_bigquery.settings import settings

RESULTS_KEPT = 100
"""Of so many statements the results can be read; a client reads its own within the next few."""


def attach(connection: Any, project: str) -> None:
    """Attach the file that holds a project's tables; a new one where there is none."""
    # Statements run beside each other; the few rows of each are not worth a second thread.
    connection.execute("SET threads = 1")
    connection.execute(f"ATTACH IF NOT EXISTS '{settings.data_dir / project}.tables' AS {database.quote(project)}")
    database._attached.add(project)


def projects() -> list[str]:
    """The projects whose tables are attached."""
    return sorted(database._attached)


def forgetting_results(write: Callable[..., bool]) -> Callable[..., bool]:
    """Let what writes a query's rows also drop the oldest result, when there are more than ``RESULTS_KEPT``."""
    kept: deque[str] = deque()
    lock = threading.Lock()

    @functools.wraps(write)
    def written(*words: Any, **options: Any) -> bool:
        is_new = write(*words, **options)
        reference = words[3]
        if reference[1] == tables.RESULTS:
            with lock:
                kept.append(tables.name(*reference))
                dropped = kept.popleft() if len(kept) > RESULTS_KEPT else None
            if dropped:
                database.execute(f"DROP TABLE IF EXISTS {dropped}")
        return is_new

    return written


if __name__ == "__main__":
    # DuckDB looks for it at every parameter of every statement, in all folders again; once it is known, it is not.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    database._attach, database.projects = attach, projects
    tables.write = forgetting_results(tables.write)
    cli.main()
