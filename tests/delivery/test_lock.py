"""What is deployed is locked: every version stands with its hashes, and is one that requirements.txt allows."""

import re
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def wanted() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def locked() -> dict[str, list[tuple[Requirement, str]]]:
    """Name -> the requirement and the whole entry, one for each marker."""
    text = re.sub(r"^ *#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    found: dict[str, list[tuple[Requirement, str]]] = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        requirement = Requirement(entry.split(" \\")[0].strip())
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, entry))
    return found


@pytest.mark.parametrize("requirement", wanted(), ids=lambda r: r.name)
def test_every_requirement_is_locked_at_a_version_that_it_allows(requirement: Requirement) -> None:
    entries = locked().get(canonicalize_name(requirement.name), [])
    assert entries, f"requirements.lock lacks {requirement.name}: make lock"
    for found, _ in entries:
        (pin,) = found.specifier
        assert pin.operator == "=="
        assert requirement.specifier.contains(pin.version), f"{found} is not in {requirement.specifier}: make lock"


def test_every_locked_package_has_its_hashes_and_one_version() -> None:
    for entries in locked().values():
        for requirement, entry in entries:
            assert [spec.operator for spec in requirement.specifier] == ["=="]
            assert HASH.search(entry), f"{requirement} has no hash"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_the_lock_holds_one_version_of_a_package_for_each_python(python: str) -> None:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    always = Marker("python_version >= '3'")
    for name, entries in locked().items():
        applying = [r for r, _ in entries if (r.marker or always).evaluate(environment)]
        assert len(applying) <= 1, f"{name}: {applying}"
