"""The NBA pipeline with workers that do nothing: what orchestration alone costs on the stack."""

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from flask import Flask, request
from google.cloud.bigquery import Client
from werkzeug.serving import make_server

from phasegate.adapters.gcp.clients import bigquery_client
from phasegate.adapters.gcp.settings import CloudSettings

NBA = Path(__file__).parents[2] / "pipelines" / "nba" / "pipeline.yaml"


IDLE_PATH = "/run"
"""Where phases of SELECTs alone call the worker, which they have none of by themselves."""


def _nba() -> dict[str, Any]:
    """Its first four phases: what its other phases leave behind is asked for by none of these tests."""
    document: dict[str, Any] = yaml.safe_load(NBA.read_text(encoding="utf-8"))
    del document["phases"][4:], document["profiles"]
    return document


def idle_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """Success for the processor that is asked for, on its date or on each of its dates."""
    done = {"results": {body.get("processor") or body["scraper"]: {"status": "success"}}}
    if "dates" not in body:
        return done
    return {"dates": {each.get("date") or each["game_date"]: done for each in body["dates"]}}


@contextmanager
def idle_worker() -> Iterator[str]:
    """A service that answers success to everything; yields its URL."""
    app = Flask("idle")

    @app.post("/<path:_>")
    def done(_: str) -> dict[str, Any]:
        body = request.get_json()
        return idle_answer(body)

    @app.get("/health")
    def health() -> dict[str, Any]:
        paths = [phase["dispatch"].get("path", IDLE_PATH) for phase in _nba()["phases"]]
        return {"service": "idle", "batches": dict.fromkeys(paths, "list")}

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def write_idle_pipeline(
    target: Path, url: str, at_once: int = 100, per_second: int = 500, dates_at_once: int = 1
) -> Path:
    """The NBA pipeline's first four phases, with processors, needs and queues; nothing is written or proved.

    Without limits of active dates but the first phase's: a phase begins as soon as the one before it lets it.
    at_once, per_second: tasks under way in each queue, and begun. dates_at_once: dates of a call; where there are
    several, the first phase has no limit either.
    """
    document = _nba()
    document["workers"]["nba"] = {"url": url} | ({"batches": "list"} if dates_at_once > 1 else {})
    document.pop("schema_files", None)
    document.pop("report", None)
    document["calendar"].pop("cross_check", None)
    for queue in document["queues"].values():
        queue |= {"max_concurrent": at_once, "max_per_second": per_second}
    for phase in document["phases"]:
        phase.pop("checks", None)
        phase["gates"] = [gate for gate in phase.get("gates", []) if gate["check"] != "lookback"]
        if phase["name"] != "phase_1_scrapers" or dates_at_once > 1:
            phase.pop("limits", None)
        phase["dispatch"] = {"worker": "nba", "path": IDLE_PATH} | phase["dispatch"]
        if dates_at_once > 1:
            phase["dispatch"] |= {"batch": {"dates": dates_at_once}, "timeout_seconds": 60}
        for processor in phase["processors"]:
            processor["output"] = {"kind": "none"}
            for key in ("checks", "bootstrap", "may_be_empty", "reads_calendar", "sql"):
                processor.pop(key, None)
    target.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return target


def write_schedule(settings: CloudSettings, days: list[date], table: str = "nba_raw.nbac_schedule") -> None:
    """A schedule with one game a date, as the calendar of the pipeline reads it."""
    client: Client = bigquery_client(settings)
    dataset = table.partition(".")[0]
    client.create_dataset(dataset, exists_ok=True)
    values = ", ".join(f"('2023-24', 'Regular Season', DATE '{day}', 'BOS', 'NYK', 3)" for day in days)
    client.query_and_wait(
        f"CREATE TABLE `{table}` (season STRING, season_type STRING, game_date DATE, home_team STRING, "
        f"away_team STRING, game_status INT64)"
    )
    client.query_and_wait(f"INSERT INTO `{table}` VALUES {values}")


def write_history(settings: CloudSettings, ddl: str) -> None:
    """The table that keeps one row an attempt."""
    client: Client = bigquery_client(settings)
    client.create_dataset("nba_reference", exists_ok=True)
    client.query_and_wait(ddl)
