"""Which SQL means the same in BigQuery and on one machine: ``python -m tests.dialect_page`` writes ``docs/dialect.md``.

The page is made from the table of expressions (``tests/dialect``) and from what the translator says of each.
``tests/contract/test_dialect.py`` fails where it says something else.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from phasegate.adapters.embedded.dialect import Translator
from phasegate.domain.errors import InputError

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "dialect"
PAGE = ROOT / "docs" / "dialect.md"
REFERENCE = "https://cloud.google.com/bigquery/docs/reference/standard-sql"

ROWS: list[dict[str, Any]] = [
    {"subject": file.stem, **row} for file in sorted(TABLE.glob("*.yaml")) for row in yaml.safe_load(file.read_text())
]
"""The table: each row has its subject (the file's name) and what the file says; ``stand_in`` is what BigQuery's
stand-in says where that is something else."""

_TOP = """# SQL: BigQuery's, and the same on one machine

Checks, calendars and processors are written in BigQuery's dialect. On Google Cloud BigQuery runs them as they are.
On one machine they are translated for DuckDB, and a statement means there what it means in BigQuery, or it is
refused by name: with its line and column, and with what to write in its place. Reading a stored plan refuses
nothing.

What this page says is made from a table of {rows:,} expressions (`tests/dialect`), each with the value and the type
that Google documents; Google's published engine (ZetaSQL) says the same of all but {notes} of them, for which the
table names the page that decides. A test runs each through the translator: {equal:,} come out equal, {errors} are
errors there and here, {refused} are refused when they are read and {late} when they run. For each of the {rules}
rules of the translator a further test takes it out and finds the table red.

"""
_OWN = """
## DuckDB's own SQL

`dialect: duckdb` on a `sql` check or on the calendar takes its SQL as it is: nothing is translated, nothing refused for
what it means, and parameters are `$days`, `$first`, `$last`. Embedded mode alone takes it; `plan` says so, and
`--backend gcp` refuses it.

## What no SQL does

Statements read tables of datasets. Functions that read files, a file's name in the place of a table, ATTACH, COPY,
INSTALL, LOAD and settings are refused, and DuckDB may not reach beyond the warehouse's file for any statement.
"""

_TYPES = """## Types

| BigQuery | DuckDB | |
|---|---|---|
| INT64 | BIGINT | literals too; a sum beyond INT64 is an error |
| FLOAT64 | DOUBLE | NaN equals nothing and sorts first; beyond 1.8e308 is an error |
| NUMERIC | DECIMAL(38, 9) | divided to all nine decimals; BIGNUMERIC is refused |
| TIMESTAMP | TIMESTAMPTZ | an instant; sessions run in UTC |
| DATETIME | TIMESTAMP | a wall clock, in no zone |
| ARRAY | a list | in a result NULL is an empty array, and an element that is NULL an error |

"""


def statement(row: dict[str, Any]) -> str:
    """The SELECT of one row."""
    return str(row["query"]) if "query" in row else f"SELECT {row['expression']}"


def page() -> str:
    """The page, as it should be."""
    from phasegate.adapters.embedded.dialect import mending

    here = Counter(str(row.get("here", "error" if "error" in row else "equal")) for row in ROWS)
    parts = [
        _TOP.format(
            rows=len(ROWS),
            notes=sum("note" in row for row in ROWS),
            equal=here["equal"],
            errors=here["error"],
            refused=here["refused"],
            late=here["refused when it runs"],
            rules=len({rule.name for rules in mending.RULES.values() for rule in rules}),
        ),
        _TYPES,
        _functions(),
        _refused(),
        _OWN,
        _stand_in(),
    ]
    return "".join(parts)


def _functions() -> str:
    lines = [
        "## What is in the table\n\n",
        "| Google's page | functions and sections, with the number of their expressions |\n|---|---|\n",
    ]
    pages: dict[str, Counter[str]] = {}
    for row in ROWS:
        if row.get("here") != "refused":
            pages.setdefault(row["page"], Counter())[row["section"]] += 1
    for name, sections in sorted(pages.items()):
        listed = ", ".join(f"{_cell(section)} {count}" for section, count in sorted(sections.items()))
        lines.append(f"| [{name}]({REFERENCE}/{name}) | {listed} |\n")
    return "".join(lines)


def _refused() -> str:
    lines = ["\n## What is refused\n\n", "| for instance | what is said |\n|---|---|\n"]
    said: dict[str, str] = {}
    for row in ROWS:
        if row.get("here") != "refused":
            continue
        try:
            Translator()(statement(row))
        except InputError as error:
            reason = re.sub(r"^line \d+, column \d+: ", "", str(error))
            said.setdefault(reason, str(row.get("expression") or row["query"]))
    lines += [
        f"| `{_cell(example)}` | {_cell(reason)} |\n"
        for reason, example in sorted(said.items(), key=lambda pair: pair[0])
    ]
    lines.append("\nWhen it runs:\n\n")
    lines += [
        f"- `{row.get('expression') or row['query']}`\n" for row in ROWS if row.get("here") == "refused when it runs"
    ]
    lines.append("\nAny other function is refused too: none stands in the table.\n")
    return "".join(lines)


def _stand_in() -> str:
    rows = [row for row in ROWS if "stand_in" in row]
    lines = [
        "\n## Where the stand-in for BigQuery differs\n\n",
        "The [local stack](stack.md)'s stand-in is no judge: here it says something else than Google documents.\n\n",
        "| statement | documented | the stand-in |\n|---|---|---|\n",
    ]
    for row in rows:
        right = "an error" if "error" in row else _documented(row)
        shown = _cell(str(row.get("expression") or row["query"]))
        lines.append(f"| `{shown}` | {_cell(right)} | {_cell(row['stand_in'])} |\n")
    return "".join(lines)


def _documented(row: dict[str, Any]) -> str:
    found = row["values"] if "values" in row else row["value"]
    if found is None:
        return "NULL"
    return f"'{found}'" if row["type"] in ("STRING", "BYTES") else str(found)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
