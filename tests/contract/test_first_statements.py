"""The first statements of a process are read whole, also when several threads come at once."""

import subprocess
import sys

import pytest

PROGRAM = """
import threading
import time

import sqlglot.dialects.dialect as dialect

made_at_once = dialect.new_trie


def made_slowly(words):
    # A dialect makes these while its class is registered and not complete.
    time.sleep(0.01)
    return made_at_once(words)


dialect.new_trie = made_slowly
from {module} import {function} as read

FIRST = "SELECT `a` AS b, 1.5 AS c FROM `raw.a` WHERE d = @d"
SECOND = "SELECT `d` AS e FROM `raw.b` WHERE x IN UNNEST(@x)"
found = set()


def once(n):
    time.sleep(n * 0.002)
    try:
        found.add((n % 2, str(getattr(read, "__wrapped__", read)(SECOND if n % 2 else FIRST))))
    except Exception as error:
        found.add((n % 2, type(error).__name__))


threads = [threading.Thread(target=once, args=(n,)) for n in range(150)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert found == {{(0, str(read(FIRST))), (1, str(read(SECOND)))}}, found
"""
"""Has many threads read two statements while the dialects are still loaded, which is drawn out."""


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("phasegate.adapters.bigquery_sql", "read_statement"),
        ("phasegate.adapters.embedded.dialect", "translate"),
        ("phasegate.worker.statement", "hash_of_statement"),
    ],
)
def test_threads_that_read_while_a_dialect_is_loaded_read_as_later_ones_do(module: str, function: str) -> None:
    program = PROGRAM.format(module=module, function=function)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
