"""Objects that a JSON Schema of the pipeline's folder allows, and others: a date whose object it does not allow goes no
further, and a report reads all objects again."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from tests.conftest import as_json, run_command

DAYS = ("2024-03-01", "2024-03-02", "2024-03-03")

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["day", "orders"],
    "properties": {"day": {"type": "string", "format": "date"}, "orders": {"$ref": "#/$defs/count"}},
    "$defs": {"count": {"type": "integer", "minimum": 0}},
}

WORKER = """\
from phasegate.worker import ProcessorResult, ResultStatus, WorkerService


def build(source, warehouse, objects):
    service = WorkerService("shop")

    @service.route("/publish", processors=["orders", "notes"])
    def publish(request):
        content = (source / f"{request.date}.json").read_bytes()
        objects.write(f"v1/{request.processor}/{request.date}.json", content)
        return ProcessorResult(status=ResultStatus.SUCCESS, rows=1)

    return service
"""

PIPELINE: dict[str, Any] = {
    "schema_version": 1,
    "pipeline": "shop",
    "timezone": "UTC",
    "calendar": {"table": "raw.days", "date_column": "day", "season_column": "year", "numbers": {"n": "COUNT(*)"}},
    "history_table": "ref.history",
    "workers": {"shop": {"factory": "shop_worker:build"}},
    "queues": {"work": {}},
    "phases": [
        {
            "name": "publish",
            "dispatch": {"worker": "shop", "path": "/publish", "queue": "work"},
            "failure": {"retries": 0},
            "processors": [
                {
                    "name": "orders",
                    "output": {"kind": "object", "path": "v1/orders/{date}.json"},
                    "checks": [{"check": "json_schema", "schema": "exports/orders.schema.json"}],
                }
            ],
        },
        {
            "name": "after",
            "dispatch": {"worker": "shop", "path": "/publish", "queue": "work"},
            "gates": [{"check": "all_succeeded", "phase": "publish"}],
            "processors": [{"name": "notes", "output": {"kind": "object", "path": "v1/notes/{date}.json"}}],
        },
    ],
}
CHECK = PIPELINE["phases"][0]["processors"][0]["checks"][0]


class Shop:
    """A pipeline's folder, its source and its home."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.source, self.home = folder / "shop", folder / "source", folder / "home"
        (self.folder / "exports").mkdir(parents=True)
        self.source.mkdir()
        (self.folder / "shop_worker.py").write_text(WORKER)
        self.schema(json.dumps(SCHEMA))
        self.pipeline(PIPELINE)
        for n, day in enumerate(DAYS):
            self.publishes(day, {"day": day, "orders": n})
        connection = duckdb.connect()
        values = ", ".join(f"(DATE '{day}', '2024')" for day in DAYS)
        connection.execute(
            f"COPY (SELECT * FROM (VALUES {values}) AS s(day, year)) TO '{self.source / 'schedule.parquet'}'"
        )
        connection.close()

    def schema(self, text: str) -> None:
        """Write the schema's file."""
        (self.folder / "exports" / "orders.schema.json").write_text(text)

    def pipeline(self, document: dict[str, Any]) -> None:
        """Write the pipeline file."""
        (self.folder / "pipeline.yaml").write_text(yaml.safe_dump(document))

    def publishes(self, day: str, content: object) -> None:
        """Say what the worker publishes on a date."""
        (self.source / f"{day}.json").write_text(content if isinstance(content, str) else json.dumps(content))

    def run(self) -> tuple[int, dict[str, Any]]:
        """Run all dates; exit status and what ``--json`` says."""
        chosen = ("--pipeline", self.folder / "pipeline.yaml", "--source", self.source, "--season", "2024")
        done = run_command("run", *chosen, "--run-id", "r", "--json", home=self.home)
        return done.returncode, as_json(done)

    def type(self, *words: str) -> str:
        """Type a command; everything that it says."""
        done = run_command(*words, home=self.home)
        return done.stdout + done.stderr


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_objects_that_the_schema_allows_pass(shop: Shop) -> None:
    status, document = shop.run()
    assert (status, document["status"]) == (0, "completed")
    assert document["tasks"]["expected"] == 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"day": "2024-03-02", "orders": -1}, "at $.orders: -1 is less than the minimum of 0"),
        ({"day": "2nd of March", "orders": "x"}, "at $.day: '2nd of March' is not a 'date' (and 1 more)"),
        ("{", "is no JSON: "),
        ('{"day": "2024-03-02", "orders": NaN}', "is no JSON: NaN is no number of JSON"),
    ],
)
def test_a_date_whose_object_it_does_not_allow_goes_no_further(shop: Shop, content: object, said: str) -> None:
    shop.publishes(DAYS[1], content)
    status, document = shop.run()
    assert status == 1
    assert document["tasks"]["succeeded"] == 4
    explained = shop.type("explain", "r", DAYS[1])
    assert said in " ".join(explained.split())
    assert "json_schema" in explained
    assert not (shop.home / "objects" / "v1" / "notes" / f"{DAYS[1]}.json").exists()


def test_an_object_that_the_library_cannot_take_blocks_its_own_date_alone(shop: Shop) -> None:
    shop.schema('{"$ref": "#/$defs/deep", "$defs": {"deep": {"items": {"$ref": "#/$defs/deep"}, "multipleOf": 0.5}}}')
    shop.publishes(DAYS[0], "[" * 400 + "]" * 400)
    shop.publishes(DAYS[1], "1e400")
    status, document = shop.run()
    assert (status, document["tasks"]["succeeded"]) == (1, 2)
    assert "cannot be held against the schema" in shop.type("explain", "r", DAYS[0])
    assert "is no JSON: 1e400 is too large a number" in shop.type("explain", "r", DAYS[1])


def test_a_mended_object_lets_its_date_go_on(shop: Shop) -> None:
    shop.publishes(DAYS[1], {"orders": 1})
    assert shop.run()[0] == 1
    shop.publishes(DAYS[1], {"day": DAYS[1], "orders": 1})
    shop.type("retry", "r")
    status = as_json(run_command("status", "r", "--json", home=shop.home))
    assert (status["status"], status["tasks"]["succeeded"]) == ("completed", 6)


def test_a_waiver_lets_it_pass(shop: Shop) -> None:
    shop.publishes(DAYS[1], {"orders": 1})
    assert shop.run()[0] == 1
    ends = ("--until", "2099-12-31", "--why", "known")
    shop.type("waive", "r", "--date", DAYS[1], "--check", "json_schema", *ends)
    assert as_json(run_command("status", "r", "--json", home=shop.home))["tasks"]["succeeded"] == 6


def test_a_check_that_only_warns_holds_nothing_back(shop: Shop) -> None:
    document = json.loads(json.dumps(PIPELINE))
    document["phases"][0]["processors"][0]["checks"][0]["severity"] = "warn"
    shop.pipeline(document)
    shop.publishes(DAYS[1], {"orders": 1})
    assert shop.run()[0] == 0


def test_a_report_reads_the_objects_again(shop: Shop) -> None:
    assert shop.run()[0] == 0
    spoiled = shop.home / "objects" / "v1" / "orders" / f"{DAYS[2]}.json"
    spoiled.write_text('{"day": "2024-03-03"}')
    shop.type("verify", "r")
    report = json.loads((shop.home / "reports" / "r" / "report.json").read_text())
    (finding,) = report["findings"]
    assert (finding["date"], finding["processor"], report["agrees"]) == (DAYS[2], "orders", False)
    assert "at $: 'orders' is a required property" in finding["detail"]
    assert finding["query"] in [query["name"] for query in report["queries"]]


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        (None, "orders.schema.json: there is no such file"),
        ("{", "is no JSON"),
        ("[]", "is no JSON Schema: an object is wanted, not a list"),
        ('{"type": "number of orders"}', "is no JSON Schema: at $.type: "),
        ('{"$ref": "#/$defs/count"}', "refers to what is not there"),
        ('{"$ref": "#"}', "refers to itself without end"),
        ('{"$schema": 5}', "`$schema` names the draft"),
        ('{"properties": {"a": {"$id": "http://x/y", "$ref": "#/$defs/q"}}, "$defs": {"q": {}}}', "has an `$id` below"),
        ('{"$dynamicRef": "https://example.com/orders.json"}', "nothing is fetched"),
        (
            '{"$ref": "https://example.com/orders.json"}',
            "refers to https://example.com/orders.json; nothing is fetched",
        ),
    ],
)
def test_a_schema_that_is_none_is_refused_with_its_place(shop: Shop, schema: str | None, said: str) -> None:
    if schema is None:
        (shop.folder / "exports" / "orders.schema.json").unlink()
    else:
        shop.schema(schema)
    done = run_command("check", "--pipeline", shop.folder / "pipeline.yaml", home=shop.home)
    assert done.returncode == 2
    assert "phases[0].processors[0].checks[0].schema: exports/orders.schema.json" in done.stderr
    assert said in done.stderr
    assert not shop.home.exists()


@pytest.mark.parametrize(
    ("at", "checks", "said"),
    [
        ("processor", [{"check": "rows", "exactly": 1}], "'rows' reads a table, and this processor writes none"),
        ("phase", [CHECK], "'json_schema' is about one object; write it with the processor that makes it"),
        ("table", [CHECK], "'json_schema' reads an object, and this processor writes none"),
        ("processor", [CHECK | {"schema": "../orders.json"}], "checks[0].schema: "),
    ],
)
def test_a_check_in_the_wrong_place_is_refused(shop: Shop, at: str, checks: list[dict[str, Any]], said: str) -> None:
    document = json.loads(json.dumps(PIPELINE))
    processor = document["phases"][0]["processors"][0]
    if at == "table":
        processor["output"] = {"kind": "table", "table": "a.b", "date_column": "d", "keys": ["k"]}
    (document["phases"][0] if at == "phase" else processor)["checks"] = checks
    shop.pipeline(document)
    done = run_command("check", "--pipeline", shop.folder / "pipeline.yaml", home=shop.home)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
