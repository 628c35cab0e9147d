"""A factory is looked up beside its pipeline file first; what is wrong with it is said with where was looked."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phasegate.adapters import factories
from phasegate.adapters.factories import find_factory, load_factory
from phasegate.domain.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
NBA = ROOT / "pipelines" / "nba"
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Writes modules into a pipeline's folder (``steps__service="…"``), returns the place of its pipeline file."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(factories, "_folders", {})
    known = set(sys.modules)

    def make(folder: str, **modules: str) -> Path:
        for name, text in modules.items():
            file = (tmp_path / folder / name.replace("__", "/")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            if file.parent != tmp_path / folder:
                (file.parent / "__init__.py").touch()
            file.write_text(text)
        return tmp_path / folder / "pipeline.yaml"

    yield make
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


def refusal(file: Path | None, factory: str) -> str:
    """What is said of a factory that cannot be loaded."""
    with pytest.raises(InputError) as error:
        load_factory(file, factory)
    return str(error.value)


def returning(word: str) -> str:
    """A module whose ``build`` returns a word."""
    return f"def build(): return '{word}'\n"


def test_a_factory_lies_in_the_folder_of_its_pipeline_file(write: Write) -> None:
    file = write("one", steps__service=returning("one"))
    assert load_factory(file, "steps.service:build")() == "one"


def test_its_code_finds_what_lies_beside_it(write: Write) -> None:
    file = write("one", steps="from beside import build\n", beside=returning("beside"))
    assert load_factory(file, "steps:build")() == "beside"


def test_the_folder_comes_before_pythons_path(write: Write) -> None:
    elsewhere = write("elsewhere", steps=returning("elsewhere")).parent
    sys.path.insert(0, str(elsewhere))
    assert load_factory(write("one", steps=returning("one")), "steps:build")() == "one"


def test_what_is_not_in_the_folder_is_taken_from_pythons_path(write: Write) -> None:
    elsewhere = write("elsewhere", installed=returning("installed")).parent
    sys.path.insert(0, str(elsewhere))
    assert load_factory(write("one", steps=""), "installed:build")() == "installed"
    assert load_factory(None, "installed:build")() == "installed"


def test_a_folder_without_code_of_that_name_hides_nothing_of_pythons_path(write: Write) -> None:
    file = write("one")
    (file.parent / "tests").mkdir(parents=True)
    assert find_factory(file, "tests.unit.builders:plan").file == ROOT / "tests" / "unit" / "builders.py"


# Two pipelines in one process


def test_two_packages_of_one_name_are_refused_and_not_mixed_up(write: Write) -> None:
    one, two = write("one", steps__service=returning("one")), write("two", steps__service=returning("two"))
    assert load_factory(one, "steps.service:build")() == "one"
    said = refusal(two, "steps.service:build")
    assert "both have a module 'steps'; rename one, or run them in processes of their own" in said
    assert str(one.parent) in said and str(two.parent) in said
    assert load_factory(one, "steps.service:build")() == "one"


def test_two_modules_of_one_name_beside_the_factories_are_refused_too(write: Write) -> None:
    one = write("one", first="from beside import build\n", beside=returning("one"))
    two = write("two", second="from beside import build\n", beside=returning("two"))
    assert load_factory(one, "first:build")() == "one"
    assert "both have a module 'beside'" in refusal(two, "second:build")


def test_two_pipelines_with_names_of_their_own_go_together(write: Write) -> None:
    one, two = write("one", first=returning("one")), write("two", second=returning("two"))
    assert [load_factory(one, "first:build")(), load_factory(two, "second:build")()] == ["one", "two"]
    assert load_factory(one, "first:build")() == "one"


def test_a_pipeline_without_the_module_does_not_get_that_of_another(write: Write) -> None:
    load_factory(write("one", steps=returning("one")), "steps:build")
    assert "there is no module steps" in refusal(write("two", other=""), "steps:build")


def test_a_module_of_the_same_name_that_is_loaded_already_is_named(write: Write) -> None:
    said = refusal(write("one", json=returning("mine")), "json:build")
    assert "has loaded another 'json' before, from " in said and str(Path("one") / "json.py") in said


# What is wrong


def test_a_module_that_is_nowhere_is_refused_with_the_folders_that_were_searched(write: Write) -> None:
    file = write("one", steps="")
    said = refusal(file, "setps.service:build")
    assert said.startswith(
        f"cannot load setps.service:build: there is no module setps.service; searched: {file.parent} (the folder of "
        "pipeline.yaml), then Python's path: "
    )
    assert all(str(Path(entry or ".").absolute()) in said for entry in sys.path)


def test_an_attribute_that_is_not_there_is_refused_with_the_file_and_the_nearest_name(write: Write) -> None:
    file = write("one", steps=returning("one"))
    assert refusal(file, "steps:biuld") == (
        f"cannot load steps:biuld: 'biuld' is not there in {file.parent / 'steps.py'}; did you mean 'build'?"
    )


def test_an_attribute_that_cannot_be_called_is_refused(write: Write) -> None:
    assert "'build' is no callable in " in refusal(write("one", steps="build = 1\n"), "steps:build")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nimport no_such_library\n", "ModuleNotFoundError: No module named 'no_such_library' ({file}, line 2); sear"),
        ("x = 1\nraise RuntimeError('no such luck')\n", "RuntimeError: no such luck ({file}, line 2); searched: "),
        ("def build(:\n", "SyntaxError: "),
    ],
    ids=["a library that is missing", "an error", "no Python"],
)
def test_a_module_that_cannot_be_run_is_refused_with_what_went_wrong_and_where(
    write: Write, text: str, said: str
) -> None:
    file = write("one", steps=text)
    assert said.format(file=file.parent / "steps.py") in refusal(file, "steps:build")


# What had another name before


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("from shared.worker import WorkerService", "write `from phasegate.worker import …`"),
        ("from shared import telemetry", "write `from phasegate import …`"),
        ("import shared.ports", "write `from phasegate.ports import …`"),
        (
            "from shared.domain.worker_protocol import WorkerRequest",
            "write `from phasegate.worker import …`",
        ),
        (
            "from shared.adapters.gcp.warehouse import BigQueryWarehouse",
            "write `from phasegate.adapters.gcp.bigquery.warehouse import …`",
        ),
        (
            "from workers.nba.source import SourceFolder",
            "`workers.nba.source` lies in pipelines/nba now: write `from nba_worker.source import …`",
        ),
    ],
)
def test_an_import_of_a_former_name_is_answered_with_the_one_to_write(
    write: Write, statement: str, advice: str
) -> None:
    said = refusal(write("one", steps=f"{statement}\n"), "steps:build")
    assert advice in said and said.count("; ") == 2


def test_another_library_called_shared_is_none_of_ours(write: Write) -> None:
    said = refusal(write("one", steps="from shared.of_mine import build\n"), "steps:build")
    assert "Phasegate's package" not in said and "phasegate.of_mine" not in said


def test_the_former_name_of_a_factory_finds_the_module_beside_the_pipeline_file() -> None:
    found = find_factory(NBA / "pipeline.yaml", "workers.nba.service:build")
    assert (found.module, found.file) == ("nba_worker.service", NBA / "nba_worker" / "service.py")


def test_the_former_name_of_a_factory_finds_the_checkouts_own_pipeline_for_a_file_elsewhere(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if Path(entry).resolve() != NBA])
    monkeypatch.delitem(sys.modules, "nba_worker", raising=False)
    found = find_factory(write("copy"), "workers.nba.service:build")
    assert found == ("nba_worker.service", NBA / "nba_worker" / "service.py", NBA)


def test_a_package_of_ones_own_under_the_former_name_comes_first(write: Write) -> None:
    file = write("one", workers__nba__service=returning("mine"))
    assert load_factory(file, "workers.nba.service:build")() == "mine"
