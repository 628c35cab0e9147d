"""Objects that are published once (`destructive: when_present`): what another run has published is not replaced unless
somebody names it; what a run has published itself it may replace."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import as_json, run_command
from tests.endtoend.test_json_schema import DAYS, PIPELINE, Shop

ORDERS = "publish/orders"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.pipeline(once(PIPELINE))
    return made


def once(document: dict[str, Any]) -> dict[str, Any]:
    """The pipeline, whose first object is published once."""
    changed: dict[str, Any] = json.loads(json.dumps(document))
    changed["phases"][0]["processors"][0]["destructive"] = "when_present"
    changed["phases"][1]["processors"][0]["reads_same_date"] = (
        False  # An object that nobody reads is made whenever it is missing.
    )
    return changed


def again(shop: Shop, command: str, *more: str) -> tuple[int, str]:
    """Type a command for all dates; exit status and all that it says."""
    chosen = ("--pipeline", shop.folder / "pipeline.yaml", "--source", shop.source, "--season", "2024")
    done = run_command(command, *chosen, *more, home=shop.home)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def published(shop: Shop, day: str) -> dict[str, Any]:
    """The object of a date."""
    found: dict[str, Any] = json.loads((shop.home / "objects" / "v1" / "orders" / f"{day}.json").read_text())
    return found


def test_what_another_run_has_published_is_refused_and_nothing_is_written(shop: Shop) -> None:
    assert shop.run()[0] == 0
    shop.publishes(DAYS[0], {"day": DAYS[0], "orders": 99})
    status, said = again(shop, "run", "--reprocess", "all")
    assert status == 2
    assert f"FAIL published {ORDERS}: {','.join(DAYS)}: published by another run" in said
    assert f"--allow-destructive {ORDERS}" in said
    assert published(shop, DAYS[0])["orders"] == 0
    assert len(as_json(run_command("runs", "--json", home=shop.home))) == 1


def test_it_is_replaced_when_it_is_named(shop: Shop) -> None:
    assert shop.run()[0] == 0
    shop.publishes(DAYS[0], {"day": DAYS[0], "orders": 99})
    assert again(shop, "run", "--reprocess", "all", "--allow-destructive", ORDERS)[0] == 0
    assert published(shop, DAYS[0])["orders"] == 99


def test_what_stands_is_no_reason_to_refuse_what_is_missing(shop: Shop) -> None:
    assert shop.run()[0] == 0
    (shop.home / "objects" / "v1" / "orders" / f"{DAYS[1]}.json").unlink()
    assert again(shop, "run")[0] == 0
    assert published(shop, DAYS[1])["orders"] == 1


def test_a_spoiled_object_is_another_runs_too(shop: Shop) -> None:
    assert shop.run()[0] == 0
    (shop.home / "objects" / "v1" / "orders" / f"{DAYS[1]}.json").write_text("{}")
    status, said = again(shop, "run")
    assert (status, f"{ORDERS}: {DAYS[1]}: published by another run" in said) == (2, True), said
    assert again(shop, "run", "--allow-destructive", ORDERS)[0] == 0
    assert published(shop, DAYS[1])["orders"] == 1


def test_a_run_replaces_what_it_has_published_itself(shop: Shop) -> None:
    shop.publishes(DAYS[1], {"orders": 1})
    assert shop.run()[0] == 1
    shop.publishes(DAYS[1], {"day": DAYS[1], "orders": 7})
    shop.type("retry", "r")
    assert published(shop, DAYS[1])["orders"] == 7
    assert as_json(run_command("status", "r", "--json", home=shop.home))["status"] == "completed"


def test_beside_another_run_every_date_has_to_be_named(shop: Shop) -> None:
    status, said = again(shop, "run", "--alongside")
    assert (status, f"{ORDERS}: {','.join(DAYS)}: may be published by the other run" in said) == (2, True), said
    assert again(shop, "run", "--alongside", "--allow-destructive", "orders")[0] == 0


def test_a_plan_says_what_a_start_would_refuse(shop: Shop) -> None:
    assert shop.run()[0] == 0
    assert f"FAIL published {ORDERS}: " in again(shop, "plan", "--reprocess", "all")[1]
    assert "published" not in again(shop, "plan")[1]


def test_a_table_cannot_be_published_once(shop: Shop) -> None:
    document = once(PIPELINE)
    processor = document["phases"][0]["processors"][0]
    processor["output"] = {"kind": "table", "table": "a.b", "date_column": "d", "keys": ["k"]}
    processor["checks"] = []
    shop.pipeline(document)
    done = run_command("check", "--pipeline", shop.folder / "pipeline.yaml", home=shop.home)
    assert done.returncode == 2
    assert "processors[0].destructive: 'when_present' is about objects" in done.stderr


def test_a_repair_names_what_it_would_replace(shop: Shop) -> None:
    """What a shown repair prints does it."""
    assert shop.run()[0] == 0
    (shop.home / "objects" / "v1" / "orders" / f"{DAYS[1]}.json").write_text("{}")
    shown = shop.type("repair", "r")
    assert f"--allow-destructive {ORDERS}" in " ".join(shown.split())
    status = run_command("repair", "r", "--allow-destructive", ORDERS, "--yes", home=shop.home).returncode
    assert (status, published(shop, DAYS[1])["orders"]) == (0, 1)


def test_a_folder_that_may_not_be_read_is_told(shop: Shop) -> None:
    assert shop.run()[0] == 0
    taken = shop.home / "objects" / "v1" / "orders" / f"{DAYS[1]}.json"
    taken.unlink()
    taken.mkdir()
    shop.type("verify", "r")
    report = json.loads((shop.home / "reports" / "r" / "report.json").read_text())
    assert not report["agrees"]
