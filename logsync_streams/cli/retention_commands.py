"""The options and the help of `logsync retention …` and `logsync archive …`; what they do is imported when they run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from logsync_streams.settings import Settings

retention = typer.Typer(
    help="How long logs are kept: what would be archived and dropped, and doing it.", no_args_is_help=True
)
archive = typer.Typer(help="The archives: look, check, search in place, bring back.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]
Dataset = Annotated[str, typer.Option(help="Only this dataset's archives.", show_default=False)]
Service = Annotated[str, typer.Option(help="Only this service's logs.", show_default=False)]
First = Annotated[str, typer.Option("--first-day", help="Receive day, as 2026-11-24.", show_default=False)]
Last = Annotated[str, typer.Option("--last-day", help="Receive day, included.", show_default=False)]
Start = Annotated[
    str, typer.Option("--from", help="Of the log's time: ISO 8601, epoch ms, or now-15m.", show_default=False)
]
End = Annotated[str, typer.Option("--to", help="As --from.", show_default=False)]
Q = Annotated[str, typer.Argument(help="A query, as for `logsync search`.", show_default=False)]


@retention.command()
def plan(as_json: AsJson = False) -> None:
    """What would be archived and dropped, when and why; exit code 1 when something is due, 0 when nothing is, 2 when it
    failed.
    """
    settings = configured()
    from logsync_streams.cli import retention as commands

    raise typer.Exit(commands.plan(settings, as_json=as_json, say=print))


@retention.command()
def run(
    allow_large_drop: Annotated[
        bool, typer.Option("--allow-large-drop", help="Drop even if it is far more than the runs before did.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Archive, verify and drop what is due; exit code 1 when something could not be done."""
    settings = configured()
    from logsync_streams.cli import retention_run as commands

    code = commands.run_once(settings, allow_large_drop=allow_large_drop, dry_run=dry_run, yes=yes, say=print)
    raise typer.Exit(code)


@retention.command()
def serve() -> None:
    """`run`, again and again; two of them never work at once."""
    settings = configured()
    from logsync_streams.cli import retention_run as commands

    raise typer.Exit(commands.serve(settings))


@archive.command("list")
def list_(
    dataset: Dataset = "", service: Service = "", first: First = "", last: Last = "", as_json: AsJson = False
) -> None:
    """The archives that there are; exit code 1 when there are none."""
    settings = configured()
    from logsync_streams.cli import archive as commands

    selection = commands.Selection(dataset, first, last, service)
    raise typer.Exit(commands.list_(settings, selection, as_json=as_json, say=print))


@archive.command()
def verify(dataset: Dataset = "", service: Service = "", first: First = "", last: Last = "") -> None:
    """Read archives back and compare them with their manifests; exit code 2 when one is damaged, each named."""
    settings = configured()
    from logsync_streams.cli import archive as commands

    raise typer.Exit(commands.verify(settings, commands.Selection(dataset, first, last, service), say=print))


@archive.command()
def search(
    q: Q = "",
    dataset: Dataset = "",
    service: Service = "",
    first: First = "",
    last: Last = "",
    start: Start = "",
    end: End = "",
    limit: Annotated[int, typer.Option(min=1, help="Logs at most.")] = 100,
) -> None:
    """Logs out of the archives, in place, one JSON object a line; exit code 1 when there are none."""
    settings = configured()
    from logsync_streams.cli import archive as commands

    selection = commands.Selection(dataset, first, last, service, q, start, end)
    raise typer.Exit(commands.search(settings, selection, limit=limit, say=print))


@archive.command()
def restore(
    q: Q = "",
    dataset: Dataset = "",
    service: Service = "",
    first: First = "",
    last: Last = "",
    start: Start = "",
    end: End = "",
    days: Annotated[int | None, typer.Option(min=1, help="Days to keep them.", show_default=False)] = None,
    dry_run: DryRun = False,
) -> None:
    """Bring logs back into the store, where searches find them; exit code 1 when there are none."""
    settings = configured()
    from logsync_streams.cli import archive as commands

    selection = commands.Selection(dataset, first, last, service, q, start, end)
    raise typer.Exit(commands.restore(settings, selection, days=days, dry_run=dry_run, say=print))


@archive.command()
def prune(dry_run: DryRun = False, yes: Yes = False) -> None:
    """Remove archives whose archive_days are over, for ever; asks first. Exit code 1 when there are none."""
    settings = configured()
    from logsync_streams.cli import archive_prune

    raise typer.Exit(archive_prune.prune(settings, yes=yes, dry_run=dry_run, say=print))


def configured() -> Settings:
    """This process's settings, its log set up for a command. Raises ConfigurationError."""
    from logsync_streams import logs
    from logsync_streams.configuration import load

    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    for library in ("aiokafka", "elastic_transport"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # our own sentence says it
    return settings
