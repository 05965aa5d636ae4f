"""Run a command that ends when the process that started it dies, however it dies (Linux).

    python -I leash.py PARENT_PID COMMAND…

Without it a supervisor killed by SIGKILL would leave a broker and a worker behind, on the ports of the next start.
The kernel sends SIGKILL to this process at its parent's death, and `exec` keeps that order. Not SIGTERM: the broker's
memory goes with the parent, so there is nothing left to end in good order, and a worker would long wait for its broker.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # died before the order was in force
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
