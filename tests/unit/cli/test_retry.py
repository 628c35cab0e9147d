"""What ``retry`` says that it does."""

from pathlib import Path
from typing import Any

import pytest

from phasegate.cli import main
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
