"""With ``PHASEGATE_NO_SKIPS=1`` a skipped test fails and says why it was skipped, whichever way it was skipped."""

import pytest

from tests.no_skips import lacking

WAYS = {
    "by the test itself": "def test_it(): pytest.skip('no moon tonight')",
    "by a mark": "@pytest.mark.skip(reason='no moon tonight')\ndef test_it(): ...",
    "by a condition": "@pytest.mark.skipif(True, reason='no moon tonight')\ndef test_it(): ...",
    "by a fixture": "@pytest.fixture\ndef moon(): pytest.skip('no moon tonight')\ndef test_it(moon): ...",
    "by a session's fixture": (
        "@pytest.fixture(scope='session')\ndef moon(): pytest.skip('no moon tonight')\ndef test_it(moon): ..."
    ),
    "as a whole file": "pytest.skip('no moon tonight', allow_module_level=True)\ndef test_it(): ...",
}

MAY_LACK = "chromium,terraform"


@pytest.fixture
def no_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule holds."""
    monkeypatch.setenv("PHASEGATE_NO_SKIPS", "1")
    monkeypatch.delenv("PHASEGATE_MAY_LACK", raising=False)


def run(pytester: pytest.Pytester, code: str) -> pytest.RunResult:
    """Run a file of tests under the rule's plugin."""
    pytester.makepyfile(f"import pytest\n{code}")
    return pytester.runpytest_inprocess("-p", "tests.no_skips", "-p", "no:xdist", "-ra")


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_a_skipped_test_fails_with_the_reason_of_its_skip(no_skips: None, pytester: pytest.Pytester, code: str) -> None:
    result = run(pytester, code)
    assert result.ret != 0
    outcomes = result.parseoutcomes()
    assert "skipped" not in outcomes and outcomes.get("failed", 0) + outcomes.get("errors", 0) == 1
    result.stdout.fnmatch_lines(["*skipped, which PHASEGATE_NO_SKIPS=1 forbids: no moon tonight"])


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_without_the_rule_it_is_skipped(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester, code: str) -> None:
    monkeypatch.delenv("PHASEGATE_NO_SKIPS", raising=False)
    assert run(pytester, code).parseoutcomes() == {"skipped": 1}


@pytest.mark.parametrize(("requirement", "outcome"), [("terraform", "skipped"), ("curl", "failed")])
def test_only_what_a_machine_may_lack_by_name_is_skipped(
    no_skips: None, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester, requirement: str, outcome: str
) -> None:
    monkeypatch.setenv("PHASEGATE_MAY_LACK", MAY_LACK)
    result = run(pytester, f"def test_it(): pytest.skip({lacking(requirement, 'install it')!r})")
    assert result.parseoutcomes() == {outcome: 1}


def test_an_expected_failure_is_no_skip(no_skips: None, pytester: pytest.Pytester) -> None:
    code = "@pytest.mark.xfail(reason='known')\ndef test_it(): assert False\ndef test_more(): ..."
    assert run(pytester, code).parseoutcomes() == {"xfailed": 1, "passed": 1}
