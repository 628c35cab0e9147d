"""The one registry of checks gives, for a check of the pipeline file, the two functions that make it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from phasegate.domain.checks import keys, rows, sql, values
from phasegate.domain.checks.proof import count_rows
from phasegate.domain.checks.question import Answer, Question
from phasegate.domain.checks.subject import CheckSubject, Finding
from phasegate.domain.spec.checks import Check, name_of
from phasegate.domain.state.facts import BLOCK, PASS, WARN, Verdict


@dataclass(frozen=True, slots=True)
class CheckFunctions:
    """Two functions make a check. Both take it as the type that the registry's key stands for."""

    ask: Callable[[Any, CheckSubject], Question | None]
    """Makes the question about the subject; None: the counts of the proof suffice."""

    judge: Callable[[Any, CheckSubject, Answer], dict[date, Finding]]
    """Judges the answer (empty where there was no question), for each date of the subject."""


REGISTRY: Mapping[str, CheckFunctions] = {
    "rows": CheckFunctions(rows.ask, rows.judge),
    "entities": CheckFunctions(keys.ask_entities, keys.judge_entities),
    "coverage": CheckFunctions(keys.ask_coverage, keys.judge_coverage),
    "nulls": CheckFunctions(values.ask_nulls, values.judge_nulls),
    "range": CheckFunctions(values.ask_range, values.judge_range),
    "duplicates": CheckFunctions(keys.ask_duplicates, keys.judge_duplicates),
    "sql": CheckFunctions(sql.ask, sql.judge),
}


def ask(check: Check, subject: CheckSubject) -> Question | None:
    """Ask the check's question about all dates of the subject; None when the counts suffice."""
    return REGISTRY[check.check].ask(check, subject)


def judge(check: Check, subject: CheckSubject, answer: Answer) -> dict[date, Verdict]:
    """Give the check's verdicts by date; what is wrong blocks, or warns where the check says so."""
    findings = REGISTRY[check.check].judge(check, subject, answer)
    asked = ask(check, subject) or count_rows(subject.output, subject.days)
    wrong = WARN if check.severity == "warn" else BLOCK
    return {
        day: Verdict(
            PASS if finding.is_right else wrong,
            name_of(check),
            subject.processor.name,
            finding.expected,
            finding.found,
            finding.detail,
            finding.keys,
            check.threshold,
            asked.fingerprint,
        )
        for day, finding in findings.items()
    }


def unasked(
    check: Check, subject: CheckSubject, outcome: str, error: str, *, is_asked_again: bool = False
) -> dict[date, Verdict]:
    """Give verdicts for a check whose query failed, never PASS.

    outcome: UNKNOWN when the query could not be answered, BLOCK when it is wrong by itself. is_asked_again: whether
    asking again may help. A check that only warns holds nothing back either way.
    """
    is_warning = check.severity == "warn"
    asked = ask(check, subject) or count_rows(subject.output, subject.days)
    verdict = Verdict(
        WARN if is_warning else outcome,
        name_of(check),
        subject.processor.name,
        0,
        0,
        error,
        (),
        check.threshold,
        asked.fingerprint,
        is_asked_again=is_asked_again and not is_warning,
    )
    return dict.fromkeys(subject.days, verdict)
