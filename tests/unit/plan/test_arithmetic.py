"""Arithmetic over a date's numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.domain.spec.arithmetic import ArithmeticProblem, evaluate, names_in


@pytest.mark.parametrize(
    ("expression", "value"),
    [("7", 7), ("games", 8), ("2 * games", 16), ("2 * (games - 1) + teams", 44), ("games * teams", 240)],
)
def test_an_expression_has_the_value_that_arithmetic_gives_it(expression: str, value: int) -> None:
    assert evaluate(expression, {"games": 8, "teams": 30}) == value


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_operators_bind_as_in_mathematics(a: int, b: int, c: int) -> None:
    assert evaluate("a + b * c - a", {"a": a, "b": b, "c": c}) == b * c


def test_the_names_of_an_expression_are_those_it_refers_to() -> None:
    assert names_in("2 * (games + teams) - games") == {"games", "teams"}


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "2 *",
        "games / 2",
        "games ** 9",
        "1.5 * games",
        "'games'",
        "True",
        "len(games)",
        "games.real",
        "games[0]",
        "games if games else 1",
        "games < 3",
        "__import__('os')",
        "lambda: 1",
        "games; games",
        "a := 1",
        "\0",
    ],
)
def test_what_is_not_plain_arithmetic_is_refused_with_what_is_allowed(expression: str) -> None:
    with pytest.raises(ArithmeticProblem, match=r"is not arithmetic \(use integers, names, \+ - \* and brackets\)"):
        names_in(expression)


@pytest.mark.parametrize("expression", ["(" * 10_000, "1" + "+1" * 20_000, "9" * 10_000], ids=["deep", "long", "huge"])
def test_an_expression_beyond_all_measure_is_refused_and_no_crash(expression: str) -> None:
    with pytest.raises(ArithmeticProblem):
        names_in(expression)


def test_a_number_that_the_date_does_not_have_is_named() -> None:
    with pytest.raises(ArithmeticProblem, match="'2 \\* players': no number 'players' for this date"):
        evaluate("2 * players", {"games": 8})
