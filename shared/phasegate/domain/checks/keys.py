"""The checks ``entities``, ``coverage`` and ``duplicates`` compare keys, by their values.

Keys of a calendar's entity list are texts, and a table's are compared with them as texts.
"""

from collections.abc import Sequence
from datetime import date
from fractions import Fraction

from phasegate.domain.checks.question import Answer, Question, as_text, key_text, on_days, question, quoted
from phasegate.domain.checks.subject import KEYS_SHOWN, CheckSubject, Finding, named
from phasegate.domain.spec.checks import CoverageCheck, DuplicatesCheck, EntitiesCheck
from phasegate.domain.spec.pipeline import TableOutput


def ask_entities(check: EntitiesCheck, subject: CheckSubject) -> Question:
    """Ask for the table's keys by date; with another processor's table, for its keys and whether each is here."""
    column, table, key = subject.output.date_column, subject.output.table, quoted(check.key)
    if check.calendar is not None:
        return question(
            f"SELECT DISTINCT {quoted(column)} AS d, {as_text(key)} AS k, TRUE AS present "
            f"FROM `{table}` WHERE {on_days(column)} AND {key} IS NOT NULL",
            subject.days,
            "entities",
        )
    _, other = subject.other(str(check.processor))
    return question(
        f"SELECT d, k, here = 1 AS present FROM ({_due_keys([check.key], other, subject.output)}) AS due",
        subject.days,
        "entities",
    )


def _due_keys(keys: Sequence[str], other: TableOutput, own: TableOutput) -> str:
    """The SELECT of each key of another table by date: ``d``, ``k`` as text, ``here`` is 1 where its own table has it.

    Keys are brought together by their values: UNION ALL gives each part one type (FLOAT64 for INT64 and FLOAT64) or is
    refused (INT64 and STRING), and GROUP BY takes NULL for a value like any other, and NaN for one.
    """
    parts = [f"k{n}" for n in range(len(keys))]
    named = ", ".join(f"{quoted(key)} AS {part}" for key, part in zip(keys, parts, strict=True))
    sides = [
        f"SELECT {quoted(of.date_column)} AS d, {named}, {1 - here} AS due, {here} AS here "
        f"FROM `{of.table}` WHERE {on_days(of.date_column)}"
        for here, of in enumerate((other, own))
    ]
    texts = ", ".join(f"{as_text(f'b.{part}')} AS {part}" for part in parts)
    grouped = ", ".join(f"b.{part}" for part in parts)
    return (
        f"SELECT g.d AS d, {key_text([f'g.{part}' for part in parts])} AS k, g.here AS here FROM ("
        f"SELECT b.d AS d, {texts}, MAX(b.here) AS here FROM ({' UNION ALL '.join(sides)}) AS b "
        f"GROUP BY b.d, {grouped} HAVING MAX(b.due) = 1) AS g"
    )


def judge_entities(check: EntitiesCheck, subject: CheckSubject, answer: Answer) -> dict[date, Finding]:
    """Compare the keys that are there with those expected."""
    expected: dict[date, set[str]] = {day: set() for day in subject.days}
    found: dict[date, set[str]] = {day: set() for day in subject.days}
    for row in answer:
        key = str(row["k"])
        if check.calendar is None:
            expected[row["d"]].add(key)
        if row["present"]:
            found[row["d"]].add(key)
    if check.calendar is not None:
        for day in subject.days:
            expected[day] = set(subject.calendar.by_day[day].entities[check.calendar])
    findings: dict[date, Finding] = {}
    share = Fraction(str(check.at_least))
    for day in subject.days:
        if check.processor is not None and not expected[day]:
            findings[day] = Finding(True, 0, 0, _no_keys_of(subject.other(check.processor)[1]))
            continue
        missing = sorted(expected[day] - found[day])
        there = len(expected[day]) - len(missing)
        is_right = not missing or there >= share * len(expected[day])
        names = f" (missing: {named(missing, len(missing))})" if missing else ""
        detail = f"{there} of {len(expected[day])} {check.calendar or check.key}{names}"
        findings[day] = Finding(is_right, len(expected[day]), there, detail, tuple(missing[:KEYS_SHOWN]))
    return findings


def ask_coverage(check: CoverageCheck, subject: CheckSubject) -> Question:
    """Ask, by date, how many keys the other table has and how many of them are here, with the first that are not."""
    _, other = subject.other(check.processor)
    return question(
        "SELECT d, k, expected, found, absent FROM ("
        "SELECT e.d AS d, e.k AS k, e.here = 0 AS absent, COUNT(*) OVER (PARTITION BY e.d) AS expected, "
        "COUNTIF(e.here = 1) OVER (PARTITION BY e.d) AS found, "
        "ROW_NUMBER() OVER (PARTITION BY e.d ORDER BY e.here, e.k) AS place "
        f"FROM ({_due_keys(check.keys, other, subject.output)}) AS e"
        f") AS ranked WHERE place <= {KEYS_SHOWN}",
        subject.days,
        "coverage",
    )


def judge_coverage(check: CoverageCheck, subject: CheckSubject, answer: Answer) -> dict[date, Finding]:
    """Compare the keys that are here with those of the other table.

    Nothing to cover is right only where the other table may be empty.
    """
    _, other = subject.other(check.processor)
    numbers: dict[date, tuple[int, int]] = {}
    missing: dict[date, list[str]] = {day: [] for day in subject.days}
    for row in answer:
        numbers[row["d"]] = row["expected"], row["found"]
        if row["absent"]:
            missing[row["d"]].append(row["k"])
    findings: dict[date, Finding] = {}
    for day in subject.days:
        expected, found = numbers.get(day, (0, 0))
        if expected:
            is_right = found == expected or found >= Fraction(str(check.at_least)) * expected
        else:
            is_right = not subject.owes(check.processor, day)
        keys = sorted(missing[day])
        names = f" (missing: {named(keys, expected - found)})" if keys else ""
        detail = f"{found} of {expected} keys of {other.table}{names}" if expected else _no_keys_of(other)
        findings[day] = Finding(is_right, expected, found, detail, tuple(keys))
    return findings


def _no_keys_of(other: TableOutput) -> str:
    return f"{other.table} holds no rows: there are no keys to compare with"


def ask_duplicates(check: DuplicatesCheck, subject: CheckSubject) -> Question:
    """Ask for the keys that are there more than once, the first ones of each date, and how many such there are."""
    column, table = subject.output.date_column, subject.output.table
    keys = check.keys or subject.output.keys
    parts = [f"k{n}" for n in range(len(keys))]
    named = ", ".join(f"{quoted(key)} AS {part}" for key, part in zip(keys, parts, strict=True))
    counted = (
        f"SELECT {quoted(column)} AS d, {named}, COUNT(*) AS n FROM `{table}` WHERE {on_days(column)} "
        f"GROUP BY {', '.join(str(n + 1) for n in range(1 + len(keys)))} HAVING COUNT(*) > 1"
    )
    texts = ", ".join(f"{as_text(f'c.{part}')} AS {part}" for part in parts)
    twice = (
        f"SELECT t.d AS d, {key_text([f't.{part}' for part in parts])} AS k, t.n AS n "
        f"FROM (SELECT c.d AS d, {texts}, c.n AS n FROM ({counted}) AS c) AS t"
    )
    return question(
        "SELECT d, k, n, doubled FROM (SELECT d, k, n, COUNT(*) OVER (PARTITION BY d) AS doubled, "
        f"ROW_NUMBER() OVER (PARTITION BY d ORDER BY k) AS place FROM ({twice}) AS twice"
        f") AS ranked WHERE place <= {KEYS_SHOWN}",
        subject.days,
        "duplicates",
    )


def judge_duplicates(_check: DuplicatesCheck, subject: CheckSubject, answer: Answer) -> dict[date, Finding]:
    """Judge that no key is there twice: 0 are expected, and so many were found."""
    doubled: dict[date, int] = dict.fromkeys(subject.days, 0)
    keys: dict[date, dict[str, int]] = {day: {} for day in subject.days}
    for row in answer:
        doubled[row["d"]] = row["doubled"]
        keys[row["d"]][row["k"]] = row["n"]
    findings: dict[date, Finding] = {}
    for day, count in doubled.items():
        there = [f"{key} {n} times" for key, n in sorted(keys[day].items())]
        detail = f"{count} key(s) more than once ({named(there, count)})" if count else "no key twice"
        findings[day] = Finding(not count, 0, count, detail, tuple(sorted(keys[day])))
    return findings
