"""The one question before anything is deleted: the operator types the number that was shown."""

from __future__ import annotations

import sys


def confirmed(act: str, number: int, *, yes: bool) -> bool:
    """Whether to go on. act: what would be done, as `drop 3 dead letters`; number: what is to be typed.

    yes: was said on the command line, nothing is asked. Without a terminal there is nobody to ask, and the answer is
    no: what is then to be done is said.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        print(f"nothing was done: to {act}, say --yes")
        return False
    print(f"This cannot be undone. To {act}, type {number}: ", end="", flush=True)
    if sys.stdin.readline().strip() == str(number):
        return True
    print("nothing was done")
    return False
