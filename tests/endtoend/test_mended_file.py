"""A pipeline file that is mended after a run was planned: a retry takes over its checks and expectations, and says what
needs a new run."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.endtoend.test_bad_input import assert_refused, contents
from tests.endtoend.test_command_line import Site

DAY = "2024-01-02"
WRONG = {"check": "rows", "name": "size", "exactly": "3 * games"}


def wrong(document: dict[str, Any]) -> None:
    """``raw.a`` is to have three rows a game."""
    processor(document, "raw", "a")["checks"] = [dict(WRONG)]


def processor(document: dict[str, Any], phase: str, name: str) -> dict[str, Any]:
    """A processor of a pipeline document."""
    (found,) = [p for f in document["phases"] if f["name"] == phase for p in f["processors"] if p["name"] == name]
    named: dict[str, Any] = found
    return named


def rewrite(site: Site, change: Callable[[dict[str, Any]], Any]) -> None:
    """Mend the pipeline file."""
    file = site.folder / "pipeline.yaml"
    document = yaml.safe_load(file.read_text())
    change(document)
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def right(document: dict[str, Any]) -> None:
    """Two rows a game, as there are."""
    processor(document, "raw", "a")["checks"] = [{**WRONG, "exactly": "2 * games"}]


@pytest.fixture
def blocked(tmp_path: Path) -> Iterator[Site]:
    """A site whose run is blocked on every date by a check that is wrong."""
    made = Site(tmp_path, wrong)
    assert made.run().code == 1
    yield made
    made.close()


@pytest.fixture
def done(tmp_path: Path) -> Iterator[Site]:
    """A site whose run is complete."""
    made = Site(tmp_path)
    assert made.run().code == 0
    yield made
    made.close()


def test_a_retry_takes_a_mended_check_over_and_the_run_comes_through(blocked: Site) -> None:
    assert blocked("retry", "r").code == 1, "the file is as it was"
    rewrite(blocked, right)
    answer = blocked("retry", "r")
    assert answer.code == 0, answer.err
    assert "taken over from the pipeline file: phases.raw.processors.a.checks" in answer.err
    assert blocked("verify", "r").code == 0
    again = blocked("retry", "r")
    assert_refused(again, "nothing failed or blocked matches")


def test_a_retry_after_file_and_source_were_mended_makes_again_what_had_failed_and_needs_no_second_one(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, wrong)
    try:
        site.spoil()
        assert site.run().code == 1
        site.mend()
        rewrite(site, right)
        answer = site("retry", "r")
        assert answer.code == 0, answer.err
    finally:
        site.close()


def test_a_check_that_was_made_stricter_judges_again_what_had_passed_and_makes_nothing_again(done: Site) -> None:
    calls = "SELECT COUNT(*) FROM claims"
    before = asked(done, calls)
    rewrite(done, wrong)
    answer = done("retry", "r")
    assert answer.code == 1, answer.err
    assert "taken over from the pipeline file: phases.raw.processors.a.checks" in answer.err
    assert asked(done, calls) == before, "nobody was called"
    reasons = {reason["detail"] for cell in done.status()["blocked"] for reason in cell["reasons"]}
    assert "a: 4 of 6 rows" in " ".join(reasons), reasons
    rewrite(done, right)
    assert done("retry", "r").code == 0


def test_rows_that_are_expected_from_now_on_are_asked_for(tmp_path: Path) -> None:
    def lenient(document: dict[str, Any]) -> None:
        processor(document, "shape", "ahead").update(may_be_empty="it may be", checks=[])

    site = Site(tmp_path, lenient)
    try:
        site.world.misbehave(shape__ahead__2=["empty"])
        assert site.run().code == 0
        rewrite(site, lambda document: processor(document, "shape", "ahead").pop("may_be_empty"))
        answer = site("retry", "r")
        assert answer.code == 0, answer.err
        rows = [day for day, _, _ in site.world.tables()["shape.ahead"]]
        assert str(site.world.days[2]) in rows, "its worker was called once more"
    finally:
        site.close()


def test_anything_else_is_not_taken_over_and_the_printed_run_goes_by_the_file(blocked: Site) -> None:
    def more(document: dict[str, Any]) -> None:
        right(document)
        document["phases"][2]["limits"] = {"active_dates": 1}

    rewrite(blocked, more)
    answer = blocked("retry", "r")
    assert answer.code == 1, "it goes on by its plan"
    (line,) = [line for line in answer.err.splitlines() if "says something else" in line]
    assert "(phases.raw.processors.a.checks" not in line and "phases.shape.limits.active_dates" in line
    printed = line[line.index("phasegate --home") :]
    assert "--season 2023-24" in printed
    begun = blocked.call(*shlex.split(printed)[1:])
    assert begun.code == 0, begun.err


def test_what_decides_about_no_run_is_no_change(blocked: Site) -> None:
    rewrite(blocked, lambda document: document.update(description="of a small world"))
    answer = blocked("retry", "r")
    assert "pipeline file" not in answer.err


def test_an_exception_that_is_known_from_now_on_lets_the_check_pass(blocked: Site) -> None:
    known = {"dates": [str(day) for day in blocked.world.days], "processor": "raw/a", "check": "size", "why": "so"}
    rewrite(blocked, lambda document: document.update(known=[known]))
    answer = blocked("retry", "r")
    assert answer.code == 0, answer.err
    assert "taken over from the pipeline file: known" in answer.err
    assert [waiver["by"] for waiver in blocked.status()["waivers"]] == ["the pipeline file"]
    rewrite(blocked, lambda document: document.pop("known"))
    assert blocked("retry", "r").code == 1, "what is known no more lets nothing pass"


def test_a_file_that_is_wrong_refuses_the_retry_and_one_that_is_gone_does_not(blocked: Site) -> None:
    file, before = blocked.folder / "pipeline.yaml", contents(blocked.home)
    text = file.read_text()
    file.write_text(text.replace("exactly: 3 * games", "exactly: 3 * gmes"))
    assert_refused(blocked("retry", "r"), "gmes")
    assert contents(blocked.home) == before
    file.unlink()
    assert blocked("retry", "r").code == 1


def asked(site: Site, sql: str) -> Any:
    """A row of the home's state."""
    with site.world.open() as embedded:
        return embedded.database.execute(sql).fetchone()
