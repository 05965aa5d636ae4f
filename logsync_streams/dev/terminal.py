"""Ctrl-C under `make`: the terminal must reach us and not make, which would call an orderly end an error."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def foreground_of_our_own() -> Iterator[None]:
    """Makes this process the terminal's foreground group while it runs, when make started it in the foreground.

    Otherwise Ctrl-C goes to make as well, which then ends with "Interrupt" and a failure although we ended well.
    Ctrl-Z is ignored meanwhile: it could stop us but not make, and the shell would wait for both.
    """
    terminal = sys.stdin.fileno() if "MAKELEVEL" in os.environ and sys.stdin and sys.stdin.isatty() else None
    if terminal is None or os.tcgetpgrp(terminal) != os.getpgrp() or os.getpid() in (os.getpgrp(), os.getsid(0)):
        yield
        return
    make_group = os.getpgrp()
    os.setpgid(0, 0)
    # A background process that takes the terminal is stopped by SIGTTOU unless it ignores it.
    taking = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    suspending = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, make_group)
        os.setpgid(0, make_group)
        signal.signal(signal.SIGTSTP, suspending)
        signal.signal(signal.SIGTTOU, taking)
