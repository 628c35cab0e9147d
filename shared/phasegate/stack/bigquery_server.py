"""The stand-in for BigQuery, made quick: local-bigquery 0.3.2, with tables in a plain DuckDB file, jobs in memory, few
old results, statements that are read and translated once, dry runs that read nothing, and numbers rounded as BigQuery
rounds them.

This file runs in the stand-in's own environment, and takes the words of its command. The stand-in keeps tables in a
DuckLake, of which each statement reads the catalogue several times, and the result of each statement for ever, among
whose columns each statement looks for those of its tables, and so takes longer each time. Nothing that is asked of it
here needs either. It keeps jobs in a table too, and writes and reads a job's document some six times. It reads and
translates a statement for longer than it runs it (a MERGE is six), asks DuckDB's catalogue for each table of it several
times, and is asked the same ones again and again. Before each it looks for temporary tables, and around each for its
result, in lists of all tables and columns that there are.
"""

import functools
import gc
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from duckdb import CatalogException
from local_bigquery import app, cli
from local_bigquery.catalog import metadata, names, row_access, tabledata, tables
from local_bigquery.engine import database, types
from local_bigquery.errors import BigQueryError, not_found
from local_bigquery.jobs import merge, query, runner, store
from local_bigquery.settings import settings
from local_bigquery.sql import rules, script
from local_bigquery.sql.dialect import BigQueryDialect, DuckDBDialect
from local_bigquery.sql.rules.typing import DECIMALS, kind
from sqlglot import exp, parse_one

RESULTS_KEPT, KEPT_SECONDS = 100, 10.0
"""Of so many statements the results can be read, and of every statement for so long: a client reads its own within the
next few, and within seconds on a machine that has much else to do."""

JOBS_KEPT = 5_000

TREES_KEPT = 2_000
"""Of so many statements the tree is kept."""

TEMPORARY_TABLES = "SELECT table_name FROM duckdb_tables() WHERE temporary"
"""What the stand-in asks of a cursor before each statement."""

MOST_PLACES = 15
"""A FLOAT64 has no more decimal places that mean anything."""

ROWS = exp.Query | exp.Insert | exp.Update | exp.Delete | exp.Merge
"""Statements that read or write rows, and change no table."""


def attach(connection: Any, project: str) -> None:
    """Attach the file that holds a project's tables; a new one where there is none."""
    # Statements run beside each other; the few rows of each are not worth a second thread.
    connection.execute("SET threads = 1")
    connection.execute(f"ATTACH IF NOT EXISTS '{settings.data_dir / project}.tables' AS {database.quote(project)}")
    database._attached.add(project)


def projects() -> list[str]:
    """The projects whose tables are attached."""
    return sorted(database._attached)


def forgetting_results(write: Callable[..., bool]) -> Callable[..., bool]:
    """Let what writes a query's rows also drop results that are kept no longer."""
    kept: deque[tuple[float, str]] = deque()
    lock = threading.Lock()

    @functools.wraps(write)
    def written(*words: Any, **options: Any) -> bool:
        is_new = write(*words, **options)
        reference = words[3]
        if reference[1] == tables.RESULTS:
            now, dropped = time.monotonic(), []
            with lock:
                kept.append((now, tables.name(*reference)))
                while len(kept) > RESULTS_KEPT and kept[0][0] <= now - KEPT_SECONDS:
                    dropped.append(kept.popleft()[1])
            for name in dropped:
                database.execute(f"DROP TABLE IF EXISTS {name}")
        return is_new

    return written


def result_columns(project_id: str, dataset_id: str, table_id: str) -> list[Any]:
    """The columns of a statement's result. Raises the stand-in's error where it is not kept (any longer)."""
    with database.cursor() as cursor:
        try:
            relation = cursor.sql(f"SELECT * FROM {tables.name(project_id, dataset_id, table_id)} LIMIT 0")
        except CatalogException:
            raise not_found("Table", names.label(project_id, dataset_id, table_id)) from None
        return [types.field(name, kind) for name, kind in zip(relation.columns, relation.types, strict=True)]


def is_kept(*reference: str) -> bool:
    """Whether a statement's result is kept."""
    try:
        result_columns(*reference)
    except BigQueryError:
        return False
    return True


def of_results(tell: Callable[..., Any], otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """Let this be told of a result by ``tell``, of every other table as before."""

    @functools.wraps(otherwise)
    def told(project_id: str, dataset_id: str, table_id: str) -> Any:
        return (tell if dataset_id == tables.RESULTS else otherwise)(project_id, dataset_id, table_id)

    return told


def ask_results_themselves() -> None:
    """Let nothing be asked of the catalogue about a result: it lists all tables and columns each time."""
    tables.exists = of_results(is_kept, tables.exists)
    tabledata.load = of_results(lambda *_: None, tabledata.load)
    tabledata.columns = of_results(result_columns, tabledata.columns)


class Jobs:
    """Jobs are kept in memory, the newest few thousand of them: a client asks for its own only while it waits."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def save(self, job: Any) -> Any:
        """Keep a job as it is now."""
        self._known[job.jobReference.projectId, job.jobReference.jobId] = job
        # By the threads of several statements at once.
        with suppress(KeyError):
            while len(self._known) > JOBS_KEPT:
                self._known.popitem(last=False)
        return job

    def load(self, project_id: str, job_id: str) -> Any:
        """Return a job; None when there is none."""
        return self._known.get((project_id, job_id))

    def find(
        self,
        project_id: str,
        states: Collection[str] | None = None,
        parent_job_id: str | None = None,
        min_creation_time: int | None = None,
        max_creation_time: int | None = None,
    ) -> list[Any]:
        """Return the jobs of a project and a parent (None: those without), newest first. Times in milliseconds."""
        first, last = min_creation_time or 0, max_creation_time or sys.maxsize
        found = [
            job
            for (project, _), job in self._known.copy().items()
            if project == project_id
            and job.statistics.parentJobId == parent_job_id
            and (states is None or job.status.state in states)
            and first <= int(job.statistics.creationTime) <= last
        ]
        return sorted(found, key=lambda job: (-int(job.statistics.creationTime), job.jobReference.jobId))

    def delete(self, project_id: str, job_id: str) -> None:
        """Delete a job and its children."""
        for job in self.find(project_id, parent_job_id=job_id):
            self._known.pop((project_id, job.jobReference.jobId), None)
        self._known.pop((project_id, job_id), None)


class Trees:
    """The trees of a statement's text are remembered, each with its text as the dialect writes it.

    kinds: those whose trees are; nothing may change one, whoever is given it.
    """

    def __init__(self, parse: Callable[..., list[Any]], kinds: Any) -> None:
        self._parse, self._kinds = parse, kinds
        self._known: dict[str, list[Any]] = {}

    def __call__(self, sql: str) -> list[Any]:
        """Return the trees of a text."""
        if (known := self._known.get(sql)) is not None:
            return known
        trees = self._parse(sql)
        if all(isinstance(tree, self._kinds) for tree in trees):
            for tree in trees:
                tree.meta["written"] = tree.sql(dialect=BigQueryDialect)
            if len(self._known) >= TREES_KEPT:
                self._known = {}
            self._known[sql] = trees
        return trees


class Translations:
    """Translations are remembered until something may have changed a table's columns, or who may see its rows; so are
    the answers of the catalogue that they ask for.

    What a statement leaves in its context is left there again. Those that depend on more than their text and their
    parameters' types are always made anew: in a session, in a script with variables or functions of its own, and
    those that ask for a variable of the system or for a parameter by its place.
    """

    def __init__(self, translate: Callable[..., tuple[str, dict[str, Any]]]) -> None:
        self._translate = translate
        self._known: dict[Any, tuple[str, set[str], set[str], set[Any]]] = {}
        self._answers: dict[Any, Any] = {}

    def asking_once(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """Let the answers of the catalogue to a question be remembered."""

        @functools.wraps(ask)
        def asked(*words: Any) -> Any:
            key = (ask, *(tuple(word) if isinstance(word, list) else word for word in words))
            # Into what was there before the question, as below.
            answers = self._answers
            if key not in answers:
                answers[key] = ask(*words)
            return answers[key]

        return asked

    def __call__(self, tree: Any, context: Any) -> tuple[str, dict[str, Any]]:
        """Translate a statement: its text for DuckDB, and the values of the parameters that it names."""
        written = tree.meta.get("written") or tree.sql(dialect=BigQueryDialect)
        if context.variables or context.functions or context.settings or "@@" in written or "?" in written:
            return self._translate(tree, context)
        types, temporary = tuple(context.parameters.items()), frozenset(context.temporary)
        key = (written, context.project_id, context.dataset_id, types, temporary, row_access.caller.get())
        known = self._known
        if key not in known:
            before = set(context.referenced)
            translated, _ = self._translate(tree, context)
            # Into what was there before the translation: what has been forgotten meanwhile is not known again.
            known[key] = translated, set(context.used), context.temporary - temporary, context.referenced - before
        translated, used, temporary_too, referenced = known[key]
        context.used = set(used)
        context.temporary |= temporary_too
        context.referenced |= referenced
        return translated, {name: context.values[name] for name in used}

    def forget(self) -> None:
        """Forget all of them."""
        self._known, self._answers = {}, {}

    def forgotten_after(self, change: Callable[..., Any], unless: Callable[..., bool]) -> Callable[..., Any]:
        """Let whatever may change a table forget them when it has ended, well or not; not where ``unless`` is true."""

        @functools.wraps(change)
        def changed(*words: Any, **options: Any) -> Any:
            try:
                return change(*words, **options)
            finally:
                if not unless(*words, **options):
                    self.forget()

        return changed


def only_rows(_cursor: Any, tree: Any, _context: Any, _destination: Any, config: Any, *_: Any) -> bool:
    """Whether a statement reads or writes rows, and neither changes a table nor makes one of what it reads."""
    return isinstance(tree, ROWS) and config.destinationTable is None


def read_once() -> None:
    """Let the text of a statement be read once, and of those that a MERGE consists of."""
    script.parse = Trees(script.parse, ROWS)
    parse_one = functools.partial(merge.sqlglot.parse_one, dialect=BigQueryDialect)
    parts = Trees(lambda sql: [parse_one(sql)], exp.Expression)
    merge.sqlglot = SimpleNamespace(parse_one=lambda sql, **_: parts(sql)[0])


def translate_once() -> None:
    """Let statements be translated once, while neither another statement, nor a load, nor the API changes a table."""
    translations = Translations(query.translate)
    query.translate = merge.translate = translations
    once = translations.asking_once
    rules.partitions.database = SimpleNamespace(fetch=once(database.fetch))
    rules.tables.database = SimpleNamespace(objects=once(database.objects), projects=projects)
    rules.tables.metadata = SimpleNamespace(load=once(metadata.load))
    rules.typing.tables = SimpleNamespace(columns=once(tables.columns))
    rules.row_access.row_access = SimpleNamespace(**{**vars(row_access), "secured": once(row_access.secured)})
    query._statement = translations.forgotten_after(query._statement, only_rows)
    runner._handle = translations.forgotten_after(runner._handle, lambda *_: False)

    async def forget_after_changes(request: Any, answer: Callable[..., Any]) -> Any:
        try:
            return await answer(request)
        finally:
            if request.method != "GET" and not request.url.path.endswith(("/queries", "/jobs")):
                translations.forget()

    app.middleware("http")(forget_after_changes)


class New:
    """A cursor on which nobody has made a temporary table yet: DuckDB looks for them through all the tables."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, text: str, params: Any = None) -> Any:
        """Return the relation of a statement."""
        return self._cursor.sql("SELECT NULL LIMIT 0" if text == TEMPORARY_TABLES else text, params=params)


def look_for_no_temporary_tables() -> None:
    """Let a statement outside a session look for none: it is given a cursor of its own."""
    execute = query.execute

    @functools.wraps(execute)
    def executed(cursor: Any, *words: Any, session: Any = None, **options: Any) -> Any:
        return execute(cursor if session else New(cursor), *words, session=session, **options)

    query.execute = executed


class NoRows:
    """A cursor that binds a SELECT, and evaluates none of it."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def sql(self, text: str, params: Any = None) -> Any:
        """Return the relation of a SELECT, without rows."""
        return self._cursor.sql(f"SELECT * FROM ({text}\n) LIMIT 0", params=params)


def dry_runs_read_nothing() -> None:
    """Let a dry run of a SELECT bind it alone, as BigQuery's does: the stand-in's meets values, and fails by them."""
    run = query._run

    @functools.wraps(run)
    def ran(cursor: Any, tree: Any, context: Any, destination: Any, config: Any, dry_run: bool, isolated: bool) -> Any:
        binding = NoRows(cursor) if dry_run and isinstance(tree, exp.Query) else cursor
        return run(binding, tree, context, destination, config, dry_run, isolated)

    query._run = ran


def stored_value_rounded(node: Any, _context: Any) -> Any:
    """``ROUND(x, n)`` of a FLOAT64 by its stored value, as BigQuery has it: ``ROUND(2.675, 2)`` is 2.67.

    DuckDB 1.5.5 rounds ``x * 10 ^ n``, which may be a half where the stored value is none. One that is a half is a
    multiple of ``1 / 2 ^ (n + 1)``, and then that product is exact; any other is written with so many digits.
    """
    places = node.args.get("decimals") if isinstance(node, exp.Round) else None
    if not isinstance(places, exp.Literal) or not places.is_int or kind(node.this) in DECIMALS:
        return node
    n = int(places.name)
    if not 0 < n <= MOST_PLACES or node.args.get("truncate"):
        return node
    case = parse_one(
        f"CASE WHEN (x) * {2 ** (n + 1)} = TRUNC((x) * {2 ** (n + 1)}) THEN ROUND(x, {n}) "
        f"ELSE CAST(PRINTF('%.{n}f', CAST(x AS DOUBLE)) AS DOUBLE) END",
        dialect=DuckDBDialect,
    )
    for x in list(case.find_all(exp.Column)):
        x.replace(node.this.copy())
    return case


def round_as_bigquery() -> None:
    """Let every statement round by the stored value."""
    rules.NODE_RULES.append(stored_value_rounded)


if __name__ == "__main__":
    # DuckDB looks for it at every parameter of every statement, in all folders again; once it is known, it is not.
    sys.modules["pandas"] = None  # type: ignore[assignment]
    database._attach, database.projects = attach, projects
    jobs = Jobs()
    store.save, store.load, store.list_, store.delete = jobs.save, jobs.load, jobs.find, jobs.delete
    tables.write = forgetting_results(tables.write)
    ask_results_themselves()
    look_for_no_temporary_tables()
    dry_runs_read_nothing()
    round_as_bigquery()
    read_once()
    translate_once()
    # What has been imported stays; of what a statement leaves behind little is garbage that has to be looked for.
    gc.freeze()
    gc.set_threshold(20_000)
    cli.main()
