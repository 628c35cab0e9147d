"""The prover asks the tables: one query for many tables and a whole batch of dates."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

from phasegate.domain.calendar.expectation import ExpectationLetter
from phasegate.domain.checks import registry
from phasegate.domain.checks.json_schema import fingerprint, judge_object
from phasegate.domain.checks.proof import Found, count_rows
from phasegate.domain.checks.question import Question
from phasegate.domain.checks.subject import CheckSubject, Finding, checked_days
from phasegate.domain.decisions.standing import known_to_be_gone
from phasegate.domain.decisions.waiving import blocks, waived
from phasegate.domain.errors import EvaluationError, InputError, PhasegateError, TransientError
from phasegate.domain.plan import PlanIndex
from phasegate.domain.spec.checks import Check, JsonSchemaCheck, name_of
from phasegate.domain.spec.pipeline import ObjectOutput, Output, TableOutput
from phasegate.domain.state.facts import BLOCK, PASS, UNKNOWN, WARN, Verdict
from phasegate.domain.state.run import Waiver
from phasegate.ports import ObjectStore, Warehouse
from phasegate.services.reading.asking import Answered, ask, ask_by_date

Counts = dict[date, Found]

Counted = Counts | None | PhasegateError
"""What an output holds by date; None where there is nothing to look at; the error when it could not be asked."""

Judged = dict[str, list[tuple[date, Verdict]]]

RanEmpty = Callable[[Mapping[str, Collection[date]]], Mapping[str, Collection[date]]]
"""Of tables (by ref) that are empty on these dates: the dates on which a run made and proved just that."""


_READ_AT_ONCE = 8
"""Objects that are read at the same time."""


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
        of_objects = list(self._judge_objects(index, subjects))
        questions = [registry.ask(check, subject) for _, check, subject in checks]
        answers = iter(ask_by_date(self.warehouse, [question for question in questions if question]))
        judged: Judged = {ref: [] for ref in subjects}
        for (ref, check, subject), question in zip(checks, questions, strict=True):
            verdicts = dict(_verdicts(check, subject, next(answers) if question else Answered([])))
            judged[ref].extend((day, verdicts[day]) for day in subject.days)
        for ref, day, verdict in of_objects:
            judged[ref].append((day, verdict))
        return judged

    def _judge_objects(
        self, index: PlanIndex, subjects: Mapping[str, tuple[Mapping[date, str], Counts]]
    ) -> Iterator[tuple[str, date, Verdict]]:
        """The verdicts of the checks that read objects: each object is read once, some at the same time."""
        wanted = [
            (ref, day, output.name_on(day))
            for ref, (expects, counts) in subjects.items()
            if isinstance(output := index.processor(ref).output, ObjectOutput) and index.checks(ref)
            for day in checked_days(expects, counts)
        ]
        if not wanted:
            return
        with ThreadPoolExecutor(min(_READ_AT_ONCE, len(wanted)), "phasegate-read") as threads:
            read = threads.map(self._read, [name for *_, name in wanted])
            for (ref, day, _), content in zip(wanted, read, strict=True):
                for check in index.checks(ref):
                    if isinstance(check, JsonSchemaCheck):
                        yield ref, day, _verdict_on(check, index, ref, content)

    def _read(self, name: str) -> bytes | PhasegateError:
        """An object, or why it cannot be read."""
        try:
            return self._objects.read(name)
        except FileNotFoundError:
            return InputError("the object is not there")
        except PhasegateError as error:
            return error

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
                if verdict.is_asked_again:
                    wrong_by_ref[ref] = TransientError(str(verdict))
                elif not isinstance(wrong_there, TransientError) and is_unsound(ref, day, verdict, known):
                    wrong_there.setdefault(day, str(verdict))
        return wrong_by_ref, in_question


def is_unsound(ref: str, day: date, verdict: Verdict, known: Sequence[Waiver]) -> bool:
    """Tell whether a verdict of a processor's check stands in the way, with the waivers that stand."""
    return any(map(blocks, waived([verdict], day, ref.partition("/")[0], known)))


def _verdicts(check: Check, subject: CheckSubject, answered: Answered) -> Iterator[tuple[date, Verdict]]:
    """The verdicts of a check: what was answered is judged, and of what failed the reason is told."""
    if days := tuple(day for day in subject.days if day not in answered.failed):
        yield from registry.judge(check, replace(subject, days=days), answered.rows).items()
    days_by_error: dict[PhasegateError, list[date]] = {}
    for day, error in answered.failed.items():
        days_by_error.setdefault(error, []).append(day)
    for error, of_error in days_by_error.items():
        failed = replace(subject, days=tuple(of_error))
        if isinstance(error, TransientError):
            said = f"the check could not be asked: {error}"
            yield from registry.unasked(check, failed, UNKNOWN, said, is_asked_again=True).items()
        elif isinstance(error, EvaluationError):
            said = f"the check cannot be answered for this date: {error}"
            yield from registry.unasked(check, failed, UNKNOWN, said).items()
        else:
            yield from registry.unasked(check, failed, BLOCK, f"the check cannot be asked: {error}").items()


def _verdict_on(check: JsonSchemaCheck, index: PlanIndex, ref: str, content: bytes | PhasegateError) -> Verdict:
    """The verdict of a check on an object that was read, or could not be."""
    schema, is_warning = index.plan.pipeline.json_schemas[check.schema_file], check.severity == "warn"
    asks_again = isinstance(content, TransientError)
    if isinstance(content, PhasegateError):
        found = Finding(False, 0, 0, f"the object could not be read: {content}")
    else:
        found = judge_object(schema, content)
    wrong = WARN if is_warning else UNKNOWN if asks_again else BLOCK
    return Verdict(
        PASS if found.is_right else wrong,
        name_of(check),
        index.processor(ref).name,
        found.expected,
        found.found,
        found.detail,
        (),
        check.threshold,
        fingerprint(schema),
        is_asked_again=asks_again and not is_warning,
    )


def checks_of(
    index: PlanIndex, subjects: Mapping[str, tuple[Mapping[date, str], Counts]]
) -> list[tuple[str, Check, CheckSubject]]:
    """Find (ref, check, what it is about) for every check of a table that applies on some date; arguments as for
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


def _unexpected(name: str, expects: Mapping[date, str], counts: Counts) -> Iterable[tuple[date, str]]:
    """Dates without rows where rows are due, and with rows where none are right."""
    for day, letter in expects.items():
        if letter == ExpectationLetter.EXPECTED and day not in counts:
            yield day, f"{name}: no rows"
        elif letter == ExpectationLetter.EMPTY and day in counts:
            yield day, f"{name}: {counts[day].rows} rows where none are right"
