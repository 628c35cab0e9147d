"""The ``phasegate`` command is made here. Heavy modules are imported by the command that needs them, so that help is
quick.
"""

import gc
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from phasegate.cli.commands import (
    check,
    decisions,
    forget,
    inspect,
    operate,
    refresh,
    repair,
    rollback,
    runs,
    stack,
    verify,
)
from phasegate.cli.output import as_printed, complete_commands
from phasegate.cli.session import Session
from phasegate.domain.errors import InputError, PhasegateError
from phasegate.domain.foreign_text import escaped

if TYPE_CHECKING:
    from phasegate.cli.backend import CommandBackend
    from phasegate.cli.settings import Settings

_ALLOCATIONS = 50_000
"""Objects that may be made before garbage is looked for (Python's own number is 700): a plan makes much that stays, and
little that refers to itself."""

app = typer.Typer(
    name="phasegate",
    help="Takes hundreds of dates through a pipeline of phases; releases a phase only when the tables prove it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def configure(
    context: typer.Context,
    home: Annotated[Path | None, typer.Option(help="Home folder (PHASEGATE_HOME; default .phasegate).")] = None,
    backend: Annotated[str | None, typer.Option(help="embedded or gcp (PHASEGATE_BACKEND; default embedded).")] = None,
) -> None:
    """Settings come from flags, then the environment, then phasegate.toml in the current folder."""
    from phasegate.cli.settings import Settings

    typed = [word for flag, value in (("--home", home), ("--backend", backend)) if value for word in (flag, str(value))]
    complete_commands(context.command.list_commands(context) if isinstance(context.command, TyperGroup) else (), typed)
    context.obj = Session(Settings.resolve(home=home, backend=backend), open_backend)


def open_backend(settings: "Settings") -> "CommandBackend":
    """Return the backend that the settings name. Raises InputError where it has a setting that is wrong or missing."""
    if settings.backend == "gcp":
        from phasegate.cli.backends.cloud import CloudCommands

        return CloudCommands()
    from phasegate.cli.backends.embedded import EmbeddedCommands

    return EmbeddedCommands(settings)


runs.register(app)
check.register(app)
inspect.register(app)
operate.register(app)
decisions.register(app)
refresh.register(app)
rollback.register(app)
repair.register(app)
forget.register(app)
stack.register(app)
verify.register(app)


def main() -> None:
    """Run the command; errors become messages and exit statuses (2 bad input, 3 halted, 130 interrupted)."""
    gc.set_threshold(_ALLOCATIONS)
    try:
        _run()
    except SystemExit as ended:
        embedded = sys.modules.get("phasegate.adapters.embedded.executor")
        if embedded is not None and embedded.has_call_threads():
            # Every executor is closed by now: nothing can end such a call, and what its worker began may keep the
            # interpreter from ending.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1)
        raise


def _run() -> None:
    try:
        for word in sys.argv[1:]:
            if not word.isascii() and word != word.encode(errors="replace").decode():
                raise InputError(f"'{escaped(word)}' is no UTF-8 text; type it again, or rename what it names")
        app()
    except InputError as error:
        _complain(str(error))
        sys.exit(2)
    except PhasegateError as error:
        _complain(str(error))
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.errno != 28:
            raise
        _complain(_surroundings(error))
        sys.exit(3)


def _surroundings(error: OSError) -> str:
    """What stands in the way of a command outside of it."""
    if error.errno == 28:
        return f"the disk is full ({error.filename or 'home folder'}); free some space, then run the same again"
    return f"{error.filename}: {error.strerror}; mend that (its rights, or what lies there), then run the same again"


def _complain(text: str) -> None:
    print(f"error: {as_printed(text)}", file=sys.stderr)  # noqa: T201 - the command line's own output


if __name__ == "__main__":
    main()
