"""What is published of a call is one message, which its reader takes apart."""

import json

import pytest

from phasegate.domain.messages.completion import BLANK, CallEnd, Completion, CompletionBatch, taken_apart

ONE, TWO = BLANK, BLANK.model_copy(update={"event_id": "two", "message": 'it says "completions": [], Größe'})
BOTH = CompletionBatch(completions=(ONE, TWO))


def test_what_is_known_of_one_attempt_is_published_as_before() -> None:
    assert CallEnd([ONE]).message is ONE
    assert CallEnd([]).message is None


def test_what_is_known_of_several_is_one_message() -> None:
    message = CallEnd([ONE, TWO]).message
    assert message == BOTH
    assert message is not None and CompletionBatch.model_validate_json(message.model_dump_json()) == BOTH


def test_a_message_of_several_is_taken_apart_into_those_that_each_would_have_been() -> None:
    parts = taken_apart(BOTH.model_dump_json())
    assert [Completion.model_validate_json(part) for part in parts] == [ONE, TWO]
    assert [json.loads(part) for part in parts] == [json.loads(each.model_dump_json()) for each in (ONE, TWO)]


@pytest.mark.parametrize(
    "text",
    [
        ONE.model_dump_json(),
        TWO.model_dump_json(),
        '{"completions": [',
        '{"completions": []}',
        '{"schema_version": 1, "completions": []}',
        '{"schema_version": 1, "completions": {}}',
        '{"schema_version": 2, "completions": [{}]}',
        '{"schema_version": 1, "completions": [{}], "more": 1}',
        '["completions": 1]',
        "[" * 100_000 + '"completions":',
    ],
    ids=lambda text: text[:40],
)
def test_any_other_message_is_left_whole(text: str) -> None:
    assert taken_apart(text) == [text]
