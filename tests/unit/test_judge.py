"""What compares the translator with Google's engine decides rightly; the engine itself is not needed for that."""

import re
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Self

import pytest

from phasegate.adapters.bigquery_sql import read_statement
from tests.judge import __main__ as command
from tests.judge.comparing import Verdict, compare, verdict
from tests.judge.sides import Answer, EngineGone, Here, There
from tests.judge.statements import Statement, statements

NAN, INFINITY = float("nan"), float("inf")


def value(kind: str, what: Any) -> Answer:
    return Answer([kind], [[what]])


def never(sql: str) -> Answer:
    raise AssertionError(f"asked for {sql}")


def test_the_seed_alone_decides_the_statements() -> None:
    first, again, other = (list(islice(statements(seed), 100)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_reader_takes_every_statement() -> None:
    for statement in islice(statements(1), 200):
        read_statement(statement.sql)


def test_statements_differ_and_most_of_them_come_out() -> None:
    here = Here()
    some = list(islice(statements(3), 200))
    assert len({statement.sql for statement in some}) > 180
    assert sum(not here(statement.sql).fails for statement in some) > 120


@pytest.mark.parametrize(
    ("kind", "there", "here", "equal"),
    [
        ("INT64", 1, 1, True),
        ("INT64", 1, True, False),
        ("BOOL", False, 0, False),
        ("INT64", 1, 1.0, False),
        ("INT64", 9223372036854775807, 9223372036854775806, False),
        ("FLOAT64", NAN, NAN, True),
        ("FLOAT64", NAN, None, False),
        ("FLOAT64", INFINITY, INFINITY, True),
        ("FLOAT64", INFINITY, -INFINITY, False),
        ("FLOAT64", INFINITY, 1.7e308, False),
        ("FLOAT64", 0.3, 0.30000000000000004, True),
        ("FLOAT64", 0.3, 0.3000000000001, False),
        ("NUMERIC", "0.000000001", "0.000000001", True),
        ("NUMERIC", "0.000000001", "0.000000002", False),
        ("NUMERIC", "1", 1, False),
        ("ARRAY<INT64>", [1, 2], [1, 2], True),
        ("ARRAY<INT64>", [1, 2], [2, 1], False),
        ("ARRAY<INT64>", [1, 2], [1], False),
        ("ARRAY<FLOAT64>", [NAN], [NAN], True),
        ("ARRAY<INT64>", None, [], True),
        ("ARRAY<INT64>", [], None, True),
        ("INT64", None, None, True),
        ("INT64", None, 0, False),
    ],
)
def test_values_are_compared_by_type_and_to_the_last_digits(kind: str, there: Any, here: Any, equal: bool) -> None:
    found = verdict(Statement("SELECT 1"), value(kind, there), value(kind, here), never)
    assert found is (Verdict.EQUAL if equal else Verdict.DIFFERENT)


def test_types_are_compared_where_there_is_a_value() -> None:
    statement, day = Statement("SELECT 1"), "2024-01-31"
    assert verdict(statement, value("DATE", day), value("STRING", day), never) is Verdict.DIFFERENT
    assert verdict(statement, value("DATE", None), value("STRING", None), never) is Verdict.EQUAL


def test_what_is_made_of_squares_is_less_exact() -> None:
    answers = value("FLOAT64", 1.0), value("FLOAT64", 1.0000000001)
    assert verdict(Statement("SELECT VAR_POP(x) FROM t"), *answers, never) is Verdict.EQUAL
    assert verdict(Statement("SELECT SUM(x) FROM t"), *answers, never) is Verdict.DIFFERENT


def test_rows_have_an_order_only_where_the_statement_gives_one() -> None:
    there, here = (Answer(["FLOAT64"], [[each] for each in order]) for order in ([1.5, None, NAN], [NAN, 1.5, None]))
    assert verdict(Statement("SELECT 1"), there, here, never) is Verdict.EQUAL
    assert verdict(Statement("SELECT 1", ordered=True), there, here, never) is Verdict.DIFFERENT
    assert verdict(Statement("SELECT 1"), there, Answer(["FLOAT64"], [[1.5], [None]]), never) is Verdict.DIFFERENT


ONE, TWO, NULL = value("INT64", 1), value("INT64", 2), value("INT64", None)
ERROR, REFUSED = Answer(error="division by zero"), Answer(refused="syntax error")
BROKEN = Answer(broken="KeyError: 'x'")
CASES = {
    "equal": (ONE, ONE, ONE, Verdict.EQUAL),
    "no rows": (Answer(["INT64"]), Answer(["INT64"]), ONE, Verdict.EQUAL),
    "different": (ONE, TWO, TWO, Verdict.DIFFERENT),
    "value here": (ERROR, ONE, ONE, Verdict.VALUE_HERE),
    "no rows here": (ERROR, Answer(["INT64"]), ONE, Verdict.VALUE_HERE),
    "folded": (ERROR, ONE, ERROR, Verdict.FOLDED),
    "null here": (ERROR, NULL, NULL, Verdict.NULL_HERE),
    "both errors": (ERROR, ERROR, ONE, Verdict.BOTH_FAIL),
    "both refusals": (REFUSED, REFUSED, ONE, Verdict.BOTH_FAIL),
    "refused here": (ONE, REFUSED, ONE, Verdict.REFUSED_HERE),
    "refused there": (REFUSED, ONE, ONE, Verdict.REFUSED_THERE),
    "broken here": (ONE, BROKEN, BROKEN, Verdict.BROKEN_HERE),
    "error here": (ONE, ERROR, ONE, Verdict.ERROR_HERE),
}


def side(which: int) -> Callable[[str], Answer]:
    return lambda sql: CASES[sql.removeprefix("SELECT ").strip("'")][which]  # type: ignore[return-value]


def test_every_kind_is_counted_and_each_fault_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    counts = compare([Statement(f"SELECT '{name}'") for name in CASES], side(0), side(1), side(2))
    assert counts == Counter(case[3] for case in CASES.values())
    assert capsys.readouterr().out.splitlines() == [
        *("SELECT 'different'", "  there: INT64 [[1]]", "  here:  INT64 [[2]]"),
        *("SELECT 'value here'", "  there: error: division by zero", "  here:  INT64 [[1]]"),
        *("SELECT 'no rows here'", "  there: error: division by zero", "  here:  INT64 []"),
        *("SELECT 'broken here'", "  there: INT64 [[1]]", "  here:  broken: KeyError: 'x'"),
    ]


def test_a_translator_that_breaks_is_no_end_of_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Here()
    monkeypatch.setattr(here, "_translate", {}.__getitem__)
    assert here("x") == Answer(broken="KeyError: 'x'")


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT IF(NULLIF(d, d) < DATE(2024, -1, 5), 1, 2) FROM (SELECT DATE '2024-01-31' AS d)", Verdict.FOLDED),
        (
            "SELECT IF(TRUE, 1, DATE_DIFF(DATE(2024, -1, 5), d, DAY)) FROM (SELECT DATE '2024-01-31' AS d)",
            Verdict.VALUE_HERE,
        ),
    ],
)
def test_what_is_left_out_beside_a_null_is_known_and_what_is_not_chosen_is_not(sql: str, found: Verdict) -> None:
    assert verdict(Statement(sql), ERROR, Here()(sql), Here(folding=False)) is found


def test_rows_of_a_query_have_an_order_that_it_says_itself() -> None:
    some = list(islice(statements(1), 300))
    assert {statement.ordered for statement in some} == {True, False}
    for statement in some:
        assert statement.ordered == bool(re.search(r"ORDER BY [^()]*$", statement.sql))


class Fake:
    """An engine that says what it is told."""

    says: Callable[[str], Answer] = staticmethod(Here())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, sql: str) -> Answer:
        return self.says(sql)


def test_the_exit_status_says_whether_anything_is_silently_different(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "There", Fake)
    assert command.main(["--statements", "20"]) == 0
    assert capsys.readouterr().out.startswith("seed 1, 20 statements:\n")
    monkeypatch.setattr(Fake, "says", staticmethod(lambda sql: value("STRING", "something else")))
    assert command.main(["--statements", "20"]) == 1
    assert "  there: STRING [['something else']]" in capsys.readouterr().out


def test_one_statement_or_expression_is_shown_as_both_sides_see_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "There", Fake)
    assert command.main(["SELECT NUMERIC '1.50'", "DATE '2024-01-31'", "1 / 0"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        *("SELECT NUMERIC '1.50'", "  there: NUMERIC [['1.5']]", "  here:  NUMERIC [['1.5']]"),
        *("SELECT DATE '2024-01-31'", "  there: DATE [['2024-01-31']]", "  here:  DATE [['2024-01-31']]"),
        *(
            "SELECT 1 / 0",
            *(f"  {where} error: ConversionException: division by zero" for where in ("there:", "here: ")),
        ),
    ]


@pytest.mark.parametrize(
    "words", [["--statements", "0"], ["--statements", "many"], ["--seed", "x"], ["--minutes", "1"]]
)
def test_bad_options_are_refused_in_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_without_its_environment_the_engine_is_missed_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "There", lambda: There(Path("nowhere")))
    assert command.main([]) == 2
    assert capsys.readouterr().err == "the engine is not installed: make judge installs it\n"


def test_an_engine_that_ends_is_named_with_the_statement(tmp_path: Path) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text('#!/bin/sh\nread asked\necho \'{"columns": ["INT64"], "rows": [[1]]}\'\n')
    interpreter.chmod(0o755)
    with There(interpreter) as there:
        assert there("SELECT 1") == ONE
        with pytest.raises(EngineGone, match="the engine ended at: SELECT 2"):
            there("SELECT 2")
