"""Every wire parser under bytes that libFuzzer makes: in CI two of them have their whole minute at each landing, by
turns, and the others a moment each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.fuzz.targets import TARGETS
from tests.pipeline.fixtures import chosen_seed
from tests.servers.shared import unavailable

ASKED_SECONDS = 60
MOMENT_SECONDS = 5
GIVEN_SECONDS = os.environ.get("LOGSYNC_FUZZ_SECONDS")  # of each, as `make fuzz` gives it
_AT_ONCE = 2

pytestmark = [pytest.mark.real, pytest.mark.timeout(len(TARGETS) * (int(GIVEN_SECONDS or ASKED_SECONDS) + 60))]


def turns() -> dict[str, int]:
    """The seconds of each parser, the longest first; whose turn it is changes with the commit."""
    if GIVEN_SECONDS is not None:
        return dict.fromkeys(TARGETS, int(GIVEN_SECONDS))
    whole = Random(chosen_seed()).sample(list(TARGETS), _AT_ONCE)
    return dict.fromkeys(whole, ASKED_SECONDS) | {name: MOMENT_SECONDS for name in TARGETS if name not in whole}


def fuzzed(folder: Path, name: str, seconds: int) -> tuple[str, int, int, str]:
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(seconds), str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, check=False)
    return name, seconds, done.returncode, done.stderr


def test_no_bytes_make_a_parser_raise_what_it_does_not_promise(tmp_path):
    try:
        import atheris  # noqa: F401
    except ImportError:
        unavailable("atheris", "it is not installed (extra [fuzz])")
    failed = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, seconds, code, told in pool.map(partial(fuzzed, tmp_path), *zip(*turns().items(), strict=True)):
            tried = re.search(r"number_of_executed_units: (\d+)", told)
            number = int(tried[1]) if tried else 0
            print(f"fuzz {name}: {number:,} inputs in {seconds} s of the {ASKED_SECONDS} s asked for (`make fuzz`)")
            if code != 0 or not number:
                failed.append(f"{name}: {told[-3000:]}")

    assert not failed, "\n".join(failed)
