"""The options and the help of `logsync erase`; what it does is imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from logsync_streams.cli.retention_commands import DryRun, End, Service, Start, Yes, configured

application = typer.Typer()


@application.command()
def erase(
    where: Annotated[str, typer.Option(help="A query, as for `logsync search`: 'user.id:42'.")],
    service: Service = "",
    start: Start = "",
    end: End = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Erase logs for ever: from the store, archives and dead letters. Shows them and asks first; exit code 1 when there
    are none.
    """
    settings = configured()
    from logsync_streams.cli import erase as commands

    raise typer.Exit(commands.erase(settings, where, service, start, end, yes=yes, dry_run=dry_run, say=print))
