"""What the observer and the sweeper make of an existing system's events, and of its silence."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from phasegate.bootstrap import Services
from phasegate.domain.errors import TransientError
from phasegate.domain.protocol.names import CONDUCTOR_QUEUE
from phasegate.domain.spec.pipeline import Pipeline
from phasegate.domain.state.facts import AttemptFacts, AttemptKey, HealedAs
from phasegate.report.explain import explain
from phasegate.report.verifier import verify_run
from phasegate.report.verify.compose import VerifierInputs
from phasegate.services.operating import operators
from tests.conftest import run_command
from tests.contract.spoiling import change_stored, newer_layout
from tests.fakes.in_process import PIPELINE, NoTasks, UsersWorld
from tests.fakes.users_services import RAW_DONE, RAW_NAMES, Oddities
from tests.unit.builders import observing
from tests.world import World

DAYS = [date(2024, 1, 15), date(2024, 1, 16)]
PLAYERS, BOXES = RAW_NAMES.values()
SHORT = timedelta(seconds=10)


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[UsersWorld]:
    """Services whose raw processors write and say nothing."""
    mute = {(name, day): ["mute"] * 3 for name in (PLAYERS, BOXES) for day in DAYS}
    world = UsersWorld(tmp_path, DAYS, Oddities(raw=mute))
    yield world
    world.close()


def waiting(world: UsersWorld, *run_ids: str) -> Services:
    """Services over runs that have come so far that they wait for phase 2."""
    for run_id in run_ids:
        world.begin(run_id)
        world.drive(run_id, SHORT)
    return world.services(NoTasks())


def said(day: date = DAYS[0], **more: Any) -> str:
    """The players' raw processor says that it is done."""
    message = {"processor_name": PLAYERS, "game_date": str(day), "status": "success", "record_count": 8}
    return json.dumps(message | more)


def attempts(world: UsersWorld, run_id: str = "r", day: date = DAYS[0]) -> list[AttemptFacts]:
    """Attempts of the players' raw task."""
    return world.state.dates(run_id, [day])[day].tasks["phase_2_raw", "bdl_player_boxscores"]


def test_an_end_is_counted_without_a_claim_and_below_every_fence(silent: UsersWorld) -> None:
    services = waiting(silent, "r")
    services.external_events.handle(RAW_DONE, [said()])
    (attempt,) = attempts(silent)
    assert attempt.reported is not None
    assert (attempt.reported.rows, attempt.reported.fence, silent.state.quarantined("r")) == (8, 0, [])
    assert not silent.state.claims("r", [AttemptKey(DAYS[0], "phase_2_raw", "bdl_player_boxscores", 1)])


def test_a_date_that_cannot_be_read_of_one_run_keeps_nothing_from_another(silent: UsersWorld) -> None:
    services = waiting(silent, "bad", "good")
    spoil = "UPDATE facts SET doc = '{\"status\": 1}' WHERE run_id = 'bad' AND day = ?"
    silent.database.execute(spoil, (str(DAYS[0]),))
    silent.state._dates.clear()
    services.external_events.handle(RAW_DONE, [said()])
    assert attempts(silent, "good")[0].reported is not None
    (record,) = silent.state.quarantined("bad")
    assert "use the version of the program that made it" in record.reason


def test_the_end_that_brings_a_date_to_rest_wakes_the_conductor(silent: UsersWorld) -> None:
    waiting(silent, "r")
    tasks = NoTasks()
    external_events = silent.services(tasks).external_events
    external_events.handle(RAW_DONE, [said()])
    assert tasks.created == []
    external_events.handle(RAW_DONE, [said(processor_name=BOXES, record_count=4)])
    assert [task.queue for task in tasks.created] == [CONDUCTOR_QUEUE]


def test_explain_says_on_which_topic_a_task_is_waited_for(silent: UsersWorld) -> None:
    waiting(silent, "r")
    (cell,) = explain(silent.state, "r", DAYS[0], "phase_2_raw").cells
    waits = f"waits for a message on topic {RAW_DONE}; after 600 s the output is looked at"
    assert [(status, message) for _, status, message in cell.tasks] == [("queued", waits)] * 2


def test_the_same_event_again_changes_nothing(silent: UsersWorld) -> None:
    services = waiting(silent, "r")
    for _ in range(3):
        services.external_events.handle(RAW_DONE, [said(), said()])
    assert (len(attempts(silent)), silent.state.quarantined("r")) == (1, [])


def test_an_end_that_two_runs_wait_for_is_kept_for_both_and_counted_for_none(silent: UsersWorld) -> None:
    services = waiting(silent, "one", "two")
    services.external_events.handle(RAW_DONE, [said()])
    for run_id in ("one", "two"):
        (record,) = silent.state.quarantined(run_id)
        assert record.reason.endswith("several runs wait for it: one, two")
        assert all(a.reported is None for a in attempts(silent, run_id))


def test_an_unreadable_run_keeps_the_message_for_itself_and_hides_it_from_none(silent: UsersWorld) -> None:
    services = waiting(silent, "one", "two")
    change_stored(silent.state, "run", "one", newer_layout)
    services.external_events.handle(RAW_DONE, [said()])
    assert [a.reported is None for a in attempts(silent, "two")] == [False]
    (record,) = silent.state.quarantined("one")
    assert (record.event, "use the version of the program that made it" in record.reason) == (said(), True)


def test_a_topic_that_no_run_listens_to_has_no_plan_compiled(
    silent: UsersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = waiting(silent, "one", "two")
    monkeypatch.setattr(silent.state, "index", lambda _: pytest.fail("a plan was compiled"))
    services.external_events.handle("another-topic", [said()])


def test_a_cancelled_run_waits_for_nothing(silent: UsersWorld) -> None:
    services = waiting(silent, "one", "two")
    operators.cancel(silent.state, "one")
    services.external_events.handle(RAW_DONE, [said()])
    assert [a.reported is None for run_id in ("one", "two") for a in attempts(silent, run_id)] == [True, False]


def test_a_paused_run_still_hears_what_it_waits_for(silent: UsersWorld) -> None:
    services = waiting(silent, "r")
    operators.pause(silent.state, "r")
    services.external_events.handle(RAW_DONE, [said()])
    assert attempts(silent)[0].reported is not None


def test_nothing_is_kept_where_no_run_observes(silent: UsersWorld) -> None:
    silent.services(NoTasks()).external_events.handle(RAW_DONE, [said(), "<html>"])
    assert silent.state.quarantined(None) == []


def test_what_has_no_date_that_can_be_read_may_be_ours_and_is_kept(silent: UsersWorld) -> None:
    services = waiting(silent, "r")
    services.external_events.handle(
        RAW_DONE, [said(game_date="15/01/2024"), said(DAYS[0] + timedelta(days=400), status="?")]
    )
    (record,) = silent.state.quarantined("r")
    assert "game_date: '15/01/2024' is no date" in record.reason


def test_silence_is_asked_about_with_one_query_for_all_tables_and_dates(
    silent: UsersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = waiting(silent, "r")
    silent.clock.move_to(silent.clock.now() + timedelta(seconds=700))
    asked: list[str] = []
    ask = silent.warehouse.ask
    monkeypatch.setattr(
        silent.warehouse, "ask", lambda questions: asked.extend(sql for sql, _ in questions) or ask(questions)
    )
    services.sweeper.sweep("r")
    (query,) = asked
    assert all(name in query for name in RAW_NAMES)
    healed = [a.healed for day in DAYS for a in attempts(silent, day=day)]
    assert [heal and heal.outcome for heal in healed] == [HealedAs.SUCCESS, HealedAs.SUCCESS]


def test_silence_is_not_judged_while_the_table_cannot_be_asked(
    silent: UsersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = waiting(silent, "r")
    silent.clock.move_to(silent.clock.now() + timedelta(seconds=700))
    with monkeypatch.context() as patch:
        patch.setattr(silent.warehouse, "ask", lambda questions: [TransientError("busy") for _ in questions])
        services.sweeper.sweep("r")
    assert [a.healed for a in attempts(silent)] == [None]
    services.sweeper.sweep("r")
    assert [a.healed is not None for a in attempts(silent)] == [True]


def test_silence_where_emptiness_is_right_is_as_it_should_be(tmp_path: Path) -> None:
    document = yaml.safe_load(PIPELINE.read_text())
    document["phases"][1]["processors"][0]["available_from"] = DAYS[1]
    sleeping = Oddities(raw={(PLAYERS, DAYS[0]): ["sleep"]})
    world = UsersWorld(tmp_path, DAYS[:1], sleeping, Pipeline.model_validate(document))
    world.begin()
    world.drive()
    healed = [heal.detail for heal in world.state.heals("r") if RAW_DONE in heal.detail]
    assert healed == [f"topic {RAW_DONE} was silent for 600 s, and rightly there is no output"]
    assert [a.healed and a.healed.outcome for a in attempts(world)] == [HealedAs.SUCCESS]
    world.close()


def test_an_end_that_comes_after_the_table_has_told_is_nothing_new(silent: UsersWorld) -> None:
    services = waiting(silent, "r")
    silent.clock.move_to(silent.clock.now() + timedelta(seconds=700))
    services.sweeper.sweep("r")
    services.external_events.handle(RAW_DONE, [said()])
    assert (len(attempts(silent)), silent.state.quarantined("r")) == (1, [])


def test_an_end_that_lost_a_race_counts_for_the_attempt_after_it(
    silent: UsersWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = waiting(silent, "r")
    failed, succeeded = said(status="failed", execution_id="1"), said(execution_id="2")
    record = silent.state.record

    def after_another(run_id: str, facts: Any) -> None:
        monkeypatch.setattr(silent.state, "record", record)
        services.external_events.handle(RAW_DONE, [failed])
        record(run_id, facts)

    monkeypatch.setattr(silent.state, "record", after_another)
    services.external_events.handle(RAW_DONE, [succeeded])
    assert [a.reported and a.reported.status.value for a in attempts(silent)] == ["failed", "success"]


def test_the_report_counts_what_the_existing_system_made_among_what_ended_and_not_among_calls(tmp_path: Path) -> None:
    world = UsersWorld(tmp_path, DAYS, Oddities())
    world.begin()
    world.drive()
    inputs = VerifierInputs(world.state, world.warehouse, world.objects)
    report = verify_run(inputs, world.objects, world.clock, "r").report
    assert report.pace is not None and report.time is not None and report.cost is not None
    observed = len(RAW_NAMES) * len(DAYS)
    assert report.time.attempts == report.cost.attempts == report.pace.attempts - observed > 0
    assert "phase_2_raw" not in {line.phase for line in report.run_times}
    assert sum(report.pace.ended) == report.pace.attempts
    assert report.cost.not_counted[-1] == f"what was read and written for {observed} attempts of observed phases"
    world.close()


def test_embedded_mode_refuses_to_run_an_observed_phase_before_anything_is_written(tmp_path: Path) -> None:
    world = World(tmp_path, change=observing)
    home = tmp_path / "refused"
    done = run_command(
        "run", "--pipeline", world.pipeline_file, "--source", world.source, "--season", "2023-24", home=home
    )
    assert (done.returncode, "'raw-done', which embedded mode does not listen to" in done.stderr) == (2, True)
    assert not (home / "state.sqlite").exists()
