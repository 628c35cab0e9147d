"""Settings and the selection options that several commands share."""

import os
import re
import tomllib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasegate.adapters.embedded.home import Home
from phasegate.domain.calendar.selection import Selection
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.ports import State

CONFIG_FILE = Path("phasegate.toml")
NBA_PIPELINE = Path(__file__).resolve().parents[3] / "pipelines" / "nba" / "pipeline.yaml"
_KEYS = frozenset({"home", "backend", "pipeline", "source"})


@dataclass(frozen=True, slots=True)
class Settings:
    """What flags, environment (PHASEGATE_*) and ``phasegate.toml`` say, in this order. is_cloud: ``gcp``."""

    home: Home
    values: dict[str, str]
    is_cloud: bool = False

    @classmethod
    def resolve(cls, *, home: Path | None, backend: str | None) -> "Settings":
        """Raises InputError for a configuration file that cannot be read and for an unknown backend."""
        values = _configuration()
        values.update({k: v for k in _KEYS if (v := os.environ.get(f"PHASEGATE_{k.upper()}"))})
        chosen = backend or values.get("backend", "embedded")
        if chosen not in ("embedded", "gcp"):
            raise InputError(f"unknown backend '{chosen}'; use embedded or gcp")
        return cls(Home(home or Path(values.get("home", ".phasegate"))), values, chosen == "gcp")

    def state(self) -> "State":
        """Where runs are kept. Raises InputError when there is nothing yet, or a setting of the cloud is missing."""
        if self.is_cloud:
            from phasegate.cli.cloud import deployment

            return deployment().backend.state
        from phasegate.bootstrap import open_state

        return open_state(self.home)

    def pipeline(self, given: Path | None) -> Path:
        """The pipeline file: flag, environment, configuration, or the NBA pipeline."""
        return given or (Path(self.values["pipeline"]) if "pipeline" in self.values else NBA_PIPELINE)

    def source(self, given: Path | None) -> Path | None:
        """The source folder; None on a cloud, whose workers know their own. Raises InputError when nobody names one."""
        if self.is_cloud:
            if given is not None:
                raise InputError("--source: belongs to the embedded backend; on gcp the workers know their source")
            return None
        if given is None and "source" not in self.values:
            raise InputError("give the source folder with --source DIR; `phasegate sample DIR` makes one up")
        return (given or Path(self.values["source"])).absolute()


def _configuration() -> dict[str, str]:
    if not CONFIG_FILE.is_file():
        return {}
    try:
        content = tomllib.loads(CONFIG_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{CONFIG_FILE}: not valid TOML: {error}") from error
    for key, value in content.items():
        if key not in _KEYS or not isinstance(value, str):
            raise InputError(f"{CONFIG_FILE}: '{key}' is not a setting; known: {', '.join(sorted(_KEYS))} (texts)")
    return content


PipelineOption = Annotated[Path | None, typer.Option("--pipeline", help="Pipeline file (default: the NBA pipeline).")]
SourceOption = Annotated[Path | None, typer.Option("--source", help="Source folder.")]
SeasonOption = Annotated[list[str] | None, typer.Option("--season", help="Season, for example 2023-24 (repeatable).")]
FromOption = Annotated[str | None, typer.Option("--from", help="First date, YYYY-MM-DD.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last date, YYYY-MM-DD.")]
DatesOption = Annotated[str | None, typer.Option("--dates", help="Dates D,D,… or @FILE with one a line.")]
ExcludeOption = Annotated[str | None, typer.Option("--exclude", help="Dates to leave out, D,D,….")]
PhasesOption = Annotated[str | None, typer.Option("--phases", help="A..B: names, or numbers from 1.")]
ReprocessOption = Annotated[str, typer.Option("--reprocess", help="missing (judged by the tables), failed or all.")]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="Profile of the pipeline file.")]
IncludeLiveOption = Annotated[
    str | None,
    typer.Option("--include-live", help="Selected dates inside the live window to work on all the same, D,D,…."),
]
ExcludeLiveOption = Annotated[
    bool, typer.Option("--exclude-live", help="Leave out the selected dates inside the live window.")
]
AllowDestructiveOption = Annotated[
    list[str] | None, typer.Option("--allow-destructive", help="Destructive processor that may run (repeatable).")
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, kept with the run.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


def selection(
    seasons: list[str] | None, first: str | None, last: str | None, dates: str | None, exclude: str | None
) -> Selection:
    """The selection of the shared options. Raises InputError for a malformed date."""
    return Selection(
        seasons=tuple(dict.fromkeys(seasons or ())),
        first=parse_day(first, "--from") if first else None,
        last=parse_day(last, "--to") if last else None,
        dates=parse_days(dates, "--dates"),
        exclude=parse_days(exclude, "--exclude"),
    )


def parse_days(text: str | None, flag: str) -> tuple[date, ...]:
    """Dates of ``D,D,…`` or of the file behind ``@FILE``."""
    if not text:
        return ()
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{flag}: {path} cannot be read: {error}") from error
    return tuple(parse_day(word, flag) for word in re.split(r"[\s,]+", text) if word)


def parse_day(text: str, flag: str) -> date:
    """A plain date. Raises InputError."""
    try:
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            raise ValueError("not of the form YYYY-MM-DD")
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{flag}: '{text}' is not a date ({error}); write YYYY-MM-DD, for example 2024-01-15"
        ) from error


def write_json(document: Any) -> None:
    """One JSON document on standard output."""
    import json

    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
