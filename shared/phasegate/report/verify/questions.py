"""What the verifier asks of the tables: a few queries per table, each over all dates at once, each with a name."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from phasegate.domain.calendar.dates import stretches
from phasegate.domain.checks.question import question
from phasegate.domain.spec.pipeline import Pipeline, Processor, TableOutput
from phasegate.domain.spec.report import Measure, ReportSpec
from phasegate.ports import Parameter

BUCKETS = ((90.0, None), (70.0, 90.0), (50.0, 70.0), (None, 50.0))
"""Quality scores: from (included) and up to (excluded)."""

GAP_DAYS = 180
"""Days without any date of the calendar at which a query leaves them out: what lies there is no run's, and a table of
years would be read whole for two dates. The pause between two seasons is read: rows are no less wrong there."""

Stretches = Sequence[tuple[date, date]]
"""First and last date of each stretch of the calendar, both included."""

SCHEDULE_QUERY = "schedule"
"""The name of the query that reads the calendar as it is now."""

STATE_QUERY = "state"
"""The name, among the queries, of what is read of a run's own documents."""


def stretches_of(days: Sequence[date]) -> Stretches:
    """Return the stretches that these dates lie in."""
    return [(each[0], each[-1]) for each in stretches(days, GAP_DAYS)]


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A named query is a SELECT, or something else that is read, to which the report can point."""

    name: str
    """What the report calls it; unique in a report."""

    reads: str
    """What it reads, in words."""

    sql: str | None = None
    """The SELECT in the BigQuery dialect; None: something else than tables is read."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    """The values of the SELECT's parameters, by name."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table is an output of the pipeline, with the columns of it that the report looks at."""

    ref: str
    """``phase/processor`` of the processor that writes it."""

    output: TableOutput
    """Where it lies, and its columns of date, keys and fence."""

    critical: tuple[str, ...] = ()
    """The columns whose NULLs are counted."""

    averages: tuple[str, ...] = ()
    """The columns whose mean is given."""

    quality: tuple[str, ...] = ()
    """The columns that hold a score between 0 and 100."""

    @property
    def name(self) -> str:
        """The name by which queries call it: ``dataset.table``."""
        return self.output.table


def tables_of(pipeline: Pipeline, phases: Iterable[str]) -> tuple[Table, ...]:
    """List the tables of these phases, in the order of the pipeline file."""
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


def rows_query(table: Table, over: Stretches) -> NamedQuery:
    """Count rows by date: ``d``, ``n``; those without a date too."""
    day = table.output.date_column
    where = f"{_within(day, over)} OR {day} IS NULL"
    sql = f"SELECT {day} AS d, COUNT(*) AS n FROM `{table.name}` WHERE {where} GROUP BY 1"
    return _named("rows", table.name, f"rows of {table.name} by date", sql, over)


def fences_query(table: Table, over: Stretches) -> NamedQuery:
    """Ask for the fences by date: ``d``, ``lowest``, ``highest``, ``unfenced``. For tables that keep one."""
    day, fence = table.output.date_column, table.output.fence_column
    sql = (
        f"SELECT {day} AS d, MIN({fence}) AS lowest, MAX({fence}) AS highest, COUNT(*) - COUNT({fence}) AS unfenced "
        f"FROM `{table.name}` WHERE {_within(day, over)} GROUP BY 1"
    )
    return _named("fences", table.name, f"fences in {table.name} by date", sql, over)


def keys_query(table: Table, over: Stretches) -> NamedQuery:
    """Count rows that repeat keys by date: ``d``, ``doubled``; only dates that have some."""
    day = table.output.date_column
    # With the table's name before it: a key of the name ``n`` is not what is counted.
    keys = ", ".join(f"t.{key}" for key in dict.fromkeys([day, *table.output.keys]))
    sql = (
        f"SELECT g.d AS d, SUM(g.n - 1) AS doubled FROM (SELECT {day} AS d, COUNT(*) AS n FROM `{table.name}` AS t "
        f"WHERE {_within(day, over)} GROUP BY {keys}) AS g WHERE g.n > 1 GROUP BY g.d"
    )
    return _named("keys", table.name, f"rows of {table.name} with equal keys, by date", sql, over)


def figures_query(table: Table, over: Stretches) -> NamedQuery | None:
    """Count and sum the columns that the report looks at, and count scores by bucket, by date; None without any."""
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
    counted = ", ".join(["COUNT(*) AS n", *parts])
    sql = f"SELECT {day} AS d, {counted} FROM `{table.name}` WHERE {_within(day, over)} GROUP BY 1"
    return _named("figures", table.name, f"fields of {table.name} by date", sql, over)


@dataclass(frozen=True, slots=True)
class Compared:
    """Two tables are compared by their distinct keys per date."""

    key: str
    """The column of both tables whose values are compared."""

    table: TableOutput
    """The table whose keys are looked for."""

    against: TableOutput
    """The table in which they are looked for."""


def compared_of(pipeline: Pipeline, phases: Sequence[str]) -> tuple[Compared, ...]:
    """List the comparisons of the report section whose tables both belong to these phases."""
    comparisons: list[Compared] = []
    for each in pipeline.report.compared:
        ends = [pipeline.resolve(name, pipeline.phase_names) for name in (each.processor, each.against)]
        if all(phase in phases for phase, _ in ends):
            outputs = [next(x.output for x in pipeline.phase(p).processors if x.name == n) for p, n in ends]
            tables = [output for output in outputs if isinstance(output, TableOutput)]
            comparisons.append(Compared(each.key, tables[0], tables[1]))
    return tuple(comparisons)


def compared_query(pair: Compared, over: Stretches) -> NamedQuery:
    """Count distinct keys by date: ``d``, ``here`` and ``there`` of the two tables, ``both_have``."""

    def side(table: TableOutput, here: int) -> str:
        day = table.date_column
        return (
            f"SELECT DISTINCT {day} AS d, {pair.key} AS k, {here} AS here, {1 - here} AS there "
            f"FROM `{table.table}` WHERE {_within(day, over)}"
        )

    sql = (
        "SELECT e.d AS d, SUM(e.here) AS here, SUM(e.there) AS there, SUM(e.here * e.there) AS both_have FROM ("
        "SELECT s.d AS d, s.k AS k, MAX(s.here) AS here, MAX(s.there) AS there FROM ("
        f"{side(pair.table, 1)} UNION ALL {side(pair.against, 0)}) AS s GROUP BY s.d, s.k) AS e GROUP BY e.d"
    )
    label = f"{pair.table.table}.{pair.against.table}.{pair.key}"
    words = f"distinct {pair.key} of {pair.table.table} and of {pair.against.table} by date"
    return _named("compared", label, words, sql, over)


def measures_of(pipeline: Pipeline, phases: Collection[str]) -> tuple[Measure, ...]:
    """List the measures of the report section whose processors belong to these phases."""
    return tuple(
        measure
        for measure in pipeline.report.measures
        if pipeline.resolve(measure.processor, pipeline.phase_names)[0] in phases
    )


def measure_query(measure: Measure, days: Sequence[date]) -> NamedQuery:
    """Ask a measure of these dates, in order: ``label``, ``value``, and what else it gives."""
    asked = question(measure.query, days, measure.name)
    return NamedQuery(f"measure.{measure.name}", measure.description, measure.query, dict(asked.parameters))


def history_query(table: str, run_id: str, over: Stretches) -> NamedQuery:
    """Ask for the attempts of a run that have ended, as the history table keeps them."""
    sql = (
        "SELECT data_date AS d, phase, processor_name, attempt, status, error_class, message, fence, proved, "
        f"started_at, finished_at FROM `{table}` WHERE run_id = @run_id AND {_within('data_date', over)}"
    )
    query = _named("history", table, f"ended attempts of run {run_id}", sql, over)
    return NamedQuery(query.name, query.reads, query.sql, {**query.parameters, "run_id": run_id})


def _named(kind: str, label: str, reads: str, sql: str, over: Stretches) -> NamedQuery:
    bounds = {
        name: day for ends, days in zip(_ends(over), over, strict=True) for name, day in zip(ends, days, strict=True)
    }
    return NamedQuery(f"{kind}.{label}", reads, sql, dict(bounds))


def _within(column: str, over: Stretches) -> str:
    """The condition that bounds a table, in a form by which BigQuery leaves out the partitions between stretches."""
    ranges = " OR ".join(f"{column} BETWEEN @{first} AND @{last}" for first, last in _ends(over))
    return ranges if len(over) == 1 else f"({ranges})"


def _ends(over: Stretches) -> list[tuple[str, str]]:
    """The names of the parameters for the ends of each stretch: ``first`` and ``last``, ``first_2`` and so on."""
    return [("first", "last")] + [(f"first_{n}", f"last_{n}") for n in range(2, len(over) + 1)]


def _between(column: str, low: float | None, high: float | None) -> str:
    bounds = [f"{column} >= {low}"] if low is not None else []
    bounds += [f"{column} < {high}"] if high is not None else []
    return " AND ".join(bounds)
