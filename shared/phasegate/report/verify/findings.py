"""What was read is turned into what is wrong: every difference by itself, missing dates in a row, the heat map."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from phasegate.domain.calendar.cross_check import in_words
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.decisions.stale import OtherCalendar
from phasegate.domain.operations.audit import (
    MEANINGS,
    NOTHING_HELD,
    Discrepancy,
    Own,
    Recorded,
    TableContent,
    Word,
    differences,
    is_let_pass,
    is_sound,
    needs_nothing,
    rows_in_words,
    shortfalls,
)
from phasegate.domain.plan import PlanIndex, ScheduleChanges
from phasegate.domain.spec.pipeline import CalendarSpec, NoOutput
from phasegate.domain.state.facts import UNKNOWN as UNASKED
from phasegate.domain.state.facts import Verdict
from phasegate.report.verify.document.found import FindingLine, HeatMap, KindCount, MissingDates
from phasegate.report.verify.questions import SCHEDULE_QUERY, STATE_QUERY
from phasegate.report.verify.reading import Output, Reading

WHOLE, RIGHTLY_EMPTY, SHORT, MISSING = "w", "e", "s", "m"
DIFFERS, UNKNOWN, WAIVED, OUTSIDE, GAP = "d", "u", "p", "o", "g"
"""The letters of the heat map, one per date and phase; OUTSIDE and GAP are of dates that are not verified."""

LEGEND = {
    WHOLE: "whole",
    RIGHTLY_EMPTY: "rightly empty",
    SHORT: "not the rows that are due",
    MISSING: "missing",
    DIFFERS: "disagrees otherwise",
    UNKNOWN: "could not be asked",
    WAIVED: "let pass by a waiver",
    OUTSIDE: "not asked for, no gap known",
    GAP: "not asked for, and not whole",
}
_LETTERS = {
    Discrepancy.MISSING: MISSING,
    Discrepancy.PASSED_BUT_EMPTY: MISSING,
    Discrepancy.INCOMPLETE: SHORT,
    Discrepancy.PASSED_BUT_INCOMPLETE: SHORT,
    Discrepancy.NOT_DONE: MISSING,
    Discrepancy.NOT_ASKED: UNKNOWN,
}
DETAIL_KEPT = 1000
"""Characters that are kept of a finding in words."""

_WORST = (UNKNOWN, MISSING, SHORT, DIFFERS)


def find(reading: Reading, index: PlanIndex, tasks: Mapping[tuple[date, str], Recorded] | None) -> list[FindingLine]:
    """List every difference on the plan's dates, earliest first. tasks: a run's word on each; None without a run.

    What was held back on a date that needs nothing is none, unless nothing else says why the run is not complete.
    """
    lines: list[FindingLine] = []
    spared: list[FindingLine] = []
    for output in reading.outputs.values():
        if output.error is not None:
            lines.append(_line(output, Discrepancy.NOT_ASKED, None, output.error, None, None, Own.ROWS))
            continue
        for shown_by, query in output.queries.items():
            error = reading.unread.get(query)
            if error is not None and shown_by in _unasked(output, tasks):
                name = shown_by.value if isinstance(shown_by, Own) else shown_by
                lines.append(_line(output, Discrepancy.NOT_ASKED, None, f"{name}: {error}", None, None, shown_by))
        for day in index.days:
            lines += [
                _line(output, Discrepancy.NOT_ASKED, day, f"{v.check}: {v.detail}", None, None, v.check)
                for v in output.verdicts.get(day, ())
                if v.outcome == UNASKED and output.query(v.check) not in reading.unread
            ]
            recorded = None if tasks is None else tasks.get((day, output.ref))
            is_spared = recorded is not None and needs_nothing(output.expects[day], recorded)
            found = [
                _line(output, each.kind, day, each.detail, each.expected, each.found, each.shown_by)
                for each in differences(*_judged(output, day), recorded)
            ]
            for line in found:
                (spared if is_spared and line.kind == Discrepancy.NOT_DONE else lines).append(line)
        if output.undated:
            text = f"{rows_in_words(output.undated)} without a date"
            lines.append(_line(output, Discrepancy.OFF_THE_CALENDAR, None, text, 0, output.undated, Own.ROWS))
        for day, rows in output.off_calendar.items():
            if index.days[0] <= day <= index.days[-1]:
                text = f"{rows_in_words(rows)}, and the calendar has no such date"
                lines.append(_line(output, Discrepancy.OFF_THE_CALENDAR, day, text, 0, rows, Own.ROWS))
    # What is wrong with an output by itself says more than its age.
    named = {(line.date, f"{line.phase}/{line.processor}") for line in lines}
    lines += [line for line in _stale(reading) if (line.date, f"{line.phase}/{line.processor}") not in named]
    lines += _of_the_calendar(reading, index.plan.pipeline.calendar)
    for line, is_spared in _without_output(reading, index, tasks or {}):
        (spared if is_spared else lines).append(line)
    return sorted(lines or spared, key=lambda line: (line.date is not None, line.date or date.min))


def _judged(output: Output, day: date) -> tuple[str, TableContent, list[Verdict], Mapping[str, str]]:
    """What a date is judged by: the first arguments of ``differences``."""
    held = output.held.get(day, NOTHING_HELD)
    return output.expects[day], held, output.verdicts.get(day, []), output.looks_at


def _unasked(output: Output, tasks: object) -> set[Own | str]:
    """What would have been compared, if it could have been asked: equal keys, fences of a run, checks that block."""
    checks = {v.check for verdicts in output.verdicts.values() for v in verdicts if v.outcome == UNASKED}
    return {Own.KEYS, *checks} if tasks is None else {Own.KEYS, Own.FENCES, *checks}


def _without_output(
    reading: Reading, index: PlanIndex, tasks: Mapping[tuple[date, str], Recorded]
) -> Iterator[tuple[FindingLine, bool]]:
    """Tasks that leave nothing behind that could be looked at: what state says of them is all there is; whether they
    were held back on a date that needs nothing."""
    silent = {task.ref for task in index.tasks if isinstance(task.spec.output, NoOutput)}
    for (day, ref), recorded in tasks.items():
        if ref in silent and recorded.word is not Word.PASSED and (day, ref) not in reading.let_pass:
            phase, _, processor = ref.partition("/")
            line = FindingLine(
                kind=Discrepancy.NOT_DONE.value,
                date=day,
                phase=phase,
                processor=processor,
                table=None,
                detail=recorded.said[:DETAIL_KEPT],
                expected=None,
                found=None,
                query=STATE_QUERY,
            )
            yield line, needs_nothing(index.by_ref[ref].expects[index.position[day]], recorded)


def _stale(reading: Reading) -> Iterator[FindingLine]:
    """Tables of which something that they were made from holds something else since, on the dates of the plan."""
    for ref, days in reading.ages.stale.items():
        for day, changed in days.items():
            if reading.rescheduled and isinstance(changed, OtherCalendar):
                # It was made from another calendar than the run's plan holds, which is not the one of now either.
                continue
            yield _line(reading.outputs[ref], Discrepancy.STALE, day, str(changed), None, None, Own.FENCES)


def _of_the_calendar(reading: Reading, spec: CalendarSpec) -> Iterator[FindingLine]:
    """What the calendar itself lacks, or has too much, and places that could not be asked of it."""
    rows_of = {asked.place: asked.rows for asked in reading.calendar.asked}
    tables = {spec.table, *(each.table for each in (spec.cross_check.tables if spec.cross_check else ()))}

    def line(
        kind: str, place: str, day: date | None, detail: str, found: int | None, query: str | None = None
    ) -> FindingLine:
        return FindingLine(
            kind=kind,
            date=day,
            phase="calendar",
            processor=place,
            table=place if place in tables else None,
            detail=detail[:DETAIL_KEPT],
            expected=None if found is None else 0,
            found=found,
            query=query or f"calendar.{place}",
        )

    for day, said in _rescheduled(reading.rescheduled):
        yield line(Discrepancy.RESCHEDULED.value, spec.table, day, said, None, SCHEDULE_QUERY)
    if error := reading.unread.get(SCHEDULE_QUERY):
        detail = f"the schedule cannot be compared with the calendar that the run goes by: {error}"
        yield line(Discrepancy.NOT_ASKED.value, spec.table, None, detail, None, SCHEDULE_QUERY)
    for asked in reading.calendar.asked:
        if asked.error is not None:
            yield line(Discrepancy.NOT_ASKED.value, asked.place, None, asked.error, None)
    for gap in reading.calendar.gaps:
        units = spec.cross_check.units if spec.cross_check else ""
        detail = in_words([gap], units, rows_of[gap.place])
        yield line(Discrepancy(gap.kind.value).value, gap.place, gap.day, detail, gap.units)


def _rescheduled(changes: ScheduleChanges) -> Iterator[tuple[date, str]]:
    """The dates on which the schedule says something else than the run goes by, and what."""
    yield from ((day, f"since the run was planned: {said}") for day, said in changes.changed.items())
    yield from ((day, "the schedule does not have it any more") for day in changes.lost)
    yield from ((day, "the schedule has gained it, and it is none of the run's dates") for day in changes.gained)
    yield from (
        (day, "it is outside the run, whose windows, or the seasons that it reads, differ on it since")
        for day in changes.looked_back_on
    )


def _line(
    output: Output,
    kind: Discrepancy,
    day: date | None,
    detail: str,
    expected: int | None,
    found: int | None,
    shown_by: Own | str,
) -> FindingLine:
    return FindingLine(
        kind=kind.value,
        date=day,
        phase=output.phase,
        processor=output.processor,
        table=output.table,
        detail=detail[:DETAIL_KEPT],
        expected=expected,
        found=found,
        query=STATE_QUERY if shown_by is Own.STATE else output.query(shown_by),
    )


def count_kinds(findings: Iterable[FindingLine]) -> list[KindCount]:
    """Count the findings of each kind; kinds without any stand in the list too."""
    counts = dict.fromkeys(Discrepancy, 0)
    for line in findings:
        counts[Discrepancy(line.kind)] += 1
    return [
        KindCount(kind=kind.value, between=MEANINGS[kind][0], meaning=MEANINGS[kind][1], findings=n)
        for kind, n in counts.items()
    ]


def is_whole(output: Output, day: date) -> bool:
    """Whether the calendar's demand is known to be met on a date."""
    expects, held, verdicts, _ = _judged(output, day)
    return output.error is None and is_sound(expects, held, verdicts)


def is_waived(output: Output, day: date) -> bool:
    """Whether waivers are all that lets a date pass."""
    return output.error is None and is_let_pass(*_judged(output, day))


def is_short(output: Output, day: date) -> bool:
    """Whether what is due on a date is known not to be there."""
    return output.error is None and any(shortfalls(*_judged(output, day)))


def missing_dates(reading: Reading, index: PlanIndex) -> list[MissingDates]:
    """List the dates in a row on which an output is missing or incomplete, over the whole calendar.

    Of dates that are not verified, only tables are told: objects of other dates may rightly be gone.
    """
    missing: list[MissingDates] = []
    for output in reading.outputs.values():
        spans: list[list[date]] = []
        before: bool | None = None
        for each in index.calendar.dates:
            day = each.day
            is_beyond = day not in index.position
            if not is_short(output, day) or (is_beyond and output.table is None):
                before = None
                continue
            if before is not is_beyond:
                spans.append([])
            spans[-1].append(day)
            before = is_beyond
        missing += [
            MissingDates(
                phase=output.phase,
                processor=output.processor,
                first=span[0],
                last=span[-1],
                dates=len(span),
                beyond=span[0] not in index.position,
                query=output.query(Own.ROWS),
            )
            for span in spans
        ]
    return missing


def heat_map(
    reading: Reading,
    index: PlanIndex,
    findings: Sequence[FindingLine],
    tasks: Mapping[tuple[date, str], Recorded] | None,
) -> HeatMap:
    """Find the worst that is known per date and phase, over the whole calendar. tasks: as for ``find``."""
    worst: dict[tuple[date, str], str] = {}
    unknown = {line.phase for line in findings if line.kind == Discrepancy.NOT_ASKED and line.date is None}
    for line in findings:
        if line.date is not None:
            letter = _LETTERS.get(Discrepancy(line.kind), DIFFERS)
            there = worst.get((line.date, line.phase), letter)
            worst[line.date, line.phase] = min(letter, there, key=_WORST.index)
    silent = {(day, ref.partition("/")[0]) for day, ref in reading.let_pass}
    phases: dict[str, str] = {}
    for phase in index.plan.phases:
        outputs = [output for output in reading.outputs.values() if output.phase == phase]
        letters = [
            worst.get((d.day, phase))
            or (UNKNOWN if phase in unknown else WAIVED if (d.day, phase) in silent else None)
            or _calm(outputs, d.day, index, tasks is not None)
            for d in index.calendar.dates
        ]
        phases[phase] = "".join(letters)
    return HeatMap(dates=[d.day for d in index.calendar.dates], phases=phases, legend=LEGEND)


def _calm(outputs: Sequence[Output], day: date, index: PlanIndex, has_record: bool) -> str:
    """The letter of a cell without a finding. Of a phase without outputs only a run's record knows."""
    is_beyond = day not in index.position
    if not outputs:
        return WHOLE if has_record and not is_beyond else UNKNOWN
    if is_beyond:
        return GAP if any(output.table and not is_whole(output, day) for output in outputs) else OUTSIDE
    if any(is_waived(output, day) for output in outputs):
        return WAIVED
    return RIGHTLY_EMPTY if all(output.expects[day] == ExpectationLetter.EMPTY for output in outputs) else WHOLE


def demanded(output: Output, days: Iterable[date]) -> list[date]:
    """Choose the dates on which the calendar demands rows."""
    return [day for day in days if output.expects[day] == ExpectationLetter.EXPECTED]
