"""The verdict says a report in one sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence

from phasegate.domain.operations.audit import between_state_and_tables
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.run import RunStatus
from phasegate.report.verify.document.found import FindingLine, MissingDates
from phasegate.report.verify.findings import is_waived
from phasegate.report.verify.reading import Reading
from phasegate.report.verify.recorded import RunRecord

NAMED = 4
"""Kinds of findings that the verdict names; the others are counted."""


def verdict_of(
    index: PlanIndex,
    record: RunRecord | None,
    reading: Reading,
    findings: Sequence[FindingLine],
    gaps: Iterable[MissingDates],
) -> str:
    """The sentence says whether all is there and agrees, what is wrong if not, and what waivers let pass.

    record: None without a run.
    """
    span = f"{_counted(len(index.days), 'date')} from {index.days[0]} to {index.days[-1]}"
    if len(index.days) == 1:
        span = f"the date {index.days[0]}"
    let_pass = _let_pass_in_words(reading, index)
    if findings:
        said = _findings_in_words(findings, span, record is not None)
        said += f"; waivers let {let_pass} pass" if let_pass else ""
        word = "Not complete"
    else:
        said = _agreement_in_words(len(reading.outputs), span, record is not None)
        said += f", but for {let_pass} that waivers let pass" if let_pass else ""
        word = "Complete but for waivers" if let_pass else "Complete"
    beyond = sum(gap.dates for gap in gaps if gap.beyond)
    said += f"; beyond them the calendar misses {_counted(beyond, 'output')} of other dates" if beyond else ""
    said += f"; {_counted(len(reading.unread), 'query')} of this report could not be asked" if reading.unread else ""
    if record is None:
        return f"{word}: {index.plan.pipeline.pipeline} without a run: {said}."
    status, tasks = record.status, record.progress.tasks
    if status.is_final:
        ended = "" if status is RunStatus.COMPLETED else f" ({status.value.replace('_', ' ')})"
        return f"{word}: run {record.run.run_id}{ended}: {said}."
    done = f"{record.progress.done:,} of {tasks['expected']:,} tasks done"
    return f"Not final: run {record.run.run_id} has not ended ({status.value}, {done}); so far {said}."


def _let_pass_in_words(reading: Reading, index: PlanIndex) -> str:
    """How much passes by waivers alone; empty: nothing does."""
    outputs = sum(is_waived(output, day) for output in reading.outputs.values() for day in index.days)
    silent = len(reading.let_pass)
    said = [_counted(outputs, "output")] if outputs else []
    said += [f"{_counted(silent, 'task')} without an output"] if silent else []
    dates = len({gap.day for gap in reading.calendar.let_pass})
    said += [f"units of {_counted(dates, 'date')}"] if dates else []
    return " and ".join(said)


def _agreement_in_words(outputs: int, span: str, is_run: bool) -> str:
    if not outputs:
        return f"state says that all is done on {span}, and no output is left behind that could be looked at"
    said = f"all {outputs} outputs of {span} are" if outputs > 1 else f"the one output of {span} is"
    return f"{said} as the calendar demands{' and as state says' if is_run else ''}"


def _findings_in_words(findings: Sequence[FindingLine], span: str, is_run: bool) -> str:
    most = Counter(line.kind for line in findings).most_common()
    named = ", ".join(f"{kind.replace('_', ' ')}: {n:,}" for kind, n in most[:NAMED])
    rest = f", {_counted(len(most) - NAMED, 'more kind')}" if len(most) > NAMED else ""
    said = f"{_counted(len(findings), 'finding')} on {span} ({named}{rest})"
    if not is_run:
        return said
    return f"{said}, {between_state_and_tables(dict(most)):,} of them between state and tables"


def _counted(n: int, word: str) -> str:
    """A number and its noun."""
    many = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{n:,} {word if n == 1 else many}"
