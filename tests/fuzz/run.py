"""`python -m tests.fuzz.run TARGET SECONDS [FOLDER]`: fuzz one wire parser with atheris (libFuzzer).

The examples, and what was found to reach new code, are in FOLDER; an input that fails is written there as `crash-…`.
The exit status is 0 when none failed.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["logsync_streams"]):
    from tests.fuzz.targets import SEEDS, TARGETS

_LONGEST_BYTES = 4096
_SLOWEST_SECONDS = 20  # one input; a regular expression that runs away is found so


def main(name: str, seconds: str, folder: str | None = None) -> None:
    """Does not return: libFuzzer ends the process."""
    corpus = Path(folder or tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST_BYTES}",
        f"-timeout={_SLOWEST_SECONDS}",
        f"-artifact_prefix={corpus}{os.sep}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
