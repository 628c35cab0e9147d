"""The checks of a pipeline file: what is wrong with one is found at load, with its place and remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.spec.pipeline import Pipeline
from tests.unit.pipeline.test_pipeline_file import FETCH, FINAL, SHAPE, Document, first_check, phase, refusal_of
from tests.world import definition

AT = "FILE: phases[2].processors[0].checks[0]"
SOUND = "SELECT d, COUNT(*) > 0 AS ok, 'rows' AS detail FROM shape.left_side WHERE d IN UNNEST(@days) GROUP BY d"


def sql(query: str) -> Callable[[Document], None]:
    """``shape/left`` is checked by a query."""
    return lambda document: first_check(document, check="sql", query=query)


def check(**keys: Any) -> Callable[[Document], None]:
    """``shape/left`` is checked like that."""
    return lambda document: first_check(document, **keys)


def loaded(folder: Path, change: Callable[[Document], object]) -> Pipeline:
    """The world's pipeline, changed and loaded."""
    document = definition()
    change(document)
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(document))
    return load_pipeline(folder / "pipeline.yaml")


WRONG: dict[str, tuple[Callable[[Document], object], str]] = {
    "a range without ends": (check(check="range", column="v"), f"{AT}: give `min`, `max` or both"),
    "a range with its ends crossed": (
        check(check="range", column="v", min=2, max=1),
        f"{AT}: min 2 is above max 1",
    ),
    "a range without a number": (check(check="range", column="v", min=float("nan")), f"{AT}.min: "),
    "a share above one": (check(check="nulls", column="v", at_most=95), f"{AT}.at_most: "),
    "a column that is none": (check(check="nulls", column="v) OR (TRUE"), f"{AT}.column: "),
    "a key that is none": (check(check="duplicates", keys=["k; DROP"]), f"{AT}.keys[0]: "),
    "an unknown severity": (check(check="duplicates", severity="maybe"), f"{AT}.severity: "),
    "coverage of nobody": (
        check(check="coverage", processor="raw/c", keys=["k"]),
        f"{AT}.processor: unknown processor 'raw/c'",
    ),
    "coverage of a later table": (
        check(check="coverage", processor="total", keys=["k"]),
        f"{AT}.processor: unknown processor 'total'",
    ),
    "coverage of no table": (
        check(check="coverage", processor="fetch/a", keys=["k"]),
        f"{AT}.processor: 'fetch/a' writes no table",
    ),
    "a name that is a kind": (
        check(check="nulls", column="v", name="rows"),
        "FILE: phases[2].processors[0].checks: the name 'rows' is a kind of check; choose another",
    ),
    "a name of Phasegate's own": (
        check(check="nulls", column="v", name="proof"),
        "FILE: phases[2].processors[0].checks: the name 'proof' is a verdict of Phasegate's own; choose another",
    ),
    "a name used twice": (
        lambda d: phase(d, SHAPE)["processors"][0].update(
            checks=[{"check": "nulls", "column": column, "name": "known"} for column in "kv"]
        ),
        "FILE: phases[2].processors[0].checks: the name 'known' is used twice",
    ),
    "checks of a phase without tables": (
        lambda d: phase(d, FETCH).update(checks=[{"check": "duplicates"}]),
        "FILE: phases[0].checks: checks read tables, and no processor of this phase writes one",
    ),
    "a wrong check of a phase": (
        lambda d: phase(d, SHAPE).update(checks=[{"check": "range", "column": "v"}]),
        "FILE: phases[2].checks[0]: give `min`, `max` or both",
    ),
    "an approval that nothing comes before": (
        lambda d: phase(d, FINAL).update(gates=[{"check": "approval"}]),
        "FILE: phases[3].gates: no edge leads to 'total'; add a gate (for example all_succeeded)",
    ),
    "a table of the phase that nothing waits for": (
        lambda d: phase(d, SHAPE)["processors"][2]["checks"].append(
            {"check": "coverage", "processor": "left", "keys": ["k"]}
        ),
        "phases[2].processors[2].checks[1].processor: 'ahead' may be judged before 'left' has ended; let it be needed",
    ),
    "a table of a phase that no gate waits for": (
        lambda d: phase(d, FINAL).update(
            gates=[{"check": "lookback", "processors": ["left"], "dates": 2}],
            checks=[{"check": "entities", "key": "k", "processor": "raw/a"}],
        ),
        "phases[3].checks[0].processor: 'total' may be judged before 'raw/a' has ended; add a gate on raw",
    ),
    "a query that is none": (sql("SELEC d FROM x"), f"{AT}.query: "),
    "a query that does not end": (
        sql(f"{SOUND} HAVING ("),
        f"{AT}.query: line 1, column 112: SQL that BigQuery's grammar does not allow",
    ),
    "two statements": (
        sql(f"{SOUND}; {SOUND}"),
        f"{AT}.query: line 1, column 106: expected one SQL statement, found 2",
    ),
    "a semicolon": (sql(f"{SOUND};"), "(write one SELECT, without a semicolon)"),
    "a way out of the brackets": (
        sql(f"{SOUND}) AS x; DELETE FROM raw.a WHERE (TRUE"),
        f"{AT}.query: line 1, column 104: SQL that",
    ),
    "a deletion": (sql("DELETE FROM raw.a WHERE d IN UNNEST(@days)"), f"{AT}.query: a check reads: write one SELECT"),
    "a table that is made": (sql(f"CREATE TABLE x.y AS {SOUND}"), f"{AT}.query: "),
    "a star": (
        sql("SELECT * FROM raw.a WHERE d IN UNNEST(@days)"),
        f"{AT}.query: the SELECT must name the column 'd'",
    ),
    "no verdict": (sql(SOUND.replace("AS ok", "AS fine")), f"{AT}.query: the SELECT must name the column 'ok'"),
    "an unknown parameter": (
        sql(SOUND.replace("@days", "@dates")),
        f"{AT}.query: unknown parameter @dates; known: @days",
    ),
    "no date": (sql("SELECT d, TRUE AS ok, '' AS detail FROM raw.a"), f"{AT}.query: bound it by date"),
    "a division": (
        sql(SOUND.replace("COUNT(*) > 0", "COUNTIF(v > 0) / COUNT(*) > 0")),
        f"{AT}.query: '/' leaves a date that divides by 0 without a verdict; write SAFE_DIVIDE(a, b)",
    ),
    "a whole division": (
        sql(SOUND.replace("COUNT(*) > 0", "DIV(COUNTIF(v > 0), COUNT(*)) > 0")),
        f"{AT}.query: DIV leaves a date that divides by 0 without a verdict; write DIV(a, NULLIF(b, 0))",
    ),
    "a remainder": (
        sql(SOUND.replace("COUNT(*) > 0", "MOD(COUNT(*), COUNTIF(v > 0)) = 0")),
        f"{AT}.query: MOD leaves a date that divides by 0 without a verdict; write MOD(a, NULLIF(b, 0))",
    ),
    "a wrong query of a phase": (
        lambda d: phase(d, SHAPE).update(checks=[{"check": "sql", "query": "SELECT 1"}]),
        "FILE: phases[2].checks[0].query: the SELECT must name the column 'd'",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_check_is_refused_at_load(tmp_path: Path, change: Callable[[Document], object], message: str) -> None:
    assert message in refusal_of(tmp_path, change)


@pytest.mark.parametrize(
    "query",
    [
        SOUND,
        f"{SOUND} -- to the end",
        f"WITH kept AS (SELECT * FROM shape.left_side WHERE d BETWEEN @first AND @last) "
        f"{SOUND.replace('shape.left_side', 'kept')}",
        f"{SOUND} UNION ALL {SOUND}",
        SOUND.replace("COUNT(*) > 0", "COUNT(*) / (2) > SAFE_DIVIDE(1, SUM(v)) + MOD(COUNT(*), NULLIF(SUM(v), 0))"),
    ],
    ids=["plain", "with a comment", "with a subquery", "a union", "divisions that cannot fail"],
)
def test_a_sound_query_is_loaded(tmp_path: Path, query: str) -> None:
    loaded(tmp_path, sql(query))


@pytest.mark.parametrize(
    ("place", "other"),
    [((SHAPE, 1), "left"), ((SHAPE, 0), "right"), ((SHAPE, 2), "raw/b"), ((FINAL, 0), "raw/a")],
    ids=["a need", "the same release group", "the phase before", "a phase before that"],
)
def test_a_check_may_compare_with_what_has_ended(tmp_path: Path, place: tuple[int, int], other: str) -> None:
    compared = {"check": "coverage", "processor": other, "keys": ["k"]}
    loaded(tmp_path, lambda d: phase(d, place[0])["processors"][place[1]]["checks"].append(compared))


def test_a_check_of_a_phase_is_one_of_every_table_in_it(tmp_path: Path) -> None:
    pipeline = loaded(tmp_path, lambda d: phase(d, FINAL).update(checks=[{"check": "duplicates"}]))
    final = pipeline.phase("final")
    assert {x.name: [c.check for c in final.checks_of(x)] for x in final.processors} == {
        "total": ["duplicates", "rows"],
        "note": [],
    }
