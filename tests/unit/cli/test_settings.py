"""Settings of the command line: which place wins, and how a wrong one is named."""

from pathlib import Path

import pytest

from phasegate.cli.settings import Settings
from phasegate.domain.errors import InputError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, in which no setting is made yet."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PHASEGATE_{name.upper()}", raising=False)
    return tmp_path


def test_without_any_setting_everything_stays_on_this_machine() -> None:
    found = Settings.resolve(home=None, backend=None)
    assert (found.home, found.backend, found.pipeline, found.source) == (Path(".phasegate"), "embedded", None, None)


def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "phasegate.toml").write_text('home = "of the file"\nsource = "of the file"\nbackend = "gcp"\n')
    monkeypatch.setenv("PHASEGATE_HOME", "of the environment")
    monkeypatch.setenv("PHASEGATE_SOURCE", "of the environment")
    found = Settings.resolve(home=Path("of the flag"), backend=None)
    assert [str(found.home), str(found.source), found.backend] == ["of the flag", "of the environment", "gcp"]


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_PIPELINE", "")
    assert Settings.resolve().pipeline is None


def test_variables_of_a_deployment_are_no_settings_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHASEGATE_PROJECT", "demo")
    assert Settings.resolve().backend == "embedded"


@pytest.mark.parametrize("place", ["--backend", "PHASEGATE_BACKEND", "phasegate.toml: backend"])
def test_a_wrong_value_is_refused_with_the_place_where_it_stands(
    place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "PHASEGATE_BACKEND":
        monkeypatch.setenv(place, "azure")
    elif place != "--backend":
        (folder / "phasegate.toml").write_text('backend = "azure"\n')
    with pytest.raises(InputError) as refused:
        Settings.resolve(backend="azure" if place == "--backend" else None)
    assert str(refused.value) == f"{place}: 'azure': Input should be 'embedded' or 'gcp'"


def test_a_key_that_is_no_setting_is_refused_with_the_nearest_one(folder: Path) -> None:
    (folder / "phasegate.toml").write_text('hoem = "x"\n')
    with pytest.raises(InputError, match=r"phasegate\.toml: 'hoem' is not a setting; .*did you mean 'home'\?"):
        Settings.resolve()


def test_a_file_that_is_no_toml_is_refused(folder: Path) -> None:
    (folder / "phasegate.toml").write_bytes(b"home = \xff\n")
    with pytest.raises(InputError, match=r"^phasegate\.toml: not valid TOML: "):
        Settings.resolve()
