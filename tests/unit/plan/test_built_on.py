"""What is stale once something is gone, and what a plan of what is missing would not notice."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from phasegate.domain.decisions.built_on import built_on
from phasegate.domain.decisions.needed import unseen
from phasegate.domain.plan import compile_plan
from tests.unit.builders import FIRST_DAY, Change, days, plan

DAYS = days(6)
TABLE = {"kind": "table", "date_column": "d", "keys": ["k"]}


def numbers(found: Mapping[str, tuple[date, ...]]) -> dict[str, list[int]]:
    """Dates as numbers from the first on."""
    return {ref: [(day - FIRST_DAY).days for day in of_ref] for ref, of_ref in found.items()}


def test_needs_gates_and_windows_reach_what_was_built() -> None:
    found = numbers(built_on(compile_plan(plan()), {"shape/left": [DAYS[1]]}))
    assert found == {
        "shape/right": [1],
        "shape/ahead": [2, 3, 4],
        "final/total": [2, 3, 4],
        "final/note": [1, 2, 3, 4],
    }


def test_what_is_gone_itself_is_not_stale() -> None:
    index = compile_plan(plan())
    assert built_on(index, {"final/total": DAYS, "final/note": DAYS}) == {}
    assert numbers(built_on(index, {"shape/left": DAYS, "shape/right": DAYS, "final/total": DAYS})) == {
        "shape/ahead": [1, 2, 3, 4, 5],
        "final/note": [0, 1, 2, 3, 4, 5],
    }


def test_only_the_readers_are_built_on_what_a_gate_waits_for_where_they_say_what_they_read() -> None:
    def one_more(document: dict[str, Any]) -> None:
        document["phases"][1]["processors"].append({"name": "c", "output": {**TABLE, "table": "raw.c"}})

    def read_by_right(document: dict[str, Any]) -> None:
        one_more(document)
        document["phases"][2]["processors"][1]["reads"].append("raw/c")

    def read_in_windows(document: dict[str, Any]) -> None:
        one_more(document)
        document["phases"][2]["processors"][2]["reads_same_date"] = False

    def found(change: Change) -> dict[str, list[int]]:
        return numbers(built_on(compile_plan(plan(change)), {"raw/c": [DAYS[3]]}))

    said_by_nobody = {"shape/ahead": [3], "final/total": [3], "final/note": [3]}
    assert found(one_more) == said_by_nobody
    assert found(read_by_right) == {"shape/right": [3], **said_by_nobody}
    assert found(read_in_windows) == {}


def test_what_is_behind_a_barrier_is_built_on_its_own_date() -> None:
    def behind_a_barrier(document: dict[str, Any]) -> None:
        document["phases"][3]["gates"] = [{"check": "barrier", "phase": "shape", "scope": "season"}]

    found = numbers(built_on(compile_plan(plan(behind_a_barrier)), {"shape/ahead": [DAYS[3]]}))
    assert found == {"final/total": [3], "final/note": [3]}


def test_an_object_is_read_by_whoever_does_not_say_what_it_reads_whatever_others_say() -> None:
    def by_a_gate(document: dict[str, Any]) -> None:
        raw = document["phases"][1]
        del raw["released_with"]
        raw["gates"] = [{"check": "all_succeeded", "phase": "fetch"}]
        for processor in raw["processors"]:
            del processor["needs"]
        raw["processors"][0]["reads"] = ["fetch/a"]

    index = compile_plan(plan(by_a_gate))
    read = {task.ref: [index.tasks[n].ref for n in index.readers[task.number]] for task in index.tasks}
    assert (read["fetch/a"], read["fetch/b"]) == (["raw/a", "raw/b"], ["raw/b"])


def test_nothing_gone_leaves_nothing_stale() -> None:
    assert built_on(compile_plan(plan()), {}) == {}


def test_an_expected_table_that_is_gone_is_noticed() -> None:
    assert unseen(compile_plan(plan()), {"final/total": DAYS, "raw/a": DAYS[:1]}) == ()


def test_an_object_that_nothing_reads_is_noticed_by_itself() -> None:
    assert unseen(compile_plan(plan(phases="1..1")), {"fetch/a": DAYS[:2]}) == ()


def test_an_object_is_noticed_with_the_tables_that_need_it() -> None:
    index = compile_plan(plan())
    assert unseen(index, {"fetch/a": DAYS[:1]}) == ("fetch/a",)
    assert unseen(index, {"fetch/a": DAYS[:1], "raw/a": DAYS[:1]}) == ()
    assert unseen(index, {"fetch/a": DAYS[:2], "raw/a": DAYS[:1]}) == ("fetch/a",)


def test_a_table_that_may_be_empty_is_noticed_with_others_of_its_phase_or_before() -> None:
    def change(document: dict[str, Any]) -> None:
        document["phases"][1]["processors"][1]["may_be_empty"] = "no odds"

    index = compile_plan(plan(change))
    assert unseen(index, {"raw/b": DAYS}) == ("raw/b",)
    assert unseen(index, {"raw/b": DAYS, "raw/a": DAYS}) == ()
    assert unseen(index, {"raw/b": DAYS[:1], "raw/a": DAYS[1:]}) == ("raw/b",)
