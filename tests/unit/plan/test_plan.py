"""The frozen plan: what its dates should hold, its hash, and its compiled form."""

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.adapters.gcp.tasks import delivery_deadlines
from phasegate.domain.calendar.dates import Calendar
from phasegate.domain.calendar.expectation import ExpectationLetter, expectation
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.plan import BarrierEdge, Edge, Plan, PlanIndex, SameDateEdge, WindowEdge, compile_plan
from phasegate.domain.spec.pipeline import Pipeline, RampStep
from phasegate.services.starting.planner import make_plan
from tests.unit.builders import calendar, days, game_date, pipeline, plan
from tests.world import definition

FIRST = [date(2024, 1, d) for d in (1, 2, 3, 8)]
SECOND = [date(2024, 10, d) for d in (20, 21, 22)]


def total(**keys: Any) -> Pipeline:
    """The world with other keys on ``final/total``."""

    def change(document: dict[str, Any]) -> None:
        document["phases"][3]["processors"][0].update(keys)

    return pipeline(change)


def expected(changed: Pipeline, day: date) -> tuple[str, str]:
    """What ``final/total`` should hold."""
    return expectation(changed, calendar(FIRST, SECOND), "final", changed.phase("final").processors[0], day)


def test_a_date_after_the_bootstrap_days_should_hold_rows() -> None:
    assert expected(total(), FIRST[2]) == (ExpectationLetter.EXPECTED, "")


@pytest.mark.parametrize("day", [FIRST[0], FIRST[1], SECOND[0], SECOND[1]])
def test_the_bootstrap_days_of_every_season_are_rightly_empty(day: date) -> None:
    assert expected(total(), day) == (ExpectationLetter.EMPTY, "bootstrap: the first 2 days of a season")


def test_bootstrap_is_counted_in_calendar_days_and_not_in_game_dates() -> None:
    gap = calendar([FIRST[0], FIRST[3]])
    found = total()
    assert (
        expectation(found, gap, "final", found.phase("final").processors[0], FIRST[3])[0] == ExpectationLetter.EXPECTED
    )


def test_a_processor_without_bootstrap_holds_rows_from_the_first_day_on() -> None:
    assert expected(total(bootstrap=False), FIRST[0]) == (ExpectationLetter.EXPECTED, "")


def test_before_its_source_begins_a_date_is_rightly_empty() -> None:
    assert expected(total(available_from="2024-01-08"), FIRST[2]) == (
        ExpectationLetter.EMPTY,
        "the source begins on 2024-01-08",
    )


def test_on_the_day_on_which_its_source_begins_a_date_should_hold_rows() -> None:
    assert expected(total(available_from="2024-01-08"), FIRST[3]) == (ExpectationLetter.EXPECTED, "")


def test_what_may_be_empty_is_optional_with_its_reason() -> None:
    assert expected(total(may_be_empty="no odds", checks=[]), FIRST[2]) == (ExpectationLetter.OPTIONAL, "no odds")


def test_rightly_empty_outranks_what_may_be_empty() -> None:
    assert expected(total(may_be_empty="no odds"), FIRST[0])[0] == ExpectationLetter.EMPTY


ODDS = {"odds": {"table": "raw.odds", "date_column": "d", "file": "odds.parquet", "otherwise": "no odds were kept"}}


def limited(**keys: Any) -> Pipeline:
    """The world whose ``final/total`` is limited to the dates of a source."""

    def change(document: dict[str, Any]) -> None:
        document["calendar"]["sources"] = ODDS
        document["phases"][3]["processors"][0].update(source_dates="odds", **keys)

    return pipeline(change)


def test_what_its_source_does_not_hold_is_rightly_empty_with_its_reason() -> None:
    known = Calendar.of(replace(game_date(day), not_held_by=("odds",) * (day == FIRST[2])) for day in FIRST)
    found = limited()
    letters = [expectation(found, known, "final", found.phase("final").processors[0], day) for day in FIRST[2:]]
    assert letters == [(ExpectationLetter.EMPTY, "no odds were kept"), (ExpectationLetter.EXPECTED, "")]


def test_a_plan_keeps_what_the_sources_held_when_it_was_made() -> None:
    known = Calendar.of(replace(game_date(day), not_held_by=("odds",)) for day in FIRST)
    made = plan(lambda d: d["calendar"].update(sources=ODDS), among=known)
    assert Plan.model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_a_plan_that_was_kept_before_there_were_sources_and_live_windows_can_be_read() -> None:
    made = plan()
    kept = made.model_dump(mode="json", by_alias=True)
    for game in kept["calendar"]:
        del game["not_held_by"]
    del (
        kept["pipeline"]["live_window"],
        kept["pipeline"]["calendar"]["sources"],
        kept["pipeline"]["calendar"]["left_out"],
    )
    for processor in (x for phase in kept["pipeline"]["phases"] for x in phase["processors"]):
        del processor["source_dates"], processor["destructive"]
    for worker in kept["pipeline"]["workers"].values():
        del worker["version"]
    assert Plan.model_validate(kept) == made


# The hash


def test_the_same_content_has_the_same_hash() -> None:
    assert plan().hash == plan().hash


@pytest.mark.parametrize(
    "other",
    [
        {"dates": 5},
        {"phases": "1..3"},
        {"reprocess": "missing"},
        {"code_version": "next"},
        {"ramp": (RampStep(active_dates=1),)},
        {"stops_at_bad_date": True},
        {"among": calendar(FIRST + days(1, date(2024, 2, 1))), "selected": FIRST},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_content_has_another_hash(other: dict[str, Any]) -> None:
    assert plan(**other).hash != plan().hash


def test_another_pipeline_has_another_hash() -> None:
    assert plan(lambda d: d["phases"][3]["gates"][1].update(dates=3)).hash != plan().hash


def test_the_hash_survives_a_round_trip_through_json() -> None:
    made = plan(ramp=(RampStep(active_dates=1, until_finished=2),))
    read = Plan.model_validate_json(made.model_dump_json(by_alias=True))
    assert (read, read.hash) == (made, made.hash)


def test_a_plan_says_that_it_stops_at_bad_dates_only_where_it_does() -> None:
    kept = json.loads(plan(stops_at_bad_date=True).model_dump_json(by_alias=True))
    assert kept["stops_at_bad_date"] is True
    assert Plan.model_validate(kept).stops_at_bad_date
    before = json.loads(plan().model_dump_json(by_alias=True))
    assert "stops_at_bad_date" not in before, "what is stored without it is what an earlier version reads"
    assert not Plan.model_validate(before).stops_at_bad_date


def test_the_order_of_keys_in_the_file_does_not_change_the_hash() -> None:
    document = definition()
    turned = {key: document[key] for key in reversed(document)}
    assert plan(pipeline=Pipeline.model_validate(turned)).hash == plan().hash


# The compiled form


def test_what_an_earlier_run_finished_is_adopted_in_the_compiled_form_too() -> None:
    found = make_plan(
        pipeline(),
        calendar(days(2)),
        Selection(seasons=("S1",)),
        phases="1..1",
        profile=None,
        reprocess="failed",
        prover=None,
        finished=lambda asked: {asked[0]: frozenset({"fetch/a", "fetch/b"}), asked[1]: frozenset({"fetch/b"})},
    ).plan
    assert {ref: task.work for ref, task in compile_plan(found).by_ref.items()} == {"fetch/a": "ar", "fetch/b": "aa"}


def groups(index: PlanIndex) -> dict[str, list[str]]:
    """Processors by release group."""
    return {group.name: [index.tasks[n].processor for n in group.tasks] for group in index.groups}


def test_processors_that_share_their_edges_form_a_lane() -> None:
    assert groups(compile_plan(plan())) == {
        "fetch": ["a", "b"],
        "raw": ["a", "b"],
        "shape.1": ["left", "right"],
        "shape.2": ["ahead"],
        "final": ["total", "note"],
    }


def test_a_processor_stands_after_what_it_needs_whatever_the_file_says() -> None:
    def turn(document: dict[str, Any]) -> None:
        document["phases"][2]["processors"].reverse()

    order = [task.processor for task in compile_plan(plan(turn)).tasks if task.phase == "shape"]
    assert order.index("left") < order.index("right")


@given(st.permutations(range(6)))
def test_tasks_are_in_an_order_of_their_needs_for_every_order_of_the_file(order: list[int]) -> None:
    def chain(document: dict[str, Any]) -> None:
        """p0 <- p1 <- … <- p5, written in any order."""
        document["phases"][3]["processors"] = [
            {"name": f"p{n}", "needs": [f"p{n - 1}"] if n else [], "output": {"kind": "none"}} for n in order
        ]

    found = [task.processor for task in compile_plan(plan(chain)).tasks if task.phase == "final"]
    assert found == [f"p{n}" for n in range(6)]


def test_needs_are_the_numbers_of_the_tasks_needed() -> None:
    index = compile_plan(plan())
    needs = {task.ref: [index.tasks[n].ref for n in task.needs] for task in index.tasks if task.needs}
    assert needs == {
        "raw/a": ["fetch/a"],
        "raw/b": ["fetch/b"],
        "shape/right": ["shape/left"],
        "final/note": ["final/total"],
    }


def test_dependants_are_the_needs_turned_round() -> None:
    index = compile_plan(plan())
    pairs = {(n, task.number) for task in index.tasks for n in task.needs}
    assert {(n, d) for n, found in enumerate(index.dependants) for d in found} == pairs


def test_a_phase_released_with_another_names_its_lanes() -> None:
    index = compile_plan(plan())
    released_with = {group.name: [index.groups[n].name for n in group.released_with] for group in index.groups}
    assert {name: found for name, found in released_with.items() if found} == {"raw": ["fetch"]}


def test_a_need_on_a_phase_that_the_run_leaves_out_is_dropped() -> None:
    assert compile_plan(plan(phases="2..4")).by_ref["raw/a"].needs == ()


def test_a_processors_own_queue_stands_in_place_of_the_phases() -> None:
    index = compile_plan(plan(lambda d: d["phases"][1]["processors"][0].update(queue="fetches")))
    assert {ref: index.by_ref[ref].queue for ref in ("raw/a", "raw/b")} == {"raw/a": "fetches", "raw/b": "work"}


def edge(index: PlanIndex, group: str, kind: type[Edge]) -> Any:
    """The one edge of that kind of a release group."""
    (found,) = [e for each in index.groups if each.name == group for e in each.edges if isinstance(e, kind)]
    return found


def test_a_window_inside_the_selection_is_a_range_of_positions() -> None:
    assert edge(compile_plan(plan()), "shape.2", WindowEdge).inside == ((0, 0), (0, 1), (0, 2), (0, 3), (1, 4), (2, 5))


def test_a_window_inside_the_selection_has_nothing_outside() -> None:
    assert compile_plan(plan()).outside == {}


def test_dates_of_a_window_before_the_selection_are_outside() -> None:
    known = days(6)
    index = compile_plan(plan(selected=known[4:], among=calendar(known)))
    assert edge(index, "shape.2", WindowEdge).outside == ((known[1], known[2], known[3]), (known[2], known[3]))


def test_holes_in_the_selection_are_outside_and_the_rest_inside() -> None:
    known = days(5)
    index = compile_plan(plan(selected=[known[1], known[3], known[4]], among=calendar(known)))
    found = edge(index, "shape.2", WindowEdge)
    assert (found.inside, found.outside) == (((0, 0), (0, 1), (0, 2)), ((known[0],), (known[0], known[2]), (known[2],)))


def test_a_window_does_not_reach_into_the_season_before() -> None:
    index = compile_plan(plan(among=calendar(FIRST, SECOND)))
    assert edge(index, "shape.2", WindowEdge).inside[4:] == ((4, 4), (4, 5), (4, 6))


def test_what_the_run_reads_and_does_not_make_is_listed_by_processor_and_date() -> None:
    known = days(6)
    index = compile_plan(plan(selected=known[4:], among=calendar(known)))
    assert index.outside == {"shape/left": (known[1], known[2], known[3])}


def test_a_lookback_on_a_phase_that_is_left_out_is_wholly_outside() -> None:
    known = days(4)
    index = compile_plan(plan(selected=known[2:], among=calendar(known), phases="4..4"))
    assert index.outside == {
        "shape/ahead": (known[2], known[3]),
        "shape/left": tuple(known),
        "shape/right": (known[2], known[3]),
    }


def test_what_a_barrier_asks_of_a_phase_that_is_left_out_is_judged_from_the_tables() -> None:
    def wall(document: dict[str, Any]) -> None:
        document["phases"][3]["gates"] = [{"check": "barrier", "phase": "shape"}]

    index = compile_plan(plan(wall, dates=2, phases="4..4"))
    assert index.outside == dict.fromkeys(["shape/ahead", "shape/left", "shape/right"], tuple(days(2)))


def test_all_succeeded_names_every_processor_of_the_phase_unless_told_otherwise() -> None:
    index = compile_plan(plan(lambda d: d["phases"][2]["gates"][0].update(processors=["b"])))
    assert edge(index, "shape.1", SameDateEdge).refs == {"raw/b"}
    assert edge(index, "final", SameDateEdge).refs == {"shape/left", "shape/right", "shape/ahead"}


@pytest.mark.parametrize(
    ("scope", "ranges"), [("run", ((0, 7),) * 7), ("season", ((0, 4),) * 4 + ((4, 7),) * 3)], ids=["run", "season"]
)
def test_a_barrier_reaches_over_the_run_or_over_the_dates_season(
    scope: str, ranges: tuple[tuple[int, int], ...]
) -> None:
    def wall(document: dict[str, Any]) -> None:
        document["phases"][3]["gates"] = [{"check": "barrier", "phase": "shape", "scope": scope}]

    assert edge(compile_plan(plan(wall, among=calendar(FIRST, SECOND))), "final", BarrierEdge).ranges == ranges


@given(st.lists(st.integers(1, 3), min_size=2, max_size=25), st.data(), st.integers(1, 6))
def test_inside_and_outside_together_are_the_window(gaps: list[int], data: st.DataObject, width: int) -> None:
    known = [date(2024, 1, 1) + timedelta(days=sum(gaps[: n + 1])) for n in range(len(gaps))]
    chosen = data.draw(st.lists(st.sampled_from(known), min_size=1, unique=True).map(sorted))
    index = compile_plan(
        plan(lambda d: d["phases"][2]["gates"][1].update(dates=width), selected=chosen, among=calendar(known))
    )
    found = edge(index, "shape.2", WindowEdge)
    for position, day in enumerate(chosen):
        first, last = found.inside[position]
        window = sorted([*index.days[first:last], *found.outside[position]])
        assert window == [d for d in known if d < day][-width:]


def test_a_processor_has_its_own_timeout_and_failure_keys_and_what_it_does_not_say_is_its_phases() -> None:
    def change(document: dict[str, Any]) -> None:
        document["phases"][2]["failure"] = {"retries": 2, "first_backoff_seconds": 7.0, "then": "continue"}
        left, right, _ = document["phases"][2]["processors"]
        left |= {"timeout_seconds": 900, "failure": {"retries": 0, "max_backoff_seconds": 30.0}}
        right["timeout_seconds"] = 5

    made = plan(change)
    tasks = compile_plan(Plan.model_validate_json(made.model_dump_json(by_alias=True))).by_ref
    seconds = {ref: task.dispatch.timeout_seconds for ref, task in tasks.items() if task.phase == "shape"}
    assert seconds == {"shape/left": 900, "shape/right": 5, "shape/ahead": 60}
    left, ahead = tasks["shape/left"].failure, tasks["shape/ahead"].failure
    assert (left.retries, left.first_backoff_seconds, left.max_backoff_seconds, left.then) == (0, 7.0, 30.0, "continue")
    assert (ahead.retries, ahead.first_backoff_seconds, ahead.max_backoff_seconds) == (2, 7.0, 600.0)
    assert delivery_deadlines(made.pipeline)["work"] == 930


def test_a_pipeline_whose_processors_say_nothing_of_their_own_is_written_as_it_was() -> None:
    written = plan().model_dump(mode="json", by_alias=True)["pipeline"]["phases"][2]["processors"]
    assert not [each for each in written if {"timeout_seconds", "failure"} & each.keys()]
