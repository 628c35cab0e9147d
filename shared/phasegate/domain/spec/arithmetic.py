"""Arithmetic computes with a date's calendar numbers, as in ``2 * orders``: integers, names, ``+ - *`` and brackets."""

import ast
import operator
from collections.abc import Mapping
from functools import lru_cache

_OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


class ArithmeticProblem(ValueError):
    """The expression is not plain arithmetic, or names a number that is not there."""


def names_in(expression: str) -> set[str]:
    """Return the names that an expression refers to. Raises ArithmeticProblem when it is not plain arithmetic."""
    tree = _parse(expression)
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def evaluate(expression: str, numbers: Mapping[str, int]) -> int:
    """Return the value of an expression. Raises ArithmeticProblem."""
    return _value(_parse(expression).body, expression, numbers)


@lru_cache(maxsize=1024)
def _parse(expression: str) -> ast.Expression:
    try:
        tree = ast.parse(expression, mode="eval")
        _value(tree.body, expression, None)
    except ArithmeticProblem:
        raise
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        # ValueError: a null character, up to Python 3.11.3.
        raise ArithmeticProblem(
            f"'{expression}' is not arithmetic (use integers, names, + - * and brackets)"
        ) from error
    return tree


def _value(node: ast.expr, expression: str, numbers: Mapping[str, int] | None) -> int:
    match node:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return value
        case ast.Name(id=name):
            if numbers is None:
                return 0
            if name not in numbers:
                raise ArithmeticProblem(f"'{expression}': no number '{name}' for this date")
            return numbers[name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
            return int(_OPERATIONS[type(op)](_value(left, expression, numbers), _value(right, expression, numbers)))
        case _:
            raise ArithmeticProblem(f"'{expression}' is not arithmetic (use integers, names, + - * and brackets)")
