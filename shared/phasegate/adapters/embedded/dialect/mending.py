"""What DuckDB, or sqlglot's translation for it, understands otherwise than BigQuery is mended on the syntax tree.

A rule takes one node, whose parts are mended already, and returns what stands in its place, or None. It may ask for the
type of any part: types are those of BigQuery, and known before the first rule is asked. Much of what rules write are
calls of the macros in ``functions.sql``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB

from phasegate.adapters.embedded.dialect.known import refusal
from phasegate.domain.errors import StatementRefused

Type = exp.DType
WHOLE = frozenset({Type.BIGINT, Type.INT, Type.SMALLINT, Type.TINYINT})
FLOAT = frozenset({Type.DOUBLE, Type.FLOAT})
DECIMAL = frozenset({Type.DECIMAL, Type.BIGDECIMAL})
NUMBER = WHOLE | FLOAT | DECIMAL
TEXT = frozenset({Type.VARCHAR, Type.TEXT})
INSTANT = frozenset({Type.TIMESTAMPTZ})
WALL_CLOCK = frozenset({Type.DATETIME, Type.TIMESTAMP, Type.TIMESTAMPNTZ})

_FAMILIES = {
    "a number": NUMBER,
    "a text": TEXT,
    "a BOOL": frozenset({Type.BOOLEAN}),
    "a DATE": frozenset({Type.DATE}),
    "a TIME": frozenset({Type.TIME}),
    "a DATETIME": WALL_CLOCK,
    "a TIMESTAMP": INSTANT,
    "BYTES": frozenset({Type.BINARY, Type.VARBINARY}),
}

Mend = Callable[[exp.Expr], exp.Expr | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One difference, mended."""

    name: str
    """What it is about: the name of its function."""

    mend: Mend
    """Returns what stands in a node's place; None: the node is right as it is."""


LEAVES_YEARS = "leaves the years 1 to 9999"
"""The mark of a part that may be a point in time beyond those."""

RULES: dict[type[exp.Expr], list[Rule]] = {}
"""The rules by the kind of node that they look at, in the order in which they are asked; the first answer counts."""


def mends(*kinds: type[exp.Expr]) -> Callable[[Mend], Mend]:
    """Make a function a rule for these kinds of nodes."""

    def register(mend: Mend) -> Mend:
        for kind in kinds:
            RULES.setdefault(kind, []).append(Rule(mend.__name__, mend))
        return mend

    return register


def mended(tree: exp.Expr) -> exp.Expr:
    """Ask the rules about every node of a tree with types, from the leaves to the root; the tree is changed.

    Raises StatementRefused, with the place of the node, where a rule refuses it.
    """
    for node in reversed(list(tree.bfs())):
        new = _mended(node)
        if LEAVES_YEARS in node.meta:
            new = call("as_date" if kind(node) == Type.DATE else "in_years", new or node)
        if new is None or new is node:
            continue
        new.type = node.type
        if node.parent is None:
            tree = new
        else:
            node.replace(_as_part(new, node.parent))
    return tree


def _mended(node: exp.Expr) -> exp.Expr | None:
    """Return the answer of the first rule that has one."""
    for rule in RULES.get(type(node), ()):
        try:
            new = rule.mend(node)
        except StatementRefused as error:
            raise error if error.line is not None else refusal(node, error.sentence, kind=type(error)) from error
        if new is not None:
            return new
    return None


def _as_part(new: exp.Expr, parent: exp.Expr) -> exp.Expr:
    """In brackets where operators would else take it apart."""
    if not isinstance(new, exp.Binary | exp.Unary | exp.AtTimeZone) or isinstance(new, exp.Paren | exp.Func):
        return new
    if isinstance(parent, exp.Select | exp.Alias | exp.Paren):
        return new
    wrapped = exp.paren(new, copy=False)
    wrapped.type = new.type
    return wrapped


def kind(node: exp.Expr | None) -> Type | None:
    """Return the type of a part; None when it is not known."""
    return node.type.this if node is not None and node.type is not None else None


def family(node: exp.Expr) -> str | None:
    """Return what a part is, by its type; types of two families have nothing in common. None when it is not known."""
    return next((name for name, kinds in _FAMILIES.items() if kind(node) in kinds), None)


def call(name: str, *arguments: exp.Expr | str | int | None) -> exp.Expr:
    """Call a macro of ours; texts and numbers are literals."""
    return exp.Anonymous(this=f"bq.{name}", expressions=[_literal(argument) for argument in arguments])


def duckdb(template: str, **parts: exp.Expr) -> exp.Expr:
    """DuckDB's own SQL, in which names that begin with an underscore stand for parts."""
    tree = _template(template).copy()
    for column in list(tree.find_all(exp.Column)):
        if column.name in parts:
            part = parts[column.name].copy()
            plain = isinstance(part, exp.Literal | exp.Column | exp.Func | exp.Paren | exp.Null)
            part = part if plain else exp.paren(part, copy=False)
            if column is tree:
                return part
            column.replace(part)
    return tree


@lru_cache(maxsize=256)
def _template(template: str) -> exp.Expr:
    return sqlglot.parse_one(template, read=DuckDB)


def _literal(value: exp.Expr | str | int | None) -> exp.Expr:
    if isinstance(value, exp.Expr):
        return value.copy()
    if value is None:
        return exp.null()
    return exp.Literal.string(value) if isinstance(value, str) else exp.Literal.number(value)


def literal_text(node: exp.Expr | None) -> str | None:
    """Return the text of a literal; None for anything else."""
    if isinstance(node, exp.RawString) or (isinstance(node, exp.Literal) and node.is_string):
        return node.name
    return None


def number_with_point(node: exp.Expr | None) -> exp.Expr | None:
    """Return the literal of a number with a point, or an exponent, with or without a sign; None for anything else."""
    while isinstance(node, exp.Neg | exp.Paren):
        node = node.this
    return node if isinstance(node, exp.Literal) and not node.is_string and not node.is_int else None


def any_kind(nodes: Iterable[exp.Expr | None], kinds: frozenset[Type]) -> bool:
    """Tell whether one of the parts is of such a type."""
    return any(kind(node) in kinds for node in nodes)


def may_be_nan(node: exp.Expr) -> bool:
    """Tell whether NaN may come out: of a column of FLOAT64, of a text, or of a division that lets it; no parameter is
    NaN (``type_of``)."""
    if kind(node) not in FLOAT:
        return False
    for part in node.walk():
        if isinstance(part, exp.Column) and kind(part) in FLOAT | {Type.UNKNOWN, None}:
            return True
        if (
            isinstance(part, exp.Cast)
            and kind(part) in FLOAT
            and kind(part.this) not in NUMBER
            and not isinstance(part.this, exp.Parameter)
        ):
            return True
        if isinstance(part, exp.Anonymous) and not part.name.lower().startswith("bq."):
            return True
    return False
