"""What we send to other systems, as files that one can read: a change of it shows in review."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def assert_golden(path: str, given: bytes) -> None:
    """The bytes are those of tests/golden/<path>. LOGSYNC_WRITE_GOLDEN=1 writes the files anew, to be looked at."""
    file = _FOLDER / path
    if os.environ.get("LOGSYNC_WRITE_GOLDEN") == "1":
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(given)

    assert file.exists(), f"{file} is missing: LOGSYNC_WRITE_GOLDEN=1 writes it"
    assert file.read_bytes() == given


def assert_golden_json(path: str, given: Any) -> None:
    """The same for JSON, laid out for people."""
    assert_golden(path, (json.dumps(given, indent=2, ensure_ascii=False) + "\n").encode())
