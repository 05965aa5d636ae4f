"""The `logsync` command: a module a subcommand, each imported only when it is asked for."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point.

    Settings that cannot be used end with exit code 2, each problem on a line of its own on stderr; a server that is
    needed and away with exit code 1 and one line.
    """
    from logsync_streams.cli.commands import application
    from logsync_streams.errors import ConfigurationError, Unavailable

    try:
        application(prog_name="logsync")
    except ConfigurationError as error:
        for problem in error.problems:
            print(f"logsync: {problem}", file=sys.stderr)
        sys.exit(2)
    except Unavailable as error:
        print(f"logsync: {error}", file=sys.stderr)
        sys.exit(1)
