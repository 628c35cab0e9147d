"""The command repair shows what was made from something that has changed since, and with ``--yes`` makes it again."""

from typing import TYPE_CHECKING, Annotated

import typer

from phasegate.cli import options
from phasegate.cli.output import show, write_json
from phasegate.cli.request import request_of, settle_dates
from phasegate.cli.selecting import OverrideOptions, Selecting, takes_groups
from phasegate.cli.session import Session
from phasegate.domain.errors import InputError, NothingStale

if TYPE_CHECKING:
    from phasegate.domain.messages.run_request import RunRequest

RunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run that is over: its dates and phases, pipeline and source.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Make them again; without it they are only shown.")]


def register(app: typer.Typer) -> None:
    """Add the command of this module."""

    @app.command()
    @takes_groups
    def repair(
        context: typer.Context,
        chosen: Selecting,
        override_options: OverrideOptions,
        run_id: RunArgument = None,
        yes: YesOption = False,
        why: options.WhyOption = "",
        alongside: options.AlongsideOption = False,
        as_json: options.JsonOption = False,
    ) -> None:
        """Show every table and date that was made from something that has changed since, with the reason.

        --yes runs them, and what is built on them: a run of --reprocess stale. Refused while a run of these dates is
        not over.
        """
        from phasegate.domain.operations.preflight import Level
        from phasegate.report.repair import repair_document, repair_text
        from phasegate.services.starting.alongside import require_alone
        from phasegate.services.starting.published import PUBLISHED

        session: Session = context.obj
        if run_id is not None:
            asked = _request_of_run(session, run_id, chosen, override_options, why, alongside)
        else:
            chosen = settle_dates(session, chosen)
            asked = request_of(session, chosen, override_options, None, "stale", why, alongside)
        words = _typed(run_id, chosen, override_options, why, alongside)
        try:
            made = session.backend.plan(asked).made
        except NothingStale:
            if as_json:
                write_json(repair_document(None, words, is_done=yes))
            else:
                show(repair_text(None, words, is_done=yes))
            return
        # What it would replace, whoever published it, is named in the command that does it.
        replaced = [line.subject for line in made.known if line.check == PUBLISHED and line.level is Level.FAIL]
        words = [*words[:-1], *(word for ref in replaced for word in ("--allow-destructive", ref)), words[-1]]
        if not alongside:
            require_alone(session.backend.state(), made.plan, session.backend.clock().now())
        if not yes and as_json:
            write_json(repair_document(made, words, is_done=False))
            return
        show(repair_text(made, words, is_done=yes), aside=as_json)
        if yes:
            raise typer.Exit(session.backend.run(asked, None, durable=False, as_json=as_json))


def _request_of_run(
    session: Session, run_id: str, chosen: Selecting, override_options: OverrideOptions, why: str, alongside: bool
) -> "RunRequest":
    """What a run was about, asked for again as far as it is stale. Raises InputError for a run that is not over."""
    from phasegate.domain.calendar.selection import Selection
    from phasegate.domain.messages.run_request import RunRequest
    from phasegate.domain.operations.overrides import Overrides
    from phasegate.domain.state.run import DesiredState

    if chosen.names_dates_or_phases or chosen.pipeline or chosen.source:
        raise InputError("repair: name a run, or dates with their pipeline; not both")
    state = session.backend.state()
    run, plan = state.run(run_id), state.plan(run_id)
    # Of a cancelled one nothing is begun any more, also where no process has driven it since.
    if run.desired_state is not DesiredState.CANCELLED and not state.board(run_id)[0].is_over(run):
        raise InputError(
            f"run '{run_id}' is not over: let it come to its end, or: phasegate cancel {run_id}; then repair it"
        )
    live = options.parse_days(override_options.include_live, "--include-live")
    return RunRequest(
        selection=Selection(dates=plan.days, exclude_live=override_options.exclude_live),
        pipeline_file=run.pipeline_file,
        source=run.source,
        phases=f"{plan.phases[0]}..{plan.phases[-1]}",
        reprocess="stale",
        why=why,
        overrides=Overrides(live, tuple(override_options.allow_destructive or ()), alongside),
    )


def _typed(
    run_id: str | None, chosen: Selecting, override_options: OverrideOptions, why: str, alongside: bool
) -> list[str]:
    """The command that makes again what this one shows."""
    flags: list[tuple[str, object]] = [
        ("--pipeline", chosen.pipeline),
        ("--source", chosen.source),
        *(("--season", each) for each in chosen.season or ()),
        ("--from", chosen.first),
        ("--to", chosen.last),
        ("--dates", chosen.dates),
        ("--exclude", chosen.exclude),
        ("--phases", chosen.phases),
        ("--include-live", override_options.include_live),
        *(("--allow-destructive", each) for each in override_options.allow_destructive or ()),
        ("--why", why),
    ]
    words = [word for flag, value in flags if value for word in (flag, str(value))]
    words += ["--exclude-live"] if override_options.exclude_live else []
    words += ["--alongside"] if alongside else []
    return ["phasegate", "repair", *([run_id] if run_id else []), *words, "--yes"]
