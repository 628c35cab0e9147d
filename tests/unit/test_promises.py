"""The page of promises says what the tests are."""

import re

import pytest

from tests.promises import CHAPTERS, PAGE, Promise, counted, page

PROMISES = [promise for chapter in CHAPTERS for promise in chapter.promises]


def without_counts(text: str) -> str:
    return re.sub(r"\| [\d,]+ \|$", "| n |", text, flags=re.MULTILINE)


def test_the_page_lists_the_promises_and_their_tests() -> None:
    assert without_counts(PAGE.read_text(encoding="utf-8")) == without_counts(page([])), "type: make reliability"


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.says)
def test_a_promise_is_held_by_tests_that_are_there(promise: Promise, request: pytest.FixtureRequest) -> None:
    collected = [item.nodeid for item in request.session.items]
    files = {case.partition("::")[0] for case in collected}
    for test, count in zip(promise.tests, counted(promise, collected), strict=True):
        place = PAGE.parents[1] / "tests" / test.partition("::")[0]
        assert place.exists()
        if any(file.startswith(f"tests/{test.partition('::')[0]}") for file in files):
            assert count > 0, f"no such test: {test}"
