"""The options and the help of `logsync dlq …`. What they do is in `cli/dlq.py`, imported when they run."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from logsync_streams.settings import Settings

application = typer.Typer(
    help="The dead letters: what could not be stored, with the reason; to be mended and replayed, or dropped.",
    no_args_is_help=True,
)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Event ids.", show_default=False)]
Category = Annotated[str, typer.Option(help="Only this category, e.g. mapping or undecodable.", show_default=False)]
Stage = Annotated[str, typer.Option(help="Only what failed in this stage.", show_default=False)]
Since = Annotated[str, typer.Option(help="Only what failed since: ISO 8601, epoch ms, or now-15m.", show_default=False)]
All = Annotated[bool, typer.Option("--all", help="All open dead letters.")]


@application.command("list")
def list_(
    category: Category = "",
    stage: Stage = "",
    since: Since = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What is open, by category, stage and reason; exit code 0."""
    settings = _configured()
    from logsync_streams.cli import dlq

    raise typer.Exit(dlq.list_(settings, dlq.Wanted((), category, stage, since), as_json=as_json))


@application.command()
def show(
    id: Annotated[str, typer.Argument(help="An event id, as `list` and `list --json` give it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the bytes, as they are; for a pipe.")] = False,
) -> None:
    """A dead letter's headers and bytes; exit code 1 when none of this id is open."""
    settings = _configured()
    from logsync_streams.cli import dlq

    raise typer.Exit(dlq.show(settings, id, raw=raw))


@application.command()
def replay(
    ids: Ids = None,
    category: Category = "",
    stage: Stage = "",
    since: Since = "",
    everything: All = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Send events back under their own ids, to be stored once; exit code 1 when some cannot go back."""
    settings = _configured()
    from logsync_streams.cli import dlq

    raise typer.Exit(
        dlq.replay(settings, dlq.Wanted(tuple(ids or ()), category, stage, since, everything), dry_run=dry_run)
    )


@application.command()
def drop(
    ids: Ids = None,
    category: Category = "",
    stage: Stage = "",
    since: Since = "",
    everything: All = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Give events up for ever; asks first. They stay counted as dropped in `list`."""
    settings = _configured()
    from logsync_streams.cli import dlq

    wanted = dlq.Wanted(tuple(ids or ()), category, stage, since, everything)
    raise typer.Exit(dlq.drop(settings, wanted, yes=yes, dry_run=dry_run))


def _configured() -> Settings:
    from logsync_streams import logs
    from logsync_streams.configuration import load

    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our own sentence says it
    return settings
