"""What is damaged in an archive, said while a command goes on with what is whole."""

from __future__ import annotations

import sys

from logsync_streams.cli.printing import escape
from logsync_streams.cli.retention import FAILED, Say
from logsync_streams.errors import LogSyncError


class Damaged:
    """Names what is damaged, once each, while the command goes on with the others; its exit code is FAILED then."""

    def __init__(self, say: Say = lambda line: print(line, file=sys.stderr)) -> None:
        self._say = say
        self.number = 0

    def __call__(self, error: LogSyncError) -> None:
        self.number += 1
        self._say(escape(f"DAMAGED {error}"))

    def or_else(self, code: int) -> int:
        return FAILED if self.number else code
