"""Workers that do what no worker should: that is one failed attempt, with its reason, and the run goes on."""

import json
import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from phasegate.adapters.embedded.home import Home
from phasegate.adapters.embedded.state import open_state
from phasegate.domain.foreign_text import escaped
from phasegate.domain.protocol.worker import ErrorClass
from phasegate.domain.state.facts import Reported
from phasegate.ports import ObjectStore, Warehouse
from tests.endtoend.test_command_line import Site
from tests.world import WorldWorker

Answer = tuple[int, dict[str, Any]]


class Unprintable(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


class EndsWhenPrinted(Exception):
    """Whoever prints it is ended."""

    def __str__(self) -> str:
        sys.exit(0)


class LooksLikeADictionary(dict[str, Any]):
    """Nothing can be taken out of it."""

    def get(self, *_: object) -> NoReturn:
        raise SystemExit(0)


def _raise(error: BaseException) -> NoReturn:
    raise error


def _nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


FORGED = "no rows\r\nrun r of pipeline world: completed\x1b[2K\x1b]0;title\x07\u202e\u2028\x9b1m"
PASSING: dict[str, tuple[Callable[[], object], str]] = {
    "it ends the interpreter": (lambda: sys.exit(0), "the worker raised SystemExit: 0"),
    "it interrupts": (lambda: _raise(KeyboardInterrupt()), "the worker raised KeyboardInterrupt"),
    "a generator's end": (lambda: _raise(GeneratorExit("over")), "the worker raised GeneratorExit: over"),
    "no text": (
        lambda: _raise(Unprintable()),
        "the worker raised Unprintable: (cannot be printed: its __str__ raises ValueError)",
    ),
    "it ends who prints it": (
        lambda: _raise(EndsWhenPrinted()),
        "the worker raised EndsWhenPrinted: (cannot be printed: its __str__ raises SystemExit)",
    ),
    "half a pair": (
        lambda: _raise(RuntimeError("half \ud83d of it")),
        r"the worker raised RuntimeError: half \ud83d of it",
    ),
    "half a pair, answered": (lambda: (500, {"message": "half \udc00"}), r"half \udc00"),
    "a zero byte": (lambda: (500, {"message": "zero\0byte"}), r"zero\x00byte"),
    "forged lines": (
        lambda: (500, {"message": FORGED}),
        r"no rows\r\nrun r of pipeline world: completed\x1b[2K\x1b]0;title\x07\u202e\u2028\x9b1m",
    ),
}
"""What is tried again, and what the first attempt's reason is."""

BUGS: dict[str, tuple[Callable[[], object], str]] = {
    "202": (
        lambda: (202, {"message": "later"}),
        "the worker answered 202, but the event that would report its end cannot reach a run in embedded mode; let it "
        "answer when the work is done, or run with --backend gcp",
    ),
    "nested too deep": (
        lambda: (500, {"message": _nested(100_000)}),
        "the worker's answer is not understood: RecursionError",
    ),
    "no pair": (lambda: None, "the worker's answer is no pair of status and body but a NoneType"),
    "no dictionary": (lambda: (200, [1]), "the body of the worker's answer is no dictionary but a list"),
    "no status": (lambda: ("200", {}), "the worker's answer is no pair of status and body but a tuple"),
    "no real dictionary": (lambda: (500, LooksLikeADictionary()), "not understood: SystemExit"),
}
"""What is not tried again."""

ACTS: dict[str, Callable[[], object]] = {name: act for name, (act, _) in {**PASSING, **BUGS}.items()}
ACTS["a forged bug"] = lambda: (422, {"message": FORGED})


class HostileWorker(WorldWorker):
    """The world's worker, which does something else on the first attempt where ``hostile.json`` says what."""

    def handle(self, path: str, body: Mapping[str, Any]) -> Answer:
        """One request."""
        act = self._read("hostile.json").get(f"{body['phase']}/{body['processor']}/{body['date']}")
        if act is not None and body["attempt"] == 1:
            done: Any = ACTS[act]()
            return done  # type: ignore[no-any-return] # Of any shape: that is the point.
        return super().handle(path, body)


def build(source: Path, warehouse: Warehouse, objects: ObjectStore) -> HostileWorker:
    """The factory that the pipeline of these tests names."""
    return HostileWorker(source, warehouse, objects)


def hostile(document: dict[str, Any]) -> None:
    """The world's pipeline with the worker of these tests, which is tried again at once."""
    document["workers"]["world"]["factory"] = "tests.endtoend.test_hostile_workers:build"
    for phase in document["phases"]:
        phase["failure"] = {"retries": 2, "first_backoff_seconds": 0.01}


def first_report(site: Site, ref: str, number: int) -> Reported:
    """What the first attempt of a task on a date came to."""
    day = site.world.days[number]
    phase, _, processor = ref.partition("/")
    found = open_state(Home(site.home)).dates("r", [day])[day].tasks[phase, processor][0].reported
    assert found is not None
    return found


def run_with(site: Site, cells: Mapping[tuple[str, int], str]) -> int:
    """The exit status of a run in which first attempts do these things; keys are processor's ref and date's number."""
    acts = {f"{ref}/{site.world.days[number]}": act for (ref, number), act in cells.items()}
    (site.world.source / "hostile.json").write_text(json.dumps(acts))
    answer = site.run()
    assert "Traceback" not in answer.err
    return answer.code


def test_what_a_worker_raises_or_says_fails_one_attempt_with_its_reason(tmp_path: Path) -> None:
    site = Site(tmp_path, hostile)
    refs = ["raw/a", "raw/b", "shape/left"]
    cells = {(refs[n % 3], n // 3): act for n, act in enumerate(PASSING)}
    assert run_with(site, cells) == 0
    assert site.status()["status"] == "completed"
    for (ref, number), act in cells.items():
        found = first_report(site, ref, number)
        assert (found.error_class, found.message) == (ErrorClass.TRANSIENT, PASSING[act][1]), act


def test_an_answer_of_a_shape_that_no_worker_gives_is_a_bug(tmp_path: Path) -> None:
    site = Site(tmp_path, hostile)
    cells = {("raw/a", number): act for number, act in enumerate(BUGS)}
    assert run_with(site, cells) == 1
    for (ref, number), act in cells.items():
        found = first_report(site, ref, number)
        assert found.error_class is ErrorClass.BUG, act
        assert BUGS[act][1] in found.message


KINDS = {
    "sys.exit(0)": "SystemExit: 0",
    "raise ValueError('no words')": "ValueError: no words",
    "raise GeneratorExit": "GeneratorExit",
}
"""What a worker's code does in place of its work, and how that is told."""


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize("place", ["module", "factory", "preparation"])
def test_a_worker_that_cannot_be_made_or_prepared_is_refused_in_a_sentence(
    tmp_path: Path, place: str, ending: str
) -> None:
    at = {name: ending if name == place else "pass" for name in ("module", "factory", "preparation")}
    (tmp_path / "broken_steps.py").write_text(
        f"import sys\n{at['module']}\n"
        f"class W:\n    def prepare(self):\n        {at['preparation']}\n    def handle(self, path, body): ...\n"
        f"def build(source, warehouse, objects):\n    {at['factory']}\n    return W()\n"
    )
    site = Site(tmp_path, lambda d: d["workers"]["world"].update(factory="broken_steps:build"))
    answer = site.run()
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert "worker 'world'" in answer.err and KINDS[ending] in answer.err
    if place != "preparation":  # That writes tables: preflight writes nothing.
        found = site.call(*site.selecting("preflight"))
        (line,) = (line for line in found.out.splitlines() if line.startswith("FAIL"))
        assert found.code == 1 and KINDS[ending] in line


SHOWN = ("status", "explain", "failures", "runs", "verify")


def test_no_command_shows_a_line_that_a_worker_forged_even_of_an_earlier_versions_state(tmp_path: Path) -> None:
    site = Site(tmp_path, hostile)
    forged = r"no rows\r\nrun r of pipeline world: completed\x1b[2K\x1b]0;title\x07\u202e\u2028\x9b1m"
    acts = {f"raw/a/{site.world.days[0]}": "a forged bug"}
    (site.world.source / "hostile.json").write_text(json.dumps(acts))
    ran = site.run()
    assert ran.code == 1
    raw, kept = json.dumps(FORGED)[1:-1], json.dumps(escaped(FORGED))[1:-1]
    for look in ("as it is kept", "as it was kept before"):
        if look == "as it was kept before":
            with sqlite3.connect(site.home / "state.sqlite") as state:
                changed = [
                    state.execute(f"UPDATE {table} SET doc = replace(doc, ?, ?)", (kept, raw)).rowcount
                    for table in ("facts", "boards")
                ]
                left = state.execute("SELECT count(*) FROM facts WHERE instr(doc, ?)", (raw,)).fetchone()[0]
            state.close()
            assert changed[0] and left == 1
        for command in SHOWN:
            words = [command] if command == "runs" else [command, "r"]
            for more in ([], ["--json"]):
                answer = site(*words, *more)
                assert answer.code in (0, 1), (command, answer)
                for line in (answer.out + answer.err).split("\n"):
                    assert line.isprintable(), (look, command, line)
                    assert not line.startswith("run r of pipeline world: completed\\"), (look, command)
                if more:
                    json.loads(answer.out)
        assert forged.partition(r"\r")[0] in site("explain", "r").out
        (signature,) = {each["command"] for each in site("failures", "r", "--json").document["failures"]}
        assert signature.isprintable()
        for page in (site.home / "reports").rglob("*"):
            if page.suffix in (".html", ".md", ".log"):
                assert "\x1b" not in page.read_text() and "\u202e" not in page.read_text(), page
