"""SQL that is wrong, typed as a user types it: status 2, where it stands, what to write, and nothing written."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.endtoend.test_sql_processors import FILES, RUN, Shop

LARGE = "sql/large.sql"
AT_LARGE = "pipeline.yaml:33:9: "
FROM = "FROM `shop_raw.orders`\nWHERE day = @d"
PIPELINE = FILES["pipeline.yaml"]


def selecting(text: str | bytes | None, name: str = LARGE) -> dict[str, str | bytes | None]:
    """A file of a processor with another text; None: it is not there."""
    return {name: text}


def naming(file: str) -> dict[str, str | bytes | None]:
    """The processor names another file."""
    return {"pipeline.yaml": PIPELINE.replace(LARGE, file)}


def checking(*, column: str = "COUNT(*) > 0", among: str = "IN UNNEST(@days)", end: str = "") -> dict[str, str]:
    """The orders have a check of their own, in four lines that begin at line 25."""
    lines = [f"SELECT day, {column} AS ok, 'x' AS detail", "FROM `shop_raw.orders`", f"WHERE day {among}"]
    query = "".join(f"              {line}\n" for line in [*lines, f"GROUP BY day{end}"])
    check = f"        checks:\n          - check: sql\n            name: own\n            query: |\n{query}"
    return {"pipeline.yaml": PIPELINE.replace('        checks: [{check: rows, exactly: "3"}]\n', check)}


def leaving_out(condition: str) -> dict[str, str]:
    """The calendar has a condition, on line 8."""
    key = f"  condition: {condition}\n"
    return {"pipeline.yaml": PIPELINE.replace("  numbers: {orders", f"{key}  numbers: {{orders")}


CASES: dict[str, tuple[Mapping[str, str | bytes | None], tuple[str, ...]]] = {
    "a SELECT with a word too many": (
        selecting(f"SELECT day, n\n{FROM} AND AND n > 1"),
        (AT_LARGE, "sql/large.sql:3:20: is not in BigQuery's grammar: a part is missing at 'AND'"),
    ),
    "a SELECT with a comma too many": (
        selecting(f"SELECT day,, n {FROM}"),
        (AT_LARGE, "sql/large.sql:1:12: is not in BigQuery's grammar: ',' is not expected here"),
    ),
    "a SELECT with a sign too many": (
        selecting(f"SELECT day, n {FROM} AND n > > 1"),
        ("sql/large.sql:2:24: is not in BigQuery's grammar: '>' is not expected here",),
    ),
    "a bracket that stays open": (
        selecting(f"SELECT day, COUNT(n AS n {FROM}"),
        ("sql/large.sql:1:21: is not in BigQuery's grammar: a ) is missing at 'AS'",),
    ),
    "a text that stays open": (
        selecting(f"SELECT day, n {FROM} AND 'it''s > n"),
        ("sql/large.sql:2:", "the text that begins here has no end: write ' behind it"),
    ),
    "a comment that stays open": (
        selecting(f"SELECT day, n {FROM} /* the date"),
        ("sql/large.sql:2:16: ", "the comment that begins here has no end: write */ behind it"),
    ),
    "a function outside the table": (
        selecting(f"SELECT day,\n  FARM_FINGERPRINT('x') AS n {FROM}"),
        (AT_LARGE, "sql/large.sql:2:3: FARM_FINGERPRINT is not translated for DuckDB; write TO_HEX(MD5(…))"),
    ),
    "a number beside a date": (
        selecting(f"SELECT day, n {FROM} AND n = @d"),
        (AT_LARGE, "sql/large.sql:2:20: a number does not compare with a DATE: n = @d; write a CAST of one"),
    ),
    "a date where a list belongs": (
        selecting("SELECT day, n FROM `shop_raw.orders` WHERE day IN UNNEST(@d)"),
        ("sql/large.sql:1:44: UNNEST takes an ARRAY, and @d is a DATE: write =",),
    ),
    "a product with a date": (
        selecting(f"SELECT day, n * @d AS n {FROM}"),
        ("sql/large.sql:1:13: * takes no (INT64, DATE); write a CAST",),
    ),
    "a part of a date": (
        selecting(f"SELECT day, n {FROM} AND SUBSTR(@d, 1, 4) = '2024'"),
        ("sql/large.sql:2:20: SUBSTR takes a STRING, and @d is a DATE: write CAST(… AS STRING)",),
    ),
    "a parameter in quotes": (
        selecting("SELECT day, n FROM `shop_raw.orders` WHERE day = '@d'"),
        ("sql/large.sql:1:44: '@d' is no DATE: write @d without quotes",),
    ),
    "a parameter with another sign": (
        selecting("SELECT day, n FROM `shop_raw.orders` WHERE day = $d"),
        ("sql/large.sql:1:50: parameters begin with @ here: write @d",),
    ),
    "a zone that does not exist": (
        selecting(f"SELECT day, n {FROM} AND EXTRACT(HOUR FROM TIMESTAMP(day) AT TIME ZONE 'CET2') = 3"),
        (AT_LARGE, "sql/large.sql:2:", "there is no time zone 'CET2': write a name such as America/New_York"),
    ),
    "a file that is read": (
        selecting("SELECT @d AS day, 1 AS n, content FROM read_text('notes.txt')"),
        (AT_LARGE, "sql/large.sql:1:40: READ_TEXT reads what is no table", "write dataset.table"),
    ),
    "a file in the place of a table": (
        selecting("SELECT day, n FROM '/etc/passwd'"),
        ("sql/large.sql:1:20: is not in BigQuery's grammar: '/etc/passwd' is no table of a dataset; write ",),
    ),
    "two statements": (
        selecting(f"SELECT day, n {FROM};\nDELETE FROM `shop_raw.orders` WHERE TRUE"),
        (AT_LARGE, "sql/large.sql:3:1: a second statement; write exactly one SELECT"),
    ),
    "a column that the table lacks": (
        selecting("SELECT @d AS day, 1 AS cent", "sql/totals.sql"),
        ("pipeline.yaml:30:9: ", "sql/totals.sql: shop.totals has no column 'cent'; did you mean 'cents'?"),
    ),
    "a column of another type": (
        selecting("SELECT @d AS day, 'many' AS cents", "sql/totals.sql"),
        ("sql/totals.sql: column 'cents' of the SELECT is of type STRING, and that of shop.totals of type FLOAT64",),
    ),
    "a column that Phasegate writes": (
        selecting(f"SELECT * {FROM}"),
        (AT_LARGE, "the column _fence is written by Phasegate; take it out (SELECT * EXCEPT (_fence))"),
    ),
    "a column of what another SELECT makes": (
        selecting(f"SELECT day, n {FROM} AND euros > 3"),
        (AT_LARGE, "sql/large.sql:2:20: there is no column euros"),
    ),
    "a file that is not there": (
        selecting(None),
        (AT_LARGE, "sql/large.sql: there is no such file in ", "write it, or correct the name"),
    ),
    "a file outside the folder": (
        naming("../large.sql"),
        (AT_LARGE, "write a file below the folder of this file, such as sql/totals.sql (given: '../large.sql')"),
    ),
    "a file that is no text": (selecting(b"SELECT '\xe9'"), (AT_LARGE, "is no text in UTF-8", "save it as UTF-8")),
    "a check that does not parse": (
        checking(column="COUNT(* > 0"),
        ("pipeline.yaml:24:13: ", "line 1, column 25: SQL that BigQuery's grammar does not allow: a ) is missing at"),
    ),
    "a check with a function outside the table": (
        checking(column="APPROX_QUANTILES(n, 2) IS NULL"),
        ("pipeline.yaml:25:27: check 'own' of load/orders: ", "APPROX_QUANTILES is not translated for DuckDB; write"),
    ),
    "a check with a list where a date belongs": (
        checking(among="= @days"),
        (
            "pipeline.yaml:27:21: check 'own' of load/orders: ",
            "an ARRAY does not compare with a value: write IN UNNEST",
        ),
    ),
    "a check with a number beside a date": (
        checking(end=" HAVING MAX(n) = MAX(@first)"),
        ("pipeline.yaml:28:", "a number does not compare with a DATE: "),
    ),
    "a check with a zone that does not exist": (
        checking(column="DATE(MAX(TIMESTAMP(day)), 'Europa/Berlin') > '2024-01-01'"),
        ("pipeline.yaml:25:27: ", "there is no time zone 'Europa/Berlin': write a name"),
    ),
    "a check of two statements": (
        checking(end="; SELECT 1"),
        ("pipeline.yaml:24:13: ", "line 4, column 15: expected one SQL statement, found 2"),
    ),
    "a check with a comment that stays open": (
        checking(end=" /* end"),
        ("pipeline.yaml:24:13: ", "line 4, column 14: ", "the comment that begins here has no end: write */ behind it"),
    ),
    "a condition with a sign too many": (
        leaving_out("'orders > > 1'"),
        ("pipeline.yaml:8:3: calendar.condition: line 1, column 10: ", "'>' is not expected here"),
    ),
    "a condition that compares with a text": (
        leaving_out("\"orders = 'x'\""),
        (
            "pipeline.yaml:8:15: calendar.condition: ",
            "a number does not compare with a text: orders = 'x'; write a CAST",
        ),
    ),
    "a condition that reads a file": (
        leaving_out("\"day IN (SELECT x FROM read_csv('a.csv'))\""),
        ("pipeline.yaml:8:37: calendar.condition: ", "READ_CSV reads what is no table of the warehouse; write"),
    ),
    "a condition whose comment hides its end": (
        leaving_out('"orders > 1 -- x"'),
        ("pipeline.yaml:8:3: calendar.condition: a comment hides the end: write it behind a # of YAML",),
    ),
}


@pytest.mark.parametrize(("files", "said"), CASES.values(), ids=CASES)
def test_what_is_wrong_is_told_with_its_place_and_nothing_is_written(
    tmp_path: Path, files: Mapping[str, str | bytes | None], said: tuple[str, ...]
) -> None:
    shop = Shop(tmp_path)
    for name, content in files.items():
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    done = shop.type("run", *RUN)
    assert (done.returncode, done.stdout) == (2, "")
    assert [each for each in said if each not in done.stderr] == [], done.stderr
    assert not any(word in done.stderr for word in ("Traceback", "sqlglot", "<class", "Binder Error"))
    assert not (tmp_path / ".phasegate").exists()


@pytest.mark.parametrize("command", ["check", "plan", "preflight", "run", "start"])
def test_every_command_that_plans_refuses_what_a_select_reads_of_another(tmp_path: Path, command: str) -> None:
    files, said = CASES["a column of what another SELECT makes"]
    shop = Shop(tmp_path)
    shop.write(LARGE, str(files[LARGE]))
    done = shop.type(command, *(() if command == "check" else RUN))
    assert done.returncode == 2
    assert all(each in done.stderr for each in said)
    assert not (tmp_path / ".phasegate").exists()


def test_a_comment_at_the_end_hides_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write(LARGE, FILES[LARGE].rstrip() + " -- the large ones")
    for name, text in checking(end=" -- all").items():
        shop.write(name, text)
    assert shop.answer("run", *RUN)["status"] == "completed"
