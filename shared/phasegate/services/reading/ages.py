"""The ages of tables are read from fences, from records of what they were made from, and from what inputs hold now."""

import json
from collections.abc import Collection, Mapping
from datetime import date

from phasegate.domain.checks.fingerprint import Content, ask_content, content_of
from phasegate.domain.checks.question import on_days, question
from phasegate.domain.decisions.stale import Ages, Held, MadeFrom, MadeRecord, Records, judge_ages, look
from phasegate.domain.errors import PhasegateError, ReadsTooMuch
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.pipeline import TableOutput
from phasegate.ports import Row, Warehouse
from phasegate.services.reading.asking import ask
from phasegate.services.reading.made_with import AskWorkers, ask_nobody, made_with_now

CONTENTS_COLUMNS = (
    "table_name STRING, data_date DATE, fence INT64, content STRING, inputs STRING, code_version STRING, "
    "made_with STRING, pipeline STRING, processor STRING, run_id STRING, recorded_at TIMESTAMP"
)
"""The columns of the table of records. ``inputs`` is JSON: table -> [hash over its window, dates with rows], and
``calendar`` -> [hash over its season up to the date, dates of the calendar] of a processor that reads it."""

CONTENTS_KEYS = ("table_name", "data_date", "fence")
"""What tells records apart: one fence makes rows of a date once."""


def find_ages(index: PlanIndex, held: Held, warehouse: Warehouse, ask_workers: AskWorkers = ask_nobody) -> Ages:
    """Find what of an index's tables is stale, and of what nobody knows.

    held: what ``look`` takes. One query reads the records; the content is asked for only where a fence says that
    something may have changed, with one query for all tables of the same dates. Where records or contents cannot be
    read, the fences decide. ask_workers: who says what tables would be made with now; nobody is asked where no record
    has such words.
    """
    records = read_records(index, held, warehouse)
    seen = look(index, held, records, made_with_now(index, records, ask_workers))
    contents = {
        ref: {day: each.fingerprint for day, each in of_ref.items()}
        for ref, of_ref in read_contents(index, seen.asked, warehouse).items()
    }
    return judge_ages(seen, index, contents)


def read_records(index: PlanIndex, held: Mapping[str, object], warehouse: Warehouse) -> Records:
    """Read the newest record of each table on each date of an index. No table, no records."""
    refs = {
        output.table: task.ref
        for task in index.tasks
        if task.ref in held and isinstance(output := task.spec.output, TableOutput)
    }
    if not refs:
        return {}
    asked = question(
        "SELECT table_name, data_date AS d, fence, content, inputs, code_version, made_with FROM "
        f"`{index.plan.pipeline.contents_table}` WHERE {on_days('data_date')} "
        "QUALIFY ROW_NUMBER() OVER (PARTITION BY table_name, data_date ORDER BY fence DESC) = 1",
        index.days,
        "records",
    )
    (answer,) = warehouse.ask([(asked.sql, asked.parameters)])
    records: dict[str, dict[date, MadeRecord]] = {}
    for row in [] if isinstance(answer, PhasegateError) else answer:
        if (ref := refs.get(row["table_name"])) is not None:
            records.setdefault(ref, {})[row["d"]] = _record(row)
    return records


def read_contents(
    index: PlanIndex, days_by_ref: Mapping[str, Collection[date]], warehouse: Warehouse
) -> dict[str, dict[date, Content]]:
    """Read what tables hold on these dates, by ref; dates without rows are absent, and so are tables that could not be
    asked."""
    outputs = {
        ref: output
        for ref, days in days_by_ref.items()
        if days and isinstance(output := index.processor(ref).output, TableOutput)
    }
    if not outputs:
        return {}
    try:
        columns = warehouse.columns([output.table for output in outputs.values()])
    except PhasegateError:
        return {}
    questions = {
        ref: ask_content(output, columns[output.table], days_by_ref[ref])
        for ref, output in outputs.items()
        if output.table in columns
    }
    try:
        answers = ask(warehouse, list(questions.values()))
    except ReadsTooMuch:
        return {}
    contents: dict[str, dict[date, Content]] = {}
    for ref, answer in zip(questions, answers, strict=True):
        if not isinstance(answer, PhasegateError):
            contents[ref] = {row["d"]: content_of(row) for row in answer}
    return contents


def _record(row: Row) -> MadeRecord:
    inputs = {table: MadeFrom(fingerprint, dates) for table, (fingerprint, dates) in json.loads(row["inputs"]).items()}
    return MadeRecord(row["fence"], row["content"], inputs, row["code_version"] or "", row["made_with"] or "")
