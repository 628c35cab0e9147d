"""The warehouse of a deployment is BigQuery behind the ``Warehouse`` port."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from datetime import date
from io import BytesIO

from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.bigquery import (
    DEFAULT_RETRY,
    Client,
    Dataset,
    LoadJobConfig,
    QueryJob,
    QueryJobConfig,
    SchemaField,
    SourceFormat,
    WriteDisposition,
)
from google.cloud.bigquery.retry import DEFAULT_JOB_RETRY

from phasegate.adapters.bigquery_sql import (
    chosen,
    created_table,
    dates_parameters,
    deletion,
    named_parameters,
    read_script,
)
from phasegate.adapters.gcp.bigquery.errors import explained, may_be_of_a_value, refused
from phasegate.adapters.gcp.bigquery.statements import (
    FENCE,
    FENCES_PARAMETER,
    ROWS_PARAMETER,
    by_requests,
    counting,
    emptying,
    fence_found,
    fences_by_day,
    holding,
    insertion_of_missing,
    is_of_nothing,
    plain_columns,
    quoted,
    replacement,
    rows_of_parameter,
    rows_of_some,
    rows_parameter,
    rows_together,
    sql_type,
    typed,
)
from phasegate.adapters.gcp.http.errors import HTTP_ERRORS
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.adapters.json_lines import RowShape, check_day, first_of_each, json_lines, rows_written, would_empty
from phasegate.domain.checks.question import DuckDbSql
from phasegate.domain.errors import (
    EvaluationError,
    InputError,
    PhasegateError,
    StaleFence,
    StatementRefused,
    TransientError,
)
from phasegate.domain.halves import by_halves
from phasegate.ports import Bound, Parameter, Partition, Partitions, Replaced, Row
from phasegate.telemetry import note_read

CALL_RETRY = DEFAULT_RETRY.with_timeout(60.0)
JOB_RETRY = DEFAULT_JOB_RETRY.with_timeout(120.0)
"""The library's own retries (exponential, jittered) of calls and of failed jobs, bounded in seconds: what still fails
then goes back to its queue, whose backoff is longer. Every statement here may be run again: it replaces, or adds only
what is missing."""

QUESTIONS_AT_ONCE = 8
"""Threads of ``ask``: a query is a second of waiting. Fewer than the client keeps connections."""


class BigQueryWarehouse:
    """The warehouse keeps tables with date partitions in BigQuery.

    client: from ``clients.bigquery_client``. settings: the datasets' location, and the bytes that one statement may
    read before BigQuery refuses it free of charge. labels: of every job, for the bill (``{"phasegate": "prover"}``).

    Thread-safe. Partitions, appended rows and reference tables are written by one statement or one load job each, all
    or nothing. A table takes 25 writing statements in ten seconds and queues 20; a load job only ``replace_table``
    needs, of 1,500 per table and day (https://cloud.google.com/bigquery/quotas, 2026).

    Two writers of a partition that holds rows exclude each other. Of an *empty* one BigQuery lets both insert, and an
    empty partition remembers no fence: there the leases keep writers apart, and the proof counts what they left.
    """

    def __init__(self, client: Client, settings: CloudSettings, *, labels: Mapping[str, str]) -> None:
        self._client, self._settings, self._labels = client, settings, dict(labels)
        self._schemas: dict[str, tuple[SchemaField, ...]] = {}
        self._selected: dict[str, tuple[str, ...]] = {}

    def apply_schema(self, ddl: str) -> None:
        """Create the datasets and tables of a script of ``CREATE TABLE IF NOT EXISTS`` statements.

        Lists what is there first, and runs the script only when something is missing: metadata operations are scarce
        (5 in ten seconds per table). A script that was cut short is finished by the next call.
        """
        tables_by_dataset: dict[str, set[str]] = {}
        for tree in read_script(ddl):
            table = created_table(tree)
            tables_by_dataset.setdefault(table.db, set()).add(table.name)
        with self._errors_explained():
            datasets = {dataset.dataset_id for dataset in self._client.list_datasets(retry=CALL_RETRY)}
            for name in tables_by_dataset.keys() - datasets:
                dataset = Dataset(f"{self._client.project}.{name}")
                dataset.location = self._settings.location
                self._client.create_dataset(dataset, exists_ok=True, retry=CALL_RETRY)
            for name, tables in tables_by_dataset.items():
                held = {table.table_id for table in self._client.list_tables(name, retry=CALL_RETRY)}
                if not tables <= held:
                    self._run(ddl, {})
                    return

    def query(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> list[Row]:
        """Return the rows of one SELECT; timestamps are aware, in UTC. Parameters that it does not name are ignored."""
        _require_own(sql)
        values = chosen(named_parameters(sql), parameters or {})
        with self._errors_explained():
            rows = self._client.query_and_wait(
                sql, job_config=self._config(values), retry=CALL_RETRY, job_retry=JOB_RETRY
            )
            found = [dict(row.items()) for row in rows]
        note_read(rows.total_bytes_processed or 0)
        return found

    def ask(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[list[Row] | PhasegateError]:
        """Return the rows of many SELECTs, several at a time, or the error of each that failed; in the questions'
        order.
        """
        with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
            # What is asked in a thread belongs to whoever asks: a context each, as none is entered twice at once.
            contexts = [copy_context() for _ in questions]
            return list(pool.map(lambda context, question: context.run(self._answer, question), contexts, questions))

    def dry_run(self, questions: Sequence[tuple[str, Mapping[str, Parameter]]]) -> list[Bound]:
        """Have BigQuery bind many SELECTs, several at a time, and run none, which is free; in order, what each would
        yield, or what is wrong with it. Raises TransientError where BigQuery does not answer.
        """
        with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
            return list(pool.map(self._bind, questions))

    def _bind(self, question: tuple[str, Mapping[str, Parameter]]) -> Bound:
        try:
            fields = self._dry_run(*question).schema or ()
        except InputError as error:
            # Rights and credentials are nothing about the statement.
            if error.__cause__ is not None and not isinstance(error.__cause__, BadRequest | NotFound):
                raise
            return refused(error)
        kinds = {field.name: sql_type(field.field_type) for field in fields}
        return {f.name: f"ARRAY<{kinds[f.name]}>" if f.mode == "REPEATED" else kinds[f.name] for f in fields}

    def columns(self, tables: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """Return the SQL types by column of those tables that are there; each is a read of metadata, which is free."""
        names = list(tables)
        with ThreadPoolExecutor(QUESTIONS_AT_ONCE) as pool:
            found = zip(names, pool.map(self._fields_of, names), strict=True)
            return {name: fields for name, fields in found if fields is not None}

    def bytes_of(self, sql: str, parameters: Mapping[str, Parameter]) -> int:
        """Return the bytes that one SELECT would read, from a dry run, which is free. Raises InputError when it
        cannot be run.
        """
        return int(self._dry_run(sql, parameters).total_bytes_processed or 0)

    def replace_partition(
        self, partition: Partition, select: str, parameters: Mapping[str, Parameter], fence: int
    ) -> int:
        """Replace the partition by the rows of ``select`` with one MERGE; returns the rows written.

        Raises StaleFence when a row of the partition carries a higher fence, WouldEmpty when the select yields no row
        and rows stand there, and InputError as ``replace_partitions`` does. Nothing is changed then.
        """
        return rows_written(
            self.replace_partitions(Partitions.one(partition, fence), select, parameters)[partition.day]
        )

    def replace_partitions(
        self, partitions: Partitions, select: str, parameters: Mapping[str, Parameter]
    ) -> dict[date, Replaced]:
        """Replace many dates by the rows of ``select`` with one MERGE, and count those of several dates with one
        SELECT; returns what became of each date.

        A date that must be left as it is makes the MERGE fail: it is run again for the others. Raises InputError when
        the select does not fit the table or yields a row of another date. Nothing is changed then.
        """
        select = select.strip().removesuffix(";")
        values = chosen(named_parameters(select), parameters)
        if select not in self._selected:
            self._selected[select] = tuple(field.name for field in self._dry_run(select, values).schema or ())
        return self._replace(partitions, select, self._selected[select], values)

    def load_partition(self, partition: Partition, lines: bytes, fence: int) -> int:
        """Replace the partition by JSON lines; returns the rows written.

        Raises StaleFence and WouldEmpty as ``replace_partition`` does, and InputError for a line that is not an object,
        has a key that is no column, has a value that is not of its column's type, or belongs to another date.
        """
        return rows_written(
            self.load_partitions(Partitions.one(partition, fence), {partition.day: lines})[partition.day]
        )

    def load_partitions(self, partitions: Partitions, lines: Mapping[date, bytes]) -> dict[date, Replaced]:
        """Replace many dates by JSON lines; returns what became of each date.

        The rows travel in a parameter of the same MERGE: no load job and nothing left behind. Those of more dates than
        one request carries (8 MiB) go with several. What stands on the dates without rows is asked with one SELECT.
        """
        table = partitions.table
        columns = {name: kind for name, kind in self._columns_of(table).items() if name != FENCE}
        shape = _shape(table, columns)
        done: dict[date, Replaced] = {}
        counts: dict[date, int] = {}
        fresh: dict[date, str] = {}
        without_rows: list[date] = []
        for day in partitions.fences:
            try:
                rows = shape.read(lines[day])
                check_day(partitions.of(day), rows)
                if rows:
                    counts[day], fresh[day] = len(rows), rows_parameter(table, rows)
                else:
                    without_rows.append(day)
            except InputError as error:
                done[day] = error
        if without_rows:
            unwritten = partitions.only(without_rows)
            done |= self._left_alone(unwritten, self._held(unwritten), {})

        def write(days: Sequence[date]) -> dict[date, Replaced]:
            values = {ROWS_PARAMETER: rows_together(fresh[day] for day in days)}
            return self._replace(partitions.only(days), rows_of_parameter(columns), tuple(columns), values, counts)

        for days in by_requests(fresh):
            done |= by_halves(days, write)
        return {day: done[day] for day in partitions.fences}

    def empty_partition(self, partition: Partition, fence: int) -> int:
        """Delete the rows of a partition with one MERGE; returns how many there were. Raises StaleFence as above."""
        try:
            with self._errors_explained():
                job = self._run(emptying(partition, fence), {})
        except PhasegateError as error:
            if (higher := fence_found(str(error))) is None:
                raise
            raise _stale(partition, higher, fence) from error.__cause__
        return int(job.dml_stats.deleted_row_count) if job.dml_stats else 0

    def replace_table(self, table: str, lines: bytes) -> int:
        """Replace a whole reference table by JSON lines with one load job; returns the rows written.

        Raises InputError as above.
        """
        rows = _shape(table, self._columns_of_unfenced(table)).read(lines)
        config = LoadJobConfig(
            source_format=SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition=WriteDisposition.WRITE_TRUNCATE,
            schema=self._schemas[table],
            labels=self._labels,
        )
        with self._errors_explained():
            job = self._client.load_table_from_file(BytesIO(json_lines(rows)), table, job_config=config)
            job.result(retry=CALL_RETRY)
        return len(rows)

    def append_missing(self, table: str, rows: Sequence[Row], keys: Sequence[str]) -> int:
        """Append the rows whose keys the table does not hold yet; the first of two rows with equal keys counts.

        One INSERT, which may be repeated. Two that run at the same moment do not see each other's rows.
        """
        if not rows:
            return 0
        columns = self._columns_of_unfenced(table)
        fresh = first_of_each(rows, keys)
        _shape(table, columns).check(fresh)
        insert = insertion_of_missing(table, columns, keys)
        with self._errors_explained():
            return int(self._run(insert, {ROWS_PARAMETER: rows_parameter(table, fresh)}).num_dml_affected_rows or 0)

    def delete_dates(self, table: str, date_column: str, days: Collection[date]) -> int:
        """Delete the rows of these dates with one DELETE, which may be repeated; returns how many there were.

        BigQuery charges nothing for whole partitions, and refuses rows that were streamed in within the last minutes.
        """
        if not days:
            return 0
        with self._errors_explained():
            job = self._run(deletion(table, date_column), dates_parameters(days))
            return int(job.num_dml_affected_rows or 0)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _answer(self, question: tuple[str, Mapping[str, Parameter]]) -> list[Row] | PhasegateError:
        try:
            return self.query(*question)
        except PhasegateError as error:
            return self._of_a_value(error, question)

    def _of_a_value(self, error: PhasegateError, question: tuple[str, Mapping[str, Parameter]]) -> PhasegateError:
        """An EvaluationError where a dry run, which is free and reads no value, finds nothing wrong with a statement
        that failed; else the error."""
        if not may_be_of_a_value(error.__cause__):
            return error
        try:
            self._dry_run(*question)
        except TransientError as found:
            return found
        except PhasegateError:
            return error
        return EvaluationError(str(error))

    def _replace(
        self,
        partitions: Partitions,
        select: str,
        columns: Sequence[str],
        values: Mapping[str, Parameter],
        counts: Mapping[date, int] | None = None,
    ) -> dict[date, Replaced]:
        """Put the rows of a select in the place of each date's. counts: its rows by date, where they are known."""
        if partitions.date_column not in columns:
            raise InputError(f"the select for {partitions.table} has no column {partitions.date_column}: name it")
        done: dict[date, Replaced] = {}
        while (part := partitions.only(partitions.fences.keys() - done.keys())).fences:
            rows = rows_of_some(select, partitions.date_column, done)
            guarded = {**values, FENCES_PARAMETER: fences_by_day(part.fences)}
            try:
                with self._errors_explained():
                    job = self._run(replacement(part, rows, columns), guarded)
            except PhasegateError as error:
                if not (is_of_nothing(said := str(error)) or fence_found(said) is not None):
                    raise self._of_a_value(error, (select, values)) from error.__cause__
                selected = self._selected_rows(part, rows, values) if counts is None else counts
                kept = self._left_alone(part, self._held(part), selected)
                if not kept:
                    raise TransientError(
                        f"{partitions.table} was changed by another writer meanwhile: {error}"
                    ) from error
                done |= kept
            else:
                if counts is None and len(part.fences) == 1:
                    counts = dict.fromkeys(part.fences, int(job.dml_stats.inserted_row_count) if job.dml_stats else 0)
                done |= self._written(part, counts)
        return {day: done[day] for day in partitions.fences}

    def _held(self, partitions: Partitions) -> dict[date, Row]:
        """The number of rows (``found``) and the highest fence of each date that has some."""
        return {row["day"]: row for row in self.query(holding(partitions))}

    def _selected_rows(self, partitions: Partitions, select: str, values: Mapping[str, Parameter]) -> dict[date, int]:
        """The rows that a select yields for each date that it yields some for. Raises EvaluationError for a row of
        another date: which of two errors a statement meets first is chance."""
        found = {row["day"]: row["found"] for row in self.query(counting(select, partitions.date_column), values)}
        for day in found:
            if day not in partitions.fences:
                table = partitions.table
                raise EvaluationError(f"the select for {table} yields a row of another date: {day or 'NULL'}")
        return found

    def _left_alone(
        self, partitions: Partitions, held: Mapping[date, Row], selected: Mapping[date, int]
    ) -> dict[date, Replaced]:
        """What becomes of each date that must be left as it is: a higher fence stands there, or nothing is selected."""
        found: dict[date, Replaced] = {}
        for day, fence in partitions.fences.items():
            rows, highest = (held[day]["found"], held[day]["highest"]) if day in held else (0, 0)
            if highest > fence:
                found[day] = _stale(partitions.of(day), highest, fence)
            elif rows and not selected.get(day):
                found[day] = would_empty(partitions.of(day), fence, rows, highest, self.empty_partition)
            elif not selected.get(day):
                found[day] = 0
        return found

    def _written(self, partitions: Partitions, counts: Mapping[date, int] | None) -> Mapping[date, Replaced]:
        """The rows of dates that have just been written. None: they are counted, and what a newer attempt has written
        since is its own."""
        if counts is not None:
            return {day: counts[day] for day in partitions.fences}
        held = self._held(partitions)
        written = {day: row["found"] for day, row in held.items()}
        return dict.fromkeys(partitions.fences, 0) | written | self._left_alone(partitions, held, written)

    def _run(self, sql: str, values: Mapping[str, Parameter]) -> QueryJob:
        """Run a statement to its end."""
        job = self._client.query(sql, job_config=self._config(values), retry=CALL_RETRY, job_retry=JOB_RETRY)
        job.result(retry=CALL_RETRY, job_retry=JOB_RETRY)
        return job

    def _dry_run(self, sql: str, parameters: Mapping[str, Parameter]) -> QueryJob:
        _require_own(sql)
        config = self._config(chosen(named_parameters(sql), parameters))
        config.dry_run = True
        with self._errors_explained():
            return self._client.query(sql, job_config=config, retry=CALL_RETRY)

    def _config(self, values: Mapping[str, Parameter]) -> QueryJobConfig:
        return QueryJobConfig(
            query_parameters=[typed(name, value) for name, value in values.items()],
            maximum_bytes_billed=self._settings.max_bytes_billed,
            labels=self._labels,
        )

    def _fields_of(self, table: str) -> dict[str, str] | None:
        with self._errors_explained():
            try:
                found = self._client.get_table(quoted(table)[1:-1], retry=CALL_RETRY)
            except NotFound:
                return None
        return {
            field.name: f"ARRAY<{field.field_type}>" if field.mode == "REPEATED" else field.field_type
            for field in found.schema
        }

    def _columns_of(self, table: str) -> dict[str, str]:
        """SQL types by column, read once per process."""
        if table not in self._schemas:
            with self._errors_explained():
                self._schemas[table] = tuple(self._client.get_table(quoted(table)[1:-1], retry=CALL_RETRY).schema)
        return plain_columns(table, ((field.name, field.field_type, field.mode) for field in self._schemas[table]))

    def _columns_of_unfenced(self, table: str) -> dict[str, str]:
        columns = self._columns_of(table)
        if FENCE in columns:
            raise InputError(f"{table} carries {FENCE}: write it a partition at a time")
        return columns

    @contextmanager
    def _errors_explained(self) -> Iterator[None]:
        try:
            yield
        except HTTP_ERRORS as error:
            raise explained(error, self._settings.max_bytes_billed) from error


def _require_own(sql: str) -> None:
    if isinstance(sql, DuckDbSql):
        raise StatementRefused("`dialect: duckdb` is for embedded mode alone: write it in BigQuery's dialect")


def _stale(partition: Partition, higher: int, fence: int) -> StaleFence:
    return StaleFence(
        f"{partition.table} of {partition.day} was written under fence {higher}; fence {fence} came too late. "
        "A newer attempt owns this partition: nothing was changed"
    )


def _shape(table: str, columns: Mapping[str, str]) -> RowShape:
    whole, moments = ([name for name, kind in columns.items() if kind == of] for of in ("INT64", "TIMESTAMP"))
    return RowShape(table, columns.keys(), whole, moments)
