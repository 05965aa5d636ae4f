"""`logsync context`: what came before and after a log."""

from __future__ import annotations

import sys
from typing import TextIO
from urllib.parse import quote

from logsync_streams.cli.asking import FOUND, NOTHING_FOUND, body_of, client, exit_code
from logsync_streams.cli.printing import Printer, escape


def context(
    id: str,
    url: str = "http://127.0.0.1:8082",
    *,
    before: int = 10,
    after: int = 10,
    same: str = "service,host",
    as_json: bool = False,
    output: TextIO | None = None,
    errors: TextIO | None = None,
) -> int:
    """Print the logs around the one with this event.id, oldest first, that one marked with `>`.

    same: fields whose values they share, by commas; "none" = whoever wrote them. The exit code: 0 found, 1 no log of
    this id, 2 failed.
    """
    printer = Printer(output or sys.stdout, as_json=as_json)

    def act() -> int:
        parameters = {"before": str(before), "after": str(after), "same": same}
        with client(url) as asking:
            response = asking.get(f"/api/logs/{quote(id, safe='')}/context", params=parameters)
        if response.status_code == 404:
            return NOTHING_FOUND
        body = body_of(response, "log")
        for hit in body["before"]:
            printer.log(hit)
        printer.log(body["log"], marked=True)
        for hit in body["after"]:
            printer.log(hit)
        printer.flush()
        return FOUND

    return exit_code(url, errors or sys.stderr, act, f"there is no log with the id {escape(id)!r}")
