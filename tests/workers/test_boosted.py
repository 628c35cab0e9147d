"""The learned system: when it is fitted, on what, what is kept of it, and what becomes of dates that have no model."""

import json
import logging
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from nba_worker import boosted
from nba_worker.boosted import INSTALL, TABLE, BoostedPredictions, fit_date_of, model_name
from nba_worker.boosted_model import STORED, SYSTEM, Settings
from nba_worker.schedule import Schedule
from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import HaltError, InputError, PhasegateError
from phasegate.ports import Partition
from phasegate.worker import BatchRequest, ProcessorResult, RequestedDate
from tests.conftest import ROOT
from tests.nba_sql import PIPELINE
from tests.workers.conftest import SETTINGS

START = date(2023, 10, 24)
DAYS = [START + timedelta(days=n) for n in range(24)]
PLAYERS = 12
GIVEN = {**SETTINGS[SYSTEM], "fewest_rows": 30, "window_dates": 10, "trees": 5, "leaf_rows": 1}
FEATURES, SUMMARY = "nba_predictions.ml_feature_store_v2", "nba_analytics.player_game_summary"


@dataclass
class Court:
    """A made-up season of which features and points are there, and the learned system over it."""

    warehouse: DuckDbWarehouse
    objects: FolderObjectStore
    system: BoostedPredictions

    def put(self, table: str, day: date, rows: list[dict[str, Any]], fence: int) -> None:
        lines = "".join(json.dumps({"game_date": day.isoformat(), **row}) + "\n" for row in rows)
        self.warehouse.load_partition(Partition(table, "game_date", day), lines.encode(), fence)

    def play(self, day: date, fence: int = 1, seed: str = "") -> None:
        """Put features and points of a date there; another seed makes others."""
        drawn = random.Random(f"{day}{seed}")
        named = [
            {"game_id": "g", "season": "2023-24", "player_id": n, "player_lookup": f"p{n}"} for n in range(PLAYERS)
        ]
        form = [{name: round(drawn.uniform(0, 30), 2) for name in STORED} for _ in named]
        self.put(FEATURES, day, [{**a, **b, "quality_score": 90.0} for a, b in zip(named, form, strict=True)], fence)
        played = [{**each, "points": drawn.randint(0, 40), "minutes": drawn.randint(1, 40)} for each in named]
        self.put(SUMMARY, day, played, fence)

    def predict(
        self, *days: date, fence: int = 1, may_be_empty: bool = False, **settings: Any
    ) -> dict[date, ProcessorResult | PhasegateError]:
        """Ask for dates in one request; settings: others than ``GIVEN``."""
        dates = tuple(RequestedDate(date=day, attempt=1, fence=fence, may_be_empty=may_be_empty) for day in days)
        request = BatchRequest(
            run_id="r",
            phase="phase_5_predictions",
            processor=SYSTEM,
            dates=dates,
            deadline=datetime(2090, 1, 1, tzinfo=UTC),
            settings={SYSTEM: {**GIVEN, **settings}},
        )
        return self.system.run_batch(request)

    def points(self, day: date) -> dict[int, float]:
        """The predicted points of a date, by player."""
        rows = self.warehouse.query(f"SELECT player_id, predicted_points FROM {TABLE} WHERE game_date = @d", {"d": day})
        return {row["player_id"]: row["predicted_points"] for row in rows}

    def model(self, fit_date: date) -> bytes:
        return self.objects.read(model_name(fit_date))


def new_court(folder: Path) -> Court:
    warehouse, objects = DuckDbWarehouse(folder / "warehouse.duckdb"), FolderObjectStore(folder / "objects")
    for script in ("nba_analytics", "nba_predictions"):
        warehouse.apply_schema((PIPELINE / "schema" / f"{script}.sql").read_text())
    court = Court(
        warehouse, objects, BoostedPredictions(Schedule(("2023-24", day) for day in DAYS), warehouse, objects)
    )
    for day in DAYS:
        court.play(day)
    return court


@pytest.fixture
def court(tmp_path: Path) -> Iterator[Court]:
    court = new_court(tmp_path)
    yield court
    court.warehouse.close()


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each fit that is made from here on."""
    made: list[int] = []
    fit = boosted.fit

    def counted(examples: Any, settings: Settings) -> dict[str, Any]:
        made.append(len(examples))
        return fit(examples, settings)

    monkeypatch.setattr(boosted, "fit", counted)
    return made


def result_of(found: dict[date, ProcessorResult | PhasegateError], day: date) -> tuple[str, str | None, str]:
    result = found[day]
    assert isinstance(result, ProcessorResult), result
    return result.status.value, result.error_class and result.error_class.value, result.message


@pytest.mark.parametrize(("days", "fitted"), [(0, 0), (6, 0), (7, 7), (13, 7), (14, 14), (23, 21)])
def test_the_fit_date_is_the_last_refit_date_at_or_before_the_date(days: int, fitted: int) -> None:
    settings = Settings.read({SYSTEM: {**GIVEN, "refit_days": 7}})
    assert fit_date_of(START + timedelta(days=days), START, settings) == START + timedelta(days=fitted)


def test_each_fit_date_of_a_request_is_fitted_once_on_the_dates_of_its_window(court: Court, fits: list[int]) -> None:
    found = court.predict(*DAYS[7:20])
    assert {result_of(found, day)[0] for day in DAYS[7:20]} == {"success"}
    assert fits == [7 * PLAYERS, 10 * PLAYERS]
    document = json.loads(court.model(DAYS[14]))
    assert document["training"] == {
        "first": DAYS[4].isoformat(),
        "last": DAYS[13].isoformat(),
        "dates": 10,
        "rows": 10 * PLAYERS,
    }
    assert document["settings"] == GIVEN
    assert len(court.points(DAYS[19])) == PLAYERS
    assert all(0 <= points <= 100 for points in court.points(DAYS[19]).values())


def test_the_same_inputs_give_the_same_model_and_predictions_byte_for_byte(court: Court, tmp_path: Path) -> None:
    court.predict(*DAYS[14:20])
    (tmp_path / "again").mkdir()
    again = new_court(tmp_path / "again")
    for day in reversed(DAYS[14:20]):
        again.predict(day)
    assert again.model(DAYS[14]) == court.model(DAYS[14])
    assert [again.points(day) for day in DAYS[14:20]] == [court.points(day) for day in DAYS[14:20]]
    again.warehouse.close()


def test_a_kept_model_of_the_same_inputs_is_taken(court: Court, fits: list[int]) -> None:
    court.predict(DAYS[15])
    kept, points = court.model(DAYS[14]), court.points(DAYS[15])
    court.predict(*DAYS[14:17], fence=2)
    assert len(fits) == 1
    assert (court.model(DAYS[14]), court.points(DAYS[15])) == (kept, points)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (None, "no model is kept"),
        (b"not JSON", "no model is kept"),
        ({"schema_version": 0}, "the model that is kept has layout 0"),
        ({"library": {"name": "xgboost", "version": "0.9"}}, "was fitted with {'name': 'xgboost', 'version': '0.9'}"),
        ({"inputs": "0" * 64}, "was fitted on other rows or with other settings"),
        ({"booster": {}}, "the model that is kept is damaged"),
        ({"booster": None}, "the model that is kept is damaged"),
    ],
)
def test_a_model_that_is_gone_or_another_one_is_fitted_again_and_the_log_says_why(
    court: Court, fits: list[int], caplog: pytest.LogCaptureFixture, change: dict[str, Any] | bytes | None, why: str
) -> None:
    court.predict(DAYS[15])
    kept, points = court.model(DAYS[14]), court.points(DAYS[15])
    name = model_name(DAYS[14])
    if change is None:
        court.objects.delete([name])
    else:
        other = change if isinstance(change, bytes) else json.dumps({**json.loads(kept), **change}).encode()
        court.objects.write(name, other)
    with caplog.at_level(logging.INFO):
        court.predict(DAYS[15], fence=2)
    assert len(fits) == 2
    assert (court.model(DAYS[14]), court.points(DAYS[15])) == (kept, points)
    assert any(name in text and why in text for text in caplog.messages)


def test_other_rows_of_the_window_and_other_settings_make_another_model(court: Court) -> None:
    court.predict(DAYS[15])
    kept = court.model(DAYS[14])
    court.predict(DAYS[15], fence=2, trees=6)
    assert court.model(DAYS[14]) != kept
    court.play(DAYS[10], fence=2, seed="other")
    court.predict(DAYS[15], fence=3)
    assert court.model(DAYS[14]) != kept


def test_rows_of_the_fit_date_and_later_touch_no_model(court: Court) -> None:
    court.predict(DAYS[16])
    kept = court.model(DAYS[14])
    for day in DAYS[14:]:
        court.play(day, fence=2, seed="other")
    court.predict(DAYS[16], fence=2)
    assert court.model(DAYS[14]) == kept


def test_a_date_with_too_few_rows_before_it_is_empty_and_says_how_many(court: Court) -> None:
    found = court.predict(DAYS[3], DAYS[8])
    assert result_of(found, DAYS[3]) == (
        "empty",
        "expected_empty",
        f"too few games to fit a model on: 0 rows of the season before {START}, and it takes 30",
    )
    assert result_of(found, DAYS[8])[0] == "success"
    assert court.points(DAYS[3]) == {}


def test_a_date_without_features_fails_alone(court: Court) -> None:
    court.warehouse.empty_partition(Partition(FEATURES, "game_date", DAYS[15]), 2)
    found = court.predict(*DAYS[14:17])
    assert result_of(found, DAYS[15]) == (
        "failed",
        "not_yet",
        "the date has no features: run ml_feature_store_v2 first",
    )
    assert {result_of(found, day)[0] for day in (DAYS[14], DAYS[16])} == {"success"}


def test_a_fit_that_raises_fails_the_dates_that_it_is_for_and_no_other(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = boosted.fit

    def fails_on_the_longer_one(examples: Any, settings: Settings) -> dict[str, Any]:
        if len(examples) > 7 * PLAYERS:
            raise ValueError("the labels are infinite")
        return fit(examples, settings)

    monkeypatch.setattr(boosted, "fit", fails_on_the_longer_one)
    found = court.predict(DAYS[13], DAYS[14], DAYS[15])
    assert result_of(found, DAYS[13])[0] == "success"
    why = f"the model of {DAYS[14]} could not be fitted: the labels are infinite"
    assert [result_of(found, day) for day in DAYS[14:16]] == [("failed", "bug", why)] * 2


def test_a_model_that_may_not_be_read_fails_the_dates_that_it_is_for_and_no_other(court: Court) -> None:
    where = court.objects._path(model_name(DAYS[14]))
    where.mkdir(parents=True)
    found = court.predict(DAYS[13], DAYS[14], DAYS[15])
    assert result_of(found, DAYS[13])[0] == "success"
    for day in DAYS[14:16]:
        status, error_class, why = result_of(found, day)
        assert (status, error_class) == ("failed", "transient")
        assert why.startswith(f"the model of {DAYS[14]} cannot be read or kept: ")
        assert str(where) in why
    where.rmdir()
    assert result_of(court.predict(DAYS[14], fence=2), DAYS[14])[0] == "success"


def test_a_full_disk_ends_the_whole_request(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise HaltError("the disk is full")

    monkeypatch.setattr(court.objects, "write", full)
    with pytest.raises(HaltError):
        court.predict(DAYS[14])


def test_a_library_that_cannot_be_loaded_fails_every_date(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("libxgboost.so: wrong ELF class\nStack trace: more")

    monkeypatch.setattr(boosted, "library", broken)
    found = court.predict(*DAYS[14:16])
    why = "xgboost cannot be loaded: libxgboost.so: wrong ELF class"
    assert [result_of(found, day) for day in DAYS[14:16]] == [("failed", "bug", why)] * 2


def test_without_the_library_every_date_fails_and_says_what_to_install(
    court: Court, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    found = court.predict(*DAYS[14:16])
    assert [result_of(found, day) for day in DAYS[14:16]] == [("failed", "bug", INSTALL)] * 2


def test_what_is_to_be_installed_is_what_the_requirements_name() -> None:
    for file in (PIPELINE / "requirements.txt", ROOT / "requirements-dev.txt"):
        lines = [line for line in file.read_text().splitlines() if line.startswith("xgboost")]
        (wanted,) = (Requirement(line) for line in lines)
        assert f"'{wanted.name}{lines[0].removeprefix(wanted.name)}'" in INSTALL


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"trees": 0}, "settings.xgboost_v1.trees: Input should be greater than or equal to 1"),
        ({"row_share": 1.5}, "settings.xgboost_v1.row_share: Input should be less than or equal to 1"),
        ({"tree": 3}, "settings.xgboost_v1.tree: Extra inputs are not permitted"),
    ],
)
def test_settings_that_are_none_are_refused_with_their_place(court: Court, change: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match="workers.nba.request." + why):
        court.predict(DAYS[15], **change)
