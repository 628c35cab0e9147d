"""Games through all six phases on the stack, begun by a real gcloud command: the embedded run's tables, row for row,
and its exports.

The fixture ``games`` says which: five dates of the two weeks, or all of them with ``PHASEGATE_FULL=1``.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from phasegate.adapters.bigquery_sql import created_table, read_script
from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.bootstrap import open_warehouse
from phasegate.deployment import Deployment
from phasegate.domain.plan import WorkLetter
from phasegate.ports import ObjectStore, Warehouse
from phasegate.stack.commands import EXAMPLE
from tests.conftest import as_json, run_command
from tests.stack.running import RunningStack, connected, type_line

PIPELINE = Path(__file__).parents[2] / "pipelines" / "nba"
FIRST, LAST = date(2023, 10, 24), date(2023, 11, 6)
AFTER_BOOTSTRAP = date(2023, 10, 31)
"""Seven days after the season's first: phase 4 has rows from here on."""

PATIENCE_SECONDS = 900.0
TASKS_A_DATE = 65
HISTORY = "nba_reference.processor_run_history"
TABLES = sorted(
    f"{created_table(tree).db}.{created_table(tree).name}"
    for script in (PIPELINE / "schema").glob("*.sql")
    for tree in read_script(script.read_text(encoding="utf-8"))
)


@dataclass(frozen=True)
class BothRuns:
    """The same dates on both backends. stack_status, embedded_status: ``status --json``."""

    run_id: str
    watched: CompletedProcess[str]
    stack_status: dict[str, Any]
    embedded_status: dict[str, Any]
    cloud: Deployment
    embedded: Warehouse
    objects: ObjectStore

    @property
    def days(self) -> list[date]:
        """The dates of the run on the stack."""
        return list(self.cloud.backend.state.index(self.run_id).days)


@pytest.fixture(scope="module")
def both(stack: RunningStack, games: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothRuns]:
    home = tmp_path_factory.mktemp("embedded") / "home"
    chosen = ("--pipeline", PIPELINE / "pipeline.yaml", "--source", games, "--from", FIRST, "--to", LAST)
    done = run_command("run", *chosen, "--run-id", "embedded", home=home)
    assert done.returncode == 0, done.stderr + done.stdout
    embedded_status = as_json(run_command("status", "embedded", "--json", home=home))
    with connected(stack) as cloud:
        kick_off(stack)
        (run,) = when_there(cloud.backend.state.runs, 1)
        watched = stack.command("--backend", "gcp", "watch", run.run_id, "--json", seconds=PATIENCE_SECONDS)
        status = as_json(stack.command("--backend", "gcp", "status", run.run_id, "--json"))
        warehouse = open_warehouse(Home(home))
        objects = FolderObjectStore(Home(home).objects)
        yield BothRuns(run.run_id, watched, status, embedded_status, cloud, warehouse, objects)
        warehouse.close()


def kick_off(stack: RunningStack) -> None:
    """Type the command that ``stack up`` printed."""
    assert json.loads(EXAMPLE) == {"from": str(FIRST), "to": str(LAST)}
    done = type_line(stack.kickoff["gcloud"])
    assert done.returncode == 0, done.stderr


def when_there(look: Callable[[], list[Any]], count: int) -> list[Any]:
    """What there is to see, as soon as it is so many: the stack works on by itself."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while len(found := look()) < count:
        assert time.monotonic() < give_up, f"there are {len(found)}, not {count}"
        time.sleep(0.5)
    return found


def rows_of(warehouse: Warehouse, table: str) -> list[list[tuple[str, str, Any]]]:
    """Every row, in one order: each value with its column and type, without the fence."""
    rows = warehouse.query(f"SELECT * FROM `{table}`")
    return sorted(
        ([(name, type(value).__name__, value) for name, value in row.items() if name != "_fence"] for row in rows),
        key=repr,
    )


def test_a_gcloud_command_begins_a_run_of_the_dates_that_it_names(both: BothRuns) -> None:
    sql = "SELECT DISTINCT game_date FROM `nba_raw.nbac_schedule` WHERE game_date BETWEEN @first AND @last ORDER BY 1"
    asked = [row["game_date"] for row in both.embedded.query(sql, {"first": FIRST, "last": LAST})]
    assert both.days == asked


def test_the_run_completes_with_exit_status_0(both: BothRuns) -> None:
    assert (both.watched.returncode, both.stack_status["status"]) == (0, "completed"), both.watched.stderr


def test_dates_phases_and_tasks_are_counted_as_in_the_embedded_run(both: BothRuns) -> None:
    counted = ("dates", "phases", "tasks", "failures", "blocked")
    assert {key: both.stack_status[key] for key in counted} == {key: both.embedded_status[key] for key in counted}
    assert both.stack_status["tasks"]["expected"] == TASKS_A_DATE * both.stack_status["dates"]


@pytest.mark.parametrize("table", [table for table in TABLES if table != HISTORY])
def test_a_table_is_the_embedded_runs_row_for_row(both: BothRuns, table: str) -> None:
    assert rows_of(both.embedded, table) == rows_of(both.cloud.backend.warehouse, table)


@pytest.mark.parametrize("kind", ["results", "players", "systems"])
def test_every_date_has_the_embedded_runs_export(both: BothRuns, kind: str) -> None:
    for day in both.days:
        name = f"v1/{kind}/{day}.json"
        assert both.cloud.backend.objects.read(name) == both.objects.read(name)


def test_the_index_lists_every_export(both: BothRuns) -> None:
    listed = json.loads(both.cloud.backend.objects.read("v1/index.json"))["exports"]
    assert {kind: sorted(of_kind) for kind, of_kind in listed.items()} == {
        kind: [str(day) for day in both.days] for kind in ("results", "players", "systems")
    }


def test_phase_4_has_rows_on_every_date_after_the_bootstrap_days_and_on_none_of_them(both: BothRuns) -> None:
    sql = "SELECT DISTINCT game_date FROM `nba_predictions.ml_feature_store_v2` ORDER BY 1"
    held = [row["game_date"] for row in both.cloud.backend.warehouse.query(sql)]
    assert held == [day for day in both.days if day >= AFTER_BOOTSTRAP]
    assert 2 <= len(held) <= len(both.days) - 2


def test_the_history_holds_one_row_for_each_attempt(both: BothRuns) -> None:
    backend = both.cloud.backend
    attempts = sorted(
        (day, phase, processor, attempt.number)
        for day, facts in backend.state.dates(both.run_id, both.days).items()
        for (phase, processor), of_task in facts.tasks.items()
        for attempt in of_task
    )

    def written() -> list[Any]:
        sql = f"SELECT data_date, phase, processor_name, attempt FROM `{HISTORY}` WHERE run_id = @run"
        return sorted(tuple(row.values()) for row in backend.warehouse.query(sql, {"run": both.run_id}))

    # The conductor writes it after the board says that the run is over.
    assert when_there(written, len(attempts)) == attempts
    index = backend.state.index(both.run_id)
    assert len(attempts) >= sum(task.work.count(WorkLetter.RUN) for task in index.tasks), "nobody is called for more"


def test_nothing_was_set_aside(both: BothRuns) -> None:
    state = both.cloud.backend.state
    assert (state.quarantined(both.run_id), state.quarantined(None)) == ([], [])
