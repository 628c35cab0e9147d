"""The first statements of a process are read whole, also when several threads come at once."""

import subprocess
import sys

import pytest

PROGRAM = """
import importlib
import threading

import sqlglot.dialects.dialect as dialect

FIRST = "SELECT `a` AS b, 1.5 AS c FROM `raw.a` WHERE d = @d"
SECOND = "SELECT `d` AS e FROM `raw.b` WHERE x IN UNNEST(@x)"
STATEMENTS = {{"first": FIRST, "second": SECOND}}
made, found, threads = dialect.new_trie, set(), []


def read(name):
    function = importlib.import_module("{module}").{function}
    return name, str(getattr(function, "__wrapped__", function)(STATEMENTS[name]))


def once(name):
    try:
        found.add(read(name))
    except Exception as error:
        found.add((name, type(error).__name__))


def made_while_others_read(words):
    # A dialect makes these while its class is registered and not complete. Who has to wait for that, waits.
    for name in STATEMENTS:
        threads.append(threading.Thread(target=once, args=(name,)))
        threads[-1].start()
        threads[-1].join(0.05)
    return made(words)


dialect.new_trie = made_while_others_read
expected = {{read(name) for name in STATEMENTS}}
[thread.join() for thread in threads]
assert threads and found == expected, (found, expected)
"""
"""Has threads read two statements at the moments at which a dialect is half made."""


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
