"""The mutations of the failure catalogue: each takes one protection away, so that its row must turn red."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ConfigDict

from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.checks import proof
from phasegate.domain.checks.registry import REGISTRY, CheckFunctions
from phasegate.domain.checks.subject import Finding
from phasegate.domain.protocol import worker as worker_protocol
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.facts import Proved
from phasegate.report.verify import compose
from phasegate.services.reading.prover import Prover
from phasegate.services.running.listener import Listener
from phasegate.services.running.runner import Runner
from tests.world import FIRST_DAY, World


def silence_reports(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Runner, "publish", lambda self, completions: None)


def release_without_edges(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.advance.obstacles", lambda *a: iter(()))


def finds_all_right(_: Any, subject: Any, __: Any) -> dict[Any, Finding]:
    return {day: Finding(True, None, None, "") for day in subject.days}


def every_row_count_passes(patch: pytest.MonkeyPatch) -> None:
    rows = REGISTRY["rows"]

    def judge(check: Any, subject: Any, answer: Any) -> Any:
        return {d: replace(found, is_right=True) for d, found in rows.judge(check, subject, answer).items()}

    patch.setitem(REGISTRY, "rows", CheckFunctions(rows.ask, judge))  # type: ignore[arg-type]
    patch.setitem(REGISTRY, "entities", CheckFunctions(lambda *a: None, finds_all_right))  # type: ignore[arg-type]


def forget_aliases(patch: pytest.MonkeyPatch) -> None:
    names = lambda self: {(p.name, x.name): x.name for p in self.phases for x in p.processors}  # noqa: E731
    patch.setattr(Pipeline, "registry", property(names))


def duplicates_go_home(patch: pytest.MonkeyPatch) -> None:
    handle = Listener._handle_run

    def mutated(self: Listener, run_id: str, events: Any) -> None:
        state = self._backend.state
        fresh = [
            (e, m) for e, m in events
            if state.dates(run_id, [e.date])[e.date].attempt(e.phase, e.processor, e.attempt).reported is None
        ]  # fmt: skip
        handle(self, run_id, fresh)

    patch.setattr(Listener, "_handle_run", mutated)


def never_look_for_lost_dispatches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.services.running.sweeper.overdue_dispatches", lambda *a: [])


def append_blindly(patch: pytest.MonkeyPatch) -> None:
    append = DuckDbWarehouse.append_missing

    def mutated(self: DuckDbWarehouse, table: str, rows: Any, keys: Any) -> int:
        self._connection.execute(f"CREATE OR REPLACE TABLE spare AS SELECT * FROM {table}")
        self._connection.execute(f"DELETE FROM {table}")
        written = append(self, table, rows, keys)
        self._connection.execute(f"INSERT INTO {table} SELECT * FROM spare")
        return written

    patch.setattr(DuckDbWarehouse, "append_missing", mutated)


def any_key_will_do(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(REGISTRY, "entities", CheckFunctions(lambda *a: None, finds_all_right))  # type: ignore[arg-type]


def values_and_joins_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    for name in ("nulls", "coverage"):
        patch.setitem(REGISTRY, name, CheckFunctions(lambda *a: None, finds_all_right))  # type: ignore[arg-type]


def waivers_have_no_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.waiving.is_in_force", lambda waiver, now: True)


def believe_every_report(patch: pytest.MonkeyPatch) -> None:
    believed = lambda attempt, output, checks, expects, found, now: Proved(True, found, "", None, now)  # noqa: E731
    patch.setattr("phasegate.services.running.judge.judge_proof", believed)
    every_row_count_passes(patch)


def let_unknown_keys_through(patch: pytest.MonkeyPatch) -> None:
    class Lenient(worker_protocol.WorkerRequest):
        model_config = ConfigDict(extra="ignore")

    patch.setattr(worker_protocol, "WorkerRequest", Lenient)


def count_postponed_games(patch: pytest.MonkeyPatch) -> None:
    init = World.__init__

    def mutated(self: World, *args: Any, **kwargs: Any) -> None:
        init(self, *args, change=lambda d: d["calendar"].update(condition="TRUE"), **kwargs)

    patch.setattr(World, "__init__", mutated)


def one_expectation_for_every_date(patch: pytest.MonkeyPatch) -> None:
    init = World.__init__

    def mutated(self: World, *args: Any, **kwargs: Any) -> None:
        init(self, *args, change=lambda d: d["calendar"].update(bootstrap_days=0), **kwargs)

    patch.setattr(World, "__init__", mutated)


def look_at_recent_dates_only(patch: pytest.MonkeyPatch) -> None:
    count = Prover.count

    def mutated(self: Prover, outputs: Any) -> Any:
        found = count(self, outputs)
        for ref, (_, days) in outputs.items():
            if ref == "raw/b" and found[ref]:
                found[ref] = {**{d: proof.Found(4) for d in days if d < FIRST_DAY + timedelta(days=4)}, **found[ref]}
        return found

    patch.setattr(Prover, "count", mutated)
    any_key_will_do(patch)


def verify_recent_dates_only(patch: pytest.MonkeyPatch) -> None:
    find, missing, recent = compose.find, compose.missing_dates, FIRST_DAY + timedelta(days=4)
    patch.setattr(compose, "find", lambda *read: [f for f in find(*read) if f.date and f.date >= recent])
    patch.setattr(compose, "missing_dates", lambda *read: [m for m in missing(*read) if m.first >= recent])


def forget_needs(patch: pytest.MonkeyPatch) -> None:
    init = World.__init__

    def mutated(self: World, *args: Any, **kwargs: Any) -> None:
        init(self, *args, change=lambda d: d["phases"][2]["processors"][1].update(needs=[]), **kwargs)

    patch.setattr(World, "__init__", mutated)


def throttles_cost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.failures._FREE", frozenset())


def write_history_row_by_row(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.services.running.historian.BATCH_ROWS", 1)


def try_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("phasegate.domain.decisions.reconcile.may_retry", lambda *a: True)


def unproved_is_a_throttle(patch: pytest.MonkeyPatch) -> None:
    judge = proof.judge_proof

    def mutated(*args: Any) -> Proved:
        proof = judge(*args)
        return proof if proof.ok else Proved(False, proof.rows, proof.detail, ErrorClass.THROTTLE, proof.at)

    patch.setattr("phasegate.services.running.judge.judge_proof", mutated)


def ignore_fences(patch: pytest.MonkeyPatch) -> None:
    replace_ = DuckDbWarehouse._replace
    patch.setattr(
        DuckDbWarehouse,
        "_replace",
        lambda self, these, write: replace_(self, replace(these, fences=dict.fromkeys(these.fences, 99)), write),
    )


def identity_is_the_date(patch: pytest.MonkeyPatch) -> None:
    handle = Listener._handle_run
    by_date = lambda self, run_id, events: handle(self, run_id, list({e.date: (e, m) for e, m in events}.values()))  # noqa: E731
    patch.setattr(Listener, "_handle_run", by_date)


def keep_state_in_a_temporary_folder(patch: pytest.MonkeyPatch) -> None:
    opened = iter(range(1000))
    patch.setattr(Home, "state", property(lambda self: self.root / f"state-{next(opened)}.sqlite"))
