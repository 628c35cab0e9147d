"""A command that is printed names the home and the backend that were typed, so that it works as it is printed."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.home import Home, HomeLock
from phasegate.cli import main, output
from phasegate.cli.backends.embedded import EmbeddedCommands
from phasegate.cli.settings import Settings
from tests.endtoend.test_command_line import Answer, Site

OTHER = "another place"
WRITTEN = re.compile(r"phasegate (.*)")


class ElsewhereSite(Site):
    """A site whose home is not where a command that names none looks for it."""

    summary: Answer
    """What the first run printed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.home = folder / OTHER

    def __call__(self, *arguments: str) -> Answer:
        """Type a command for that home."""
        return self.call("--home", OTHER, *arguments)

    def going(self, command: str, *arguments: str) -> Answer:
        """``run``, ``plan`` … of the season in that home."""
        return self(command, "--pipeline", "pipeline.yaml", "--source", "source", "--season", "2023-24", *arguments)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElsewhereSite]:
    """A site with the run ``r``, which is blocked on one date and failed on another."""
    made = ElsewhereSite(tmp_path_factory.mktemp("elsewhere"))
    made.spoil()
    made.world.misbehave(shape__left__5=["fail:bug"])
    made.summary = made.going("run", "--run-id", "r")
    yield made
    made.close()


def written(answer: Answer) -> list[str]:
    """What follows the name of the product, wherever it is printed with a command."""
    return WRITTEN.findall(answer.out) + WRITTEN.findall(answer.err)


PRINTS: dict[str, tuple[tuple[str, ...], bool]] = {
    "status": (("status", "r"), False),
    "explain": (("explain", "r"), False),
    "failures": (("failures", "r"), False),
    "explain as JSON": (("explain", "r", "--json"), False),
    "failures as JSON": (("failures", "r", "--json"), False),
    "forget": (("forget", "r"), False),
    "forget as JSON": (("forget", "r", "--json"), False),
    "rollback": (("rollback", "--phase", "shape"), True),
    "rollback as JSON": (("rollback", "--phase", "shape", "--json"), True),
    "repair": (("repair",), True),
    "repair as JSON": (("repair", "--json"), True),
    "a retry of nothing": (("retry", "r", "--phase", "final"), False),
}


@pytest.mark.parametrize(("words", "selects"), PRINTS.values(), ids=PRINTS)
def test_every_command_that_is_printed_names_the_home_that_was_typed(
    site: ElsewhereSite, words: tuple[str, ...], selects: bool
) -> None:
    answer = site.going(*words) if selects else site(*words)
    assert written(answer), answer
    assert [line for line in written(answer) if not line.startswith("--home 'another place' ")] == []


def test_the_summary_of_a_run_names_the_home_in_its_commands(site: ElsewhereSite) -> None:
    found = written(site.summary)
    assert len(found) > 2 and all(line.startswith("--home 'another place' ") for line in found)


def test_who_has_the_home_is_named_with_commands_for_that_home(site: ElsewhereSite) -> None:
    with HomeLock(Home(site.home)) as lock:
        unnamed = site.going("run", "--reprocess", "all")
        lock.name_run("r")
        named = site.going("run", "--reprocess", "all")
    assert (written(unnamed), "; wait until it has ended, or give another --home" in unnamed.err) == ([], True)
    assert "`phasegate --home 'another place' watch r`, stop it with `phasegate --home 'another place' dr" in named.err


def test_a_command_works_as_it_is_printed_and_leaves_the_home_that_nobody_named_alone(tmp_path: Path) -> None:
    made = ElsewhereSite(tmp_path)
    default = made.call(
        "run", "--pipeline", "pipeline.yaml", "--source", "source", "--dates", "2024-01-01", "--run-id", "r"
    )
    assert (default.code, made.going("run", "--run-id", "r").code) == (0, 0)
    printed = made("forget", "r").out.rpartition(" with: ")[2]
    program, *words = shlex.split(printed)
    assert (program, made.call(*words).code) == ("phasegate", 0)
    assert (len(made("runs", "--json").document), len(made.call("runs", "--json").document)) == (0, 1)


def test_what_came_by_the_environment_is_not_repeated(site: ElsewhereSite) -> None:
    found = written(site.call("status", "r", PHASEGATE_HOME=OTHER))
    assert found == ["explain r"]


@pytest.mark.parametrize(
    "words", [("status", "r"), ("failures", "r"), ("set", "r", "--phase", "raw", "--active-dates", "0")]
)
@pytest.mark.usefixtures("typed")
def test_every_command_that_is_printed_names_the_backend_that_was_typed(
    site: ElsewhereSite, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "open_backend", lambda _: EmbeddedCommands(Settings(home=site.home)))
    monkeypatch.setattr("sys.argv", ["phasegate", "--backend", "gcp", *words])
    with pytest.raises(SystemExit):
        main._run()
    printed = capsys.readouterr()
    found = written(Answer(0, printed.out, printed.err))
    assert found and all(line.startswith("--backend gcp ") for line in found)


@pytest.fixture
def typed() -> Iterator[None]:
    """A command was typed with ``--backend gcp``."""
    output.complete_commands(("explain", "retry"), ("--backend", "gcp"))
    yield
    output.complete_commands((), ())


@pytest.mark.usefixtures("typed")
def test_the_backend_that_was_typed_is_named_in_sentences_of_ours_and_what_others_say_in_json_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.show("why: phasegate explain r; then `phasegate --backend gcp retry r`; /bin/phasegate retry, phasegate is")
    assert capsys.readouterr().out == (
        "why: phasegate --backend gcp explain r; then `phasegate --backend gcp retry r`; /bin/phasegate retry, "
        "phasegate is\n"
    )
    document: dict[str, Any] = {"message": "phasegate retry r", "roots": [{"remedy": "phasegate retry r"}]}
    output.write_json(document)
    shown = json.loads(capsys.readouterr().out)
    assert shown == {"message": "phasegate retry r", "roots": [{"remedy": "phasegate --backend gcp retry r"}]}
