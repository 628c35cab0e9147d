"""What leases on a date of a table must do, in SQLite and in Firestore."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import ServiceUnavailable
from google.cloud.firestore import DocumentReference

from phasegate.adapters.gcp.clients import firestore_client
from phasegate.domain.errors import InputError, TransientError
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.lease import Held, Lease
from phasegate.ports import ClaimRequest, Leases
from tests.contract.conftest import DAYS, NOW, Backend, EmbeddedBackend, Step, create, dies, stays
from tests.contract.firestore import FirestoreBackend

TABLE, DAY = "shape.left_side", DAYS[0]
LATER = NOW + timedelta(minutes=3)


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


@pytest.fixture
def firestore(firestore_emulator: object) -> FirestoreBackend:
    """A blank state in Firestore."""
    return FirestoreBackend()


def take(leases: Leases, holder: str, *, at: datetime = NOW, until: datetime = LATER, **other: Any) -> Lease | Held:
    """Try to take the lease."""
    return leases.take(other.get("table", TABLE), other.get("day", DAY), holder, until, at)


def taken(leases: Leases, holder: str, **how: Any) -> Lease:
    """Take the lease, which is free."""
    found = take(leases, holder, **how)
    assert isinstance(found, Lease)
    return found


def test_the_first_has_the_lease_and_the_second_is_told_who_and_until_when(backend: Backend) -> None:
    lease = taken(backend.state.leases, "live")
    assert (lease.table, lease.day, lease.holder, lease.until) == (TABLE, DAY, "live", LATER)
    held = take(backend.state.leases, "backfill")
    assert held == Held(TABLE, DAY, "live", LATER)
    assert str(held) == "shape.left_side of 2024-01-01 is being written by live until 00:03:00Z"


@pytest.mark.parametrize("other", [{"table": "shape.right_side"}, {"day": DAYS[1]}], ids=["table", "date"])
def test_another_table_and_another_date_are_free(backend: Backend, other: dict[str, Any]) -> None:
    taken(backend.state.leases, "live")
    taken(backend.state.leases, "backfill", **other)


def test_a_lease_that_was_given_back_is_free_and_its_fence_rises(backend: Backend) -> None:
    first = taken(backend.state.leases, "live")
    backend.state.leases.give_back(first)
    assert taken(backend.state.leases, "backfill").fence > first.fence


def test_a_lease_ends_with_its_time_and_the_fence_rises(backend: Backend) -> None:
    first = taken(backend.state.leases, "live")
    assert isinstance(take(backend.state.leases, "backfill", at=LATER - timedelta(microseconds=1)), Held)
    assert taken(backend.state.leases, "backfill", at=LATER, until=LATER + timedelta(hours=1)).fence > first.fence


def test_a_lease_that_ran_out_is_not_given_back_in_the_name_of_the_next_holder(backend: Backend) -> None:
    late = taken(backend.state.leases, "live")
    ends = LATER + timedelta(hours=1)
    taken(backend.state.leases, "backfill", at=LATER, until=ends)
    backend.state.leases.give_back(late)
    assert take(backend.state.leases, "live", at=LATER, until=ends) == Held(TABLE, DAY, "backfill", ends)


def test_a_lease_given_back_twice_is_given_back_once(backend: Backend) -> None:
    first = taken(backend.state.leases, "live")
    backend.state.leases.give_back(first)
    backend.state.leases.give_back(first)
    taken(backend.state.leases, "backfill")
    backend.state.leases.give_back(first)
    assert isinstance(take(backend.state.leases, "live"), Held)


def test_a_second_process_of_the_same_name_is_refused_like_anybody_else(backend: Backend) -> None:
    taken(backend.state.leases, "live")
    assert take(backend.beside().leases, "live") == Held(TABLE, DAY, "live", LATER)


@pytest.mark.parametrize("then", [stays, dies], ids=["in the same process", "in the next process"])
def test_a_lease_outlives_its_process_and_can_be_given_back_by_the_next(backend: Backend, then: Step) -> None:
    lease = taken(backend.state.leases, "live")
    then(backend)
    assert isinstance(take(backend.state.leases, "backfill"), Held)
    backend.state.leases.give_back(lease)
    taken(backend.state.leases, "backfill")


def test_fences_of_leases_and_of_claims_are_one_rising_sequence(backend: Backend) -> None:
    create(backend.state)
    fences = [taken(backend.state.leases, "live", day=DAYS[5]).fence]
    for attempt in (1, 2, 3):
        request = ClaimRequest(AttemptKey(DAY, "raw", "a", attempt), 1, 1, (), LATER)
        fences += [claim.fence for claim in backend.state.claim("r", [request], NOW) if claim]
        fences.append(taken(backend.state.leases, "live", day=DAYS[attempt]).fence)
    assert len(fences) == 7
    assert fences == sorted(set(fences))


@pytest.mark.parametrize(
    ("holder", "until", "says"),
    [("", LATER, "a lease needs a holder"), ("live", NOW, "has ended already .*; give it a time to last")],
)
def test_a_lease_without_a_holder_or_a_time_is_an_input_error(
    backend: Backend, holder: str, until: datetime, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        take(backend.state.leases, holder, until=until)
    taken(backend.state.leases, "backfill")


def test_a_lease_taken_in_a_transaction_that_was_undone_is_free(tmp_path: Path) -> None:
    backend = EmbeddedBackend(tmp_path)
    with suppress(InterruptedError), backend.undone():
        taken(backend.state.leases, "backfill")
        raise InterruptedError
    taken(backend.state.leases, "live")
    backend.close()


# Firestore alone


def test_of_twenty_who_come_at_once_one_has_the_lease(firestore: FirestoreBackend) -> None:
    for _ in range(2):
        together = threading.Barrier(20)

        def come(number: int, together: threading.Barrier = together) -> Lease | Held:
            together.wait()
            return take(firestore.state.leases, f"writer-{number}")

        with ThreadPoolExecutor(20) as pool:
            found = list(pool.map(come, range(20)))
        (winner,) = [one for one in found if isinstance(one, Lease)]
        assert {one.holder for one in found} == {winner.holder}
        # The second time it is a document that was given back.
        firestore.state.leases.give_back(winner)


def test_the_document_says_who_writes_and_is_named_after_table_and_date(firestore: FirestoreBackend) -> None:
    firestore.state.leases.give_back(taken(firestore.state.leases, "live"))
    taken(firestore.state.leases, "backfill")
    found = firestore_client(firestore._settings).document("leases/shape.left_side~2024-01-01").get().to_dict()
    assert found is not None and found.pop("taking")
    assert found == {"table": TABLE, "date": "2024-01-01", "holder": "backfill", "until": LATER, "taken_at": NOW}


def answered_twice(method: Callable[..., Any]) -> Callable[..., Any]:
    """A call whose first answer is lost on the way, so that Google's client sends it again."""

    def twice(*arguments: Any, **named: Any) -> Any:
        method(*arguments, **named)
        return method(*arguments, **named)

    return twice


@pytest.mark.parametrize("is_first", [True, False], ids=["create", "update"])
def test_a_taking_whose_answer_was_lost_is_known_again(
    firestore: FirestoreBackend, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    if not is_first:
        firestore.state.leases.give_back(taken(firestore.state.leases, "live"))
    name = "create" if is_first else "update"
    with monkeypatch.context() as patch:
        patch.setattr(DocumentReference, name, answered_twice(getattr(DocumentReference, name)))
        lease = taken(firestore.state.leases, "backfill")
    firestore.state.leases.give_back(lease)
    assert taken(firestore.state.leases, "live").fence > lease.fence


def before_each_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen between reading the document and writing it."""
    busy = []

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **named: Any) -> Any:
            if not busy:
                busy.append(1)
                act()
                busy.clear()
            return method(*arguments, **named)

        return write

    for name in ("create", "update"):
        monkeypatch.setattr(DocumentReference, name, wrapped(getattr(DocumentReference, name)))


@pytest.mark.parametrize("was_taken_before", [False, True])
def test_who_takes_it_between_a_look_and_a_write_has_it(
    firestore: FirestoreBackend, monkeypatch: pytest.MonkeyPatch, was_taken_before: bool
) -> None:
    if was_taken_before:
        firestore.state.leases.give_back(taken(firestore.state.leases, "live"))
    before_each_write(monkeypatch, lambda: (taken(firestore.state.leases, "live"), None)[1])
    assert take(firestore.state.leases, "backfill") == Held(TABLE, DAY, "live", LATER)


def test_a_lease_that_is_taken_and_given_back_all_the_time_is_tried_again_later(
    firestore: FirestoreBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = firestore.state.leases
    before_each_write(monkeypatch, lambda: leases.give_back(taken(leases, "live")))
    with pytest.raises(TransientError, match="taken and given back all the time; try again"):
        take(leases, "backfill")


def test_a_lease_that_cannot_be_given_back_runs_out_and_raises_nothing(
    firestore: FirestoreBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lease = taken(firestore.state.leases, "live")

    def fails(*arguments: Any, **named: Any) -> None:
        raise ServiceUnavailable("not now")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(DocumentReference, "update", fails)
        firestore.state.leases.give_back(lease)
    assert "the lease on shape.left_side of 2024-01-01 runs out at 2026-01-01 00:03:00" in caplog.text
    assert isinstance(take(firestore.state.leases, "backfill"), Held)


# Prolonging


def test_a_lease_that_is_prolonged_holds_longer_and_is_given_back_by_who_took_it(backend: Backend) -> None:
    leases = backend.state.leases
    lease = taken(leases, "r/1")
    assert leases.extend(TABLE, DAY, "r/1", LATER + timedelta(minutes=5))
    after = LATER + timedelta(minutes=1)
    assert isinstance(take(leases, "live", at=after, until=after + timedelta(minutes=1)), Held)
    leases.give_back(lease)
    taken(leases, "live", at=after, until=after + timedelta(minutes=1))


def test_a_lease_of_somebody_else_or_of_nobody_is_not_prolonged(backend: Backend) -> None:
    leases = backend.state.leases
    assert not leases.extend(TABLE, DAY, "r/1", LATER)
    lease = taken(leases, "live")
    assert not leases.extend(TABLE, DAY, "r/1", LATER + timedelta(minutes=5))
    leases.give_back(lease)
    assert not leases.extend(TABLE, DAY, "live", LATER + timedelta(minutes=5))


def test_who_gives_back_a_lease_that_ran_out_does_not_end_another_of_the_same_name(backend: Backend) -> None:
    leases = backend.state.leases
    old = taken(leases, "live")
    after = LATER + timedelta(minutes=1)
    taken(leases, "live", at=after, until=after + timedelta(minutes=5))
    leases.give_back(old)
    assert isinstance(take(leases, "r/1", at=after, until=after + timedelta(minutes=1)), Held)
