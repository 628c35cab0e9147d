"""A source folder can be made up, but only a pipeline knows how its own is filled, so its file names the maker."""

from pathlib import Path
from typing import Any

from phasegate.adapters.factories import call_factory, load_factory
from phasegate.adapters.pipeline_file import load_pipeline
from phasegate.domain.errors import InputError


def make_sample(pipeline_file: Path, folder: Path, seasons: tuple[str, ...], seed: int) -> dict[str, Any]:
    """Have the pipeline's own maker write a source folder; returns what lies there, by name, as the maker tells it.

    seasons: empty where the maker is to choose. seed: another one gives other data. Raises InputError when the
    pipeline names no maker, or the maker refuses.
    """
    factory = load_pipeline(pipeline_file).sample
    if factory is None:
        raise InputError(
            f"{pipeline_file}: this pipeline names no maker of samples (`sample: module:callable`, docs/pipeline.md); "
            "give another file with --pipeline, or use a source folder of your own"
        )
    try:
        make = load_factory(pipeline_file, factory)
    except InputError as error:
        raise InputError(f"{pipeline_file}: sample: {error}") from error

    def write() -> dict[str, Any]:
        try:
            made: dict[str, Any] = make(folder, seasons, seed)
        except OSError as error:
            raise InputError(f"{folder}: cannot be written: {error.strerror}") from error
        return made

    made: dict[str, Any] = call_factory(factory, write)
    return made
