"""A session is what one command works with: the settings, and the backend that they choose."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.cli.backend import CommandBackend
    from phasegate.cli.settings import Settings

PIPELINE_FILE = Path("pipeline.yaml")


class Session:
    """A session has the settings of a command, and its backend, which is made when it is first used: help must be
    quick.
    """

    def __init__(self, settings: "Settings", open_backend: "Callable[[Settings], CommandBackend]") -> None:
        self.settings = settings
        self._open_backend = open_backend

    @cached_property
    def backend(self) -> "CommandBackend":
        """Return the backend, where runs are kept and driven."""
        return self._open_backend(self.settings)

    def tell_more(self, is_wished: bool) -> None:
        """Have more told while a run is driven, if that is wished; said before the backend is used."""
        if is_wished:
            self.settings = self.settings.model_copy(update={"verbose": True})

    def named_pipeline(self, given: Path | None) -> Path | None:
        """Return the pipeline file of a flag, of the settings, or of the current folder; None: there is none."""
        return given or self.settings.pipeline or (PIPELINE_FILE if PIPELINE_FILE.is_file() else None)

    def pipeline(self, given: Path | None) -> Path:
        """Return the pipeline file, absolute: the named one, or the one that was used last.

        Raises InputError, which says how to name one, when there is neither.
        """
        if file := self.named_pipeline(given) or self.backend.last_pipeline():
            return file.absolute()
        raise InputError(
            "no pipeline is named, this folder has no pipeline.yaml, and no run was begun here yet; name one with "
            "--pipeline FILE (or PHASEGATE_PIPELINE, or pipeline in phasegate.toml)"
        )
