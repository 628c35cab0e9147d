"""What is published already cannot always be told: then nothing is replaced."""

from pathlib import Path
from typing import Any

import pytest

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.embedded.warehouse import DuckDbWarehouse
from phasegate.domain.errors import InputError, PhasegateError, TransientError
from phasegate.domain.operations.overrides import NO_OVERRIDES, Overrides
from phasegate.domain.operations.preflight import Level
from phasegate.services.reading.prover import Prover
from phasegate.services.starting.published import check_published
from tests.unit.builders import plan


class Store(FolderObjectStore):
    """A store that cannot say what it holds. error: what it raises."""

    def __init__(self, root: Path, error: PhasegateError) -> None:
        super().__init__(root)
        self._error = error

    def held(self, names: Any) -> set[str]:
        """See the port."""
        raise self._error


def once(document: dict[str, Any]) -> None:
    """The first processor's objects are published once."""
    document["phases"][0]["processors"][0]["destructive"] = "when_present"


def prover(tmp_path: Path, error: PhasegateError) -> Prover:
    return Prover(DuckDbWarehouse(Path(":memory:")), Store(tmp_path, error))


def test_a_store_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="no answer"):
        check_published(plan(once), NO_OVERRIDES, prover(tmp_path, TransientError("no answer")))


@pytest.mark.parametrize("overrides", [NO_OVERRIDES, Overrides(destructive=("fetch/a",))])
def test_a_store_that_may_not_be_asked_keeps_the_run_from_starting(tmp_path: Path, overrides: Overrides) -> None:
    (line,) = check_published(plan(once), overrides, prover(tmp_path, InputError("the folder may not be read")))
    assert (line.level, line.subject) == (Level.FAIL, "fetch/a")
    assert "nobody can tell what is published already: the folder may not be read" in line.detail


def test_without_tables_nothing_is_published() -> None:
    assert check_published(plan(once), NO_OVERRIDES, None) == []
