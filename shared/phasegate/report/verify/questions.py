"""What the verifier asks of the tables: a few queries a table, each over all dates at once, each with a name."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from phasegate.domain.spec.pipeline import Pipeline, Processor, TableOutput
from phasegate.domain.spec.report import ReportSpec
from phasegate.ports import Parameter

BUCKETS = ((90.0, None), (70.0, 90.0), (50.0, 70.0), (None, 50.0))
"""Quality scores: from (included) and up to (excluded)."""

STATE_QUERY = "state"
"""Names what is read of a run's own documents."""


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """One SELECT in the BigQuery dialect, or (``sql`` is None) something else that is read. reads: it in words."""

    name: str
    reads: str
    sql: str | None = None
    parameters: dict[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """An output table of the pipeline, and the columns of it that the report looks at."""

    ref: str
    output: TableOutput
    critical: tuple[str, ...] = ()
    averages: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``dataset.table``."""
        return self.output.table


def tables_of(pipeline: Pipeline, phases: Iterable[str]) -> tuple[Table, ...]:
    """The tables of these phases, in the file's order."""
    spec = pipeline.report
    return tuple(
        Table(
            f"{phase}/{processor.name}",
            processor.output,
            _columns(pipeline, spec, "critical", phase, processor),
            _columns(pipeline, spec, "averages", phase, processor),
            _columns(pipeline, spec, "quality", phase, processor),
        )
        for phase in phases
        for processor in pipeline.phase(phase).processors
        if isinstance(processor.output, TableOutput)
    )


def _columns(pipeline: Pipeline, spec: ReportSpec, section: str, phase: str, processor: Processor) -> tuple[str, ...]:
    named: list[str] = []
    own = (phase, processor.name)
    if section == "quality":
        named = [q.column for q in spec.quality if pipeline.resolve(q.processor, pipeline.phase_names) == own]
    else:
        for each in spec.critical if section == "critical" else spec.averages:
            if pipeline.resolve(each.processor, pipeline.phase_names) == own:
                named += each.columns
    return tuple(dict.fromkeys(named))


def rows_query(table: Table, first: date, last: date) -> NamedQuery:
    """Rows by date: ``d``, ``n``; those without a date too."""
    day = table.output.date_column
    where = f"{_within(day)} OR {day} IS NULL"
    sql = f"SELECT {day} AS d, COUNT(*) AS n FROM `{table.name}` WHERE {where} GROUP BY {day}"
    return _named("rows", table.name, f"rows of {table.name} by date", sql, first, last)


def fences_query(table: Table, first: date, last: date) -> NamedQuery:
    """Fences by date: ``d``, ``lowest``, ``highest``, ``unfenced``. For tables that keep one."""
    day, fence = table.output.date_column, table.output.fence_column
    sql = (
        f"SELECT {day} AS d, MIN({fence}) AS lowest, MAX({fence}) AS highest, COUNT(*) - COUNT({fence}) AS unfenced "
        f"FROM `{table.name}` WHERE {_within(day)} GROUP BY {day}"
    )
    return _named("fences", table.name, f"fences in {table.name} by date", sql, first, last)


def keys_query(table: Table, first: date, last: date) -> NamedQuery:
    """Rows that repeat the keys of another one, by date: ``d``, ``doubled``; only dates that have some."""
    day, keys = table.output.date_column, ", ".join(dict.fromkeys([table.output.date_column, *table.output.keys]))
    sql = (
        f"SELECT g.d AS d, SUM(g.n - 1) AS doubled FROM (SELECT {day} AS d, COUNT(*) AS n FROM `{table.name}` "
        f"WHERE {_within(day)} GROUP BY {keys}) AS g WHERE g.n > 1 GROUP BY g.d"
    )
    return _named("keys", table.name, f"rows of {table.name} with equal keys, by date", sql, first, last)


def figures_query(table: Table, first: date, last: date) -> NamedQuery | None:
    """By date: values and sums of the columns that the report looks at, and scores by bucket; None without any."""
    columns = dict.fromkeys((*table.critical, *table.averages, *table.quality))
    if not columns:
        return None
    day = table.output.date_column
    parts = [f"COUNT({c}) AS has_{c}" for c in columns]
    parts += [f"SUM({c}) AS sum_{c}" for c in table.averages]
    parts += [
        f"SUM(CASE WHEN {_between(c, *bounds)} THEN 1 ELSE 0 END) AS bucket{n}_{c}"
        for c in table.quality
        for n, bounds in enumerate(BUCKETS)
    ]
    sql = (
        f"SELECT {day} AS d, COUNT(*) AS n, {', '.join(parts)} FROM `{table.name}` WHERE {_within(day)} GROUP BY {day}"
    )
    return _named("figures", table.name, f"fields of {table.name} by date", sql, first, last)


@dataclass(frozen=True, slots=True)
class Compared:
    """Two tables whose distinct keys are compared by date."""

    key: str
    table: TableOutput
    against: TableOutput


def compared_of(pipeline: Pipeline, phases: Sequence[str]) -> tuple[Compared, ...]:
    """The comparisons of the report section whose tables both belong to these phases."""
    found: list[Compared] = []
    for each in pipeline.report.compared:
        ends = [pipeline.resolve(name, pipeline.phase_names) for name in (each.processor, each.against)]
        if all(phase in phases for phase, _ in ends):
            outputs = [next(x.output for x in pipeline.phase(p).processors if x.name == n) for p, n in ends]
            tables = [output for output in outputs if isinstance(output, TableOutput)]
            found.append(Compared(each.key, tables[0], tables[1]))
    return tuple(found)


def compared_query(pair: Compared, first: date, last: date) -> NamedQuery:
    """Distinct keys by date: ``d``, ``here`` and ``there`` of the two tables, ``both``."""

    def side(table: TableOutput, here: int) -> str:
        day = table.date_column
        return (
            f"SELECT DISTINCT {day} AS d, CAST({pair.key} AS STRING) AS k, {here} AS here, {1 - here} AS there "
            f"FROM `{table.table}` WHERE {_within(day)}"
        )

    sql = (
        "SELECT e.d AS d, SUM(e.here) AS here, SUM(e.there) AS there, SUM(e.here * e.there) AS both_have FROM ("
        "SELECT s.d AS d, s.k AS k, MAX(s.here) AS here, MAX(s.there) AS there FROM ("
        f"{side(pair.table, 1)} UNION ALL {side(pair.against, 0)}) AS s GROUP BY s.d, s.k) AS e GROUP BY e.d"
    )
    label = f"{pair.table.table}.{pair.against.table}.{pair.key}"
    words = f"distinct {pair.key} of {pair.table.table} and of {pair.against.table} by date"
    return _named("compared", label, words, sql, first, last)


def history_query(table: str, run_id: str, first: date, last: date) -> NamedQuery:
    """The attempts of a run that have ended, as the history table keeps them."""
    sql = (
        "SELECT data_date AS d, phase, processor_name, attempt, status, error_class, message, proved, started_at, "
        f"finished_at FROM `{table}` WHERE run_id = @run_id AND {_within('data_date')}"
    )
    query = _named("history", table, f"ended attempts of run {run_id}", sql, first, last)
    return NamedQuery(query.name, query.reads, query.sql, {**query.parameters, "run_id": run_id})


def _named(kind: str, label: str, reads: str, sql: str, first: date, last: date) -> NamedQuery:
    return NamedQuery(f"{kind}.{label}", reads, sql, {"first": first, "last": last})


def _within(column: str) -> str:
    return f"{column} BETWEEN @first AND @last"


def _between(column: str, low: float | None, high: float | None) -> str:
    bounds = [f"{column} >= {low}"] if low is not None else []
    bounds += [f"{column} < {high}"] if high is not None else []
    return " AND ".join(bounds)
