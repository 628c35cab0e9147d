"""The commands stack up, down, status and logs work with the Google Cloud backend on this machine."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasegate.cli import options
from phasegate.cli.output import say, show, write_json
from phasegate.cli.session import Session
from phasegate.domain.errors import InputError

if TYPE_CHECKING:
    from phasegate.stack.ledger import Ledger
    from phasegate.stack.local import Stack
    from phasegate.stack.start import StackRequest

FOLLOW_EVERY_SECONDS = 0.25


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    stack = typer.Typer(
        name="stack",
        help="The Google Cloud backend on this machine: emulators, functions, workers (docs/stack.md).",
        no_args_is_help=True,
    )
    app.add_typer(stack)

    @stack.command()
    def up(
        context: typer.Context,
        pipeline: options.PipelineOption = None,
        source: options.SourceOption = None,
        sweep_every: Annotated[float | None, typer.Option(min=0.5, help="Seconds between sweeps (10).")] = None,
        as_json: options.JsonOption = False,
    ) -> None:
        """Start what does not run; print the environment to work with it: eval "$(phasegate stack up)"."""
        from phasegate.stack.commands import up_document, up_text

        chosen = _stack(context.obj)
        ledger = chosen.up(_stack_request(context.obj, chosen, pipeline, source, sweep_every), say=say)
        if as_json:
            write_json(up_document(ledger))
        else:
            show(up_text(ledger))

    @stack.command()
    def down(context: typer.Context, as_json: options.JsonOption = False) -> None:
        """End the processes that up has started. Runs, tables and objects of this stack are gone with them."""
        ended = _stack(context.obj).down()
        if as_json:
            write_json({"ended": ended})
        elif ended:
            say(f"ended {len(ended)} processes; the runs, tables and objects of this stack are gone")
        else:
            say("the stack is not up")

    @stack.command()
    def status(context: typer.Context, as_json: options.JsonOption = False) -> None:
        """Show of each process whether it answers, its port and log. Exit 0 only if all answer."""
        from phasegate.stack.commands import status_document, status_text

        statuses = _stack(context.obj).status()
        if as_json:
            write_json(status_document(statuses))
        else:
            show(status_text(statuses))
        raise typer.Exit(0 if statuses and all(status.answering for status in statuses) else 1)

    @stack.command()
    def logs(
        context: typer.Context,
        name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One process; default: all.")] = None,
        follow: Annotated[bool, typer.Option("--follow", help="Go on with what is written from now on.")] = False,
    ) -> None:
        """Print what the processes wrote, each line with the process's name."""
        _show_logs(_stack(context.obj).ledger(), name, follow)


def _stack(session: Session) -> "Stack":
    from phasegate.stack.local import Stack

    return Stack(session.settings.home)


def _stack_request(
    session: Session, stack: "Stack", pipeline: Path | None, source: Path | None, sweep_every: float | None
) -> "StackRequest":
    """What was asked for; of a stack that is up, what it serves where nothing else was asked."""
    from phasegate.stack.ledger import Ledger
    from phasegate.stack.start import StackRequest

    ledger = stack.ledger()
    served = ledger if ledger.alive else Ledger()
    named = session.named_pipeline(pipeline or served.pipeline)
    # The environment that `up` prints names the copy: whoever starts the stack again there means the original.
    is_original = named is not None and named.absolute() != stack.pipeline_copy
    file = session.pipeline(named if is_original else ledger.pipeline)
    folder = source or served.source or (None if served.pipeline else session.settings.source)
    return StackRequest(file, folder and folder.absolute(), sweep_every or served.sweep_every)


def _show_logs(ledger: "Ledger", name: str | None, follow: bool) -> None:
    from phasegate.domain.spec.pipeline import did_you_mean

    if not ledger.processes:
        raise InputError("the stack is not up, so there are no logs; start it with: phasegate stack up")
    if name is not None and name not in ledger.processes:
        raise InputError(f"'{name}' is not a process of the stack{did_you_mean(name, ledger.processes)}")
    chosen = {n: started.log for n, started in ledger.processes.items() if name in (None, n)}
    width = max(map(len, chosen))
    files: dict[str, Any] = {n: log.open(encoding="utf-8", errors="replace") for n, log in chosen.items()}
    try:
        while True:
            for each, file in files.items():
                for line in file:
                    sys.stdout.write(line if name else f"{each:<{width}} | {line}")
            sys.stdout.flush()
            if not follow:
                return
            time.sleep(FOLLOW_EVERY_SECONDS)
    finally:
        for file in files.values():
            file.close()
