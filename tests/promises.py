"""What Phasegate promises, and the tests that hold it to that: ``make reliability`` writes ``docs/reliability.md``.

Collects the tests and counts the cases of each that is named here; ``tests/unit/test_promises.py`` fails where the page
says something else than this file and the tests.
"""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"


@dataclass(frozen=True)
class Promise:
    """One promise to a user."""

    says: str
    """The promise, as a sentence."""

    tests: tuple[str, ...]
    """The tests that fail when it is broken: a file below ``tests``, or ``file::test``."""


@dataclass(frozen=True)
class Chapter:
    """Promises of one subject."""

    title: str
    """The subject."""

    promises: tuple[Promise, ...]
    """What is promised about it."""


CHAPTERS = (
    Chapter(
        "Nothing is lost",
        (
            Promise(
                "A process may be killed at any moment; the same command ends the run as if nothing had happened.",
                ("simulation/test_kill.py", "simulation/test_crashes.py"),
            ),
            Promise(
                "Each function on the stack, and Pub/Sub, may die while events flow.",
                ("stack/test_kills.py::test_each_function_and_pubsub_are_killed_while_events_flow",),
            ),
            Promise(
                "Completions may come late, twice, in any order, or never.",
                (
                    "simulation/test_order.py",
                    "stack/test_kills.py::test_every_completion_is_delivered_three_times_in_random_order",
                ),
            ),
            Promise(
                "What cannot be applied is kept in quarantine with its reason, and is not delivered for ever.",
                ("functions/test_bad_requests.py",),
            ),
            Promise(
                "A retry of any size, and a date with any number of attempts, fits into what a store takes at once.",
                ("simulation/test_pages.py", "contract/test_largest_date.py"),
            ),
            Promise(
                "A run that cannot be read stops nothing but itself, and is listed with its remedy.",
                (
                    "contract/test_unreadable_runs.py",
                    "endtoend/test_unreadable_run.py",
                    "functions/test_one_unreadable_run.py",
                    "stack/test_many_runs.py",
                ),
            ),
            Promise(
                "A worker that hangs, ends the interpreter, raises anything or answers nonsense costs its own attempt.",
                (
                    "endtoend/test_hanging_workers.py",
                    "endtoend/test_isolated_workers.py",
                    "contract/test_worker_processes.py",
                    "endtoend/test_hostile_workers.py",
                    "contract/test_http_worker.py",
                ),
            ),
            Promise("A clock that is set back holds up nothing.", ("unit/run/test_clock.py",)),
            Promise(
                "A queue that was paused from outside for days, or a sweeper that stood still, changes nothing.",
                (
                    "simulation/test_order.py::test_a_run_whose_queue_was_paused_over_a_weekend_ends_as_if_it_had_not",
                    "simulation/test_order.py"
                    "::test_a_sweeper_that_stands_still_for_an_hour_while_messages_are_lost_mends_it_all_afterwards",
                    "stack/test_command_line_on_gcp.py"
                    "::test_a_run_whose_queue_is_paused_from_outside_goes_on_when_it_is_resumed",
                ),
            ),
            Promise(
                "Of dates that travel in one call the one that makes it fail ends alone; the others are done and have "
                "used up no retry. No attempt runs in two calls.",
                ("simulation/test_batches.py", "contract/test_batches_on_a_cloud.py"),
            ),
            Promise(
                "What a home lost with a write-ahead log is made again, under fences above those of its rows.",
                ("endtoend/test_lost_logs.py",),
            ),
            Promise(
                "What the version before has stored and sent is read, resumed and answered.",
                ("golden",),
            ),
            Promise(
                "What a newer version sends while it is rolled out, or back, is read as far as it is known.",
                (
                    "functions/test_newer_messages.py",
                    "workers/test_worker_library.py"
                    "::test_a_request_of_a_newer_version_is_answered_without_what_it_has_more",
                ),
            ),
        ),
    ),
    Chapter(
        "Nothing is released early",
        (
            Promise(
                "No task is claimed before its edges have passed, whatever times and failures there are.",
                (
                    "simulation/test_order.py"
                    "::test_with_random_times_and_failures_no_task_is_claimed_before_its_edges_have_passed",
                ),
            ),
            Promise(
                "Embedded and on Google Cloud the same is decided.",
                ("contract/test_same_decisions.py", "stack/test_nba_on_the_stack.py"),
            ),
            Promise(
                "Two unfinished runs over one date of one processor are refused, also when two begin at once.",
                ("unit/starting/test_alongside.py", "contract/test_two_starters.py"),
            ),
            Promise(
                "Where dates go in order none enters behind one that ended badly, on later mornings either, until "
                "somebody has freed it.",
                (
                    "unit/run/test_in_order.py",
                    "simulation/test_stops_at_bad_date.py",
                    "simulation/test_order.py::test_behind_a_date_that_ends_badly_none_enters_whatever_times_there_are",
                    "unit/starting/test_mornings.py",
                    "functions/test_mornings.py",
                    "endtoend/test_stops_at_bad_date.py",
                ),
            ),
            Promise("A phase that waits for a person waits.", ("decisions_by_people/test_approvals.py",)),
            Promise(
                "Live work and a backfill never write one date of a table at the same time.",
                ("contract/test_leases.py", "catalogue/test_leases_catalogue.py"),
            ),
        ),
    ),
    Chapter(
        "Nothing is called complete when the tables say otherwise",
        (
            Promise(
                "A worker that says success and has written nothing, or not enough, is caught.",
                ("stack/test_truth.py", "endtoend/test_nba_third.py", "endtoend/test_nba_missing_game.py"),
            ),
            Promise(
                "A write that comes after its attempt is refused by its fence.",
                (
                    "stack/test_truth.py"
                    "::test_a_late_write_is_refused_and_leaves_the_table_as_the_later_attempt_wrote_it",
                    "catalogue/test_catalogue.py::test_f23_a_late_write_under_an_old_fence_is_refused",
                ),
            ),
            Promise(
                "No run goes on over rows that are gone, and none ends with 0 that its report calls not complete.",
                ("endtoend/test_lost_warehouse.py",),
            ),
            Promise(
                "What was made from something that has changed since is found, in whichever run it was made, and made "
                "again; what came out the same is left alone.",
                (
                    "simulation/test_stale.py",
                    "simulation/test_wave.py",
                    "simulation/test_calendar_read.py",
                    "endtoend/test_repair.py",
                    "contract/test_fingerprint.py",
                ),
            ),
            Promise(
                "A schedule, or a check, that was mended after a run was planned is told of, and taken over when a "
                "person says so; whoever dies meanwhile changes nothing.",
                (
                    "simulation/test_refresh.py",
                    "contract/test_generations.py",
                    "endtoend/test_mended_schedule.py",
                    "endtoend/test_mended_file.py",
                    "endtoend/test_nba_mended_schedule.py",
                ),
            ),
            Promise("A fault planted in the tables is found by its check.", ("endtoend/test_planted_faults.py",)),
            Promise(
                "A calendar that is itself wrong is told by preflight, and no run over it is called complete.",
                ("endtoend/test_calendar_with_holes.py", "unit/preflight/test_cross_check.py"),
            ),
            Promise(
                "The verifier finds what tables and state disagree about, whoever has filled the tables.",
                ("report/test_disagreements.py",),
            ),
            Promise(
                "Each way in which earlier backfills lost data has a scenario, and the mutation that turns it red.",
                ("catalogue",),
            ),
        ),
    ),
    Chapter(
        "A person sees why, and nothing is written by mistake",
        (
            Promise(
                "Bad input ends with status 2, one sentence, and nothing is written.",
                ("endtoend/test_bad_input.py", "functions/test_bad_requests.py"),
            ),
            Promise(
                "A damaged home is answered in one sentence with what to do; one that is read-only can be looked at.",
                ("endtoend/test_damaged_homes.py",),
            ),
            Promise(
                "`start` says that a run goes on only when a process drives it.",
                ("endtoend/test_start.py",),
            ),
            Promise(
                "Text from outside cannot look like ours.",
                ("unit/security/test_foreign_text.py", "endtoend/test_hostile_workers.py"),
            ),
            Promise(
                "A query that would read too much halts the run with the number and the remedy.",
                ("simulation/test_reads_too_much.py",),
            ),
            Promise(
                "Preflight names what is broken before anything is written.",
                ("stack/test_preflight_on_the_stack.py", "functions/test_preflight_of_kickoffs.py"),
            ),
            Promise(
                "Rows that a rollback deletes are those that it showed.",
                ("rollback", "endtoend/test_rollback_command.py"),
            ),
            Promise("No secret is kept or shown.", ("functions/test_secrets.py", "unit/security")),
        ),
    ),
)

INTRODUCTION = """# Reliability

What is promised, and the tests that fail when it is broken, with the number of their cases. `make reliability` writes
this page from `tests/promises.py`; a test compares the two. `make soak` is no part of it: twenty minutes on a stack
where runs are begun, paused, cancelled and retried at random while processes die, with what must be true in the end.
"""


def page(cases: Iterable[str]) -> str:
    """Write the page. cases: ids of the tests, as pytest collects them."""
    collected = list(cases)
    lines = [INTRODUCTION]
    for chapter in CHAPTERS:
        lines += [f"## {chapter.title}", "", "| promise | test | cases |", "|---|---|---:|"]
        for promise in chapter.promises:
            tests = "<br>".join(f"`{test}`" for test in promise.tests)
            lines.append(f"| {promise.says} | {tests} | {sum(counted(promise, collected)):,} |")
        lines.append("")
    return "\n".join(lines)


def counted(promise: Promise, collected: Iterable[str]) -> list[int]:
    """Count the cases of each test of a promise."""
    ids = [case.removeprefix("tests/") for case in collected]
    return [sum(_is_of(case, test) for case in ids) for test in promise.tests]


def _is_of(case: str, test: str) -> bool:
    return case.startswith((f"{test}/", f"{test}::", f"{test}[")) or case == test


def main() -> None:
    """Collect the tests and write the page."""
    words = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "tests"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    PAGE.write_text(page(line for line in done.stdout.splitlines() if "::" in line), encoding="utf-8")


if __name__ == "__main__":
    main()
