"""What every state must do."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from google.cloud.firestore import WriteBatch

from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import CommitTooLarge, InputError, NameIsTaken, UnknownRun
from phasegate.domain.messages.run_request import RunRequest
from phasegate.domain.plan import Plan, compile_plan
from phasegate.domain.state.board import Board, BoardLetter
from phasegate.domain.state.facts import (
    Abandoned,
    AttemptFacts,
    AttemptKey,
    Cell,
    DateFacts,
    Fact,
    GroupState,
    Healed,
    HealedAs,
)
from phasegate.domain.state.reads import Reads
from phasegate.domain.state.run import DesiredState, Run, RunStatus
from phasegate.domain.state.time_spent import NOTHING, THREADS, TimeSpent
from phasegate.ports import Claim, ClaimRequest, Heal, QuarantineRecord, ReportNote
from phasegate.services.starting.identity import identify
from phasegate.services.starting.write import NewRun, write_run
from tests.contract.conftest import DAYS, NOW, Backend, EmbeddedBackend, Step, create, dies, stays
from tests.contract.firestore import FirestoreBackend
from tests.unit.builders import days, dispatched, plan, proved, reported, run
from tests.world import BATCH


@pytest.fixture(params=["embedded", "firestore"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A blank state, in SQLite and in Firestore."""
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
        yield FirestoreBackend()
    else:
        made = EmbeddedBackend(tmp_path)
        yield made
        made.close()


WHOEVER_READS = pytest.mark.parametrize("then", [stays, dies], ids=["in the same process", "in the next process"])


def key(day: int = 0, processor: str = "a", attempt: int = 1, phase: str = "raw") -> AttemptKey:
    """An attempt of the world."""
    return AttemptKey(DAYS[day], phase, processor, attempt)


@pytest.fixture(params=[1, BATCH], ids=["one date a call", "batches"])
def together(request: pytest.FixtureRequest) -> list[AttemptKey]:
    """The attempts that one call carries, each of a date of its own."""
    return [AttemptKey(day, "raw", "a", 1) for day in days(request.param)]


def request(of: AttemptKey, epoch: int = 1) -> ClaimRequest:
    """A request to run an attempt."""
    return ClaimRequest(of, epoch, 2, (("fetch/a", 3),), NOW + timedelta(minutes=5))


def claim(backend: Backend, *keys: AttemptKey, run_id: str = "r") -> list[Claim | None]:
    """Claim attempts."""
    return backend.state.claim(run_id, [request(k) for k in keys], NOW)


# Runs, plans, boards


@WHOEVER_READS
def test_a_created_run_is_read_as_it_was_written(backend: Backend, then: Step) -> None:
    made, frozen, board, is_new = create(backend.state)
    then(backend)
    assert is_new
    assert backend.state.run("r") == made
    assert backend.state.plan("r") == frozen
    assert backend.state.board("r")[0] == board


def test_the_plan_that_is_read_has_the_hash_of_the_one_that_was_written(backend: Backend) -> None:
    _, frozen, _, _ = create(backend.state)
    backend.reopen()
    assert backend.state.plan("r").hash == frozen.hash


def test_the_scope_of_a_run_is_that_of_its_plan(backend: Backend) -> None:
    _, frozen, _, _ = create(backend.state)
    backend.reopen()
    assert backend.state.scope("r") == (frozen.phases, frozen.days)
    with pytest.raises(UnknownRun, match="unknown run 'q'"):
        backend.state.scope("q")


def test_a_run_is_created_once_and_the_first_one_stands(backend: Backend) -> None:
    made, _, _, _ = create(backend.state)
    _, _, _, is_new = create(backend.state, why="another")
    assert (is_new, backend.state.run("r")) == (False, made)


def test_runs_are_listed_newest_first(backend: Backend) -> None:
    for run_id, created in (("old", 1), ("new", 3), ("middle", 2)):
        create(backend.state, run_id, created=created)
    assert [r.run_id for r in backend.state.runs()] == ["new", "middle", "old"]


@pytest.mark.parametrize("read", ["run", "plan", "board"])
def test_an_unknown_run_is_an_input_error_that_names_a_near_one(started: Backend, read: str) -> None:
    create(started.state, "season-2023")
    with pytest.raises(InputError, match="unknown run 'season-2024'; did you mean 'season-2023'"):
        getattr(started.state, read)("season-2024")


def test_an_unknown_run_where_there_are_none_says_so(backend: Backend) -> None:
    with pytest.raises(InputError, match="unknown run 'x'; there are no runs here yet"):
        backend.state.run("x")


@pytest.mark.parametrize("read", ["run", "plan", "board"])
def test_what_another_version_wrote_is_refused_in_the_same_words(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("phasegate.domain.state.board.BOARD_VERSION", 2)
        made, frozen = run(run_id="r", schema_version=2, created_at=NOW), plan(schema_version=2)
        backend.state.create_run(made, frozen, Board.blank("r", compile_plan(frozen), NOW))
    backend.reopen()
    with pytest.raises(InputError) as refusal:
        getattr(backend.state, read)("r")
    assert str(refusal.value) == (
        f"the {read} of run 'r' has version 2, this program reads 1; use the version of the program that made it, "
        "which can also cancel it; every other run goes on"
    )


def test_plans_of_many_unfinished_runs_are_compiled_once_each(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [f"r{number}" for number in range(12)]
    for run_id in runs:
        create(backend.state, run_id)
    backend.reopen()
    compiled: list[Plan] = []
    monkeypatch.setattr(
        "phasegate.adapters.state_base.compile_plan", lambda plan: (compiled.append(plan), compile_plan(plan))[1]
    )
    for run_id in runs * 3:
        assert backend.state.index(run_id).plan == backend.state.plan(run_id)
    assert len(compiled) == len(runs)


def test_a_run_is_unfinished_until_its_board_is_final(started: Backend) -> None:
    create(started.state, "done")
    board, version = started.state.board("done")
    board.status = RunStatus.COMPLETED
    started.state.commit("done", board, version, {})
    assert started.state.unfinished() == ["r"]


def test_a_glance_at_a_run_that_does_not_admit_is_never_stale(started: Backend) -> None:
    started.state.glance("r")
    started.state.change_run("r", paused)
    started.state.change_run("r", lambda r: r.model_copy(update={"desired_state": DesiredState.RUNNING}))
    assert started.state.glance("r").desired_state is DesiredState.RUNNING


def paused(run: Run) -> Run:
    """A person's request."""
    return run.model_copy(update={"desired_state": DesiredState.PAUSED})


@WHOEVER_READS
def test_a_change_of_a_run_is_seen_at_the_next_read(started: Backend, then: Step) -> None:
    started.state.change_run("r", paused)
    then(started)
    assert started.state.run("r").desired_state is DesiredState.PAUSED


def test_a_change_made_by_another_process_is_seen_at_the_next_read(started: Backend) -> None:
    started.state.run("r")
    started.beside().change_run("r", paused)
    assert started.state.run("r").desired_state is DesiredState.PAUSED


def test_changes_build_on_each_other(started: Backend) -> None:
    for state in (started.state, started.beside(), started.state):
        state.change_run("r", lambda r: r.model_copy(update={"epoch": r.epoch + 1}))
    assert started.state.run("r").epoch == 4


def test_an_unknown_run_cannot_be_changed(started: Backend) -> None:
    with pytest.raises(InputError, match="unknown run"):
        started.state.change_run("nobody", paused)


def test_changing_a_board_that_was_read_changes_nothing_that_is_stored(started: Backend) -> None:
    board, _ = started.state.board("r")
    board.set_letter("raw", 0, BoardLetter.PASSED)
    assert started.state.board("r")[0].letter("raw", 0) != BoardLetter.PASSED


# Commits

CELL = Cell(2, {"raw": GroupState(2, NOW, same=("b",))}, {"a": 2})


@WHOEVER_READS
def test_board_and_cells_are_committed_together(started: Backend, then: Step) -> None:
    board, version = started.state.board("r")
    board.set_letter("raw", 0, BoardLetter.PASSED)
    board.status = RunStatus.PAUSED
    assert started.state.commit("r", board, version, {(DAYS[0], "raw"): CELL})
    then(started)
    assert started.state.board("r")[0] == board
    assert started.state.dates("r", [DAYS[0]])[DAYS[0]].cells == {"raw": CELL}


def test_a_commit_on_a_board_that_another_one_has_changed_writes_nothing(started: Backend) -> None:
    board, version = started.state.board("r")
    started.state.commit("r", board, version, {})
    board.set_letter("raw", 0, BoardLetter.PASSED)
    assert not started.state.commit("r", board, version, {(DAYS[0], "raw"): CELL})
    started.reopen()
    assert started.state.board("r")[0].letter("raw", 0) != BoardLetter.PASSED
    assert started.state.dates("r", [DAYS[0]])[DAYS[0]].cells == {}


@WHOEVER_READS
def test_proofs_are_committed_with_the_board(started: Backend, then: Step) -> None:
    board, version = started.state.board("r")
    started.state.record("r", [(key(), reported())])
    assert started.state.commit("r", board, version, {(DAYS[0], "raw"): CELL}, [(key(), proved())])
    then(started)
    facts = started.state.dates("r", [DAYS[0]])[DAYS[0]]
    assert (facts.tasks["raw", "a"][0].proved, facts.cells) == (proved(), {"raw": CELL})


def test_a_commit_that_the_store_does_not_take_at_once_is_said_and_writes_nothing(
    started: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(started, FirestoreBackend):
        return  # SQLite takes any.
    monkeypatch.setattr("phasegate.adapters.gcp.firestore.state.COMMIT_BYTES", 180)
    board, version = started.state.board("r")
    with pytest.raises(CommitTooLarge, match=r"2 dates of run 'r' take \d+ bytes in one commit"):
        started.state.commit("r", board, version, {(day, "raw"): CELL for day in DAYS[:2]})
    assert started.state.board("r") == (board, version)
    assert started.state.commit("r", board, version, {(DAYS[0], "raw"): CELL})


def test_proofs_of_a_commit_that_came_too_late_are_not_there(started: Backend) -> None:
    board, version = started.state.board("r")
    started.state.commit("r", board, version, {})
    assert not started.state.commit("r", board, version, {}, [(key(), proved())])
    started.reopen()
    assert started.state.dates("r", [DAYS[0]])[DAYS[0]].tasks == {}


def test_a_commit_raises_the_version_of_the_board(started: Backend) -> None:
    board, version = started.state.board("r")
    started.state.commit("r", board, version, {})
    assert started.state.board("r")[1] > version


def test_what_is_done_to_a_board_after_its_commit_is_not_stored(started: Backend) -> None:
    board, version = started.state.board("r")
    started.state.commit("r", board, version, {})
    board.set_letter("raw", 0, BoardLetter.PASSED)
    assert started.state.board("r")[0].letter("raw", 0) != BoardLetter.PASSED


# Facts


def test_a_date_without_facts_is_empty(started: Backend) -> None:
    assert started.state.dates("r", [DAYS[0]]) == {DAYS[0]: DateFacts(DAYS[0])}


def facts_of(backend: Backend, keys: Sequence[AttemptKey]) -> list[AttemptFacts]:
    """What is known of attempts, each of which is the only one of its date."""
    dates = backend.state.dates("r", [each.day for each in keys])
    return [only for each in keys for only in dates[each.day].tasks[each.phase, each.processor]]


@WHOEVER_READS
def test_recorded_facts_are_read_as_they_were_written(started: Backend, together: list[AttemptKey], then: Step) -> None:
    written: dict[AttemptKey, list[Fact]] = {
        each: [dispatched(inputs=[("fetch/a", number)]), reported(rows=number, message="ü"), proved()]
        for number, each in enumerate(together, 1)
    }
    started.state.record("r", [(each, fact) for each, facts in written.items() for fact in facts])
    then(started)
    found = facts_of(started, together)
    assert [[each.dispatched, each.reported, each.proved] for each in found] == list(written.values())


@WHOEVER_READS
def test_of_two_facts_that_contradict_the_first_one_stands(
    started: Backend, together: list[AttemptKey], then: Step
) -> None:
    *_, last = together
    started.state.record("r", [(last, reported())])
    started.state.record("r", [(each, reported(rows=1, event_id="other")) for each in together])
    then(started)
    found = [each.reported for each in facts_of(started, together)]
    assert found == [reported(rows=1, event_id="other")] * (len(together) - 1) + [reported()]


def test_the_same_fact_again_changes_nothing(started: Backend) -> None:
    started.state.record("r", [(key(), reported())])
    before = deepcopy(started.state.dates("r", [DAYS[0]])[DAYS[0]])
    started.state.record("r", [(key(), reported())])
    assert started.state.dates("r", [DAYS[0]])[DAYS[0]] == before


@WHOEVER_READS
def test_a_later_dispatch_replaces_an_earlier_one(started: Backend, then: Step) -> None:
    started.state.record("r", [(key(), dispatched(1))])
    started.state.record("r", [(key(), dispatched(2))])
    then(started)
    (found,) = started.state.dates("r", [DAYS[0]])[DAYS[0]].tasks["raw", "a"]
    assert found.dispatched == dispatched(2)


def test_runs_do_not_see_each_others_facts(started: Backend) -> None:
    create(started.state, "other")
    started.state.record("r", [(key(), reported())])
    assert started.state.dates("other", [DAYS[0]])[DAYS[0]].tasks == {}


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_facts_of_a_write_that_failed_are_not_there(started: Backend) -> None:
    """Only the embedded state shares a transaction with other writes."""

    def fail() -> None:
        with started.undone():
            started.state.record("r", [(key(), reported())])
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        fail()
    assert started.state.dates("r", [DAYS[0]])[DAYS[0]].tasks == {}


# Forgetting


def filled(backend: Backend, run_id: str = "r") -> None:
    """A run with something of every kind."""
    create(backend.state, run_id)
    backend.state.record(run_id, [(key(), dispatched())])
    claim(backend, key(), run_id=run_id)
    backend.state.mark_at_rest(run_id, [DAYS[0]])
    backend.state.note_heal(run_id, Heal("lease", "it", "why", NOW))
    backend.state.quarantine([set_aside(f"of {run_id}", run_id=run_id)])


def left_of(backend: Backend, run_id: str) -> list[int]:
    """How much there is of a run: listed, dates with facts, claims, heals, events set aside."""
    state = backend.state
    listed = [run.run_id for run in state.runs()].count(run_id)
    tasks = len(state.dates(run_id, [DAYS[0]])[DAYS[0]].tasks)
    return [
        listed,
        tasks,
        len(state.claims(run_id, [key()])),
        len(state.heals(run_id)),
        state.count_quarantined(run_id),
    ]


@WHOEVER_READS
def test_a_forgotten_run_leaves_nothing_behind_and_the_others_stay(backend: Backend, then: Step) -> None:
    filled(backend, "r")
    filled(backend, "s")
    backend.state.forget_run("r", NOW)
    then(backend)
    assert (left_of(backend, "r"), left_of(backend, "s")) == ([0, 0, 0, 0, 0], [1, 1, 1, 1, 1])
    for read in (backend.state.run, backend.state.board):
        with pytest.raises(InputError, match="unknown run 'r'"):
            read("r")


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_a_run_that_is_half_forgotten_is_listed_until_it_is_forgotten_whole(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In embedded mode it is one transaction."""
    filled(backend)
    commit, commits = WriteBatch.commit, list[int]()

    def dying(batch: WriteBatch, *arguments: Any, **named: Any) -> Any:
        commits.append(len(batch))
        if len(commits) == 3:
            raise RuntimeError("the process is gone")
        return commit(batch, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(WriteBatch, "commit", dying)
        with pytest.raises(RuntimeError):
            backend.state.forget_run("r", NOW)
    backend.reopen()
    assert left_of(backend, "r")[:3] == [1, 0, 0]
    backend.state.forget_run("r", NOW)
    assert left_of(backend, "r") == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_the_id_of_a_forgotten_run_is_not_given_to_another_while_functions_may_know_its_plan(backend: Backend) -> None:
    filled(backend)
    backend.state.forget_run("r", NOW)
    backend.reopen()
    with pytest.raises(NameIsTaken, match="run 'r' was forgotten not long ago; give another --run-id"):
        create(backend.state)


def begun(backend: Backend, *run_ids: str) -> tuple[str, bool]:
    """Which run answers the request for a season under one of these names, and whether it is new."""
    asked = RunRequest(Selection(seasons=("2023-24",)), "pipeline.yaml")
    new = NewRun(asked, identify(asked, plan().pipeline), plan())
    found, is_new = write_run(backend.state, backend.clock, new, run_ids)
    return found.run_id, is_new


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_the_same_request_begins_a_run_under_its_next_name_when_the_run_of_the_first_was_forgotten(
    backend: Backend,
) -> None:
    """A kick-off of every week has one name for its runs, and forgetting last week's must not stop it."""
    assert begun(backend, "r", "r-2") == ("r", True)
    backend.state.forget_run("r", NOW)
    assert begun(backend, "r", "r-2", "r-3") == ("r-2", True)
    assert begun(backend, "r", "r-2", "r-3") == ("r-2", False), "it goes on"
    with pytest.raises(NameIsTaken):
        begun(backend, "r")


# What is at rest


def at_rest(backend: Backend, cursor: str = "") -> set[date]:
    """Dates marked since a cursor."""
    return set(backend.state.at_rest("r", cursor, 200)[0])


def test_from_an_empty_cursor_every_date_that_was_ever_marked_is_found(started: Backend) -> None:
    started.state.mark_at_rest("r", [DAYS[2]])
    started.state.mark_at_rest("r", [DAYS[0]])
    assert at_rest(started) == {DAYS[0], DAYS[2]}


def test_a_date_that_nobody_marked_is_not_at_rest(started: Backend) -> None:
    started.state.record("r", [(key(), reported())])
    assert at_rest(started) == set()


@WHOEVER_READS
def test_from_a_cursor_on_every_later_mark_is_found(started: Backend, then: Step) -> None:
    started.state.mark_at_rest("r", [DAYS[0]])
    _, cursor = started.state.at_rest("r", "", 200)
    then(started)
    started.state.mark_at_rest("r", [DAYS[1]])
    assert DAYS[1] in at_rest(started, cursor)


def test_a_date_that_is_marked_again_is_found_again(started: Backend) -> None:
    started.state.mark_at_rest("r", [DAYS[0]])
    _, cursor = started.state.at_rest("r", "", 200)
    started.state.mark_at_rest("r", [DAYS[0]])
    assert at_rest(started, cursor) == {DAYS[0]}


@WHOEVER_READS
def test_when_nothing_was_marked_the_cursor_stays(started: Backend, then: Step) -> None:
    started.state.mark_at_rest("r", [DAYS[0]])
    _, cursor = started.state.at_rest("r", "", 200)
    then(started)
    assert started.state.at_rest("r", cursor, 200)[1] == cursor


def test_a_date_at_rest_comes_with_its_facts(started: Backend) -> None:
    started.state.record("r", [(key(), reported())])
    started.state.mark_at_rest("r", [DAYS[0]])
    (facts,) = started.state.at_rest("r", "", 200)[0].values()
    assert facts.tasks["raw", "a"][0].reported == reported()


@pytest.mark.parametrize("together", [1, 3], ids=["one by one", "together"])
def test_marked_dates_are_read_in_pages_and_none_is_left_out(started: Backend, together: int) -> None:
    for first in range(0, 6, together):
        started.state.mark_at_rest("r", DAYS[first : first + together])
    found, cursor, pages = set[date](), "", 0
    while len(found) < 6:
        page, cursor = started.state.at_rest("r", cursor, 2)
        assert len(page) <= max(2, together)
        found |= set(page)
        pages += 1
    assert pages >= 2


# Claims


def test_a_claim_carries_what_it_was_asked_for_with(started: Backend, together: list[AttemptKey]) -> None:
    found = [
        (c.key, c.epoch, c.generation, c.inputs, c.lease_until, c.claimed_at) for c in claim(started, *together) if c
    ]
    assert found == [(w.key, w.epoch, w.generation, w.inputs, w.lease_until, NOW) for w in map(request, together)]


@WHOEVER_READS
def test_an_attempt_is_claimed_once(started: Backend, together: list[AttemptKey], then: Step) -> None:
    claim(started, *together)
    then(started)
    assert claim(started, *together) == [None] * len(together)


@WHOEVER_READS
def test_of_two_calls_with_the_same_attempt_the_second_is_made_without_it(
    started: Backend, together: list[AttemptKey], then: Step
) -> None:
    *others, last = together
    claim(started, last)
    then(started)
    assert [c and c.key for c in claim(started, *together)] == [*others, None]


@WHOEVER_READS
def test_of_two_requests_for_one_attempt_at_once_the_first_is_granted_as_it_was_asked(
    started: Backend, then: Step
) -> None:
    first = request(key())
    second = ClaimRequest(key(), first.epoch + 1, first.generation + 1, (), first.lease_until + timedelta(minutes=5))
    won, lost = started.state.claim("r", [first, second], NOW)
    assert won is not None and lost is None
    assert (won.epoch, won.generation, won.inputs, won.lease_until) == first[1:]
    then(started)
    assert started.state.claims("r", [key()]) == {key(): won}


def test_the_answers_stand_in_the_order_of_the_requests(started: Backend) -> None:
    claim(started, key(1))
    found = claim(started, key(0), key(1), key(2))
    assert [c and c.key for c in found] == [key(0), None, key(2)]


@WHOEVER_READS
def test_fences_rise_over_all_runs(started: Backend, together: list[AttemptKey], then: Step) -> None:
    create(started.state, "other")
    fences: list[list[int]] = []
    for number, run_id in enumerate(("r", "other", "r"), 1):
        then(started)
        found = claim(started, *(each._replace(attempt=number) for each in together), run_id=run_id)
        fences.append([c.fence for c in found if c])
    assert [len(of_claim) for of_claim in fences] == [len(together)] * 3
    assert all(max(before) < min(after) for before, after in pairwise(fences))


def test_another_process_has_another_incarnation(started: Backend) -> None:
    (first,) = claim(started, key(0))
    started.reopen()
    (second,) = claim(started, key(1))
    assert first and second and first.incarnation != second.incarnation


@WHOEVER_READS
def test_claims_are_found_by_their_attempts(started: Backend, together: list[AttemptKey], then: Step) -> None:
    made = claim(started, *together)
    then(started)
    other = key(0, "b")
    assert started.state.claims("r", [*together, other]) == dict(zip(together, made, strict=True))


def test_another_process_finds_the_same_claims(started: Backend) -> None:
    started.state.record("r", [(key(0), dispatched())])
    (made,) = claim(started, key(0))
    beside = started.beside()
    assert (beside.claims("r", [key(0)]), beside.open_claims("r")) == ({key(0): made}, [made])


ENDINGS: list[Fact] = [
    reported(),
    Healed(HealedAs.LOST, "no completion", NOW),
    Abandoned("the run is paused", NOW),
]


@WHOEVER_READS
@pytest.mark.parametrize("fact", ENDINGS, ids=["reported", "healed", "abandoned"])
def test_a_claim_is_open_until_its_attempt_has_ended(
    started: Backend, fact: Fact, together: list[AttemptKey], then: Step
) -> None:
    ends, *others = together
    others.append(key(0, "b"))
    started.state.record("r", [(each, dispatched()) for each in (ends, *others)])
    _, *made = claim(started, ends, *others)
    started.state.record("r", [(ends, fact)])
    then(started)
    assert sorted(started.state.open_claims("r"), key=lambda each: each.key) == sorted(
        (each for each in made if each), key=lambda each: each.key
    )


@WHOEVER_READS
def test_a_dispatch_does_not_close_a_claim(started: Backend, then: Step) -> None:
    made = claim(started, key(0))
    started.state.record("r", [(key(0), dispatched())])
    then(started)
    assert started.state.open_claims("r") == made


def test_a_claim_whose_attempt_has_ended_is_still_found_by_its_attempt(started: Backend) -> None:
    (made,) = claim(started, key(0))
    started.state.record("r", [(key(0), reported())])
    assert started.state.claims("r", [key(0)]) == {key(0): made}


@WHOEVER_READS
def test_open_claims_are_found_on_the_dates_asked_for(started: Backend, then: Step) -> None:
    started.state.record("r", [(key(0), dispatched()), (key(1), dispatched())])
    _, other = claim(started, key(0), key(1))
    then(started)
    assert started.state.open_claims("r", [DAYS[1]]) == [other]


@WHOEVER_READS
def test_an_extended_claim_holds_longer(started: Backend, together: list[AttemptKey], then: Step) -> None:
    first, *_ = claim(started, *together)
    assert first is not None
    started.state.extend("r", first, NOW + timedelta(hours=2))
    then(started)
    until = [each.lease_until for each in started.state.claims("r", together).values()]
    assert sorted(until) == [NOW + timedelta(minutes=5)] * (len(together) - 1) + [NOW + timedelta(hours=2)]


# Heals


def heal(subject: str, seconds: int = 0) -> Heal:
    """Something that a sweep mended."""
    return Heal("dispatch", subject, "nobody had started it", NOW + timedelta(seconds=seconds))


@WHOEVER_READS
def test_heals_are_kept_oldest_first(started: Backend, then: Step) -> None:
    started.state.note_heal("r", heal("second", 2))
    started.state.note_heal("r", heal("first", 1))
    then(started)
    assert started.state.heals("r") == [heal("first", 1), heal("second", 2)]


def note(name: str, seconds: int = 0) -> ReportNote:
    """The summary of a report."""
    at = NOW + timedelta(seconds=seconds)
    return ReportNote(name, at, False, True, 3, {"missing": 2, "duplicate_keys": 1}, "Not complete: ü", "reports/r")


@WHOEVER_READS
def test_summaries_of_reports_are_kept_oldest_first(started: Backend, then: Step) -> None:
    started.state.note_report("r", note("second", 2))
    started.state.note_report("r", note("first", 1))
    started.state.note_report("r", note("first", 5))
    then(started)
    assert started.state.reports("r") == [note("first", 1), note("second", 2)]


@WHOEVER_READS
@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_what_was_read_for_a_run_is_added_up_whoever_adds_it(started: Backend, then: Step) -> None:
    assert started.state.reads("r") == Reads()
    started.state.add_reads("r", Reads(2, 1_000))
    started.beside().add_reads("r", Reads(1, 3_000_000_000))
    then(started)
    assert started.state.reads("r") == Reads(3, 3_000_001_000)
    started.state.forget_run("r", NOW)
    assert started.state.reads("r") == Reads()


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_nothing_is_counted_beside_a_warehouse_that_does_not_tell(started: Backend) -> None:
    started.state.add_reads("r", Reads(2, 1_000))
    assert started.state.reads("r") == Reads()


SPENT = TimeSpent(2, 8, 3.5, 1.5, 0.5, {THREADS: 2.0, "the ramp": 1.0})


@WHOEVER_READS
@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_where_the_time_of_drives_went_is_added_up_by_run_and_forgotten_with_it(started: Backend, then: Step) -> None:
    create(started.state, "s")
    assert started.state.time_spent("r") is None
    started.state.add_time("r", SPENT)
    assert started.state.time_spent("s") is None
    then(started)
    started.state.add_time("r", TimeSpent(1, 1, 0.25, 0.5, 0.5, {THREADS: 1.0, NOTHING: 0.5}))
    started.state.add_time("s", SPENT)
    waiting = {THREADS: 3.0, "the ramp": 1.0, NOTHING: 0.5}
    assert started.beside().time_spent("r") == TimeSpent(3, 9, 3.75, 2.0, 1.0, waiting)
    started.state.forget_run("r", NOW)
    then(started)
    assert (started.state.time_spent("r"), started.state.time_spent("s")) == (None, SPENT)


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
def test_where_the_time_of_one_drive_cannot_be_read_no_sum_of_the_others_is_told(
    started: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    started.state.add_time("r", SPENT)
    with monkeypatch.context() as patch:
        patch.setattr("phasegate.adapters.embedded.time_kept.to_json", lambda _: b'{"calls": "many"}')
        started.state.add_time("r", SPENT)
    assert started.state.time_spent("r") is None


@pytest.mark.parametrize("backend", ["firestore"], indirect=True)
def test_no_times_are_kept_where_no_process_drives_a_run(started: Backend) -> None:
    started.state.add_time("r", SPENT)
    assert started.state.time_spent("r") is None


def test_a_heal_noted_again_changes_nothing(started: Backend) -> None:
    started.state.note_heal("r", heal("it"))
    started.state.note_heal("r", heal("it", 5))
    assert started.state.heals("r") == [heal("it")]


# Quarantine


def set_aside(record_id: str, run_id: str | None = "r", reason: str = "why", seconds: int = 0) -> QuarantineRecord:
    """An event that could not be applied."""
    return QuarantineRecord(record_id, run_id, reason, '{"any": "thing"}', NOW + timedelta(seconds=seconds))


@WHOEVER_READS
def test_what_was_set_aside_is_kept_oldest_first(started: Backend, then: Step) -> None:
    started.state.quarantine([set_aside("b", seconds=2), set_aside("a", seconds=1)])
    then(started)
    assert started.state.quarantined("r") == [set_aside("a", seconds=1), set_aside("b", seconds=2)]


def test_an_event_set_aside_again_changes_nothing(started: Backend) -> None:
    started.state.quarantine([set_aside("a")])
    started.state.quarantine([set_aside("a", reason="another")])
    assert started.state.quarantined("r") == [set_aside("a")]


def test_events_of_no_known_run_are_listed_apart(started: Backend) -> None:
    started.state.quarantine([set_aside("a"), set_aside("b", run_id=None)])
    assert [r.id for r in started.state.quarantined(None)] == ["b"]


def test_events_that_were_set_aside_are_counted_by_run(started: Backend) -> None:
    started.state.quarantine([set_aside("a"), set_aside("b", seconds=1)])
    assert (started.state.count_quarantined("r"), started.state.count_quarantined(None)) == (2, 0)
