"""What ``retry`` says that it does, and when the run is woken for it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasegate.cli import main
from phasegate.cli.backends.cloud import CloudCommands
from phasegate.services.operating import operators
from tests.world import World


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (["a target", "another"], "retrying 2 failed or blocked processor(s) and all that waits for them\n"),
        ([], "nothing failed; what the run reads from outside itself, or halted over, is judged again\n"),
    ],
    ids=["of what failed", "of what lies outside"],
)
def test_a_retry_says_what_is_done_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    targets: list[Any],
    said: str,
) -> None:
    world = World(tmp_path, dates=1)
    with world.open() as embedded:
        world.begin(embedded)
    monkeypatch.setattr(operators, "retry", lambda *_, **__: targets)
    monkeypatch.setattr("phasegate.cli.backends.embedded._GoingOn.go_on", lambda *_: 0)
    monkeypatch.setattr("sys.argv", ["phasegate", "--home", str(world.home.root), "retry", "r"])
    with pytest.raises(SystemExit):
        main.main()
    assert capsys.readouterr().err == said


def test_on_google_cloud_the_run_is_woken_before_the_change_is_written_and_acted_on_afterwards(tmp_path: Path) -> None:
    world = World(tmp_path, dates=2)
    happened: list[str] = []
    with world.open() as embedded:
        world.begin(embedded)
        embedded.drive("r")
        backend = SimpleNamespace(
            state=embedded.state, clock=world.clock, wake_conductor=lambda *_: happened.append("woken")
        )
        commands = CloudCommands()
        commands.__dict__["deployment"] = SimpleNamespace(
            backend=backend, reconciler=SimpleNamespace(reconcile_days=lambda *_: happened.append("reconciled"))
        )
        with commands.going_on("r") as going_on:
            going_on.make_ready()
            happened.append("written")
            assert going_on.go_on(as_json=False) == 0
    assert happened == ["woken", "written", "woken"]
