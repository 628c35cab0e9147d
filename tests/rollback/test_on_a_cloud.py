"""The command over the ports of a deployment: where other processes may be at work, and something may not answer."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasegate.bootstrap import Embedded
from phasegate.cli import main
from phasegate.cli.backends.cloud import CloudCommands
from phasegate.domain.errors import TransientError
from phasegate.domain.state.facts import AttemptKey
from phasegate.ports import ClaimRequest
from phasegate.services.operating import operators
from tests.world import World

SCHEDULE = (
    "CREATE TABLE IF NOT EXISTS `raw.schedule` "
    "(season STRING, game_date DATE, home_team STRING, away_team STRING, game_status INT64)"
)


class Deployed:
    """The small world behind the ports of a deployment; its schedule is a table."""

    def __init__(self, world: World, embedded: Embedded, patch: pytest.MonkeyPatch) -> None:
        self.world, self.embedded = world, embedded
        embedded.warehouse.apply_schema(SCHEDULE)
        games = ({"season": "2023-24", "game_date": str(d), "home_team": "T0", "away_team": "T1", "game_status": 3}
                 for d in world.days)  # fmt: skip
        embedded.warehouse.replace_table("raw.schedule", "".join(f"{json.dumps(row)}\n" for row in games).encode())
        here = SimpleNamespace(
            pipeline=world.pipeline,
            backend=SimpleNamespace(
                state=embedded.state, warehouse=embedded.warehouse, objects=embedded.objects, clock=world.clock
            ),
        )
        patch.setattr(CloudCommands, "deployment", here)
        self._patch = patch

    def __call__(self, *words: str) -> int:
        """Type the command; its exit status."""
        given = ["--backend", "gcp", "rollback", "--pipeline", str(self.world.pipeline_file), *words]
        self._patch.setattr("sys.argv", ["phasegate", *given])
        try:
            main.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """A deployment whose run has ended."""
    world = World(tmp_path)
    world.run()
    with world.open() as embedded:
        yield Deployed(world, embedded, monkeypatch)


def shown(capsys: pytest.CaptureFixture[str]) -> Any:
    """The one document on standard output."""
    return json.loads(capsys.readouterr().out)


def test_it_is_shown_and_deleted_as_on_one_machine(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--season", "2023-24", "--phase", "final")
    assert deployed(*words, "--json") == 0
    preview = shown(capsys)
    assert (preview["rows"], preview["is_done"]) == (4, False)
    assert preview["commands"]["delete"].startswith("phasegate --backend gcp rollback --pipeline ")
    assert deployed(*words, "--yes", "--json") == 0
    done = shown(capsys)
    assert [each["deleted"] for each in done["outputs"]] == [4]
    assert deployed.embedded.objects.held([f"{done['record']}/done.json"])
    assert deployed.world.pipeline.pipeline == done["pipeline"]


def test_an_attempt_of_a_cancelled_run_may_still_write(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    world, state = deployed.world, deployed.embedded.state
    world.begin(deployed.embedded, "cut", reprocess="all")
    key, now = AttemptKey(world.days[0], "final", "total", 1), world.clock.now()
    state.claim("cut", [ClaimRequest(key, 1, 1, (), now + timedelta(minutes=5))], now)
    operators.cancel(state, "cut")
    assert deployed("--season", "2023-24", "--phase", "final", "--yes") == 2
    said = capsys.readouterr()
    assert (said.out, "still under way and may write until" in said.err) == ("", True)


def test_what_does_not_answer_is_status_3(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        deployed.embedded.warehouse, "ask", lambda questions: [TransientError("away for a moment")] * len(questions)
    )
    assert deployed("--season", "2023-24", "--phase", "final", "--json") == 3
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "error: away for a moment\n")


def test_the_source_is_the_workers_own(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert deployed("--season", "2023-24", "--phase", "final", "--source", "x") == 2
    assert "--source: belongs to the embedded backend" in capsys.readouterr().err


def test_another_pipeline_than_the_deployed_one_is_refused(
    deployed: Deployed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = World(tmp_path / "other", change=lambda document: document.update(pipeline="elsewhere"))
    deployed.world.pipeline_file = other.pipeline_file
    assert deployed("--season", "2023-24", "--phase", "final") == 2
    assert "'elsewhere' is not deployed here" in capsys.readouterr().err
