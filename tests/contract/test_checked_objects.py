"""Objects that checks read: each of them once, and what cannot be read now is asked for again."""

from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.checks.proof import Found
from phasegate.domain.errors import TransientError
from phasegate.domain.plan import compile_plan
from phasegate.domain.state.facts import Verdict
from phasegate.services.reading.prover import Prover
from tests.unit.builders import days, plan

DAYS = days(4)
SCHEMAS = {"a.json": '{"type": "object"}', "b.json": "{}"}


class Broken(FolderObjectStore):
    """A store that does not answer for one date. asked: the names that were read."""

    def __init__(self, root: Path, day: date) -> None:
        super().__init__(root)
        self._broken, self.asked = f"a/{day}.jsonl", list[str]()

    def read(self, name: str) -> bytes:
        """See the port."""
        self.asked.append(name)
        if name == self._broken:
            raise TransientError("the bucket did not answer")
        return super().read(name)


def judged(store: Broken, severity: str = "block") -> dict[tuple[str, date], Verdict]:
    """The verdicts of two checks of the world's first object; that of the last date is not counted."""

    def check_objects(document: dict[str, Any]) -> None:
        document["phases"][0]["processors"][0]["checks"] = [
            {"check": "json_schema", "schema": "a.json", "severity": severity},
            {"check": "json_schema", "schema": "b.json", "name": "any"},
        ]

    made = plan(check_objects)
    pipeline = made.pipeline.model_copy(update={"json_schemas": SCHEMAS})
    index = compile_plan(made.model_copy(update={"pipeline": pipeline}))
    subjects = {"fetch/a": (dict.fromkeys(DAYS, "o"), dict.fromkeys(DAYS[:3], Found(1)))}
    with closing(DuckDbWarehouse(Path(":memory:"))) as nothing:
        verdicts = Prover(nothing, store).judge(index, subjects)["fetch/a"]
    return {(verdict.check, day): verdict for day, verdict in verdicts}


def test_an_object_is_read_once_for_all_of_its_checks(tmp_path: Path) -> None:
    store = Broken(tmp_path, DAYS[1])
    for day in DAYS:
        store.write(f"a/{day}.jsonl", b"[]" if day == DAYS[0] else b"{}")
    found = judged(store)
    assert sorted(store.asked) == [f"a/{day}.jsonl" for day in DAYS[:3]]
    assert {key: verdict.outcome for key, verdict in found.items()} == {
        ("json_schema", DAYS[0]): "BLOCK",
        ("any", DAYS[0]): "PASS",
        ("json_schema", DAYS[1]): "UNKNOWN",
        ("any", DAYS[1]): "UNKNOWN",
        ("json_schema", DAYS[2]): "PASS",
        ("any", DAYS[2]): "PASS",
    }


def test_an_object_that_cannot_be_read_now_is_asked_for_again(tmp_path: Path) -> None:
    store = Broken(tmp_path, DAYS[1])
    store.write(f"a/{DAYS[0]}.jsonl", b"{}")
    found = judged(store)
    late, gone = found["json_schema", DAYS[1]], found["json_schema", DAYS[2]]
    assert (late.is_asked_again, late.detail) == (True, "the object could not be read: the bucket did not answer")
    assert (gone.outcome, gone.is_asked_again) == ("BLOCK", False)
    assert gone.detail == "the object could not be read: the object is not there"


def test_a_check_that_only_warns_waits_for_nothing(tmp_path: Path) -> None:
    found = judged(Broken(tmp_path, DAYS[1]), "warn")
    assert {found["json_schema", day].outcome for day in DAYS[1:3]} == {"WARN"}
    assert not any(found["json_schema", day].is_asked_again for day in DAYS[1:3])
