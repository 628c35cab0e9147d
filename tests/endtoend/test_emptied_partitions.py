"""A source that lost a date takes nothing out of a table, unless a person says so."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.endtoend.test_own_pipeline import PIPELINE, RUN, Shop

LOST = "2024-03-02"
ACCEPT = ("--date", LOST, "--phase", "load", "--processor", "orders", "--accept-empty")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop whose season is done, and whose source has lost a date since."""
    policy = "  - name: load\n    failure: {not_yet_retries: 0, retries: 0}\n"
    named = PIPELINE.replace("      - name: orders\n", "      - name: orders\n        aliases: [p1_orders]\n")
    made = Shop(tmp_path, {"pipeline.yaml": named.replace("  - name: load\n", policy)})
    made.sample()
    assert made.type("run", "--pipeline", str(made.pipeline), *RUN).returncode == 0
    orders = json.loads((made.desk / "source" / "orders.json").read_text())
    (made.desk / "source" / "orders.json").write_text(json.dumps({**orders, LOST: 0}))
    again = ("--source", "source", "--dates", LOST, "--reprocess", "all", "--run-id", "again")
    assert made.type("run", "--pipeline", str(made.pipeline), *again).returncode == 1
    return made


def asked(shop: Shop, sql: str) -> list[tuple[Any, ...]]:
    """Rows of the warehouse."""
    with duckdb.connect(str(shop.desk / ".phasegate" / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def rows(shop: Shop) -> int:
    """How many orders of the date the table holds."""
    return int(asked(shop, f"SELECT COUNT(*) FROM shop_raw.orders WHERE day = '{LOST}'")[0][0])


def test_rows_stay_where_their_source_has_lost_them_and_the_attempt_says_both_numbers(shop: Shop) -> None:
    assert rows(shop) == 9
    why = shop.type("explain", "again").stdout
    held = f"shop_raw.orders of {LOST} holds 9 rows, and this attempt yields 0: nothing was changed"
    assert held in why
    retry = f"phasegate retry again --date {LOST} --phase load"
    assert f"mend the source, then: {retry}; or, if nothing is right there: {retry} --processor orders" in why


def test_a_person_who_accepts_it_empties_the_date_once_and_the_history_has_the_number(shop: Shop) -> None:
    assert shop.type("retry", "again", *ACCEPT, "--why", "the shop was closed").returncode == 1, "rows are expected"
    assert rows(shop) == 0
    messages = asked(shop, "SELECT message FROM shop_ref.history WHERE run_id = 'again' ORDER BY attempt")
    assert any("9 rows of before deleted" in str(message) for (message,) in messages)


def test_a_later_retry_that_does_not_say_so_keeps_the_rows(shop: Shop) -> None:
    assert shop.type("retry", "again", *ACCEPT, "--why", "the shop was closed").returncode == 1
    orders = json.loads((shop.desk / "source" / "orders.json").read_text())
    (shop.desk / "source" / "orders.json").write_text(json.dumps({**orders, LOST: 4}))
    assert shop.type("retry", "again", "--date", LOST, "--processor", "orders").returncode == 1, "nine are expected"
    assert rows(shop) == 4
    (shop.desk / "source" / "orders.json").write_text(json.dumps({**orders, LOST: 0}))
    assert shop.type("retry", "again").returncode == 1
    assert rows(shop) == 4


@pytest.mark.parametrize("name", ["orders", "p1_orders"])
def test_the_wish_is_refused_where_rows_stand_that_nobody_here_wrote(shop: Shop, name: str) -> None:
    with duckdb.connect(str(shop.desk / ".phasegate" / "warehouse.duckdb")) as connection:
        connection.execute(f"UPDATE shop_raw.orders SET _fence = NULL WHERE day = '{LOST}'")
    before = shop.type("status", "again", "--json").stdout
    accept = [name if word == "orders" else word for word in ACCEPT]
    refused = shop.type("retry", "again", *accept, "--why", "the shop was closed")
    assert (refused.returncode, rows(shop)) == (2, 9)
    assert f"shop_raw.orders of {LOST} holds 9 rows without a fence: no attempt wrote them" in refused.stderr
    assert shop.type("status", "again", "--json").stdout == before


@pytest.mark.parametrize("left_out", ["--date", "--processor", "--why"])
def test_the_wish_names_date_processor_and_reason(shop: Shop, left_out: str) -> None:
    words = {"--date": LOST, "--processor": "orders", "--why": "closed"}
    given = [word for flag, value in words.items() if flag != left_out for word in (flag, value)]
    refused = shop.type("retry", "again", "--accept-empty", *given)
    assert (refused.returncode, rows(shop)) == (2, 9)
    assert "--accept-empty deletes rows for good: name --date, --processor and --why as well" in refused.stderr
