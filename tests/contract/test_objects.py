"""What every object store must do with names: many at once, close together or far apart."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from phasegate.adapters.embedded.objects import FolderObjectStore
from phasegate.adapters.gcp import objects
from phasegate.adapters.gcp.clients import storage_client
from phasegate.adapters.gcp.objects import GcsObjectStore
from phasegate.adapters.gcp.settings import CloudSettings
from phasegate.domain.errors import InputError, TransientError
from phasegate.ports import ObjectStore
from phasegate.stack.emulators import Server, free_port

BUCKET = "contract-objects"


@pytest.fixture(scope="module")
def gcs(storage_emulator: Server) -> GcsObjectStore:
    """A store over a bucket of the emulator; each test works below a folder of its own."""
    client = storage_client(CloudSettings.from_environment())
    client.create_bucket(BUCKET)
    return GcsObjectStore(client, BUCKET)


@pytest.fixture(params=["embedded", "gcp"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "embedded":
        return FolderObjectStore(tmp_path)
    made: GcsObjectStore = request.getfixturevalue("gcs")
    return made


def test_an_object_is_read_as_it_was_written_last(store: ObjectStore) -> None:
    store.write("last/2024-01-15.jsonl", b"a longer first content")
    store.write("last/2024-01-15.jsonl", b"\0second")
    assert store.read("last/2024-01-15.jsonl") == b"\0second"


def test_an_empty_object_is_there(store: ObjectStore) -> None:
    store.write("empty/a", b"")
    assert (store.read("empty/a"), store.held(["empty/a"])) == (b"", {"empty/a"})


def test_an_object_that_is_not_there_cannot_be_read(store: ObjectStore) -> None:
    with pytest.raises(FileNotFoundError, match="missing/a"):
        store.read("missing/a")


def test_held_names_are_told_from_folders_and_from_neighbours(store: ObjectStore) -> None:
    names = {"held/b/2.jsonl", "held/a/1.jsonl", "held/é", "held/other"}
    for name in names:
        store.write(name, b"x")
    assert store.held([*names, "held", "held/a", "held/c", "held/a/1.json", "held/a/1.jsonl2"]) == names
    assert store.held([]) == set()


def test_deleted_objects_are_gone_and_their_neighbours_stay(store: ObjectStore) -> None:
    for name in ("gone/a", "gone/b", "gone/b2", "gone/c/d"):
        store.write(name, b"x")
    assert store.delete(["gone/b", "gone/c/d"]) == {"gone/b", "gone/c/d"}
    assert store.held(["gone/a", "gone/b", "gone/b2", "gone/c/d"]) == {"gone/a", "gone/b2"}


def test_what_is_not_there_is_no_error_to_delete_and_is_not_counted(store: ObjectStore) -> None:
    store.write("again/a", b"x")
    names = ["again/a", "again/never", "again"]
    assert [store.delete(names), store.delete(names), store.delete([])] == [{"again/a"}, set(), set()]


def test_an_object_may_be_written_again_after_it_was_deleted(store: ObjectStore) -> None:
    store.write("back/a", b"first")
    store.delete(["back/a"])
    store.write("back/a", b"second")
    assert store.read("back/a") == b"second"


def test_a_generation_tells_an_object_from_what_stood_there_before(store: ObjectStore) -> None:
    assert store.read_versioned("versions/a") is None
    store.write("versions/a", b"first")
    first = store.read_versioned("versions/a")
    store.write("versions/a", b"second")
    second = store.read_versioned("versions/a")
    assert first is not None and second is not None
    assert (first[0], second[0]) == (b"first", b"second")
    assert first[1] != second[1]


def test_a_write_under_a_condition_makes_and_replaces_what_was_read(store: ObjectStore) -> None:
    assert store.write_if("conditions/a", b"first", None)
    found = store.read_versioned("conditions/a")
    assert found is not None and store.write_if("conditions/a", b"second", found[1])
    assert store.read("conditions/a") == b"second"


def test_a_write_under_a_condition_that_no_longer_holds_changes_nothing(store: ObjectStore) -> None:
    assert store.write_if("late/a", b"first", None)
    assert not store.write_if("late/a", b"somebody else's", None)
    found = store.read_versioned("late/a")
    assert found is not None
    store.write("late/a", b"second")
    assert not store.write_if("late/a", b"third", found[1])
    assert store.read("late/a") == b"second"
    store.delete(["late/a"])
    assert not store.write_if("late/a", b"fourth", found[1])
    assert store.held(["late/a"]) == set()


def test_what_stands_there_already_counts_as_written(store: ObjectStore) -> None:
    """So does a write whose answer was lost, when it is tried again."""
    assert store.write_if("twice/a", b"content", None)
    assert store.write_if("twice/a", b"content", None)


def test_of_many_writers_at_once_none_loses_what_another_wrote(store: ObjectStore) -> None:
    def add(number: int) -> None:
        while True:
            found = store.read_versioned("many/a")
            content, generation = found or (b"", None)
            if store.write_if("many/a", content + f"{number}\n".encode(), generation):
                return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert sorted(map(int, store.read("many/a").split())) == list(range(40))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\b", "", ".", "a//b", "a/", "./a", "a/\0"])
def test_a_name_that_leaves_the_store_or_is_none_is_refused(store: ObjectStore, name: str) -> None:
    with pytest.raises(InputError, match="is not an object name"):
        store.write(name, b"")
    with pytest.raises(InputError, match="is not an object name"):
        store.read(name)
    with pytest.raises(InputError, match="is not an object name"):
        store.read_versioned(name)
    with pytest.raises(InputError, match="is not an object name"):
        store.write_if(name, b"", None)
    with pytest.raises(InputError, match="is not an object name"):
        store.held([name])
    with pytest.raises(InputError, match="is not an object name"):
        store.delete([name])


class Listings:
    """Counts the listings that a store asks for."""

    def __init__(self, gcs: GcsObjectStore, patch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self._list = gcs._client.list_blobs
        patch.setattr(gcs._client, "list_blobs", self._count)

    def _count(self, *words: object, **more: object) -> object:
        self.asked += 1
        return self._list(*words, **more)


def test_names_that_stand_close_together_cost_one_listing(gcs: GcsObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"close/{number:03}" for number in range(60)]
    for name in names[::2]:
        gcs.write(name, b"x")
    listings = Listings(gcs, monkeypatch)
    assert gcs.held(names) == set(names[::2])
    assert listings.asked == 1


def test_crowds_between_the_names_are_leapt_over(gcs: GcsObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        gcs.write(f"crowd/{number:03}", b"x")
    monkeypatch.setattr(objects, "PAGE", 3)
    listings = Listings(gcs, monkeypatch)
    assert gcs.held(["crowd/000", "crowd/001", "crowd/030", "crowd/0305"]) == {"crowd/000", "crowd/001", "crowd/030"}
    assert listings.asked == 2


def test_a_bucket_that_is_not_there_says_what_to_do(gcs: GcsObjectStore) -> None:
    nowhere = GcsObjectStore(gcs._client, "contract-nowhere")
    for use in (
        lambda: nowhere.write("a", b""),
        lambda: nowhere.write_if("a", b"", None),
        lambda: nowhere.held(["a"]),
    ):
        with pytest.raises(InputError, match=r"bucket contract-nowhere cannot be used.*set PHASEGATE_BUCKET"):
            use()


def test_a_store_that_does_not_answer_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr(objects, "RETRY", objects.RETRY.with_timeout(0.05))
    store = GcsObjectStore(storage_client.__wrapped__(CloudSettings(project="demo")), BUCKET)
    for use in (
        lambda: store.write("a", b""),
        lambda: store.held(["a"]),
        lambda: store.read("a"),
        lambda: store.read_versioned("a"),
        lambda: store.write_if("a", b"", None),
        lambda: store.delete(["a"]),
    ):
        with pytest.raises(TransientError, match="did not answer"):
            use()
