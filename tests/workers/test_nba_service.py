"""The reference worker behind HTTP: its paths under functions-framework, preparing."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import flask
import functions_framework
import pytest
from werkzeug.serving import make_server

from nba_worker.service import NbaWorker, build
from nba_worker.sql_processors import ANALYTICS, PRECOMPUTE, select_of
from phasegate import __version__
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.adapters.gcp.bigquery.warehouse import BigQueryWarehouse
from phasegate.adapters.gcp.clients import storage_client
from phasegate.adapters.gcp.http.worker import HttpWorker
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import InputError
from phasegate.domain.protocol.versions import PROTOCOL
from phasegate.worker import hash_of_statement
from tests.emulators import wipe_reference_datasets
from tests.workers.conftest import ORDER, MakeFolder, Played, request_body

MAIN = Path(__file__).parents[2] / "pipelines" / "nba" / "nba_worker" / "main.py"
SETTLED = 10
"""A date after the season's first week; what is written here again keeps its rows and its fence, 1."""
FENCED = 22
"""The first of two dates that no other test writes: the fences here rise."""


class Behind:
    """A Flask application on the loopback interface, and the adapter that calls it."""

    def __init__(self, app: flask.Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.worker = HttpWorker(f"http://127.0.0.1:{self._server.server_port}")

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def application(worker: NbaWorker) -> flask.Flask:
    app = flask.Flask("nba")
    app.add_url_rule(
        "/<path:path>", view_func=lambda path: worker.service.respond(flask.request), methods=["GET", "POST"]
    )
    return app


@pytest.fixture(scope="module")
def remote(league: Played) -> Iterator[HttpWorker]:
    """The league's own worker, called over HTTP."""
    behind = Behind(application(league.worker))
    yield behind.worker
    behind.close()


def test_every_processor_answers_the_same_over_http_as_in_process(league: Played, remote: HttpWorker) -> None:
    day = league.days[SETTLED]
    for path, processor in (each for each in ORDER if each[0].startswith("/")):
        body = request_body(path, processor, day)
        assert remote.handle(path, body) == league.worker.handle(path, body), (path, processor)


def test_a_refusal_arrives_with_its_status_and_class(league: Played, remote: HttpWorker) -> None:
    day = league.days[FENCED]
    assert remote.handle("/load", request_body("/load", "bdl_games", day, fence=60))[0] == 200
    assert remote.handle("/load", request_body("/load", "bdl_games", day, fence=59))[0] == 409
    status, answer = remote.handle("/load", request_body("/load", "bdl_gamez", day))
    assert (status, answer["error_class"]) == (422, "bug")


def test_health_says_which_version_answers_and_what_rows_of_runs_of_before_are_made_with(league: Played) -> None:
    answer = application(league.worker).test_client().get("/health")
    health = dict(answer.json)
    said, batches = health.pop("made_with"), health.pop("batches")
    assert batches == dict.fromkeys(("/scrape", "/load", "/predict", "/export"), "list")
    assert (answer.status_code, health) == (200, {"service": "nba", "version": __version__, "protocol": PROTOCOL})
    assert {path: set(words) for path, words in said.items()} == {
        "/process": set(ANALYTICS),
        "/process-date": set(PRECOMPUTE),
        "/predict": {"xgboost_v1"},
    }, "scrapers and raw tables say nothing"
    name = "team_defense_zone_analysis"
    assert said["/process-date"][name] == hash_of_statement(select_of(PRECOMPUTE[name]))


def test_two_instances_may_prepare_at_once(make_folder: MakeFolder, tmp_path: Path) -> None:
    warehouse = DuckDbWarehouse(tmp_path / "warehouse.duckdb")
    objects, folder = FolderObjectStore(tmp_path / "objects"), make_folder()
    instances = [build(folder, warehouse, objects) for _ in range(2)]
    meet = threading.Barrier(2, timeout=30)

    def prepare(worker: NbaWorker) -> int:
        client = application(worker).test_client()
        meet.wait()
        return client.post("/prepare").status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(prepare, instances)) == [200, 200]
    held = warehouse.query("SELECT COUNT(*) AS n, COUNT(DISTINCT game_id) AS games FROM nba_raw.nbac_schedule")
    assert held[0]["n"] == held[0]["games"] > 0
    warehouse.close()


@pytest.fixture
def deployed(
    request: pytest.FixtureRequest, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HttpWorker]:
    """``pipelines/nba/nba_worker/main.py`` under functions-framework, on emulators."""
    request.getfixturevalue("bigquery_emulator")
    request.getfixturevalue("storage_emulator")
    wipe_reference_datasets()
    monkeypatch.setenv("PHASEGATE_NBA_SOURCE", str(make_folder()))
    settings = CloudSettings.from_environment()
    bucket = storage_client(settings).bucket(settings.bucket)
    if not bucket.exists():
        bucket.create()
    behind = Behind(functions_framework.create_app("nba", str(MAIN)))
    yield behind.worker
    behind.close()


def test_the_deployed_function_prepares_and_takes_a_date_from_scrape_to_raw_tables(
    deployed: HttpWorker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: BigQueryWarehouse, table: str, lines: bytes) -> int:
        raise AssertionError(f"{table} was written again")

    day = date(2023, 10, 25)
    deployed.prepare()
    monkeypatch.setattr(BigQueryWarehouse, "replace_table", refuse)
    deployed.prepare()
    rows: dict[str, int] = {}
    for path, name in (
        ("/scrape", "nbac_team_boxscore"),
        ("/scrape", "bdl_games"),
        ("/load", "nbac_team_boxscore"),
        ("/load", "bdl_games"),
    ):
        status, answer = deployed.handle(path, request_body(path, name, day, fence=3))
        assert (status, answer["results"][name]["status"]) == (200, "success"), answer
        rows[name] = answer["results"][name]["rows"]
    assert rows["nbac_team_boxscore"] == 2 * rows["bdl_games"] > 0
    assert deployed.handle("/load", request_body("/load", "bdl_games", day, fence=2))[0] == 409
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {line["service"] for line in logged} == {"nba"}


def test_the_function_does_not_start_without_a_source_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHASEGATE_NBA_SOURCE", raising=False)
    with pytest.raises(InputError, match="PHASEGATE_NBA_SOURCE is not set"):
        functions_framework.create_app("nba", str(MAIN))


FORKED = f"""
import gc, os, signal, sys
import functions_framework
functions_framework.create_app("nba", {str(MAIN)!r})
(main,) = [module for module in sys.modules.values() if getattr(module, "__file__", None) == {str(MAIN)!r}]
child = os.fork()
if child == 0:
    signal.alarm(30)
    worker = main._worker()
    (worker._read.source.folder / "schedule.parquet").touch()
    before, worker._fill_reference_tables = worker._read, lambda _: None
    assert worker._processors() is not before
    del before
    gc.collect()
    os._exit(0)
sys.exit(os.waitpid(child, 0)[1])
"""
"""Loads the function, and has a process forked from it read a folder again that has changed."""


def test_a_process_that_was_forked_from_the_one_that_loaded_the_function_reads_a_folder_again(
    make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("PYTHONPATH", str(MAIN.parents[1])),
        ("PHASEGATE_PROJECT", "demo"),
        ("PHASEGATE_BUCKET", "nobodys"),
        ("PHASEGATE_NBA_SOURCE", str(make_folder())),
        ("BIGQUERY_EMULATOR_HOST", "127.0.0.1:9"),
        ("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9"),
    ):
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_source_folder_in_a_bucket_is_copied_by_the_first_request_that_finds_it(
    request: pytest.FixtureRequest, make_folder: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue("bigquery_emulator")
    request.getfixturevalue("storage_emulator")
    monkeypatch.setenv("PHASEGATE_NBA_SOURCE", "gs://games-of-a-test/source")
    bucket = storage_client(CloudSettings.from_environment()).bucket("games-of-a-test")
    bucket.create()
    asked = functions_framework.create_app("nba", str(MAIN)).test_client()
    assert asked.get("/health").status_code == 500, "it started; there is nothing to work on yet"
    for file in make_folder().glob("*.parquet"):
        bucket.blob(f"source/{file.name}").upload_from_filename(str(file))
    assert asked.get("/health").json["service"] == "nba"
