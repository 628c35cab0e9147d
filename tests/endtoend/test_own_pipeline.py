"""A user's own pipeline: a folder with its file, SQL, schema and worker package, driven from the command line.

Nothing of it is on Python's path, and the commands are typed in another folder, away from the project.
"""

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest

from phasegate.stack.parts import worker_services
from tests.commands import PATIENCE_SECONDS, type_command

PIPELINE = """\
schema_version: 1
pipeline: shop
timezone: Europe/Berlin
calendar:
  table: shop_raw.days
  date_column: day
  season_column: year
  numbers: {orders: SUM(orders)}
history_table: shop_ref.history
sample: shop_worker.sample:make
workers:
  shop:
    factory: shop_worker.service:build
    request: {backfill_mode: true}
queues:
  work: {max_concurrent: 10}
phases:
  - name: load
    dispatch: {worker: shop, path: /load, queue: work}
    processors:
      - name: orders
        output: {kind: table, table: shop_raw.orders, date_column: day, keys: [n], fence_column: _fence}
        checks: [{check: rows, exactly: orders}]
  - name: sums
    dispatch: {worker: shop, path: /sum, queue: work, date_field: day}
    gates: [{check: all_succeeded, phase: load}]
    processors:
      - name: totals
        output: {kind: table, table: shop.totals, date_column: day, keys: [day], fence_column: _fence}
        checks: [{check: rows, exactly: "1"}]
"""

SCHEMA = """\
CREATE TABLE IF NOT EXISTS `shop_raw.orders` (day DATE, n INT64, cents INT64, _fence INT64) PARTITION BY day;
CREATE TABLE IF NOT EXISTS `shop.totals` (day DATE, cents INT64, _fence INT64) PARTITION BY day;
CREATE TABLE IF NOT EXISTS `shop_ref.history` (run_id STRING, data_date DATE, phase STRING, processor_name STRING,
  attempt INT64, status STRING, error_class STRING, message STRING, rows_written INT64, fence INT64,
  code_version STRING, started_at TIMESTAMP, finished_at TIMESTAMP, proved BOOL);
"""

TOTALS = "SELECT day, SUM(cents) AS cents FROM `shop_raw.orders` WHERE day = @d GROUP BY day\n"

SERVICE = """\
import json
from pathlib import Path

from phasegate.ports import Partition
from phasegate.worker import ProcessorResult, ResultStatus, WorkerRequest, WorkerService

from shop_worker.prices import cents

FOLDER = Path(__file__).parents[1]


def build(source, warehouse, objects):
    schema = (FOLDER / "schema" / "shop.sql").read_text()
    service = WorkerService("shop", prepare=lambda: warehouse.apply_schema(schema))
    orders = json.loads((source / "orders.json").read_text())

    @service.route("/load", processors=["orders"])
    def load(request: WorkerRequest) -> ProcessorResult:
        day = str(request.date)
        lines = "".join(json.dumps({"day": day, "n": n, "cents": cents(n)}) + "\\n" for n in range(orders[day]))
        partition = Partition("shop_raw.orders", "day", request.date)
        rows = warehouse.load_partition(partition, lines.encode(), request.fence)
        return ProcessorResult(status=ResultStatus.SUCCESS, rows=rows)

    @service.route("/sum", date_field="day", processors=["totals"])
    def total(request: WorkerRequest) -> ProcessorResult:
        query, partition = (FOLDER / "sql" / "totals.sql").read_text(), Partition("shop.totals", "day", request.date)
        rows = warehouse.replace_partition(partition, query, {"d": request.date}, request.fence)
        return ProcessorResult(status=ResultStatus.SUCCESS, rows=rows)

    return service
"""

SAMPLE = """\
import json

import duckdb


def make(folder, seasons, seed):
    days = {f"{year}-03-0{n}": n + seed for year in seasons or ("2024",) for n in (1, 2, 3)}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orders.json").write_text(json.dumps(days))
    connection = duckdb.connect()
    connection.execute("CREATE TABLE s (day DATE, year VARCHAR, orders BIGINT)")
    connection.executemany("INSERT INTO s VALUES (?, ?, ?)", [(day, day[:4], n) for day, n in days.items()])
    connection.execute(f"COPY s TO '{folder / 'schedule.parquet'}' (FORMAT parquet)")
    return {"days": len(days), "orders": sum(days.values())}
"""

FILES = {
    "pipeline.yaml": PIPELINE,
    "schema/shop.sql": SCHEMA,
    "sql/totals.sql": TOTALS,
    "shop_worker/__init__.py": "",
    "shop_worker/prices.py": "def cents(n):\n    return 100 * n + 5\n",
    "shop_worker/service.py": SERVICE,
    "shop_worker/sample.py": SAMPLE,
    "shop_worker/main.py": "",
}
RUN = ("--source", "source", "--season", "2024", "--run-id", "r")


class Shop:
    """The pipeline's folder, and another one in which commands are typed."""

    def __init__(self, folder: Path, changed: Mapping[str, str]) -> None:
        self.pipeline, self.desk = folder / "pipelines" / "shop" / "pipeline.yaml", folder / "desk"
        self.desk.mkdir(parents=True)
        for name, text in {**FILES, **changed}.items():
            (self.pipeline.parent / name).parent.mkdir(parents=True, exist_ok=True)
            (self.pipeline.parent / name).write_text(text)

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command at the desk."""
        return type_command(*words, folder=self.desk)

    def answer(self, *words: str) -> Any:
        """The JSON document that a command prints."""
        done = self.type(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def sample(self) -> None:
        """Make up the source folder at the desk."""
        assert self.type("sample", "source", "--pipeline", str(self.pipeline)).returncode == 0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path, {})


def totals(shop: Shop) -> list[tuple[Any, ...]]:
    """What the last phase wrote, as soon as nobody holds the warehouse: a report is written after a run has ended."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            connection = duckdb.connect(str(shop.desk / ".phasegate" / "warehouse.duckdb"), read_only=True)
            break
        except duckdb.IOException:
            assert time.monotonic() < give_up
            time.sleep(0.05)
    with connection:
        return connection.execute("SELECT CAST(day AS VARCHAR), cents FROM shop.totals ORDER BY day").fetchall()


def test_a_pipelines_own_maker_makes_up_its_source_folder(shop: Shop) -> None:
    given = ("sample", "source", "--pipeline", str(shop.pipeline))
    assert shop.type(*given).stdout == "source: a made-up source folder (seed 7): 3 days, 27 orders\n"
    assert shop.answer(*given, "--season", "2023", "--season", "2024", "--seed", "1") == {"days": 6, "orders": 18}


def test_a_pipeline_of_ones_own_is_run_from_another_folder(shop: Shop) -> None:
    shop.sample()
    assert shop.type("preflight", "--pipeline", str(shop.pipeline), *RUN[:4]).returncode == 0
    document = shop.answer("run", "--pipeline", str(shop.pipeline), *RUN)
    assert (document["status"], document["tasks"]["succeeded"]) == ("completed", 6)
    assert totals(shop) == [("2024-03-01", 2840), ("2024-03-02", 3645), ("2024-03-03", 4550)]


def test_a_run_that_goes_on_in_another_process_finds_its_workers_where_the_pipeline_file_lay(shop: Shop) -> None:
    shop.sample()
    begun = shop.type("start", "--pipeline", str(shop.pipeline), *RUN)
    assert (begun.returncode, begun.stdout) == (0, "r\n"), begun.stderr
    assert shop.type("watch", "r").returncode == 0
    assert len(totals(shop)) == 3


def test_the_stack_finds_the_service_beside_the_factory(shop: Shop) -> None:
    from phasegate.adapters.pipeline_file import load_pipeline

    folder = shop.pipeline.parent
    services = worker_services(load_pipeline(shop.pipeline), shop.pipeline)
    assert services == {"shop": (folder / "shop_worker" / "main.py", folder)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"shop_worker/prices.py": "from shared.worker import lease\n"},
            "worker 'shop': cannot load shop_worker.service:build: ModuleNotFoundError: No module named 'shared' "
            "({folder}/shop_worker/prices.py, line 1); Phasegate's package `shared` is called `phasegate` now: "
            "write `from phasegate.worker import …`; searched: {folder} (the folder of pipeline.yaml), then Python's ",
        ),
        (
            {"pipeline.yaml": PIPELINE.replace("shop_worker.service", "shop_wrker.service")},
            "cannot load shop_wrker.service:build: there is no module shop_wrker.service; searched: {folder} (the",
        ),
        (
            {"pipeline.yaml": PIPELINE.replace("    gates: [{check", "    gates: [{chek")},
            "{folder}/pipeline.yaml:26:14: phases[1].gates[0].chek: unknown key; did you mean 'check'?",
        ),
    ],
    ids=["an import of a former name", "a package that is not there", "a wrong key"],
)
def test_what_is_wrong_with_ones_own_code_is_told_and_nothing_is_written(
    tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    Shop(tmp_path / "sound", {}).sample()
    shop = Shop(tmp_path / "wrong", changed)
    (tmp_path / "sound" / "desk" / "source").rename(shop.desk / "source")
    done = shop.type("run", "--pipeline", str(shop.pipeline), *RUN)
    assert done.returncode == 2
    assert message.format(folder=shop.pipeline.parent) in done.stderr
    assert not (shop.desk / ".phasegate").exists()


def test_a_pipeline_without_a_maker_of_samples_says_so(tmp_path: Path) -> None:
    shop = Shop(tmp_path, {"pipeline.yaml": PIPELINE.replace("sample: shop_worker.sample:make\n", "")})
    done = shop.type("sample", "source", "--pipeline", str(shop.pipeline))
    assert done.returncode == 2
    assert "this pipeline names no maker of samples (`sample: module:callable`, docs/pipeline.md)" in done.stderr
    assert not (shop.desk / "source").exists()
