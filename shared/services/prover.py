"""Asks the tables: one query a table for a whole batch of dates."""

from collections.abc import Iterable, Mapping
from datetime import date

from shared.domain.errors import PhasegateError, TransientError
from shared.domain.facts import BLOCK, UNKNOWN, Verdict
from shared.domain.gates import REGISTRY, Found, Subject, checked_days, count_rows, unasked
from shared.domain.pipeline import ObjectOutput, Output, TableOutput
from shared.domain.plan import EMPTY, EXPECTED, PlanIndex
from shared.ports import ObjectStore, Warehouse

Counts = dict[date, Found]


class Prover:
    """Counts outputs and judges checks. Every failure to ask is UNKNOWN, never a pass."""

    def __init__(self, warehouse: Warehouse, objects: ObjectStore) -> None:
        self._warehouse, self._objects = warehouse, objects

    def count(self, output: Output, days: Iterable[date]) -> Counts | None:
        """What a table holds by date, one row for objects that are there; None where there is nothing to look at.

        Raises TransientError when asking again may help, another PhasegateError when it will not.
        """
        days = list(days)
        if isinstance(output, TableOutput):
            question = count_rows(output, days)
            rows = self._warehouse.query(question.sql, question.parameters)
            return {row["d"]: Found(row["n"], row.get("lowest"), row.get("highest")) for row in rows}
        if isinstance(output, ObjectOutput):
            names = {output.path.replace("{date}", day.isoformat()): day for day in days}
            return dict.fromkeys((names[name] for name in self._objects.held(names)), Found(1))
        return None

    def judge(
        self, index: PlanIndex, ref: str, expects: Mapping[date, str], counts: Counts
    ) -> list[tuple[date, Verdict]]:
        """Verdicts of every check of a processor on the dates where checks apply."""
        processor = index.processor(ref)
        days = checked_days(expects, counts)
        if not days or not isinstance(processor.output, TableOutput):
            return []
        phase = ref.partition("/")[0]
        plan = index.plan
        subject = Subject(plan.pipeline, index.calendar, phase, processor, processor.output, days, counts)
        verdicts: list[tuple[date, Verdict]] = []
        for check in processor.checks:
            functions = REGISTRY[check.check]
            question = functions.ask(check, subject)
            try:
                answer = self._warehouse.query(question.sql, question.parameters) if question else []
                judged = functions.judge(check, subject, answer)
            except TransientError as error:
                judged = unasked(check, subject, UNKNOWN, f"the check could not be asked: {error}")
            except PhasegateError as error:
                judged = unasked(check, subject, BLOCK, f"the check cannot be asked: {error}")
            verdicts.extend(judged.items())
        return verdicts

    def soundness(self, index: PlanIndex, ref: str, days: Iterable[date]) -> dict[date, str]:
        """What is wrong with a processor's table on these dates, whoever wrote it; sound dates are absent.

        Raises TransientError when asking again may help.
        """
        processor = index.processor(ref)
        expects = {day: index.expectation(processor, day) for day in days}
        try:
            counts = self.count(processor.output, expects) or {}
        except TransientError:
            raise
        except PhasegateError as error:
            return dict.fromkeys(expects, f"{processor.name} cannot be asked: {error}")
        wrong: dict[date, str] = {}
        for day, letter in expects.items():
            if letter == EXPECTED and day not in counts:
                wrong[day] = f"{processor.name}: no rows"
            elif letter == EMPTY and day in counts:
                wrong[day] = f"{processor.name}: {counts[day].rows} rows where none are right"
        rest = {day: letter for day, letter in expects.items() if day not in wrong}
        for day, verdict in self.judge(index, ref, rest, counts):
            if verdict.outcome == UNKNOWN:
                raise TransientError(str(verdict))
            if verdict.outcome == BLOCK:
                wrong.setdefault(day, str(verdict))
        return wrong


def count_all(warehouse: Warehouse, output: TableOutput, days: Iterable[date]) -> tuple[int, int]:
    """(rows, dates with rows) of a table within these dates. Raises PhasegateError when it cannot be asked."""
    question = count_rows(output, days)
    found = warehouse.query(question.sql, question.parameters)
    return sum(row["n"] for row in found), len(found)
