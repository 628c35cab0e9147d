"""The prover asks the tables: one query for many tables and a whole batch of dates."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from phasegate.domain.calendar.dates import stretches
from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks import registry
from phasegate.domain.checks.proof import Found, count_rows
from phasegate.domain.checks.question import Question, together
from phasegate.domain.checks.subject import CheckSubject, checked_days
from phasegate.domain.decisions.standing import known_to_be_gone
from phasegate.domain.decisions.waiving import blocks, waived
from phasegate.domain.errors import HaltError, PhasegateError, StatementRefused, TableNotThere, TransientError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.checks import Check
from phasegate.domain.spec.pipeline import ObjectOutput, Output, TableOutput
from phasegate.domain.state.facts import BLOCK, UNKNOWN, Verdict
from phasegate.domain.state.run import Waiver
from phasegate.ports import ObjectStore, Parameter, Row, Warehouse

GAP_DAYS = 45
"""Days without any of the dates asked about at which a query is cut in two: each costs a second."""

_REFUSED = "a check of the run's plan holds SQL that this version does not take"
_REMEDY = (
    "Correct the check in the pipeline file, and `phasegate retry` takes it over; or go on with the version that "
    "planned the run"
)

Counts = dict[date, Found]

Counted = Counts | None | PhasegateError
"""What an output holds by date; None where there is nothing to look at; the error when it could not be asked."""

Judged = dict[str, list[tuple[date, Verdict]]]

RanEmpty = Callable[[Mapping[str, Collection[date]]], Mapping[str, Collection[date]]]
"""Of tables (by ref) that are empty on these dates: the dates on which a run made and proved just that."""


class Prover:
    """The prover counts outputs and judges checks. Every failure to ask is UNKNOWN, never a pass.

    Everything is asked by ref (``phase/processor``) and for as many of them as there are, so that a warehouse whose
    queries take a second each answers them together. ``warehouse``: what it asks.
    """

    def __init__(self, warehouse: Warehouse, objects: ObjectStore) -> None:
        self.warehouse, self._objects = warehouse, objects

    def count(self, outputs: Mapping[str, tuple[Output, Iterable[date]]]) -> dict[str, Counted]:
        """Count what each output holds on its dates: rows of a table, one row for an object that is there.

        An error is a TransientError when asking again may help.
        """
        counted: dict[str, Counted] = dict.fromkeys(outputs)
        tables: dict[str, TableOutput] = {}
        names: dict[str, dict[str, date]] = {}
        questions: list[Question] = []
        for ref, (output, days) in outputs.items():
            if isinstance(output, TableOutput):
                tables[ref] = output
                questions.append(count_rows(output, days))
            elif isinstance(output, ObjectOutput):
                names[ref] = {output.name_on(day): day for day in days}
        for ref, rows in zip(tables, ask(self.warehouse, questions), strict=True):
            if isinstance(rows, PhasegateError):
                counted[ref] = rows
            else:
                counted[ref] = {row["d"]: Found(row["n"], row.get("lowest"), row.get("highest")) for row in rows}
        if names:
            try:
                held = self._objects.held([name for of_output in names.values() for name in of_output])
            except PhasegateError as error:
                counted.update(dict.fromkeys(names, error))
            else:
                for ref, by_name in names.items():
                    counted[ref] = dict.fromkeys((by_name[name] for name in held & by_name.keys()), Found(1))
        return counted

    def judge(self, index: PlanIndex, subjects: Mapping[str, tuple[Mapping[date, str], Counts]]) -> Judged:
        """Give the verdicts of every check of these processors, on the dates where checks apply.

        subjects: for each ref what is expected on which date, and what was counted there.
        """
        checks = checks_of(index, subjects)
        questions = [registry.ask(check, subject) for _, check, subject in checks]
        answers = iter(ask(self.warehouse, [question for question in questions if question]))
        judged: Judged = {ref: [] for ref in subjects}
        for (ref, check, subject), question in zip(checks, questions, strict=True):
            answer = next(answers) if question else []
            if isinstance(answer, TransientError):
                verdicts = registry.unasked(check, subject, UNKNOWN, f"the check could not be asked: {answer}")
            elif isinstance(answer, PhasegateError):
                verdicts = registry.unasked(check, subject, BLOCK, f"the check cannot be asked: {answer}")
            else:
                verdicts = registry.judge(check, subject, answer)
            judged[ref].extend(verdicts.items())
        return judged

    def soundness(
        self,
        index: PlanIndex,
        days_by_ref: Mapping[str, Iterable[date]],
        ran_empty: RanEmpty,
        known: Sequence[Waiver] = (),
    ) -> dict[str, dict[date, str] | TransientError]:
        """Say what is wrong with each processor's table on its dates, whoever wrote it; sound dates are absent.

        A table that may be empty, and is, tells nothing by itself: that it was run is proved by the tables of its cell
        that must hold rows, if they are sound, or by a record of it (``ran_empty``). known: the waivers that stand,
        whichever run looks. An error where asking again may help.
        """
        wrong_by_ref, in_question = self._soundness(index, days_by_ref, known)
        mates = {(ref, day): index.mates(ref, day) for ref, days in in_question.items() for day in days}
        asked: dict[str, set[date]] = {}
        for (_, day), of_cell in mates.items():
            for ref in of_cell:
                asked.setdefault(ref, set()).add(day)
        wrong_with_mates, _ = self._soundness(index, asked, known)
        unproved: dict[str, set[date]] = {}
        for (ref, day), of_cell in mates.items():
            of_mates = [wrong_with_mates[mate] for mate in of_cell]
            error = next((wrong for wrong in of_mates if isinstance(wrong, TransientError)), None)
            if error is not None:
                wrong_by_ref[ref] = error
            elif not of_mates or any(day in wrong for wrong in of_mates if not isinstance(wrong, TransientError)):
                unproved.setdefault(ref, set()).add(day)
        proved = ran_empty(unproved) if unproved else {}
        for ref, days in unproved.items():
            wrong = wrong_by_ref[ref]
            if not isinstance(wrong, TransientError):
                name = index.processor(ref).name
                left = sorted(days.difference(proved.get(ref, ())))
                wrong.update(dict.fromkeys(left, f"{name}: no rows, and nothing proves that it was ever run"))
        return wrong_by_ref

    def _soundness(
        self, index: PlanIndex, days_by_ref: Mapping[str, Iterable[date]], known: Sequence[Waiver]
    ) -> tuple[dict[str, dict[date, str] | TransientError], dict[str, list[date]]]:
        """What is wrong, and the dates on which a table may be empty, and is; both by ref."""
        in_question: dict[str, list[date]] = {}
        gone = known_to_be_gone(index.plan.pipeline, known)
        expects = {ref: {day: index.expectation(ref, day) for day in days} for ref, days in days_by_ref.items()}
        counted = self.count({ref: (index.processor(ref).output, expects[ref]) for ref in days_by_ref})
        wrong_by_ref: dict[str, dict[date, str] | TransientError] = {}
        subjects: dict[str, tuple[Mapping[date, str], Counts]] = {}
        for ref, counts in counted.items():
            name = index.processor(ref).name
            if isinstance(counts, TransientError):
                wrong_by_ref[ref] = counts
            elif isinstance(counts, PhasegateError):
                wrong_by_ref[ref] = dict.fromkeys(expects[ref], f"{name} cannot be asked: {counts}")
            else:
                unexpected = dict(_unexpected(name, expects[ref], counts or {}))
                wrong_by_ref[ref] = {
                    day: why for day, why in unexpected.items() if day in (counts or {}) or (day, ref) not in gone
                }
                in_question[ref] = [
                    day
                    for day, letter in expects[ref].items()
                    if letter == ExpectationLetter.OPTIONAL
                    and counts is not None
                    and day not in counts
                    and (day, ref) not in gone
                ]
                subjects[ref] = ({d: x for d, x in expects[ref].items() if d not in unexpected}, counts or {})
        for ref, verdicts in self.judge(index, subjects).items():
            for day, verdict in verdicts:
                wrong_there = wrong_by_ref[ref]
                if verdict.outcome == UNKNOWN:
                    wrong_by_ref[ref] = TransientError(str(verdict))
                elif not isinstance(wrong_there, TransientError) and is_unsound(ref, day, verdict, known):
                    wrong_there.setdefault(day, str(verdict))
        return wrong_by_ref, in_question


def is_unsound(ref: str, day: date, verdict: Verdict, known: Sequence[Waiver]) -> bool:
    """Tell whether a verdict of a processor's check stands in the way, with the waivers that stand."""
    return any(map(blocks, waived([verdict], day, ref.partition("/")[0], known)))


def checks_of(
    index: PlanIndex, subjects: Mapping[str, tuple[Mapping[date, str], Counts]]
) -> list[tuple[str, Check, CheckSubject]]:
    """Find (ref, check, what it is about) for every check that applies on some date; arguments as for
    ``Prover.judge``."""
    checks: list[tuple[str, Check, CheckSubject]] = []
    for ref, (expects, counts) in subjects.items():
        processor = index.processor(ref)
        days = checked_days(expects, counts)
        if days and isinstance(processor.output, TableOutput):
            phase, pipeline = ref.partition("/")[0], index.plan.pipeline
            subject = CheckSubject(pipeline, index.calendar, phase, processor, processor.output, days, counts)
            checks.extend((ref, check, subject) for check in index.checks(ref))
    return checks


def ask(warehouse: Warehouse, questions: Sequence[Question]) -> list[list[Row] | PhasegateError]:
    """Return the rows of each question, or why it could not be asked.

    Questions of one shape about the same dates are one query: a warehouse's query takes a second, whatever it asks.
    When that fails for good, each is asked by itself, so that one missing table does not speak for the others, nor the
    bytes of all of them for one. About dates far apart each stretch of them is asked by itself: a query reads what lies
    between its first date and its last. Raises HaltError: a full disk is no answer about a table, and
    neither is it that this version refuses a statement of a stored plan.
    """
    parts = [_by_stretch(question) for question in questions]
    answers = iter(_ask(warehouse, [part for of_question in parts for part in of_question]))
    return [_joined([next(answers) for _ in of_question]) for of_question in parts]


def _by_stretch(question: Question) -> list[Question]:
    """A question for each stretch of its dates, all of them together the same question."""
    found = stretches(question.parameters.get("days", ()), GAP_DAYS)
    if len(found) <= 1:
        return [question]
    return [
        replace(question, parameters={**question.parameters, "first": days[0], "last": days[-1], "days": list(days)})
        for days in found
    ]


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
    if alone:
        answers.update(zip(alone, warehouse.ask(_as_asked([questions[n] for n in alone])), strict=True))
    for answer in answers.values():
        if isinstance(answer, HaltError):
            raise answer
        if isinstance(answer, StatementRefused) and not isinstance(answer, TableNotThere):
            raise HaltError(f"{_REFUSED}: {answer}. {_REMEDY}") from answer
    return [answers[n] for n in range(len(questions))]


def _as_asked(questions: Sequence[Question]) -> list[tuple[str, Mapping[str, Parameter]]]:
    return [(question.sql, question.parameters) for question in questions]


def _unexpected(name: str, expects: Mapping[date, str], counts: Counts) -> Iterable[tuple[date, str]]:
    """Dates without rows where rows are due, and with rows where none are right."""
    for day, letter in expects.items():
        if letter == ExpectationLetter.EXPECTED and day not in counts:
            yield day, f"{name}: no rows"
        elif letter == ExpectationLetter.EMPTY and day in counts:
            yield day, f"{name}: {counts[day].rows} rows where none are right"
