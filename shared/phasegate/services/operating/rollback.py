"""A rollback takes back what phases left behind: it sees what is there, refuses what must not be touched, deletes,
keeps a record.

A rollback changes no run: what earlier runs say stays, and the verifier shows that the tables no longer hold it. A plan
of what is missing finds the cells by the tables and makes them again.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from phasegate.domain.decisions.built_on import built_on
from phasegate.domain.decisions.needed import unseen
from phasegate.domain.errors import HaltError, InputError, PhasegateError, TransientError, UnreadableRun
from phasegate.domain.operations.overrides import Overrides, check_overrides
from phasegate.domain.operations.preflight import failures
from phasegate.domain.operations.rollback import Holding, Scope, place_of
from phasegate.domain.spec.pipeline import ObjectOutput, Output, TableOutput
from phasegate.domain.state.board import Board
from phasegate.domain.state.lease import Held, Lease
from phasegate.domain.state.run import DesiredState, Run, RunStatus, UnreadableDocument
from phasegate.ports import Clock, Leases, ObjectStore, RunReader, State, Warehouse
from phasegate.services.reading.listing import current_status
from phasegate.services.reading.prover import Prover
from phasegate.services.reading.under_way import under_way

LEASE = timedelta(minutes=15)
"""How long the other writer of a table is kept away at most, should this process die. A thousand dates are leased in
a minute or two, a DELETE takes seconds."""

LEASE_MARGIN = timedelta(minutes=4)
"""What a lease must still last when a DELETE begins, whose retries end after three minutes."""

RECORD_VERSION = 1


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey says what there is to delete, and what follows from that."""

    scope: Scope
    """The outputs and dates that were surveyed."""

    holdings: tuple[Holding, ...]
    """The outputs with something on the dates, in the pipeline's order."""

    stale: tuple[Holding, ...]
    """What was built from these outputs and is still there, also on later dates whose windows reach back."""

    unseen: tuple[str, ...]
    """Refs of the holdings that ``--reprocess missing`` would not make again."""

    not_there: tuple[str, ...]
    """Tables that do not exist, sorted."""

    wordless: tuple[str, ...]
    """Refs of processors that leave nothing behind that could be deleted."""


@dataclass(slots=True)
class Deleted:
    """What a rollback has really deleted, as far as it came."""

    id: str
    """Names the rollback: its time and eight random digits."""

    record: str
    """The prefix in the object store below which its record is kept."""

    by_ref: dict[str, int] = field(default_factory=dict)
    """``phase/processor`` -> how many rows or objects were deleted."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature stands on the record of a rollback."""

    by: str
    """The person who decided it."""

    why: str
    """The person's reason; may be empty."""


def survey(scope: Scope, warehouse: Warehouse, objects: ObjectStore) -> Survey:
    """See what the outputs hold: one query per table for all dates.

    Raises InputError for a table without the column of its dates, TransientError when something does not answer.
    """
    index = scope.index
    behind = built_on(index, dict.fromkeys(scope.refs, scope.days))
    outputs: dict[str, tuple[Output, set[date]]] = {}
    for ref, days in [*dict.fromkeys(scope.outputs, scope.days).items(), *behind.items()]:
        outputs.setdefault(ref, (index.processor(ref).output, set()))[1].update(days)
    absent = _absent((output for output, _ in outputs.values()), warehouse)
    there = {ref: each for ref, each in outputs.items() if _table(each[0]) not in absent}
    rows: dict[str, dict[date, int]] = {}
    for ref, counted in Prover(warehouse, objects).count(there).items():
        if isinstance(counted, PhasegateError):
            raise counted
        rows[ref] = {day: found.rows for day, found in (counted or {}).items() if found.rows}
    holdings = _holdings(index.processor, dict.fromkeys(scope.outputs, scope.days), rows)
    return Survey(
        scope,
        holdings,
        stale=_holdings(index.processor, behind, rows),
        unseen=unseen(index, {each.ref: each.days for each in holdings}),
        not_there=tuple(sorted({_table(o) or "" for o in scope.outputs.values()} & absent)),
        wordless=tuple(ref for ref in scope.refs if ref not in scope.outputs),
    )


def require_free(scope: Scope, state: State, now: datetime, *, claims_die_with_us: bool) -> None:
    """Refuse what a run works on, or reads: it would write what was just deleted, or build on what is gone.

    claims_die_with_us: no other process is alive that could still write (embedded mode); else the attempts of a
    cancelled run, and of one that halted, count until their leases end. An unfinished run that cannot be read may be
    at work anywhere. Raises InputError that names the run and what to do.
    """
    places = {place_of(output) for output in scope.outputs.values()}
    unfinished = frozenset(state.unfinished())
    for run in state.every_run():
        try:
            if isinstance(run, UnreadableDocument):
                raise UnreadableRun(run.reason)
            _refuse_at_work(scope, places, state, run, now, claims_die_with_us)
        except UnreadableRun as error:
            if run.run_id in unfinished:
                raise UnreadableRun(f"{error}; until then nobody knows what it works on") from error


def require_named(scope: Scope, overrides: Overrides, now: datetime) -> None:
    """Refuse dates of the live window that nobody named: raises InputError."""
    if found := failures(check_overrides(scope.pipeline, (), scope.days, overrides, now)):
        raise InputError("; ".join(f"{line.detail}: {line.remedy}" for line in found))


def delete(
    found: Survey, state: State, warehouse: Warehouse, objects: ObjectStore, clock: Clock, signature: Signature
) -> Deleted:
    """Delete what the survey found, what was built last first; the record is written before and after.

    Raises InputError, and nothing is written, without a name or while another system writes one of the dates. After
    that HaltError or TransientError: the record says how far it came, and the same call again deletes what is left.
    """
    if not signature.by.strip():
        raise InputError("--by: say who decides this")
    now = clock.now()
    made = Deleted(f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}", "")
    made.record = f"rollbacks/{made.id}"
    leases = _take_leases(found, state.leases, clock, f"rollback {made.id} by {signature.by}")
    said = ""
    try:
        _write(objects, f"{made.record}/intended.json", _intended(found, made, signature, now))
        for holding in reversed(found.holdings):
            _require_time(leases.get(holding.ref, ()), clock)
            made.by_ref[holding.ref] = _delete_one(holding, warehouse, objects)
            _give_back(state.leases, leases.pop(holding.ref, ()))
    except PhasegateError as error:
        said = str(error)
        kind = TransientError if isinstance(error, TransientError) else HaltError
        raise kind(
            f"{error} ({len(made.by_ref)} of {len(found.holdings)} outputs were deleted, see {made.record}); "
            "the same command again deletes what is left"
        ) from error
    finally:
        for left in leases.values():
            _give_back(state.leases, left)
        if said:
            with suppress(PhasegateError, OSError):
                _write(objects, f"{made.record}/done.json", _done(made, clock.now(), said))
    _write(objects, f"{made.record}/done.json", _done(made, clock.now(), ""))
    return made


def _table(output: Output) -> str | None:
    return output.table if isinstance(output, TableOutput) else None


def _absent(outputs: Iterable[Output], warehouse: Warehouse) -> set[str]:
    """Tables that are not there. Raises InputError for one without the column of its dates."""
    date_columns = {output.table: output.date_column for output in outputs if isinstance(output, TableOutput)}
    there = warehouse.columns(date_columns)
    for table, column in date_columns.items():
        if table in there and column not in there[table]:
            raise InputError(f"{table} has no column {column}: correct date_column in the pipeline file, or the table")
    return date_columns.keys() - there.keys()


def _holdings(
    processor: Any, days_of: Mapping[str, Iterable[date]], rows: Mapping[str, Mapping[date, int]]
) -> tuple[Holding, ...]:
    """Outputs with something on these dates."""
    holdings: list[Holding] = []
    for ref, days in days_of.items():
        held = tuple(sorted(day for day in days if day in rows.get(ref, {})))
        if held:
            holdings.append(Holding(ref, processor(ref).output, held, sum(rows[ref][day] for day in held)))
    return tuple(holdings)


def _refuse_at_work(
    scope: Scope, places: set[str], state: State, run: Run, now: datetime, claims_die_with_us: bool
) -> None:
    board, _ = state.board(run.run_id)
    if not current_status(run, board).is_final:
        _refuse_unfinished(scope, places, state, run)
    elif claims_die_with_us:
        return
    elif run.desired_state is DesiredState.CANCELLED:
        _refuse_still_writing(scope, places, state, run, now)
    elif board.status is RunStatus.HALTED:
        _refuse_halted_at_work(scope, places, state, run, board, now)


def _refuse_unfinished(scope: Scope, places: set[str], state: RunReader, run: Run) -> None:
    index = state.index(run.run_id)
    days = [day for day in scope.days if day in index.position]
    phases = sorted({t.phase for t in index.tasks if _is_among(t.spec.output, places)})
    verb = "holds"
    if not days or not phases:
        read = {
            ref: set(dates) for ref, dates in index.outside.items() if _is_among(index.processor(ref).output, places)
        }
        days = [day for day in scope.days if any(day in dates for dates in read.values())]
        phases, verb = sorted({ref.partition("/")[0] for ref in read}), "reads"
    if days and phases:
        status = current_status(run, state.board(run.run_id)[0]).value
        raise InputError(
            f"run '{run.run_id}' is not over ({status}) and {verb} {', '.join(phases)} on {len(days)} of these dates, "
            f"{days[0]} to {days[-1]}; let it come to its end, or: phasegate cancel {run.run_id}"
        )


def _refuse_still_writing(scope: Scope, places: set[str], state: State, run: Run, now: datetime) -> None:
    index = state.index(run.run_id)
    days = [day for day in scope.days if day in index.position]
    for claim in state.open_claims(run.run_id, days) if days else ():
        output = index.processor(f"{claim.key.phase}/{claim.key.processor}").output
        if claim.lease_until > now and _is_among(output, places):
            raise InputError(
                f"run '{run.run_id}' was cancelled, but {claim.key} is still under way and may write until "
                f"{claim.lease_until:%Y-%m-%d %H:%M:%S} UTC; try again then"
            )


def _refuse_halted_at_work(scope: Scope, places: set[str], state: State, run: Run, board: Board, now: datetime) -> None:
    """A run that halted starts nothing more, and what it had started goes on: also what waits in a queue."""
    index = state.index(run.run_id)
    days = sorted(set(scope.days).intersection(board.open_days(index)))
    for key, claim in under_way(state, run.run_id, index, days, now):
        if _is_among(index.processor(key.ref).output, places):
            may = (
                f"may write until {claim.lease_until:%Y-%m-%d %H:%M:%S} UTC; try again then"
                if claim
                else f"waits in its queue; let it come to its end, or: phasegate cancel {run.run_id}"
            )
            raise InputError(f"run '{run.run_id}' halted, but {key} {'is still under way and ' if claim else ''}{may}")


def _is_among(output: Output, places: set[str]) -> bool:
    return isinstance(output, TableOutput | ObjectOutput) and place_of(output) in places


def _take_leases(found: Survey, leases: Leases, clock: Clock, holder: str) -> dict[str, Sequence[Lease]]:
    """The leases on every date of every table that another system writes too, by ref; all of them or none."""
    taken: dict[str, list[Lease]] = {}
    try:
        for holding in found.holdings:
            if not isinstance(holding.output, TableOutput) or holding.output.other_writer is None:
                continue
            mine = taken.setdefault(holding.ref, [])
            for day in holding.days:
                now = clock.now()
                lease = leases.take(holding.output.table, day, holder, now + LEASE, now)
                if isinstance(lease, Held):
                    raise InputError(
                        f"{lease} ({holding.output.other_writer}); nothing was deleted: try again when it has ended"
                    )
                mine.append(lease)
    except PhasegateError:
        for mine in taken.values():
            _give_back(leases, mine)
        raise
    return dict(taken)


def _give_back(leases: Leases, taken: Sequence[Lease]) -> None:
    for lease in taken:
        leases.give_back(lease)


def _require_time(leases: Sequence[Lease], clock: Clock) -> None:
    if leases and min(lease.until for lease in leases) - clock.now() < LEASE_MARGIN:
        raise TransientError(f"the leases on {leases[0].table} end too soon; select fewer dates at once")


def _delete_one(holding: Holding, warehouse: Warehouse, objects: ObjectStore) -> int:
    if isinstance(holding.output, TableOutput):
        return warehouse.delete_dates(holding.output.table, holding.output.date_column, holding.days)
    return len(objects.delete(holding.output.name_on(day) for day in holding.days))


def _intended(found: Survey, made: Deleted, signature: Signature, now: datetime) -> dict[str, Any]:
    return {
        "pipeline": found.scope.pipeline.pipeline,
        "phases": list(found.scope.phases),
        "by": signature.by,
        "why": signature.why,
        "at": now.isoformat(),
        "outputs": [
            {
                "processor": each.ref,
                "table" if each.is_table else "objects": each.name,
                "rows": each.rows,
                "dates": [day.isoformat() for day in each.days],
            }
            for each in found.holdings
        ],
    } | {"schema_version": RECORD_VERSION, "id": made.id}


def _done(made: Deleted, now: datetime, error: str) -> dict[str, Any]:
    return {
        "schema_version": RECORD_VERSION,
        "id": made.id,
        "at": now.isoformat(),
        "deleted": dict(made.by_ref),
        "error": error or None,
    }


def _write(objects: ObjectStore, name: str, content: Mapping[str, Any]) -> None:
    objects.write(name, json.dumps(content, indent=1, ensure_ascii=False).encode())
