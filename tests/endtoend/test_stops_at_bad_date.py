"""A profile that stops at bad dates, as people meet it: what is printed at a stop, and the command that frees the date,
typed as it is printed."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.test_command_line import Site
from tests.world import reading


def current(document: dict[str, Any]) -> None:
    """One date at a time."""
    ramp = [{"active_dates": 1}]
    document["profiles"] = {"current": {"phases": "fetch..final", "ramp": ramp, "stops_at_bad_date": True}}


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Site]:
    """A site whose run has stopped at its second date."""
    made = Site(tmp_path, current)
    made.spoil()
    assert made.run("--profile", "current").code == 1
    yield made
    made.close()


def called(site: Site) -> int:
    """How many attempts there were."""
    with reading(site.home / "warehouse.duckdb") as connection:
        (found,) = connection.execute("SELECT COUNT(*) FROM ref.history").fetchall()[0]
    return int(found)


def test_the_same_request_calls_nothing_again_and_the_printed_command_frees_the_date(stopped: Site) -> None:
    day = str(stopped.world.days[1])
    status = stopped.status()
    assert status["status"] == "completed_with_failures"
    (root,) = stopped("explain", "r", "--json").document["roots"]
    assert (root["date"], "2 of 4 rows" in root["detail"]) == (day, True)
    behind = {str(later) for later in stopped.world.days[2:]}
    assert behind <= {waiting["date"] for waiting in root["waiting"]}
    before = called(stopped)
    again = stopped.call(*stopped.selecting("run", "--season", "2023-24", "--profile", "current"))
    assert (again.code, called(stopped)) == (1, before)
    assert f"nothing was begun: run r stopped at {day}, which ended badly" in again.err
    (printed,) = {line for line in again.err.splitlines() if "phasegate --home home retry r" in line}
    stopped.mend()
    freed = stopped.call(*shlex.split(printed.partition("then: phasegate ")[2]))
    assert freed.code == 0, freed.err
    assert stopped.status()["status"] == "completed", "the rest has followed by itself"
