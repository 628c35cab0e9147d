"""The two sides that say what a statement means: Google's engine, and the translator with DuckDB."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import duckdb

from phasegate.adapters.embedded.dialect import Translator, connected
from phasegate.adapters.embedded.dialect.functions import reason
from phasegate.domain.errors import InputError
from tests.judge.words import found

ENGINE = Path(sys.prefix) / "judge" / "bin" / "python"
"""The interpreter of the engine's environment, which ``make judge`` makes."""


@dataclass(frozen=True)
class Answer:
    """What one side says of a statement: rows, or why there are none."""

    columns: list[str] = field(default_factory=list)
    """The types of the columns, in BigQuery."""

    rows: list[list[Any]] = field(default_factory=list)
    """The values, as the table of expressions writes them."""

    error: str = ""
    """Why it fails as it runs."""

    refused: str = ""
    """Why it is not run at all."""

    broken: str = ""
    """What broke in the translator, which should have refused the statement."""

    @property
    def fails(self) -> bool:
        """There is no result, not even one without rows."""
        return bool(self.error or self.refused or self.broken)

    def __str__(self) -> str:
        for how in ("error", "refused", "broken"):
            if why := getattr(self, how):
                return f"{how}: {why}"
        return f"{', '.join(self.columns)} {self.rows}"


Side = Callable[[str], Answer]
"""Answers for one statement of BigQuery."""


class EngineGone(Exception):
    """The engine cannot be started, or has ended."""


class There:
    """The engine, in a process that ends with this one; the first start compiles it, which takes a minute or two."""

    def __init__(self, interpreter: Path = ENGINE) -> None:
        if not interpreter.exists():
            raise EngineGone("the engine is not installed: make judge installs it")
        # A session of its own: Ctrl-C is for whoever asks, who then ends it.
        self._process = subprocess.Popen(
            [interpreter, Path(__file__).with_name("engine.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def __call__(self, sql: str) -> Answer:
        """What the engine says. Raises EngineGone when it ends over it."""
        assert self._process.stdin and self._process.stdout
        try:
            print(json.dumps(sql), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            line = ""
        else:
            line = self._process.stdout.readline()
        if not line:
            raise EngineGone(f"the engine ended at: {sql}")
        return Answer(**json.loads(line))


class Here:
    """The project's own side. folding: DuckDB computes constants before it runs a statement, as it does by itself."""

    def __init__(self, folding: bool = True) -> None:
        self._database = duckdb.connect()
        if not folding:
            self._database.execute("PRAGMA disable_optimizer")
        self._translate = Translator(connected(self._database))

    def __call__(self, sql: str) -> Answer:
        """What comes out of the translation."""
        try:
            translated = self._translate(sql).sql
        except InputError as refused:
            return Answer(refused=str(refused))
        except Exception as fault:
            return Answer(broken=f"{type(fault).__name__}: {fault}".partition("\n")[0])
        try:
            return Answer(*found(self._database, translated))
        except (duckdb.Error, InputError) as error:
            return Answer(error=f"{type(error).__name__}: {reason(str(error))}".partition("\n")[0])
