"""The command forget shows which runs can be forgotten, and with ``--yes`` deletes what is kept of them."""

from typing import Annotated

import typer

from phasegate.cli import options
from phasegate.cli.output import show, write_json
from phasegate.cli.session import Session

OlderOption = Annotated[
    int | None, typer.Option("--older-than", metavar="DAYS", help="All that ended at least DAYS days ago.")
]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""

    @app.command()
    def forget(
        context: typer.Context,
        run_id: Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run's id.")] = None,
        older_than: OlderOption = None,
        yes: Annotated[bool, typer.Option("--yes", help="Forget them; without it nothing is.")] = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Show runs that are over and can be forgotten; --yes deletes their documents.

        Tables, history rows and reports stay; the command that deletes the reports is printed.
        """
        from phasegate.domain.errors import InputError
        from phasegate.services.operating import forgetting

        session: Session = context.obj
        if (run_id is None) == (older_than is None):
            raise InputError("say which: a run, or --older-than DAYS")
        state, now = session.backend.state(), session.backend.clock().now()
        left_out: list[forgetting.LeftOut] = []
        if run_id is not None:
            found = [forgetting.forgettable(state, now, run_id)]
        else:
            found, left_out = forgetting.all_forgettable(state, now, older_than or 0)
        if yes:
            found, stay = forgetting.close(state, now, found)
            if stay and run_id is not None:
                raise InputError(f"run '{run_id}' cannot be forgotten: {stay[0].why}")
            left_out += stay
        deletion = session.backend.deletion_of_reports([each.run_id for each in found]) if yes or as_json else ""
        if yes:
            forgetting.forget(state, now, found)
        which = run_id if run_id is not None else f"--older-than {older_than}"
        command = f"phasegate forget {which} --yes"
        if as_json:
            runs = [
                {
                    "run_id": each.run_id,
                    "status": each.status.value,
                    "dates": each.dates,
                    "ended_at": each.ended_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
                }
                for each in found
            ]
            write_json(
                {
                    "runs": runs,
                    "left_out": [{"run_id": each.run_id, "reason": each.why} for each in left_out],
                    "is_done": yes,
                    "command": None if yes or not found else command,
                    "delete_reports": deletion or None,
                }
            )
            return
        for each in found:
            show(f"{each.run_id}  {each.status.value}  {each.dates} dates, ended {each.ended_at:%Y-%m-%d}")
        for one in left_out:
            show(f"run '{one.run_id}' is left out: {one.why}")
        if not found:
            show("there is nothing to forget")
        elif yes:
            show(f"{len(found)} run(s) forgotten; their tables, history rows and reports are still there")
            if deletion:
                show(f"delete the reports, when nobody needs them any more, with: {deletion}")
        else:
            show(f"nothing was deleted; forget {'it' if len(found) == 1 else 'them'} with: {command}")
