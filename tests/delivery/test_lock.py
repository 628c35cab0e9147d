"""Everything is locked: every version stands with its hashes, and is one that the ranges allow."""

import re
import tomllib
from functools import lru_cache
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")

STAND_IN = "shared/phasegate/stack/bigquery-emulator"
LOCKS = {
    "requirements-install.lock": ("requirements-install.txt",),
    "requirements.lock": ("requirements.txt",),
    "requirements-dev.lock": ("requirements.txt", "requirements-dev.txt"),
    "pipelines/nba/requirements.lock": ("requirements.txt", "pipelines/nba/requirements.txt"),
    "requirements-delivery.lock": ("requirements-delivery.txt",),
    "infra/checkov.lock": ("infra/checkov.txt",),
    f"{STAND_IN}.lock": (f"{STAND_IN}.txt",),
    "tests/judge/engine.lock": ("tests/judge/engine.txt",),
}
"""Each lock and the files whose ranges it satisfies."""


def ranges(file: str) -> list[Requirement]:
    lines = (ROOT / file).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


@lru_cache
def locked(lock: str) -> dict[str, list[tuple[Requirement, str]]]:
    """Name -> the requirement and the whole entry, one for each marker."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / lock).read_text(), flags=re.MULTILINE)
    found: dict[str, list[tuple[Requirement, str]]] = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        requirement = Requirement(entry.split(" \\")[0].strip())
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, entry))
    return found


WANTED = [(lock, requirement) for lock, files in LOCKS.items() for file in files for requirement in ranges(file)]


@pytest.mark.parametrize(("lock", "requirement"), WANTED, ids=[f"{lock}-{wanted.name}" for lock, wanted in WANTED])
def test_every_requirement_is_locked_at_a_version_that_it_allows(lock: str, requirement: Requirement) -> None:
    entries = locked(lock).get(canonicalize_name(requirement.name), [])
    assert entries, f"{lock} lacks {requirement.name}: make lock"
    for found, _ in entries:
        (pin,) = found.specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), f"{found} is not in {requirement.specifier}: make lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_its_hashes_and_one_version(lock: str) -> None:
    for entries in locked(lock).values():
        for requirement, entry in entries:
            assert [spec.operator for spec in requirement.specifier] == ["=="]
            assert HASH.search(entry), f"{requirement} has no hash"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_to_install_from(lock: str) -> None:
    assert not re.search(
        r"^\s*(--(extra-)?index|--find|-i |-f )|https?://|file:", (ROOT / lock).read_text(), re.MULTILINE
    )


def test_what_is_deployed_is_tested_in_the_same_version() -> None:
    tested = locked("requirements-dev.lock")
    for name, entries in locked("requirements.lock").items():
        assert [str(found) for found, _ in tested[name]] == [str(found) for found, _ in entries]


def test_what_builds_the_package_is_locked_too() -> None:
    (wanted,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    ((found, _),) = locked("requirements-dev.lock")[Requirement(wanted).name]
    (pin,) = found.specifier
    assert Requirement(wanted).specifier.contains(pin.version)


def test_make_installs_nothing_that_is_not_locked() -> None:
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    installing = re.findall(r"^\t.*(?:pip install|_INSTALL\)).*", makefile, re.MULTILINE)
    # What workers of the pipeline need besides is installed where they are deployed.
    assert len(installing) == len(LOCKS) + 1, "and the package itself, twice"
    assert re.findall(r"^(?:PIP|LOCKED)_INSTALL := .* \$\(EXACTLY\) -r$", makefile, re.MULTILINE)[1:]
    assert "\nEXACTLY := --require-hashes --no-deps\n" in makefile
    for line in installing:
        names_a_lock = re.search(r"\$\((?:LOCKED|PIP)_INSTALL\) \S+\.lock", line)
        is_the_package = "--no-deps --no-build-isolation -e ." in line
        assert names_a_lock or is_the_package or "$(NEWEST)" in line, line


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_one_version_of_a_package_for_each_python(lock: str, python: str) -> None:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    always = Marker("python_version >= '3'")
    for name, entries in locked(lock).items():
        applying = [r for r, _ in entries if (r.marker or always).evaluate(environment)]
        assert len(applying) <= 1, f"{name}: {applying}"
