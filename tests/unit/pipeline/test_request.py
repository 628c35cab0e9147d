"""What a request carries beside the protocol's own fields: constants of the pipeline file, or the three of before."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from phasegate.domain.protocol.worker import (
    FORMER_CONSTANTS,
    OWN_FIELDS,
    OwnFields,
    WorkerRequest,
    batch_request_body,
    range_request_body,
    request_body,
)
from phasegate.domain.spec.pipeline import WorkerSpec
from phasegate.ports import Worker
from phasegate.worker import BatchRequest, RangeRequest
from tests.unit.pipeline.test_pipeline_file import RAW, phase, refusal_of
from tests.world import World

REQUEST = OwnFields(
    run_id="r",
    date=date(2024, 1, 15),
    phase="raw",
    processor="a",
    attempt=1,
    fence=7,
    deadline=datetime(2100, 1, 1, tzinfo=UTC),
    correlation_id="r/2024-01-15/raw/a/1",
)
OWN = {
    "run_id": "r",
    "phase": "raw",
    "attempt": 1,
    "fence": 7,
    "deadline": "2100-01-01T00:00:00Z",
    "correlation_id": "r/2024-01-15/raw/a/1",
}


class Recorder:
    """A worker that keeps what it is sent."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self.sent = worker, list[dict[str, Any]]()
        self.prepare = worker.prepare

    def handle(self, path: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """One request."""
        self.sent.append(dict(body))
        return self._worker.handle(path, body)


def sent_to(folder: Path, **worker: Any) -> dict[str, Any]:
    """The first request of a run whose worker has these keys in the pipeline file, without the protocol's own."""
    world = World(folder, dates=1, change=lambda document: document["workers"]["world"].update(worker))
    with world.open() as embedded:
        recorder = Recorder(embedded.workers["world"])
        embedded.workers["world"] = recorder
        world.begin(embedded)
        embedded.drive("r")
    return {key: value for key, value in recorder.sent[0].items() if key not in {*OWN, "date", "processor"}}


def test_a_file_that_says_nothing_sends_the_three_of_before(tmp_path: Path) -> None:
    before = {"skip_downstream_trigger": True, "backfill_mode": True, "backfill_reason": ""}
    assert sent_to(tmp_path) == before


def test_an_empty_request_sends_none(tmp_path: Path) -> None:
    assert sent_to(tmp_path, request={}) == {}


def test_the_files_constants_are_sent_as_they_are() -> None:
    constants = WorkerSpec(request={"dry": False, "tags": ["a", 1], "reason": "because: {why}"}).constants
    assert request_body(REQUEST, constants, "of {why}", "game_date", "scraper") == {
        **OWN,
        "game_date": "2024-01-15",
        "scraper": "a",
        "dry": False,
        "tags": ["a", 1],
        "reason": "because: of {why}",
    }


def test_the_three_of_before_carry_the_runs_reason() -> None:
    body = request_body(REQUEST, WorkerSpec().constants, "late data", "date", "processor")
    three = {"skip_downstream_trigger": True, "backfill_mode": True, "backfill_reason": "late data"}
    assert body == {**OWN, "date": "2024-01-15", "processor": "a", **three}
    assert WorkerRequest.model_validate(body).backfill_reason == "late data"


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=5, minutes=30))], ids=str)
def test_what_is_sent_is_what_the_model_of_the_receiver_writes(zone: timezone) -> None:
    assert set(OwnFields._fields) == OWN_FIELDS
    at = datetime(2100, 1, 1, 12, 30, 0, 500, tzinfo=zone)
    full = REQUEST._replace(deadline=at, may_be_empty=True, rows_at_least=0, rows_at_most=12)
    for own in (REQUEST, full):
        body = request_body(own, {}, "", "date", "processor")
        model = WorkerRequest.model_validate(body)
        assert list(body.items()) == list(model.model_dump(mode="json", include=set(OWN_FIELDS)).items())
        assert own == tuple(getattr(model, name) for name in OwnFields._fields)


def several(dates: int) -> list[OwnFields]:
    """What is said of consecutive dates, of which the second is tried again and may be empty."""
    return [
        REQUEST._replace(
            date=date(2024, 1, 15 + n),
            attempt=1 + (n == 1),
            fence=7 + n,
            may_be_empty=n == 1,
            rows_at_least=n,
            correlation_id=f"r/2024-01-{15 + n}/raw/a/{1 + (n == 1)}",
        )
        for n in range(dates)
    ]


def test_a_list_of_dates_is_sent_under_the_names_of_the_file_and_read_by_its_model() -> None:
    body = batch_request_body(several(3), {"dry": False}, "", "game_date", "scraper")
    assert body == {
        "run_id": "r",
        "phase": "raw",
        "scraper": "a",
        "deadline": "2100-01-01T00:00:00Z",
        "correlation_id": "r/2024-01-15/raw/a/1",
        "dry": False,
        "dates": [
            {"game_date": "2024-01-15", "attempt": 1, "fence": 7, "rows_at_least": 0},
            {"game_date": "2024-01-16", "attempt": 2, "fence": 8, "may_be_empty": True, "rows_at_least": 1},
            {"game_date": "2024-01-17", "attempt": 1, "fence": 9, "rows_at_least": 2},
        ],
    }
    plain = batch_request_body(several(3), {}, "", "date", "processor")
    apart = BatchRequest.model_validate(plain).apart
    assert [OwnFields(*(getattr(one, name) for name in OwnFields._fields)) for one in apart] == several(3)


def test_a_range_is_sent_with_the_highest_fence_and_is_read_as_one() -> None:
    body = range_request_body(several(3), {}, "", "start_date", "processor")
    assert (body["start_date"], body["end_date"], body["fence"], body["attempt"]) == ("2024-01-15", "2024-01-17", 9, 2)
    assert body.keys().isdisjoint({"dates", "may_be_empty", "rows_at_least", "rows_at_most"})
    read = RangeRequest.model_validate({"date": body.pop("start_date"), **body})
    assert (read.date, read.last) == (date(2024, 1, 15), date(2024, 1, 17))


def test_settings_of_the_file_reach_the_service_for_one_date_and_for_several() -> None:
    constants = {"settings": {"trees": 80, "window": {"dates": 90}}}
    alone = WorkerRequest.model_validate(request_body(REQUEST, constants, "", "date", "processor"))
    batch = BatchRequest.model_validate(batch_request_body(several(2), constants, "", "date", "processor"))
    ranged = range_request_body(several(2), constants, "", "start_date", "processor")
    ranged["date"] = ranged.pop("start_date")
    readers = [alone, batch, *batch.apart, BatchRequest.of(alone), RangeRequest.model_validate(ranged)]
    assert [reader.settings for reader in readers] == [constants["settings"]] * len(readers)


def test_the_reference_pipeline_says_the_three_itself_and_sets_its_learned_system() -> None:
    from phasegate.adapters.pipeline_file import load_pipeline

    nba = load_pipeline(Path(__file__).parents[3] / "pipelines" / "nba" / "pipeline.yaml")
    request = dict(nba.workers["nba"].request or {})
    assert set(request.pop("settings")) == {"xgboost_v1"}
    assert request == dict(FORMER_CONSTANTS)


def test_isolation_is_of_a_factorys_worker_and_is_not_stored_where_nobody_asked_for_it(tmp_path: Path) -> None:
    said = refusal_of(
        tmp_path, lambda d: d["workers"]["world"].update(factory=None, url="https://w", isolation="process")
    )
    assert "FILE: workers.world.isolation: this says how a factory's worker is called; give `factory`" in said
    assert WorkerSpec(isolation="thread").model_dump() == WorkerSpec().model_dump()
    assert "isolation" not in WorkerSpec().model_dump()
    assert WorkerSpec.model_validate(WorkerSpec(factory="a:b", isolation="process").model_dump()).isolation == "process"


@pytest.mark.parametrize(
    ("constant", "message"),
    [
        ("fence", "FILE: workers.world.request.fence: 'fence' is a field of every request; choose another"),
        ("date", "FILE: workers.world.request.date: 'date' is a field of every request; choose another"),
        ("day", "FILE: workers.world.request.day: 'day' is the date's name in raw; choose another"),
        ("what", "FILE: workers.world.request.what: 'what' is the processor's name in raw; choose another"),
    ],
)
def test_a_constant_must_not_replace_a_field_of_the_protocol(tmp_path: Path, constant: str, message: str) -> None:
    def change(document: dict[str, Any]) -> None:
        phase(document, RAW)["dispatch"].update(date_field="day", processor_field="what")
        document["workers"]["world"]["request"] = {constant: 1}

    assert message in refusal_of(tmp_path, change)


def test_a_constant_is_a_value_of_json(tmp_path: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["workers"]["world"]["request"] = {"since": date(2024, 1, 15)}

    assert "FILE: workers.world.request.since: " in refusal_of(tmp_path, change)
