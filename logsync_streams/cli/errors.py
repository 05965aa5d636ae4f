"""`logsync errors`: error rates by service, counted when logs are received."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from logsync_streams.cli.asking import FOUND, NOTHING_FOUND, body_of, client, exit_code
from logsync_streams.cli.printing import escape, json_line

_NAMES = {"_unknown": "(no service named)", "_other": "(other services)"}


def errors(
    url: str = "http://127.0.0.1:8082",
    *,
    window: str = "5m",
    as_json: bool = False,
    output: TextIO | None = None,
    errors: TextIO | None = None,
) -> int:
    """Print each service's errors, logs and their ratio in the last `window`, the worst first.

    as_json: the API's answer. The exit code: 0 when a service has errors, 1 when none has, 2 failed.
    """
    output = output or sys.stdout

    def act() -> int:
        with client(url) as asking:
            body = body_of(asking.get("/api/error-rates"), "services")
        rows = [(service["service"], service["windows"].get(window, {})) for service in body["services"]]
        rows.sort(key=lambda row: (-row[1].get("error_ratio", 0), -row[1].get("events", 0), row[0]))
        if as_json:
            output.write(json_line(body) + "\n")
        elif rows:
            Console(file=output, highlight=False, markup=False).print(_table(rows, window))
        output.flush()
        return FOUND if any(counts.get("errors") for _, counts in rows) else NOTHING_FOUND

    return exit_code(url, errors or sys.stderr, act, f"no error was counted in the last {window}")


def _table(rows: list[tuple[str, dict[str, Any]]], window: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("service", overflow="fold")
    for title in (f"errors in {window}", "logs", "ratio"):
        table.add_column(title, justify="right")
    for name, counts in rows:
        found = counts.get("errors", 0)
        ratio = f"{counts.get('error_ratio', 0) * 100:.1f} %"
        shown = Text(_NAMES.get(name, escape(name)))
        table.add_row(shown, f"{found:,}", f"{counts.get('events', 0):,}", Text(ratio, "red" if found else ""))
    return table
