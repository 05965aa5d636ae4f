"""The options and the help of `logsync alerts …`. What they do is in `cli/alerts.py`, imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

application = typer.Typer(help="Alert rules for Prometheus, from thresholds by service.", no_args_is_help=True)

Thresholds = Annotated[
    Path | None, typer.Option("--thresholds", help="The YAML file of thresholds; default: none, the defaults hold.")
]


@application.command()
def render(
    thresholds: Thresholds = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The folder of the rule files; default: standard output.")
    ] = None,
) -> None:
    """Write the rules; have Prometheus read the folder (rule_files) and reload. Exit code 2: the file is wrong."""
    from logsync_streams.cli import alerts

    raise typer.Exit(alerts.render(thresholds, output))
