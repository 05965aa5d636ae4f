import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.server_process import Server, group_lives

SLEEPER = """
import sys, time
from pathlib import Path
from tests.unit.test_server_process import Sleeper
one = Sleeper(Path(sys.argv[1]))
one.outlives_us = sys.argv[2] == "outlives"
one.start()
print(one.pid, flush=True)
time.sleep(60)
"""


class Sleeper(Server):
    """Does nothing, with a child that does nothing."""

    name = "a sleeper"

    def _prepare(self):
        return None

    def _command(self):
        return ["/bin/sh", "-c", "sleep 60 & sleep 60"], {}, None

    def _answers(self):
        return True


@pytest.mark.parametrize(("how", "lives"), [("tied", False), ("outlives", True)])
def test_a_server_ends_with_the_process_that_started_it_unless_it_is_told_to_outlive_it(tmp_path, how, lives):
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", SLEEPER, str(tmp_path), how]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        group = int(starter.stdout.readline())
        starter.kill()
    try:
        for _ in range(20 if lives else 600):
            if not group_lives(group):
                break
            time.sleep(0.05)

        assert lives == group_lives(group)
    finally:
        if group_lives(group):
            os.killpg(group, signal.SIGKILL)


def test_a_stopped_server_is_gone_with_its_children_and_can_be_started_again(tmp_path):
    sleeper = Sleeper(tmp_path / "new")
    sleeper.start()
    first = sleeper.pid
    sleeper.restart()
    second = sleeper.pid
    sleeper.remove()

    assert first is not None
    assert second is not None
    assert [False, False, False] == [group_lives(first), group_lives(second), sleeper.folder.exists()]
