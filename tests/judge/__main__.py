"""Google's engine judges the translator: ``make judge SEED=1 STATEMENTS=1000``, ``python -m tests.judge 'SELECT …'``.

Random statements are asked of the engine and of the translator with DuckDB. Each one that is silently different, or
breaks the translator, is printed with what it is there and here, and in the end all are counted. Exits with 1 when
there was one. A statement that is named is asked alone: both answers are for whoever adds a row to the table.
"""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice

from tests.judge.comparing import FAULTS, compare
from tests.judge.sides import EngineGone, Here, There
from tests.judge.statements import statements


def main(words: Sequence[str] | None = None) -> int:
    """Compare random statements, or show what both sides say of those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.judge", description=main.__doc__)
    parser.add_argument("sql", nargs="*", help="a statement, or an expression")
    parser.add_argument("--seed", type=int, default=1, help="decides the statements")
    parser.add_argument("--statements", type=int, default=1000, help="how many")
    arguments = parser.parse_args(words)
    if arguments.statements < 1:
        parser.error("--statements: at least one is needed")
    try:
        with There() as there:
            if arguments.sql:
                return show(arguments.sql, there)
            chosen = islice(statements(arguments.seed), arguments.statements)
            counts = compare(chosen, there, Here(), Here(folding=False))
    except EngineGone as gone:
        print(gone, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"seed {arguments.seed}, {arguments.statements} statements:")
    for verdict, count in counts.most_common():
        print(f"  {count:6} {verdict}")
    return 1 if any(counts[verdict] for verdict in FAULTS) else 0


def show(asked: list[str], there: There) -> int:
    """Print what both sides say of each."""
    here = Here()
    for text in asked:
        sql = text if text.lstrip().upper().startswith(("SELECT", "WITH", "(")) else f"SELECT {text}"
        print(f"{sql}\n  there: {there(sql)}\n  here:  {here(sql)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
