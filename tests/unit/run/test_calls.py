"""What is said of a call that has ended."""

from datetime import timedelta
from typing import Any

import pytest

from phasegate.domain.decisions.answers import failed
from phasegate.domain.messages.completion import CallEnd
from phasegate.domain.plan import compile_plan
from phasegate.domain.protocol.worker import ErrorClass, ProcessorResult, ResultStatus
from phasegate.domain.state.facts import AttemptKey
from phasegate.ports import Claim
from phasegate.services.running.calls import Call, ClaimedAttempt, completion, in_words
from tests.unit.builders import NOW, days, plan, run

TASK = compile_plan(plan()).by_ref["raw/a"]
DONE = ProcessorResult(status=ResultStatus.SUCCESS)
HELD = failed(ErrorClass.THROTTLE, "somebody else writes the partition")


def said(dates: int, done: int = 0, refused: int = 0, failed_together: str = "") -> str:
    """What is said of a call for so many dates: the first are done, the last were refused without a request."""
    attempts = [
        ClaimedAttempt(
            Claim(AttemptKey(day, "raw", "a", 1), 1, 1, 1, (), NOW + timedelta(minutes=5), NOW, "here"),
            refused=HELD if number >= dates - refused else None,
        )
        for number, day in enumerate(days(dates))
    ]
    call = Call(run(), TASK, tuple(attempts), {})
    results = [(each, DONE) for each in attempts[:done]] + [(each, HELD) for each in attempts[dates - refused :]]
    ends = [completion(call, each.claim, result, NOW, NOW) for each, result in results]
    return in_words(call, CallEnd(ends, failed_together))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"dates": 1, "done": 1}, "success"),
        ({"dates": 1}, "accepted"),
        ({"dates": 20, "done": 20}, "20 success"),
        ({"dates": 20, "done": 3}, "3 success, 17 accepted"),
        ({"dates": 20, "refused": 2}, "2 failed, 18 accepted"),
        ({"dates": 20, "failed_together": "it broke"}, "20 failed together"),
        ({"dates": 20, "refused": 2, "failed_together": "it broke"}, "2 failed, 18 failed together"),
    ],
    ids=str,
)
def test_every_attempt_of_a_call_is_counted_in_words(what: dict[str, Any], words: str) -> None:
    assert said(**what) == words
