"""`logsync search`: ask the query API and print what it finds, one log a line."""

from __future__ import annotations

import sys
from typing import TextIO

from logsync_streams.cli.asking import FOUND, NOTHING_FOUND, client, exit_code, hits
from logsync_streams.cli.printing import Printer


def search(
    q: str,
    url: str = "http://127.0.0.1:8082",
    *,
    start: str | None = None,
    end: str | None = None,
    sort: str = "desc",
    limit: int = 50,
    as_json: bool = False,
    output: TextIO | None = None,
    errors: TextIO | None = None,
) -> int:
    """Print the logs that the query finds, at most `limit`; the exit code: 0 found, 1 nothing found, 2 failed.

    start, end: as the API's `from` and `to` (ISO 8601, epoch ms, now-15m). sort: "desc" (newest first) or "asc".
    as_json: the stored documents as NDJSON instead of time, level, service and message. Coloured by level on a
    terminal. Control and direction characters of logs are printed by their number, never sent to the terminal.
    output, errors: default stdout and stderr. Raises nothing for a server that is away or a bad query: that is 2.
    """
    printer = Printer(output or sys.stdout, as_json=as_json)
    parameters = {"q": q, "from": start or "", "to": end or "", "sort": sort}

    def act() -> int:
        found = False
        with client(url) as asking:
            for hit in hits(asking, parameters, limit):
                found = True
                printer.log(hit)
        printer.flush()
        return FOUND if found else NOTHING_FOUND

    return exit_code(url, errors or sys.stderr, act)
