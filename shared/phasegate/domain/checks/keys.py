"""The checks ``entities``, ``coverage`` and ``duplicates`` compare keys."""

from datetime import date
from fractions import Fraction

from phasegate.domain.checks.question import Answer, Question, key_text, on_days, question, quoted
from phasegate.domain.checks.subject import KEYS_SHOWN, CheckSubject, Finding, named
from phasegate.domain.spec.checks import CoverageCheck, DuplicatesCheck, EntitiesCheck
from phasegate.domain.spec.pipeline import TableOutput


def ask_entities(check: EntitiesCheck, subject: CheckSubject) -> Question:
    """Ask for the table's keys by date; with another processor's table, for its keys and whether each is here."""
    column, table, key = subject.output.date_column, subject.output.table, quoted(check.key)
    if check.calendar is not None:
        return question(
            f"SELECT DISTINCT {quoted(column)} AS d, CAST({key} AS STRING) AS k, TRUE AS present "
            f"FROM `{table}` WHERE {on_days(column)}",
            subject.days,
            "entities",
        )
    _, other = subject.other(str(check.processor))
    found, expected = (
        f"SELECT DISTINCT {quoted(of.date_column)} AS d, {key} AS k FROM `{of.table}` WHERE {on_days(of.date_column)}"
        for of in (subject.output, other)
    )
    return question(
        f"SELECT e.d AS d, CAST(e.k AS STRING) AS k, f.k IS NOT NULL AS present "
        f"FROM ({expected}) AS e LEFT JOIN ({found}) AS f ON f.d = e.d AND f.k = e.k",
        subject.days,
        "entities",
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
    key = key_text(check.keys)
    sides = [
        f"SELECT DISTINCT {quoted(of.date_column)} AS d, {key} AS k FROM `{of.table}` WHERE {on_days(of.date_column)}"
        for of in (other, subject.output)
    ]
    return question(
        "SELECT d, k, expected, found, absent FROM ("
        "SELECT e.d AS d, e.k AS k, f.k IS NULL AS absent, COUNT(*) OVER (PARTITION BY e.d) AS expected, "
        "COUNT(f.k) OVER (PARTITION BY e.d) AS found, "
        "ROW_NUMBER() OVER (PARTITION BY e.d ORDER BY IF(f.k IS NULL, 0, 1), e.k) AS place "
        f"FROM ({sides[0]}) AS e LEFT JOIN ({sides[1]}) AS f ON f.d = e.d AND f.k = e.k"
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
    key = key_text(check.keys or subject.output.keys)
    twice = (
        f"SELECT {quoted(column)} AS d, {key} AS k, COUNT(*) AS n FROM `{table}` "
        f"WHERE {on_days(column)} GROUP BY 1, 2 HAVING COUNT(*) > 1"
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
