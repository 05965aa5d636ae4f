"""The `logsync` command: a module a subcommand, each imported only when it is asked for."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point.

    A command that failed ends with exit code 2: for settings that cannot be used with each problem on a line of its own
    on stderr, for a server that is needed and away with one line.
    """
    from logsync_streams.cli.commands import application
    from logsync_streams.errors import ConfigurationError, Unavailable

    try:
        application(prog_name="logsync")
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"logsync: {problem}", file=sys.stderr)
    except Unavailable as error:
        print(f"logsync: {error}", file=sys.stderr)
    else:
        return
    sys.exit(2)
