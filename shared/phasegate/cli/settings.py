"""Settings of the command line come by flag, then environment, then ``phasegate.toml``, then default."""

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phasegate.domain.errors import InputError
from phasegate.domain.spec.pipeline import did_you_mean

CONFIG_FILE = Path("phasegate.toml")
PREFIX = "PHASEGATE_"


class Settings(BaseModel):
    """These are the settings that every command has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: Path = Field(default=Path(".phasegate"), description="The home folder of embedded mode.")
    backend: Literal["embedded", "gcp"] = Field(default="embedded", description="Where runs are kept and driven.")
    pipeline: Path | None = Field(default=None, description="The pipeline file; None: nobody named one.")
    source: Path | None = Field(default=None, description="The source folder of embedded mode; None: not named.")

    verbose: bool = Field(default=False, description="Whether more is told while a run is driven here.")

    @classmethod
    def resolve(cls, **flags: Any) -> "Settings":
        """Return the settings, where the flags that are None were not given.

        Raises InputError, which names the flag, the variable or the file that is wrong.
        """
        given = {name: value for name, value in flags.items() if value is not None}
        variables = {name: os.environ.get(PREFIX + name.upper()) for name in cls.model_fields}
        set_there = {name: value for name, value in variables.items() if value}
        try:
            written = _written() if CONFIG_FILE.is_file() else {}
            return cls.model_validate({**written, **set_there, **given})
        except ValidationError as error:
            raise InputError(_problem(error, given)) from error
        except OSError as error:
            raise InputError(f"{CONFIG_FILE}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{CONFIG_FILE}: not valid TOML: {error}") from error


def _written() -> dict[str, Any]:
    import tomllib

    return tomllib.loads(CONFIG_FILE.read_text(encoding="utf-8"))


def _problem(error: ValidationError, flags: dict[str, Any]) -> str:
    """The first thing that is wrong, and where it was said."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    variable = PREFIX + name.upper()
    if first["type"] == "extra_forbidden":
        known = sorted(Settings.model_fields)
        hint = did_you_mean(name, known)
        listed = f"; known: {', '.join(known)}{hint}" if hint.startswith("; did") else hint
        return f"{CONFIG_FILE}: '{name}' is not a setting{listed}"
    where = f"--{name}" if name in flags else variable if os.environ.get(variable) else f"{CONFIG_FILE}: {name}"
    return f"{where}: '{first['input']}': {first['msg']}"
