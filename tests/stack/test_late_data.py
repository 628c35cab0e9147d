"""The source of one date changes after a finished run, on the stack: that is named, mended, and goes no further."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endtoend.test_command_line import Answer
from tests.stack.world_service import WorldOnTheStack, world_on_the_stack
from tests.world import World, drive

DATES = 6
CHANGED = 1
SEASON = ("--season", "2023-24")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldOnTheStack]:
    with world_on_the_stack(tmp_path_factory.mktemp("late"), dates=DATES) as made:
        yield made


def typed(there: WorldOnTheStack, *words: str) -> Answer:
    """Type a command."""
    done = there.stack.command("--backend", "gcp", *words)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_late_data_is_named_by_the_plan_found_by_the_verifier_and_mended_by_the_next_run(
    there: WorldOnTheStack, tmp_path: Path
) -> None:
    assert typed(there, "run", *SEASON, "--run-id", "first").code == 0
    data, day = there.world.data(), str(there.world.days[CHANGED])
    rows = data["a"][day]
    rows[0]["v"], rows[1]["v"] = rows[1]["v"], rows[0]["v"]
    there.world.rewrite(data)
    one = ("--dates", day, "--phases", "fetch..raw", "--reprocess", "all", "--run-id", "one")
    assert typed(there, "run", *one).code == 0

    since = f"raw/a of {day} holds something else since"
    stale = {"shape/left": {day: since}, "shape/ahead": {day: since}}
    assert typed(there, "plan", *SEASON, "--json").document["stale"] == stale
    verified = typed(there, "verify", *SEASON, "--json")
    assert verified.code == 1
    assert {(each["kind"], each["processor"], each["detail"]) for each in verified.document["findings"]} == {
        ("older_than_its_inputs", "left", since),
        ("older_than_its_inputs", "ahead", since),
    }
    assert typed(there, "repair", "first", "--json").document["stale"] == stale

    assert typed(there, "run", *SEASON, "--run-id", "rest").code == 0
    made = there.state.dates("rest", there.world.days)
    ran = [n for n, of_day in enumerate(made) if ("final", "total") in made[of_day].tasks]
    assert ran == [2, 3], "the sum of the fourth date came out the same, and what is made from it is left alone"
    assert made[there.world.days[4]].cells["final"].groups["final"].same == ("total",)
    clean = World(tmp_path, dates=DATES)
    clean.rewrite(data)
    drive(clean)
    assert there.tables() == clean.tables()
    assert typed(there, "verify", *SEASON, "--json").code == 0
    assert "nothing to repair" in typed(there, "repair", *SEASON).out
