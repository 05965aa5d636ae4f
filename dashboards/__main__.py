"""`python -m dashboards`: write the generated files anew; with --check only say which are stale (exit code 1)."""

from __future__ import annotations

import sys

from dashboards.generate import stale, write


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        paths = stale()
        for path in paths:
            print(f"dashboards/{path} is stale: run `make dashboards`", file=sys.stderr)
        return 1 if paths else 0
    if arguments:
        print("usage: python -m dashboards [--check]", file=sys.stderr)
        return 2
    for path in write():
        print(f"dashboards/{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
