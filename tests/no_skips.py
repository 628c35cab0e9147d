"""The rule that a skipped test fails: it holds with ``PHASEGATE_NO_SKIPS=1``.

``.ci/run`` sets it where the emulators are installed. What a machine may lack all the same is named in
``PHASEGATE_MAY_LACK``, separated by commas; the reason of a skip begins with the name (``lacking``).
"""

import os
from collections.abc import Generator

import pytest

_REPORT = pytest.TestReport | pytest.CollectReport


def lacking(requirement: str, remedy: str) -> str:
    """The reason of a skip: which requirement of the test is not on this machine, and what to do about it."""
    return f"{requirement} is not here: {remedy}"


def _is_forbidden(reason: str) -> bool:
    permitted = filter(None, os.environ.get("PHASEGATE_MAY_LACK", "").split(","))
    return not any(reason.startswith(lacking(requirement, "")) for requirement in permitted)


def _judge(report: _REPORT) -> None:
    """Turn a skip that is forbidden into a failure that shows its reason; an expected failure is no skip."""
    if not report.skipped or hasattr(report, "wasxfail") or os.environ.get("PHASEGATE_NO_SKIPS") != "1":
        return
    assert isinstance(report.longrepr, tuple)
    file, line, said = report.longrepr
    reason = said.removeprefix("Skipped: ")
    if _is_forbidden(reason):
        report.outcome = "failed"
        report.longrepr = f"{file}:{line}: skipped, which PHASEGATE_NO_SKIPS=1 forbids: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge what is skipped by a mark, by a fixture or by the test itself."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Judge a whole file that is skipped."""
    report = yield
    _judge(report)
    return report
