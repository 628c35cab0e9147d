"""A worker that says "empty" over rows of an earlier attempt: the reason is named, and the commands that help do."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.endtoend.test_command_line import Site

OWN_WORKER = """from tests.endtoend.test_command_line import HeldWorker


class Silent(HeldWorker):
    def handle(self, path, body):
        if body["phase"] == "raw" and body["processor"] == "b" and str(body["date"]) in self._read("gone.json"):
            return 200, {"results": {"b": {"status": "empty", "rows": 0, "message": "no such page"}}}
        return super().handle(path, body)


def build(source, warehouse, objects):
    return Silent(source, warehouse, objects)
"""


def change(document: dict[str, Any]) -> None:
    """The worker lies beside the file; ``raw.b`` may be empty, and nothing is built on it."""
    document["workers"]["world"]["factory"] = "own_worker:build"
    document["phases"][1]["processors"][1].update(may_be_empty="some dates have none", checks=[])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A site with rows on every date, and a source that has lost one of them since."""
    (tmp_path / "own_worker.py").write_text(OWN_WORKER)
    made = Site(tmp_path, change)
    assert made.call(*made.selecting("run"), "--phases", "fetch..raw").code == 0
    (made.world.source / "gone.json").write_text('{"2024-01-02": true}')
    yield made
    made.close()


def again(site: Site) -> int:
    """Run everything once more, under the id ``q``."""
    words = ("--phases", "fetch..raw", "--reprocess", "all", "--run-id", "q")
    return site.call(*site.selecting("run"), *words).code


def test_the_attempt_fails_once_with_both_sides_of_it_and_explain_names_the_way_out(site: Site) -> None:
    assert again(site) == 1
    (failure,) = site("status", "q", "--json").document["failures"]
    words = "the table holds 4 rows, which this attempt left there when it answered empty (no such page)"
    assert (failure["attempt"], failure["error_class"], failure["message"]) == (1, "bug", words)
    (root,) = site("explain", "q", "--json").document["roots"]
    assert root["remedy"].startswith("mend the source, then: phasegate --home home retry q --date 2024-01-02")
    assert "or, if nothing is right there: phasegate --home home rollback --pipeline " in root["remedy"]


def test_the_printed_commands_delete_the_rows_and_the_date_passes_as_empty(site: Site) -> None:
    assert again(site) == 1
    (root,) = site("explain", "q", "--json").document["roots"]
    rollback, retry = (words.strip() for words in root["remedy"].partition("right there: ")[2].split(", then: "))
    done = site.call(*shlex.split(rollback)[1:])
    assert (done.code, "4" in done.out) == (0, True), done.err
    ended = site.call(*shlex.split(retry)[1:], "--json")
    assert (ended.code, ended.document["status"]) == (0, "completed"), ended.err
    assert ended.document["tables"]["raw.b"] == {"rows": 20, "dates": 5}


def test_a_source_that_has_its_rows_again_needs_no_more_than_the_retry(site: Site) -> None:
    assert again(site) == 1
    (site.world.source / "gone.json").unlink()
    ended = site("retry", "q", "--json")
    assert (ended.code, ended.document["tables"]["raw.b"]) == (0, {"rows": 24, "dates": 6})
