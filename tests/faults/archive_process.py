"""Runs of the retention as processes of their own, which are killed: what a power cut leaves.

One process imports everything and forks one for each run: a run is then a process like any other, and starts at once.
Arguments: the store's URL, S3's URL. Each line of stdin: the folder and the step to die at ("" = none), as JSON; each
answer is two lines: the run's process id, then its return code and the receipt's problems.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tests.documents import ROOT
from tests.faults.archive_run import one_run


@dataclass
class Runs:
    """How a test has runs made. running: the process of the run under way, for whoever is to kill it."""

    process: subprocess.Popen[str]
    running: list[int] = field(default_factory=list)

    def run(self, folder: Path, step: str = "") -> tuple[int, list[str]]:
        """The return code, -9 when it was killed, and the problems of the receipt."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(orjson.dumps([str(folder), step]).decode() + "\n")
        self.process.stdin.flush()
        self.running[:] = [int(self.process.stdout.readline())]
        code, problems = orjson.loads(self.process.stdout.readline())
        self.running.clear()
        return code, problems


@contextmanager
def runs(store: str, s3: str) -> Iterator[Runs]:
    """The forking process; ended at the end."""
    command = [sys.executable, "-m", "tests.faults.archive_process", store, s3]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Runs(process)
        finally:
            process.kill()


def _forked(store: str, s3: str, folder: Path, step: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        code = 1
        try:
            receipt = asyncio.run(one_run(store, s3, folder, lambda name: _die(name, step)))
            answer.write_bytes(orjson.dumps(receipt.problems))
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    print(child, flush=True)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    problems = orjson.loads(answer.read_bytes()) if answer.exists() else []
    print(orjson.dumps([code, problems]).decode(), flush=True)


def _die(name: str, step: str) -> None:
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    for line in sys.stdin:
        work, at = orjson.loads(line)
        _forked(sys.argv[1], sys.argv[2], Path(work), at)
