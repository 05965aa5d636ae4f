"""The commands that ask the query API: search, tail, context, export, errors."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

application = typer.Typer()

Query = Annotated[str, typer.Argument(help="The query, e.g. 'level:error service:auth-service timeout'.")]
Url = Annotated[str, typer.Option(envvar="LOGSYNC_URL", help="The query API.")]
From = Annotated[str | None, typer.Option("--from", help="ISO 8601, epoch ms, or now-15m.")]
To = Annotated[str | None, typer.Option("--to", help="As --from.")]
OldestFirst = Annotated[bool, typer.Option("--oldest-first", help="Else the newest come first.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
URL = "http://127.0.0.1:8082"


class Format(StrEnum):
    ndjson = "ndjson"
    csv = "csv"


class Window(StrEnum):
    minute = "1m"
    five_minutes = "5m"
    quarter = "15m"
    hour = "1h"


@application.command()
def search(
    q: Query = "",
    url: Url = URL,
    start: From = None,
    end: To = None,
    oldest_first: OldestFirst = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Logs at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Search logs; exit code 0 when some were found, 1 when none, 2 when the search failed."""
    from logsync_streams.cli.search import search as run

    raise typer.Exit(
        run(q, url, start=start, end=end, sort="asc" if oldest_first else "desc", limit=limit, as_json=as_json)
    )


@application.command()
def tail(
    q: Query = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=10_000, help="Newest logs to begin with.")] = 10,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """The newest logs, oldest first, and with -f those that come; exit codes as of search, 0 after Ctrl-C."""
    from logsync_streams.cli.tail import tail as run

    raise typer.Exit(run(q, url, follow=follow, lines=lines, as_json=as_json))


@application.command()
def context(
    id: Annotated[str, typer.Argument(help="The log's event.id.")],
    before: Annotated[int, typer.Option("--before", "-B", min=0, max=1000, help="Logs before it.")] = 10,
    after: Annotated[int, typer.Option("--after", "-A", min=0, max=1000, help="Logs after it.")] = 10,
    same: Annotated[
        str, typer.Option(help="Fields whose values they share, by commas; none = whoever wrote them.")
    ] = "service,host",
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """What came before and after a log; exit code 0, 1 when there is no such log, 2 when it failed."""
    from logsync_streams.cli.context import context as run

    raise typer.Exit(run(id, url, before=before, after=after, same=same, as_json=as_json))


@application.command()
def export(
    q: Query = "",
    output: Annotated[str, typer.Option("--output", "-o", help="A file; - for standard output.")] = "-",
    format: Annotated[Format, typer.Option(help="csv can be opened as a spreadsheet safely.")] = Format.ndjson,
    start: From = None,
    end: To = None,
    oldest_first: OldestFirst = False,
    fields: Annotated[str | None, typer.Option(help="Only these, by commas.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Logs at most.")] = None,
    url: Url = URL,
) -> None:
    """Every log that a query finds; exit code 0, 1 when there is none, 2 when it failed or is not complete."""
    from logsync_streams.cli.export import export as run

    sort = "asc" if oldest_first else "desc"
    options = {"to": output, "format": format.value, "start": start, "end": end, "sort": sort, "fields": fields}
    raise typer.Exit(run(q, url, **options, limit=limit))  # type: ignore[arg-type]  # a dict of several types


@application.command()
def errors(
    window: Annotated[Window, typer.Option(help="How far back.")] = Window.five_minutes,
    url: Url = URL,
    as_json: Json = False,
) -> None:
    """Error rates by service, the worst first; exit code 0 when there are errors, 1 when none, 2 when it failed."""
    from logsync_streams.cli.errors import errors as run

    raise typer.Exit(run(url, window=window.value, as_json=as_json))
