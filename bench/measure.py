"""CPU time of whole process trees, their memory, and a control loop that tells whether the machine held still."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat after the command's closing bracket (proc(5)): state is number 0.
_PARENT, _USER, _SYSTEM, _CHILD_USER, _CHILD_SYSTEM = 1, 11, 12, 13, 14
_CONTROL_ROUNDS = 60_000
_CONTROL_DOCUMENT = orjson.dumps({"level": "INFO", "message": "a line like any other", "metadata": {"n": [1, 2, 3]}})


@dataclass(frozen=True, slots=True)
class Tree:
    """A process and its descendants, now."""

    pids: tuple[int, ...]
    cpu_seconds: float
    peak_rss_mb: float


def tree(root: int) -> Tree:
    """User and system time, children that ended included, and the sum of the peak resident sizes.

    Raises ProcessLookupError when the process has ended.
    """
    children: dict[int, list[int]] = {}
    stats: dict[int, list[str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(int(entry))) is not None:
            stats[int(entry)] = fields
            children.setdefault(int(fields[_PARENT]), []).append(int(entry))
    if root not in stats or stats[root][0] == "Z":
        raise ProcessLookupError(f"process {root} has ended")
    pids = [root]
    for pid in pids:  # grows while it is read: breadth first
        pids += children.get(pid, [])
    ticks = sum(int(stats[pid][i]) for pid in pids for i in (_USER, _SYSTEM, _CHILD_USER, _CHILD_SYSTEM))
    return Tree(tuple(pids), ticks / _TICKS_PER_SECOND, sum(map(peak_rss_mb, pids)))


def control_seconds() -> float:
    """CPU seconds of a fixed piece of work, the best of three: what it takes more is what the machine gave less."""
    return min(_control_once() for _ in range(3))


def _control_once() -> float:
    begin = time.process_time()
    for _ in range(_CONTROL_ROUNDS):
        orjson.dumps(orjson.loads(_CONTROL_DOCUMENT))
    return time.process_time() - begin


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None  # ended meanwhile
    return text[text.rindex(")") + 2 :].split()


def peak_rss_mb(pid: int) -> float:
    """The most memory that the process had at once; 0 when it has ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    kilobytes = next((line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")), "0")
    return int(kilobytes) / 1024
