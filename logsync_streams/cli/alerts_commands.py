"""The options and the help of `logsync alerts …`. What they do is in `cli/alerts.py`, imported when they run."""

from __future__ import annotations

from enum import StrEnum
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


class AlertName(StrEnum):
    """The alerts about services."""

    RATE = "ServiceErrorRateHigh"
    RATIO = "ServiceErrorRatioHigh"
    SPIKE = "ServiceErrorSpike"
    SILENT = "ServiceSilent"


@application.command()
def backtest(
    alert: Annotated[AlertName, typer.Option(help="The alert about a service.")] = AlertName.RATE,
    threshold: Annotated[
        float | None, typer.Option(min=0, help="The threshold to try; default: the one in the file.")
    ] = None,
    service: Annotated[str, typer.Option(help="Only this service; default: the ten busiest.")] = "",
    thresholds: Thresholds = None,
    start: Annotated[str, typer.Option("--from", help="ISO 8601, epoch ms, or now-24h.")] = "now-24h",
    end: Annotated[str, typer.Option("--to", help="As --from.")] = "now",
    per_day: Annotated[
        float, typer.Option(min=0, help="The threshold is suggested that fires at most so often.")
    ] = 1.0,
    url: Annotated[str, typer.Option(envvar="LOGSYNC_URL", help="The query API.")] = "http://127.0.0.1:8082",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """When an alert would have fired, by the stored logs, and a threshold that fits; exit code 2 if refused.

    Logs that a filter dropped are not stored, and are missing here; the rules themselves count before the filter.
    """
    import httpx

    from logsync_streams.cli import alerts_backtest

    with httpx.Client(base_url=url) as client:
        raise typer.Exit(
            alerts_backtest.run(
                alert.value,
                thresholds,
                service=service,
                limit=threshold,
                start=start,
                end=end,
                per_day=per_day,
                client=client,
                as_json=as_json,
            )
        )
