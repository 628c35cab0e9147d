"""The failure catalogue: one scenario a row, and for each a mutation that must turn it red.

A scenario is a plain function that asserts what must hold. ``test_fNN_…`` runs it; ``test_the_mutation_of_a_row…``
breaks the protection on purpose and expects the same scenario to fail.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.catalogue.mutations import (
    any_key_will_do,
    append_blindly,
    believe_every_report,
    count_postponed_games,
    duplicates_go_home,
    every_row_count_passes,
    forget_aliases,
    forget_needs,
    identity_is_the_date,
    ignore_fences,
    keep_state_in_a_temporary_folder,
    let_unknown_keys_through,
    look_at_recent_dates_only,
    never_look_for_lost_dispatches,
    one_expectation_for_every_date,
    release_without_edges,
    silence_reports,
    throttles_cost,
    try_for_ever,
    unproved_is_a_throttle,
    values_and_joins_are_not_looked_at,
    verify_recent_dates_only,
    waivers_have_no_end,
    write_history_row_by_row,
)
from tests.catalogue.scenarios import (
    f01,
    f02,
    f03,
    f04,
    f05,
    f06,
    f09,
    f10,
    f11,
    f12,
    f13,
    f14,
    f15,
    f16,
    f16_verified,
    f17,
    f18,
    f19,
    f20,
    f21,
    f22,
    f23,
    f24,
    f25,
)

pytestmark = pytest.mark.usefixtures("dates_at_once")

Scenario = Callable[[Path, pytest.MonkeyPatch], None]
Mutation = Callable[[pytest.MonkeyPatch], None]

ROWS: dict[str, tuple[Scenario, Mutation]] = {
    "f01": (f01, silence_reports),
    "f02": (f02, release_without_edges),
    "f03": (f03, every_row_count_passes),
    "f04": (f04, forget_aliases),
    "f05": (f05, duplicates_go_home),
    "f06": (f06, never_look_for_lost_dispatches),
    "f09": (f09, append_blindly),
    "f10": (f10, any_key_will_do),
    "f11": (f11, believe_every_report),
    "f12": (f12, values_and_joins_are_not_looked_at),
    "f13": (f13, let_unknown_keys_through),
    "f14": (f14, count_postponed_games),
    "f15": (f15, one_expectation_for_every_date),
    "f16": (f16, look_at_recent_dates_only),
    "f16 verified": (f16_verified, verify_recent_dates_only),
    "f17": (f17, forget_needs),
    "f18": (f18, throttles_cost),
    "f19": (f19, write_history_row_by_row),
    "f20": (f20, try_for_ever),
    "f21": (f21, try_for_ever),
    "f22": (f22, unproved_is_a_throttle),
    "f23": (f23, ignore_fences),
    "f24": (f24, identity_is_the_date),
    "f25": (f25, keep_state_in_a_temporary_folder),
}


def test_f01_completions_are_heard_while_the_live_cascade_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f01(tmp_path, monkeypatch)


def test_f02_completion_is_the_full_set_of_named_processors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f02(tmp_path, monkeypatch)


def test_f03_a_date_with_rows_missing_blocks_and_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f03(tmp_path, monkeypatch)


def test_f04_an_alias_counts_and_an_unknown_name_goes_to_quarantine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f04(tmp_path, monkeypatch)


def test_f05_a_duplicate_event_is_a_reason_to_look_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f05(tmp_path, monkeypatch)


def test_f06_a_trigger_that_was_noted_and_not_sent_is_sent_by_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f06(tmp_path, monkeypatch)


def test_f09_the_history_has_one_record_an_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f09(tmp_path, monkeypatch)


def test_f10_a_gate_compares_sets_of_keys_not_emptiness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f10(tmp_path, monkeypatch)


def test_f11_a_reported_success_without_rows_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f11(tmp_path, monkeypatch)


def test_f12_a_field_that_is_null_and_ids_that_join_half_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f12(tmp_path, monkeypatch)


def test_f13_a_field_under_another_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f13(tmp_path, monkeypatch)


def test_f14_blocked_is_not_failed_and_a_postponed_game_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f14(tmp_path, monkeypatch)


def test_f15_expectations_differ_by_date_and_processor_and_waivers_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f15(tmp_path, monkeypatch)


def test_f16_an_old_gap_is_found_and_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f16(tmp_path, monkeypatch)


def test_f16_the_verifier_sees_an_old_gap_whatever_was_run_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f16_verified(tmp_path, monkeypatch)


def test_f17_a_processor_waits_for_what_it_needs_inside_its_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f17(tmp_path, monkeypatch)


def test_f18_a_quota_error_is_a_throttle_not_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f18(tmp_path, monkeypatch)


def test_f19_bookkeeping_reaches_the_warehouse_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f19(tmp_path, monkeypatch)


def test_f20_attempts_for_what_is_not_published_yet_are_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f20(tmp_path, monkeypatch)


def test_f21_only_proved_output_resets_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f21(tmp_path, monkeypatch)


def test_f22_workers_that_answer_success_and_do_nothing_come_to_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    f22(tmp_path, monkeypatch)


def test_f23_a_late_write_under_an_old_fence_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f23(tmp_path, monkeypatch)


def test_f24_a_burst_of_ten_thousand_events_loses_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f24(tmp_path, monkeypatch)


def test_f25_state_outlives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    f25(tmp_path, monkeypatch)


def test_a_waiver_without_an_end_turns_f15_red_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waivers_have_no_end(monkeypatch)
    with pytest.raises(AssertionError, match="ended: blocked again"):
        f15(tmp_path, monkeypatch)


@pytest.mark.parametrize("row", ROWS)
def test_the_mutation_of_a_row_turns_it_red(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario, mutate = ROWS[row]
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        scenario(tmp_path, monkeypatch)
