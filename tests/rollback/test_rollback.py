"""What a rollback finds, refuses, deletes and records; and how the world comes back from it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phasegate.bootstrap import Embedded
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import HaltError, InputError, PhasegateError, TransientError
from phasegate.domain.operations.overrides import Overrides
from phasegate.domain.operations.rollback import Scope, choose_refs
from phasegate.domain.state.facts import AttemptKey
from phasegate.domain.state.lease import Lease
from phasegate.domain.state.run import RunStatus
from phasegate.ports import ClaimRequest
from phasegate.services.operating import operators
from phasegate.services.operating.rollback import (
    Deleted,
    Signature,
    Survey,
    delete,
    require_free,
    require_named,
    survey,
)
from tests.world import World

ANN = Signature("ann", "wrong odds")


@dataclass
class Site:
    """A world with one run that came to its end."""

    world: World

    def scope(self, phases: str, *processors: str, days: Sequence[date] | None = None) -> Scope:
        """What to roll back."""
        chosen, refs = choose_refs(self.world.pipeline, phases, processors)
        dates = tuple(days if days is not None else self.world.days)
        return Scope(self.world.pipeline, self.world.calendar(), chosen, tuple(refs), dates)

    def reconcile(self, scope: Scope) -> Survey:
        """What there is."""
        with self.world.open() as embedded:
            return survey(scope, embedded.warehouse, embedded.objects)

    def roll_back(self, scope: Scope, meanwhile: Callable[[Embedded], object] = lambda _: None) -> Deleted:
        """Look and delete."""
        with self.world.open() as embedded:
            found = survey(scope, embedded.warehouse, embedded.objects)
            meanwhile(embedded)
            return delete(found, embedded.state, embedded.warehouse, embedded.objects, self.world.clock, ANN)

    def records(self) -> dict[str, Any]:
        """Every record, by its name below the folder of records."""
        folder = self.world.home.objects / "rollbacks"
        return {str(p.relative_to(folder)): json.loads(p.read_text()) for p in sorted(folder.rglob("*.json"))}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The small world, completed."""
    made = Site(World(tmp_path))
    assert made.world.run().status is RunStatus.COMPLETED
    return made


def held(found: Survey) -> dict[str, tuple[int, int]]:
    """Rows and dates by ref."""
    return {each.ref: (each.rows, len(each.days)) for each in found.holdings}


# What there is


def test_it_is_found_by_output_with_rows_and_dates(site: Site) -> None:
    found = site.reconcile(site.scope("shape", days=site.world.days[:2]))
    assert held(found) == {"shape/left": (8, 2), "shape/right": (8, 2), "shape/ahead": (2, 2)}
    assert [(each.name, each.days[0], each.days[-1]) for each in found.holdings[:1]] == [
        ("shape.left_side", *site.world.days[:2])
    ]


def test_what_was_built_from_it_is_found_on_later_dates_too(site: Site) -> None:
    found = site.reconcile(site.scope("shape", days=site.world.days[:1]))
    days = site.world.days
    assert {each.ref: each.days for each in found.stale} == {
        "shape/ahead": tuple(days[1:4]),
        "final/total": tuple(days[2:4]),
    }


def test_objects_are_counted_by_date(site: Site) -> None:
    found = site.reconcile(site.scope("fetch..raw", "fetch/a", "raw/a"))
    assert held(found) == {"fetch/a": (6, 6), "raw/a": (24, 6)}
    assert [each.is_table for each in found.holdings] == [False, True]


def test_one_query_a_table_asks_for_all_dates(site: Site) -> None:
    with site.world.open() as embedded:
        asked: list[str] = []
        ask = embedded.warehouse.ask

        def counting(questions: Any) -> Any:
            asked.extend(sql for sql, _ in questions)
            return ask(questions)

        embedded.warehouse.ask = counting  # type: ignore[method-assign]
        survey(site.scope("shape..final"), embedded.warehouse, embedded.objects)
    tables = ["shape.left_side", "shape.right_side", "shape.ahead", "final.total"]
    assert [sum(sql.count(f"`{table}`") for sql in asked) for table in tables] == [1, 1, 1, 1]


def test_tables_that_are_not_there_are_named_and_no_error(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.open() as embedded:
        embedded.warehouse.apply_schema("CREATE TABLE IF NOT EXISTS `shape.ahead` (d DATE, k STRING, _fence INT64)")
    found = Site(world).reconcile(Site(world).scope("shape"))
    assert (found.holdings, found.not_there) == ((), ("shape.left_side", "shape.right_side"))


def test_a_table_without_its_date_column_says_what_to_mend(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.open() as embedded:
        embedded.warehouse.apply_schema("CREATE TABLE IF NOT EXISTS `final.total` (day DATE, k STRING, _fence INT64)")
    with pytest.raises(InputError, match=r"final\.total has no column d: correct date_column in the pipeline file"):
        Site(world).reconcile(Site(world).scope("final"))


# What it refuses


@pytest.mark.parametrize(
    ("phases", "processors", "complaint"),
    [
        (None, [], r"say which phase to roll back: --phase P \(known: fetch, raw, shape, final\)"),
        ("shap", [], "--phase: unknown phase 'shap'; did you mean 'shape'"),
        ("9", [], "--phase: unknown phase '9'"),
        ("final..raw", [], "--phase: phases 'final..raw': final comes after raw"),
        ("raw", ["c"], "--processor: unknown processor 'c' of phase raw; known: a, b, p2_a, p2_b"),
        ("fetch..raw", ["a"], "--processor: 'a' stands in several phases; write fetch/a or raw/a"),
        ("raw", ["fetch/a"], "--processor: unknown processor 'fetch/a' of phase raw"),
    ],
)
def test_names_that_are_not_known_are_refused(
    site: Site, phases: str | None, processors: list[str], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        choose_refs(site.world.pipeline, phases, processors)


def test_an_alias_and_a_number_are_names_too(site: Site) -> None:
    assert choose_refs(site.world.pipeline, "2", ["p2_a"]) == (("raw",), ["raw/a"])


def refused(site: Site, scope: Scope, *, claims_die_with_us: bool = True) -> str:
    """What is said against it; empty when nothing is."""
    with site.world.open() as embedded:
        try:
            require_free(scope, embedded.state, site.world.clock.now(), claims_die_with_us=claims_die_with_us)
        except InputError as error:
            return str(error)
    return ""


def begin(site: Site, run_id: str, **more: Any) -> None:
    with site.world.open() as embedded:
        site.world.begin(embedded, run_id, **more)


def test_a_run_that_is_not_over_and_holds_a_cell_is_named_with_the_remedy(site: Site) -> None:
    days = site.world.days
    begin(site, "going", selection=Selection(dates=tuple(days[:2])))
    assert refused(site, site.scope("shape", days=days[1:4])) == (
        f"run 'going' is not over (running) and holds shape on 1 of these dates, {days[1]} to {days[1]}; "
        "let it come to its end, or: phasegate cancel going"
    )
    assert refused(site, site.scope("shape", days=days[2:4])) == ""


def test_a_run_that_only_reads_it_is_named_as_well(site: Site) -> None:
    days = site.world.days
    begin(site, "reader", selection=Selection(dates=(days[4],)), phases="final")
    assert "run 'reader' is not over (running) and reads shape on 2 of these dates" in refused(
        site, site.scope("shape", days=days[:4])
    )
    assert refused(site, site.scope("shape", days=days[:2])) == ""


def test_a_cancelled_run_is_no_hindrance_once_nobody_writes_for_it(site: Site) -> None:
    world = site.world
    key = AttemptKey(world.days[0], "raw", "a", 1)
    ends = world.clock.now() + timedelta(minutes=5)
    with world.open() as embedded:
        world.begin(embedded, "cut", reprocess="all")
        embedded.state.claim("cut", [ClaimRequest(key, 1, 1, (), ends)], world.clock.now())
        operators.cancel(embedded.state, "cut")
    scope = site.scope("raw")
    assert refused(site, scope) == ""
    assert refused(site, scope, claims_die_with_us=False) == (
        f"run 'cut' was cancelled, but {key} is still under way and may write until {ends:%Y-%m-%d %H:%M:%S} UTC; "
        "try again then"
    )
    for other in (site.scope("shape"), site.scope("raw", days=world.days[1:])):
        assert refused(site, other, claims_die_with_us=False) == ""
    world.clock.move_to(ends)
    assert refused(site, scope, claims_die_with_us=False) == ""


def test_a_finished_run_that_is_to_be_retried_is_not_over(tmp_path: Path) -> None:
    made = Site(World(tmp_path))
    made.world.misbehave(shape__left__1=["fail:bug"])
    assert made.world.run().status is RunStatus.COMPLETED_WITH_FAILURES
    assert refused(made, made.scope("raw")) == ""
    with made.world.open() as embedded:
        operators.retry(
            embedded.state, made.world.clock, "r", dates=(), phase=None, processor=None, signature=None, why=""
        )
    assert "run 'r' is not over (running)" in refused(made, made.scope("raw"))


def test_dates_of_the_live_window_are_refused_unless_named(site: Site) -> None:
    scope, now = site.scope("final", days=site.world.days[:2]), datetime.fromisoformat("2024-01-03T08:00:00+00:00")
    with pytest.raises(InputError, match=r"2024-01-02: the live pipeline writes.*--exclude-live.*--include-live 2024"):
        require_named(scope, Overrides(), now)
    require_named(scope, Overrides((site.world.days[1],)), now)
    with pytest.raises(InputError, match="2024-01-05 is not a date of the selection"):
        require_named(scope, Overrides((site.world.days[4],)), now)


# What it does


def test_rows_and_objects_of_these_dates_are_gone_and_others_stay(site: Site) -> None:
    before, days = site.world.tables(), site.world.days
    made = site.roll_back(site.scope("fetch..raw", "fetch/a", "raw/a", days=days[:2]))
    assert made.by_ref == {"raw/a": 8, "fetch/a": 2}
    after = site.world.tables()
    assert after["raw.a"] == [row for row in before["raw.a"] if row[0] > str(days[1])]
    assert {t: after[t] for t in after if t != "raw.a"} == {t: before[t] for t in before if t != "raw.a"}
    assert sorted(p.stem for p in (site.world.home.objects / "a").iterdir()) == [str(day) for day in days[2:]]
    assert len(list((site.world.home.objects / "b").iterdir())) == 6


def test_who_when_why_and_what_stand_in_a_record_before_and_after(site: Site) -> None:
    made = site.roll_back(site.scope("final", days=site.world.days[:3]))
    records = site.records()
    assert sorted(records) == [f"{made.id}/done.json", f"{made.id}/intended.json"]
    assert records[f"{made.id}/intended.json"] == {
        "schema_version": 1,
        "id": made.id,
        "pipeline": "world",
        "phases": ["final"],
        "by": "ann",
        "why": "wrong odds",
        "at": site.world.clock.now().isoformat(),
        "outputs": [{"processor": "final/total", "table": "final.total", "rows": 1, "dates": ["2024-01-03"]}],
    }
    done = records[f"{made.id}/done.json"]
    assert (done["deleted"], done["error"], made.record) == ({"final/total": 1}, None, f"rollbacks/{made.id}")


def test_nobody_cannot_delete(site: Site) -> None:
    with site.world.open() as embedded:
        found = survey(site.scope("final"), embedded.warehouse, embedded.objects)
        with pytest.raises(InputError, match="--by: say who decides this"):
            delete(found, embedded.state, embedded.warehouse, embedded.objects, site.world.clock, Signature(" ", "why"))
    assert site.records() == {}


@pytest.mark.parametrize(("raised", "expected"), [(TransientError, TransientError), (InputError, HaltError)])
def test_what_dies_in_between_is_told_and_the_same_again_deletes_the_rest(
    site: Site, raised: type[PhasegateError], expected: type[PhasegateError]
) -> None:
    def break_left(embedded: Embedded) -> None:
        whole = embedded.warehouse.delete_dates

        def breaking(table: str, column: str, days: Any) -> int:
            if table == "shape.left_side":
                raise raised("the warehouse is away")
            return whole(table, column, days)

        embedded.warehouse.delete_dates = breaking  # type: ignore[method-assign]

    scope = site.scope("shape..final")
    with pytest.raises(expected, match=r"is away \(3 of 4 outputs were deleted, see rollbacks/.*the same command"):
        site.roll_back(scope, break_left)
    done = next(record for name, record in site.records().items() if name.endswith("done.json"))
    assert (done["error"], "shape/left" in done["deleted"]) == ("the warehouse is away", False)
    assert site.roll_back(scope).by_ref == {"shape/left": 24}
    assert site.reconcile(scope).holdings == ()


def test_a_killed_rollback_leaves_what_it_intended(site: Site) -> None:
    def die(embedded: Embedded) -> None:
        def dying(*_: Any) -> int:
            raise KeyboardInterrupt

        embedded.warehouse.delete_dates = dying  # type: ignore[method-assign]

    with pytest.raises(KeyboardInterrupt):
        site.roll_back(site.scope("final"), die)
    assert [name.partition("/")[2] for name in site.records()] == ["intended.json"]
    assert site.roll_back(site.scope("final")).by_ref == {"final/total": 4}


# Where another system writes too


@pytest.fixture
def shared_site(tmp_path: Path) -> Site:
    """The world, whose table ``left`` another system writes too."""

    def change(document: dict[str, Any]) -> None:
        document["phases"][2]["processors"][0]["output"]["other_writer"] = "the nightly job"

    made = Site(World(tmp_path, change=change))
    made.world.run()
    return made


def take(embedded: Embedded, world: World, day: date, holder: str = "nightly") -> Any:
    now = world.clock.now()
    return embedded.state.leases.take("shape.left_side", day, holder, now + timedelta(minutes=5), now)


def test_a_date_that_the_other_writer_holds_refuses_everything(shared_site: Site) -> None:
    world = shared_site.world
    before = world.tables()
    with pytest.raises(
        InputError, match=rf"shape.left_side of {world.days[3]} is being written by nightly.*\(the nightly job\)"
    ):
        shared_site.roll_back(shared_site.scope("shape"), lambda e: take(e, world, world.days[3]))
    assert (world.tables(), shared_site.records()) == (before, {})
    with world.open() as embedded:
        assert isinstance(take(embedded, world, world.days[0]), Lease)


def test_the_other_writer_waits_while_it_deletes_and_no_longer(shared_site: Site) -> None:
    world, seen = shared_site.world, list[str]()

    def watch(embedded: Embedded) -> None:
        whole = embedded.warehouse.delete_dates

        def watching(table: str, column: str, days: Any) -> int:
            seen.append(f"{table}: {take(embedded, world, world.days[0])}")
            return whole(table, column, days)

        embedded.warehouse.delete_dates = watching  # type: ignore[method-assign]

    made = shared_site.roll_back(shared_site.scope("shape", "left"), watch)
    assert f"being written by rollback {made.id} by ann" in seen[0]
    with world.open() as embedded:
        assert all(isinstance(take(embedded, world, day), Lease) for day in world.days)


def test_leases_are_given_back_when_it_fails(shared_site: Site) -> None:
    world = shared_site.world

    def fail(embedded: Embedded) -> None:
        def failing(*_: Any) -> int:
            raise TransientError("away")

        embedded.warehouse.delete_dates = failing  # type: ignore[method-assign]

    with pytest.raises(TransientError):
        shared_site.roll_back(shared_site.scope("shape", "left"), fail)
    with world.open() as embedded:
        assert isinstance(take(embedded, world, world.days[0]), Lease)


def test_it_does_not_begin_to_delete_when_a_lease_is_about_to_end(shared_site: Site) -> None:
    world = shared_site.world

    def slow(embedded: Embedded) -> None:
        write = embedded.objects.write

        def writing(name: str, content: bytes) -> None:
            world.clock.move_to(world.clock.now() + timedelta(minutes=12))
            write(name, content)

        embedded.objects.write = writing  # type: ignore[method-assign]

    with pytest.raises(TransientError, match=r"the leases on shape\.left_side end too soon; select fewer dates"):
        shared_site.roll_back(shared_site.scope("shape", "left"), slow)


# And back


@pytest.mark.parametrize("phases", ["final", "shape", "raw", "fetch..raw"])
def test_a_run_of_what_is_missing_makes_the_same_tables_again(site: Site, phases: str) -> None:
    before = site.world.tables()
    site.roll_back(site.scope(phases))
    assert site.world.tables() != before
    assert site.world.run("again").status is RunStatus.COMPLETED
    assert site.world.tables() == before


def test_only_what_is_gone_and_what_was_built_from_it_is_run_again(site: Site) -> None:
    days = site.world.days
    site.roll_back(site.scope("shape", "right", days=days[2:4]))
    with site.world.open() as embedded:
        site.world.begin(embedded, "again")
        plan = embedded.state.plan("again")
    assert {ref: letters for ref, letters in plan.letters.items() if "r" in letters} == {
        "shape/right": "aarraa",
        "final/total": "zzrraa",
        "final/note": "rrrrrr",
    }
