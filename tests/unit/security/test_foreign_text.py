"""What others say is kept as a store takes it, and shown as a terminal obeys nothing of it."""

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasegate.cli.output import say, write_json
from phasegate.domain.decisions.answers import failed
from phasegate.domain.foreign_text import MOST_MESSAGE, escaped, escaped_lines, kept, told
from phasegate.domain.messages.completion import Completion
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.redaction import REDACTED
from phasegate.domain.state.unsound import Failure
from phasegate.report.verify.page import _cell, _shown
from phasegate.telemetry.logs import OneLine

ANYTHING = st.text(st.characters(exclude_categories=()))
"""Halves of surrogate pairs, zero bytes and all."""

EVENT: dict[str, Any] = {
    "event_id": "e",
    "run_id": "r",
    "date": "2024-01-15",
    "phase": "raw",
    "processor": "a",
    "attempt": 1,
    "fence": 1,
    "status": "failed",
    "started_at": "2026-01-01T00:00:00Z",
    "finished_at": "2026-01-01T00:00:00Z",
}


@given(ANYTHING)
def test_an_escaped_text_prints_on_one_line_is_storable_and_stays_as_it_is(text: str) -> None:
    found = escaped(text)
    assert found.isprintable()
    assert found.encode().decode() == found
    assert escaped(found) == found


def test_what_prints_is_left_alone() -> None:
    for text in ("", "no rows of '2024-01-15'", "Žižkov, 東京, 🏀", r"C:\names"):
        assert escaped(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo", r"one\ntwo"),
        ("\x1b[2K", r"\x1b[2K"),
        ("\x9b2K", r"\x9b2K"),
        ("\u202eeno", r"\u202eeno"),
        ("\u2066", r"\u2066"),
        ("half \ud83d", r"half \ud83d"),
        ("zero\0", r"zero\x00"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
    ],
)
def test_what_does_not_print_is_written_out(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert failed(ErrorClass.BUG, text).message == shown
    assert Completion.model_validate({**EVENT, "message": text}).message == shown
    assert Completion.model_validate({**EVENT, "code_version": text}).code_version == shown


@given(st.text(st.characters(exclude_categories=()), min_size=MOST_MESSAGE - 50, max_size=MOST_MESSAGE))
def test_a_message_of_the_longest_length_is_taken_whatever_it_holds(text: str) -> None:
    event = Completion.model_validate({**EVENT, "message": text})
    assert len(event.message) <= MOST_MESSAGE
    assert Completion.model_validate_json(event.model_dump_json()) == event
    assert Completion.model_validate({**EVENT, "message": kept(text)}).message.isprintable()


def test_a_secret_at_the_beginning_of_a_line_is_found_before_the_line_break_is_written_out() -> None:
    said = "no\nya29.made-up-for-this-test"
    for text in (kept(said), failed(ErrorClass.BUG, said).message):
        assert text == rf"no\n{REDACTED}"


def test_a_message_that_is_cut_inside_a_redaction_is_still_an_event() -> None:
    text = kept("x" * (MOST_MESSAGE - 16) + " password=made-up-word")
    assert len(Completion.model_validate({**EVENT, "message": text}).message) <= MOST_MESSAGE


def test_an_exception_is_told_with_its_type_and_without_its_line_breaks() -> None:
    assert told(KeyError("x")) == "KeyError: 'x'"
    assert told(TimeoutError()) == "TimeoutError"
    assert told(ValueError("a\nerror: forged")) == r"ValueError: a\nerror: forged"


def test_an_interruption_while_an_exception_is_printed_is_none_of_its_words() -> None:
    class Interrupted(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        told(Interrupted())


@pytest.mark.parametrize("more", ["", "\nat line 3", "\n\n"])
def test_a_signature_is_the_same_of_a_message_kept_before_escapes_and_since(more: str) -> None:
    before = f"no \x1brows{more}"
    assert Failure(ErrorClass.BUG, before).signature("a") == Failure(ErrorClass.BUG, escaped(before)).signature("a")
    assert Failure(ErrorClass.BUG, before).signature("a") == r"bug:a:no \x#brows"


def test_a_line_for_people_cannot_be_doubled_or_turned(capsys: pytest.CaptureFixture[str]) -> None:
    say("one\x1b[1A\rtwo\u202e")
    assert capsys.readouterr().err == "one\\x1b[1A\\rtwo\\u202e\n"
    assert escaped_lines(["a\nb", "c"]) == "a\\nb\nc"


@given(ANYTHING)
def test_json_prints_and_means_the_same(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("typer.echo", lines.append)
        write_json({"said": text})
    assert all(line.isprintable() for line in lines[0].split("\n"))
    # Two halves that stand together are one character to every reader of JSON.
    assert json.loads(lines[0])["said"] == json.loads(json.dumps(text))


def test_a_record_of_the_log_is_one_line_and_its_stack_trace_stands_below_it() -> None:
    try:
        raise RuntimeError("first\n2026-01-01 phasegate forged")
    except RuntimeError:
        record = logging.LogRecord(
            "p", logging.WARNING, "f", 1, "said %s", ("x\n2026-01-01 forged\x1b",), sys.exc_info()
        )
    first, *more = OneLine("%(name)s %(message)s").format(record).split("\n")
    assert first == r"p said x\n2026-01-01 forged\x1b"
    assert more and all(line.startswith("    ") for line in more)


def test_a_report_turns_no_text_round() -> None:
    assert _cell("a\u202eb|\nc\x1b") == r"a\\u202eb\| c\\x1b"
    assert _shown("a\u202eb\nc") == "a\\u202eb\nc"
