"""Figures of what the tables hold, from the queries' rows: sums over dates, by season or year."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.decisions.waiving import is_in_force
from phasegate.domain.operations.audit import NOTHING_HELD, Own
from phasegate.domain.plan import PlanIndex
from phasegate.domain.state.facts import WARN
from phasegate.domain.state.run import Waiver
from phasegate.ports import Row
from phasegate.report.verify.document.figures import (
    Average,
    Duplicates,
    KeysCompared,
    KeysOfDate,
    Measured,
    MeasuredValue,
    Nulls,
    Quality,
)
from phasegate.report.verify.document.found import AgeUnknown, Coverage, Emptiness, Waived, Warned
from phasegate.report.verify.findings import DETAIL_KEPT, demanded, is_waived, is_whole
from phasegate.report.verify.questions import BUCKETS, Table
from phasegate.report.verify.reading import Reading

EXAMPLES = 5
"""Verdicts that are shown of those that a waiver lets pass."""

MEASURED_KEPT = 50
"""Rows of a measure that a report keeps."""


def coverage(reading: Reading, index: PlanIndex) -> list[Coverage]:
    """Count for each output, in each season of the calendar, the dates that are due, whole and let pass."""
    lines: list[Coverage] = []
    for season, days in index.calendar.seasons.items():
        for output in reading.outputs.values():
            held = [output.held[day] for day in days if day in output.held]
            due = demanded(output, days)
            lines.append(
                Coverage(
                    season=season,
                    phase=output.phase,
                    processor=output.processor,
                    table=output.table,
                    covered=sum(day in index.position for day in days),
                    expected=len(due),
                    whole=sum(is_whole(output, day) for day in due),
                    waived=sum(is_waived(output, day) for day in due),
                    with_rows=None if output.error else sum(each.rows > 0 for each in held),
                    rows=None if output.error else sum(each.rows for each in held),
                    query=output.query(Own.ROWS),
                )
            )
    return lines


def emptiness(reading: Reading, index: PlanIndex) -> list[Emptiness]:
    """Count the verified dates on which the calendar demands or allows that an output holds nothing, by reason."""
    lines: list[Emptiness] = []
    for output in reading.outputs.values():
        processor = index.processor(output.ref)
        reasons: dict[tuple[str, bool], list[date]] = {}
        for day in index.days:
            if output.expects[day] in (ExpectationLetter.EMPTY, ExpectationLetter.OPTIONAL):
                letter, reason = expectation(index.plan.pipeline, index.calendar, output.phase, processor, day)
                if letter == ExpectationLetter.EXPECTED:
                    reason = "not needed: all that reads it is whole"
                reasons.setdefault((reason, output.expects[day] == ExpectationLetter.EMPTY), []).append(day)
        for (reason, is_demanded), days in reasons.items():
            lines.append(
                Emptiness(
                    phase=output.phase,
                    processor=output.processor,
                    reason=reason,
                    is_demanded=is_demanded,
                    dates=len(days),
                    found=None if output.error else sum(not output.held.get(day, NOTHING_HELD).rows for day in days),
                    query=output.query(Own.ROWS),
                )
            )
    return lines


def warnings(reading: Reading, index: PlanIndex) -> list[Warned]:
    """Count the dates that checks warn of, by output and check."""
    lines: list[Warned] = []
    for output in reading.outputs.values():
        said: dict[str, dict[date, str]] = {}
        for day in index.days:
            for verdict in output.verdicts.get(day, ()):
                if verdict.outcome == WARN:
                    said.setdefault(verdict.check, {})[day] = verdict.detail
        for check, details in said.items():
            lines.append(
                Warned(
                    phase=output.phase,
                    processor=output.processor,
                    table=output.table,
                    check=check,
                    dates=len(details),
                    first=min(details),
                    last=max(details),
                    example=details[min(details)][:DETAIL_KEPT],
                    query=output.query(check),
                )
            )
    return lines


def ages_unknown(reading: Reading) -> list[AgeUnknown]:
    """Count the dates on which nothing says whether a table is older than what it was made from, by output."""
    return [
        AgeUnknown(
            phase=output.phase,
            processor=output.processor,
            table=output.table,
            dates=len(days),
            first=min(days),
            last=max(days),
            query=output.query(Own.FENCES),
        )
        for ref, output in reading.outputs.items()
        if (days := reading.ages.unknown.get(ref))
    ]


def waived(waivers: Sequence[Waiver], reading: Reading, now: datetime) -> list[Waived]:
    """List every waiver, with what passes by it."""
    marked = [
        (day, verdict)
        for output in reading.outputs.values()
        for day, verdicts in sorted(output.verdicts.items())
        for verdict in verdicts
    ]
    marked += [(day, verdict) for (day, _), verdict in reading.let_pass.items()]
    lines: list[Waived] = []
    for waiver in waivers:
        passes = [f"{day} {verdict}" for day, verdict in marked if verdict.waived_by == waiver.id]
        lines.append(
            Waived(
                **waiver.model_dump(exclude={"dates"}),
                dates=len(waiver.dates),
                first=min(waiver.dates),
                last=max(waiver.dates),
                is_in_force=is_in_force(waiver, now),
                lets_pass=len(passes),
                examples=passes[:EXAMPLES],
            )
        )
    return lines


def duplicates(reading: Reading) -> list[Duplicates]:
    """List the tables with rows that repeat keys, over the whole calendar."""
    lines: list[Duplicates] = []
    for output in reading.outputs.values():
        doubled = [held.doubled for held in output.held.values() if held.doubled]
        if doubled and output.table:
            lines.append(
                Duplicates(table=output.table, dates=len(doubled), rows=sum(doubled), query=output.query(Own.KEYS))
            )
    return lines


def nulls(reading: Reading, index: PlanIndex) -> list[Nulls]:
    """Count the NULLs of critical fields by season."""
    lines: list[Nulls] = []
    for table, query, rows in reading.figures:
        for season, of_season in _by_season(rows, index).items():
            total = sum(int(row["n"]) for row in of_season)
            for column in table.critical:
                lacking = total - sum(int(row[f"has_{column}"]) for row in of_season)
                lines.append(
                    Nulls(
                        table=table.name,
                        column=column,
                        season=season,
                        rows=total,
                        nulls=lacking,
                        share=round(lacking / total, 6),
                        query=query,
                    )
                )
    return lines


def averages(reading: Reading, index: PlanIndex) -> list[Average]:
    """Take the means of fields by season, with the change against the season before it in the calendar."""
    lines: list[Average] = []
    for table, query, rows in reading.figures:
        by_season = _by_season(rows, index)
        seasons = {name: by_season.get(name, []) for name in index.calendar.seasons}
        for column in table.averages:
            lines += _averages_of(table, column, seasons, query)
    return lines


def _averages_of(table: Table, column: str, seasons: Mapping[str, list[Row]], query: str) -> Iterable[Average]:
    before: float | None = None
    for season, rows in seasons.items():
        values = sum(int(row[f"has_{column}"]) for row in rows)
        if not values:
            before = None
            continue
        mean = sum(float(row[f"sum_{column}"] or 0) for row in rows) / values
        yield Average(
            table=table.name,
            column=column,
            season=season,
            values=values,
            average=round(mean, 4),
            change=round((mean - before) / abs(before), 4) if before else None,
            query=query,
        )
        before = mean


def quality(reading: Reading, index: PlanIndex) -> list[Quality]:
    """Count the rows of the calendar's dates by score, in buckets, per table and year."""
    lines: list[Quality] = []
    for table, query, rows in reading.figures:
        for column in table.quality:
            years: dict[int, list[Row]] = {}
            for row in rows:
                if row["d"] in index.calendar.by_day:
                    years.setdefault(row["d"].year, []).append(row)
            for year, of_year in sorted(years.items()):
                total = sum(int(row["n"]) for row in of_year)
                best, good, fair, poor = (
                    sum(int(row[f"bucket{n}_{column}"]) for row in of_year) for n in range(len(BUCKETS))
                )
                lines.append(
                    Quality(
                        table=table.name,
                        column=column,
                        year=year,
                        rows=total,
                        from_90=best,
                        from_70=good,
                        from_50=fair,
                        below_50=poor,
                        unscored=total - best - good - fair - poor,
                        query=query,
                    )
                )
    return lines


def compared(reading: Reading) -> list[KeysCompared]:
    """Count the keys of one table in another by date; dates on which all agree are only counted."""
    lines: list[KeysCompared] = []
    expects = {output.table: output.expects for output in reading.outputs.values()}
    for pair, query, rows in reading.compared:
        both_due = [
            day
            for day, letter in expects[pair.table.table].items()
            if ExpectationLetter.EMPTY not in (letter, expects[pair.against.table][day])
        ]
        by_day = {row["d"]: row for row in rows}
        dates = [
            KeysOfDate(date=day, here=int(row["here"]), there=int(row["there"]), both=int(row["both_have"]))
            for day in both_due
            if (row := by_day.get(day))
        ]
        here, both = sum(each.here for each in dates), sum(each.both for each in dates)
        lines.append(
            KeysCompared(
                key=pair.key,
                table=pair.table.table,
                against=pair.against.table,
                here=here,
                there=sum(each.there for each in dates),
                both=both,
                share=round(both / here, 6) if here else None,
                dates=len(dates),
                left_out=len(expects[pair.table.table]) - len(both_due),
                unlike=[each for each in dates if not each.here == each.there == each.both],
                query=query,
            )
        )
    return lines


def measures(reading: Reading) -> list[Measured]:
    """Show the rows of each measure as its SELECT gave them: as many as a report keeps."""
    return [
        Measured(
            name=measure.name,
            description=measure.description,
            rows=[
                MeasuredValue(
                    label=str(row.get("label")),
                    value=_number(row.get("value")),
                    beside=_number(row.get("beside")),
                    unit=str(row.get("unit") or ""),
                    n=n if isinstance(n := row.get("n"), int) else None,
                )
                for row in rows[:MEASURED_KEPT]
            ],
            left_out=max(0, len(rows) - MEASURED_KEPT),
            query=query,
        )
        for measure, query, rows in reading.measures
    ]


def _number(value: Any) -> float | None:
    """A value as a number that JSON has; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not isfinite(value):
        return None
    return float(value)


def _by_season(rows: Iterable[Row], index: PlanIndex) -> dict[str, list[Row]]:
    """Rows of the calendar's dates, by season in the calendar's order."""
    rows_by_season: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["d"]):
        if known := index.calendar.by_day.get(row["d"]):
            rows_by_season.setdefault(known.season, []).append(row)
    return rows_by_season
