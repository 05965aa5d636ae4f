"""Every wire parser under bytes that libFuzzer makes; in CI for a share of the minute that is asked for."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS
from tests.servers.shared import unavailable

ASKED_SECONDS = 60
SECONDS = int(os.environ.get("LOGSYNC_FUZZ_SECONDS", "15"))  # `make fuzz` gives the whole minute, or more
_AT_ONCE = 2

pytestmark = [pytest.mark.real, pytest.mark.timeout(len(TARGETS) * (SECONDS + 60))]


def fuzzed(name: str, folder: Path) -> tuple[str, int, str]:
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(SECONDS), str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 120, check=False)
    return name, done.returncode, done.stderr


def test_no_bytes_make_a_parser_raise_what_it_does_not_promise(tmp_path):
    try:
        import atheris  # noqa: F401
    except ImportError:
        unavailable("atheris", "it is not installed (extra [fuzz])")
    failed = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, code, told in pool.map(lambda one: fuzzed(one, tmp_path), TARGETS):
            tried = re.search(r"number_of_executed_units: (\d+)", told)
            number = int(tried[1]) if tried else 0
            print(f"fuzz {name}: {number:,} inputs in {SECONDS} s of the {ASKED_SECONDS} s asked for (`make fuzz`)")
            if code != 0 or not number:
                failed.append(f"{name}: {told[-3000:]}")

    assert not failed, "\n".join(failed)
