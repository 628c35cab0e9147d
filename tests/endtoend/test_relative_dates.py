"""Relative dates at the command line: every command takes them, and what they meant when it was typed is what stays.

The homes here are far ahead of the machine's clock, and time never goes back in a home: what is recorded in it says
which day it is.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from phasegate.domain.calendar.selection import Selection
from tests.endtoend.test_bad_input import assert_refused, contents
from tests.endtoend.test_command_line import Answer, Site
from tests.world import write_source

DAYS = [date(2090, 1, number) for number in range(1, 7)]
"""The dates of the schedule. The first is worked on for the clock's sake alone."""

TODAY = DAYS[4]

RAW = ("--phases", "1..2")
"""Phases that look back on no earlier date."""


class ThenSite(Site):
    """A site in whose home it is noon of ``TODAY``."""

    def __init__(self, folder: Path) -> None:
        write_source(folder / "source", dict.fromkeys(DAYS, 2))
        super().__init__(folder, lambda document: document.update(live_window=None))
        self.put_forward_to(TODAY)

    def put_forward_to(self, day: date) -> None:
        """Have something recorded at noon of a day."""
        self.world.clock.move_to(datetime.combine(day, time(12), UTC))
        self.world.run(f"of-{day}", selection=Selection(dates=(DAYS[0],)), phases="1", reprocess="all")

    def select(self, command: str, *arguments: str) -> Answer:
        """Type a command for dates of the world."""
        return self.call(*self.selecting(command, *arguments))

    def days_of(self, run_id: str) -> list[date]:
        """The dates of a run's plan."""
        with self.world.open() as embedded:
            return list(embedded.state.plan(run_id).days)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ThenSite]:
    """A site of the test's own."""
    made = ThenSite(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThenSite]:
    """A site for tests that only look: its tables hold all dates up to yesterday, of which some was made from rows that
    were others then."""
    made = ThenSite(tmp_path_factory.mktemp("used"))
    assert made.select("run", "--from", str(DAYS[0]), "--to", "yesterday", "--run-id", "r").code == 0
    made.world.rewrite({**made.world.data(), "a": made.world.data()["b"]})
    again = ("--from", "yesterday", "--to", "yesterday", "--phases", "1..2", "--reprocess", "all")
    assert made.select("run", *again).code == 0
    yield made
    made.close()


SAME = [
    (("--last", "2d"), DAYS[2], DAYS[3]),
    (("--last", "1w"), date(2089, 12, 29), DAYS[3]),
    (("--from", str(DAYS[1]), "--to", "yesterday"), DAYS[1], DAYS[3]),
    (("--from", "yesterday", "--to", str(TODAY)), DAYS[3], TODAY),
]


@pytest.mark.parametrize(("words", "first", "last"), SAME, ids=[" ".join(words) for words, *_ in SAME])
def test_relative_dates_are_the_plain_ones_of_that_day(
    used: ThenSite, words: tuple[str, ...], first: date, last: date
) -> None:
    relative = used.select("plan", *words, "--json")
    plain = used.select("plan", "--from", str(first), "--to", str(last), "--json")
    assert (relative.code, relative.document) == (0, plain.document)
    told = f"dates: {first} to {last} (today is {TODAY} in UTC)\n"
    assert (told in relative.err, told in plain.err) == (True, False)


COMMANDS: dict[str, tuple[str, ...]] = {
    "calendar": (),
    "preflight": (),
    "plan": (),
    "repair": (),
    "rollback": ("--phase", "final"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_selects_dates_takes_them_in_the_same_words(used: ThenSite, command: str) -> None:
    plain = ("--from", str(DAYS[2]), "--to", str(DAYS[3]))
    asked = [used.select(command, *COMMANDS[command], *words, "--json") for words in (("--last", "2d"), plain)]
    assert asked[0].document == asked[1].document
    assert asked[0].code == asked[1].code == 0


def test_a_verification_of_relative_dates_is_about_these(used: ThenSite) -> None:
    report = used.select("verify", "--last", "2d", "--json").document
    assert (report["first"], report["last"]) == (str(DAYS[2]), str(DAYS[3]))


def test_a_run_and_relative_dates_are_not_verified_together(used: ThenSite) -> None:
    assert_refused(used("verify", "r", "--last", "2d"), "leave out either the run or the rest")
    assert_refused(used("repair", "r", "--to", "yesterday"), "name a run, or dates with their pipeline; not both")


@pytest.mark.parametrize("command", ["repair", "rollback"])
def test_the_command_that_is_printed_to_be_typed_later_names_plain_dates(used: ThenSite, command: str) -> None:
    shown = used.select(command, *COMMANDS[command], "--last", "2d")
    assert f"--from {DAYS[2]} --to {DAYS[3]}" in shown.out and "--last" not in shown.out


def test_a_run_that_is_taken_up_after_midnight_keeps_its_dates(site: ThenSite) -> None:
    site.hold.touch()
    process = site.begin(*site.selecting("run", "--last", "3d", *RAW, "--run-id", "r"))
    site.until(lambda status: bool(status["tasks"]["running"]))
    process.kill()
    process.wait()
    site.release()
    site.put_forward_to(TODAY + timedelta(days=1))
    same = site.select("run", "--last", "3d", *RAW)
    assert_refused(same, "run 'r' is not over and has fetch/a and ")
    assert f"on 2 of these dates, {DAYS[2]} to {DAYS[3]}" in same.err
    assert site("resume", "r").code == 0
    assert site.days_of("r") == DAYS[1:4]
    assert site.select("run", "--last", "3d", *RAW, "--run-id", "next").code == 0
    assert site.days_of("next") == DAYS[2:5]


def test_the_same_command_on_the_same_day_is_the_same_run(site: ThenSite) -> None:
    for words in (
        ("--last", "2d"),
        ("--from", str(DAYS[2]), "--to", "yesterday"),
        ("--from", str(DAYS[2]), "--to", str(DAYS[3])),
    ):
        assert site.select("run", *words, *RAW, "--run-id", "r").code == 0
    assert site.days_of("r") == DAYS[2:4]


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "a number without a unit": (("--last", "7"), "--last: '7' is not a number of days or weeks; write 7d, or 2w"),
    "no days": (("--last", "0d"), "--last: '0d' is not a number of days or weeks"),
    "days to come": (("--last", "-3d"), "--last: '-3d' is not a number of days or weeks"),
    "an unknown unit": (("--last", "7x"), "--last: '7x' is not a number of days or weeks"),
    "a range in two ways": (("--last", "7d", "--from", str(DAYS[0])), "leave out --from and --to, or --last"),
    "a season too": (("--last", "7d", "--season", "2023-24"), "exactly one of these"),
    "tomorrow": (
        ("--from", str(DAYS[0]), "--to", "tomorrow"),
        "--to: 'tomorrow' is not a date (not of the form YYYY-MM-DD, nor yesterday); write YYYY-MM-DD, for example "
        "2024-01-15, or yesterday",
    ),
    "half a range": (("--to", "yesterday"), "--from and --to belong together; give both"),
    "a range that ends before it begins": (
        ("--from", str(TODAY), "--to", "yesterday"),
        f"--from {TODAY} is after --to {DAYS[3]}",
    ),
    "a word among single dates": (("--dates", "yesterday"), "--dates: 'yesterday' is not a date"),
}


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(("words", "message"), BAD.values(), ids=BAD)
def test_a_bad_range_is_refused_and_nothing_is_written(
    used: ThenSite, command: str, words: tuple[str, ...], message: str
) -> None:
    before = contents(used.home)
    assert_refused(used.select(command, *words), message)
    assert contents(used.home) == before


def test_a_range_without_a_date_of_the_schedule_names_the_nearest(tmp_path: Path) -> None:
    """In a home that does not exist yet today is the machine's, and no schedule of these tests goes on until then."""
    site = Site(tmp_path)
    answer = site.call(*site.selecting("run", "--last", "7d"))
    assert_refused(answer, "the schedule runs from 2024-01-01 to 2024-01-06 (seasons 2023-24); name a range that")
    assert not site.home.exists()
