"""A warehouse is asked many questions about many dates with few queries; what one of them spoils stays its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from phasegate.domain.calendar.dates import stretches
from phasegate.domain.checks.question import Question, together
from phasegate.domain.errors import (
    EvaluationError,
    HaltError,
    PhasegateError,
    StatementRefused,
    TableNotThere,
    TransientError,
    TypesDoNotFit,
)
from phasegate.ports import Parameter, Row, Warehouse

GAP_DAYS = 45
"""Days without any of the dates asked about at which a query is cut in two: each costs a second."""

PARTS_THAT_TELL = 32
"""Parts of a question's dates, each of which failed by itself, after which it is asked whether it fails without any
date too. A question about fewer dates is taken apart to the last one, which costs at most as much."""

_REFUSED = "a check of the run's plan holds SQL that this version does not take"
_REMEDY = (
    "Correct the check in the pipeline file, and `phasegate retry` takes it over; or go on with the version that "
    "planned the run"
)

NO_DATE = date(1000, 1, 1)
"""A date of which no table holds anything."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one question about many dates."""

    rows: list[Row]
    """The rows of the dates that were answered."""

    failed: dict[date, PhasegateError] = field(default_factory=dict)
    """The other dates, each with the error that met the question about it."""


def ask(warehouse: Warehouse, questions: Sequence[Question]) -> list[list[Row] | PhasegateError]:
    """Return the rows of each question, or why it could not be asked.

    Questions of one shape about the same dates are one query: a warehouse's query takes a second, whatever it asks.
    When that fails for good, each is asked by itself, so that one missing table does not speak for the others, nor the
    bytes of all of them for one. About dates far apart each stretch of them is asked by itself: a query reads what lies
    between its first date and its last. Raises HaltError: a full disk is no answer about a table, nor is it that this
    version refuses a statement of a stored plan.
    """
    parts = [_by_stretch(question) for question in questions]
    answers = iter(_ask(warehouse, [part for of_question in parts for part in of_question]))
    return [_joined([next(answers) for _ in of_question]) for of_question in parts]


def ask_by_date(warehouse: Warehouse, questions: Sequence[Question]) -> list[Answered]:
    """Ask as ``ask`` does; what fails by a value is asked again by halves, down to the dates whose values do it.

    A date is failed by an EvaluationError only when the question about it alone fails: which dates shared a query does
    not matter. Each such date costs at most two queries for each halving (log2 of the number of dates), each level of
    halves is asked at once. An error of any other kind fails all dates of its query, and nothing more is asked. Where
    ``PARTS_THAT_TELL`` parts fail, none was answered, and the same error comes without any date, it is the statement's
    own and stands for all.
    """
    parts = [(n, part) for n, question in enumerate(questions) for part in _by_stretch(question)]
    answered = [Answered([]) for _ in questions]
    failing: list[_Failing] = []
    for (n, part), answer in zip(parts, _ask(warehouse, [part for _, part in parts]), strict=True):
        failing.extend(_settle(answered[n], _Failing(n, part), answer))
    while failing := list(_one_error_for_all(warehouse, questions, answered, failing)):
        halves = [_Failing(each.number, half) for each in failing for half in _halves(each.question)]
        failing = []
        for half, answer in zip(halves, _alone(warehouse, [half.question for half in halves]), strict=True):
            failing.extend(_settle(answered[half.number], half, answer))
    return answered


@dataclass(frozen=True, slots=True)
class _Failing:
    """A part of a question that was asked."""

    number: int
    """The place of the question among those that are asked."""

    question: Question
    """The question, about some of its dates."""

    error: PhasegateError | None = None
    """The error that met it; None: it is not known yet."""


def _settle(answered: Answered, asked: _Failing, answer: list[Row] | PhasegateError) -> Iterator[_Failing]:
    """Keep an answer; yields what has to be asked by halves."""
    if not isinstance(answer, PhasegateError):
        answered.rows.extend(answer)
    elif isinstance(answer, EvaluationError) and len(_days(asked.question)) > 1:
        yield replace(asked, error=answer)
    else:
        answered.failed.update(dict.fromkeys(_days(asked.question), answer))


def _one_error_for_all(
    warehouse: Warehouse, questions: Sequence[Question], answered: Sequence[Answered], failing: Sequence[_Failing]
) -> Iterator[_Failing]:
    """Settle the questions whose statement fails whatever its dates; yields the parts of the others."""
    by_number: dict[int, list[_Failing]] = {}
    for each in failing:
        by_number.setdefault(each.number, []).append(each)
    for number, parts in by_number.items():
        days = [day for part in parts for day in _days(part.question)]
        if len(parts) >= PARTS_THAT_TELL and len(days) == len(_days(questions[number])):
            (answer,) = _alone(warehouse, [asked_about(parts[0].question, [NO_DATE])])
            if isinstance(answer, EvaluationError) and {str(part.error) for part in parts} == {str(answer)}:
                answered[number].failed.update(dict.fromkeys(days, answer))
                continue
        yield from parts


def _halves(question: Question) -> tuple[Question, Question]:
    days = _days(question)
    return asked_about(question, days[: len(days) // 2]), asked_about(question, days[len(days) // 2 :])


def _days(question: Question) -> list[date]:
    return list(question.parameters["days"])


def asked_about(question: Question, days: Sequence[date]) -> Question:
    """Ask the same question about other dates, in their order."""
    return replace(question, parameters={**question.parameters, "first": days[0], "last": days[-1], "days": list(days)})


def _by_stretch(question: Question) -> list[Question]:
    """A question for each stretch of its dates, all of them together the same question."""
    found = stretches(question.parameters.get("days", ()), GAP_DAYS)
    if len(found) <= 1:
        return [question]
    return [asked_about(question, days) for days in found]


def _joined(answers: Sequence[list[Row] | PhasegateError]) -> list[Row] | PhasegateError:
    """The rows of all parts, or the first error."""
    rows: list[Row] = []
    for answer in answers:
        if isinstance(answer, PhasegateError):
            return answer
        rows.extend(answer)
    return rows


def _ask(warehouse: Warehouse, questions: Sequence[Question]) -> list[list[Row] | PhasegateError]:
    if not questions:
        return []
    alike: dict[tuple[str, str], list[int]] = {}
    for n, question in enumerate(questions):
        alike.setdefault((question.shape, str(question.parameters.get("days"))), []).append(n)
    answers: dict[int, list[Row] | PhasegateError] = {}
    asked = [together([questions[n] for n in group]) for group in alike.values()]
    alone: list[int] = []
    for group, answer in zip(alike.values(), warehouse.ask(_as_asked(asked)), strict=True):
        if isinstance(answer, TransientError):
            answers.update(dict.fromkeys(group, answer))
        elif isinstance(answer, PhasegateError):
            alone.extend(group)
        else:
            found: list[list[Row]] = [[] for _ in group]
            for row in answer:
                found[row["asked"]].append(row)
            answers.update(zip(group, found, strict=True))
    answers.update(zip(alone, _alone(warehouse, [questions[n] for n in alone]), strict=True))
    return [answers[n] for n in range(len(questions))]


def _alone(warehouse: Warehouse, questions: Sequence[Question]) -> list[list[Row] | PhasegateError]:
    """The answer of each question, asked by itself. Raises HaltError."""
    answers = warehouse.ask(_as_asked(questions)) if questions else []
    for answer in answers:
        if isinstance(answer, HaltError):
            raise answer
        if isinstance(answer, StatementRefused) and not isinstance(answer, TableNotThere | TypesDoNotFit):
            raise HaltError(f"{_REFUSED}: {answer}. {_REMEDY}") from answer
    return answers


def _as_asked(questions: Sequence[Question]) -> list[tuple[str, Mapping[str, Parameter]]]:
    return [(question.sql, question.parameters) for question in questions]
