"""Names of write aliases and indices: `logsync-<dataset>-YYYY.MM.DD` and `…-00000N` behind it (DESIGN §4, Target)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

PREFIX = "logsync-"
ALL_INDICES = "logsync-*-*.*.*-*"
DEFAULT_DATASET = "default"
# What Elasticsearch takes in an index name, and short enough that the whole name stays far below 255 bytes.
DATASET = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
_INDEX = re.compile(
    r"logsync-(?P<dataset>[a-z0-9][a-z0-9_.-]{0,62})-(?P<day>\d{4}\.\d\d\.\d\d)(?:-(?P<generation>\d{6}))?"
)


@dataclass(frozen=True, slots=True)
class IndexName:
    """An index taken apart. generation is 1 for a day's first index; alias is what `index` writes to."""

    dataset: str
    day: date
    generation: int

    @property
    def alias(self) -> str:
        return alias_name(self.dataset, self.day)

    def __str__(self) -> str:
        return f"{self.alias}-{self.generation:06d}"


def alias_name(dataset: str, day: date) -> str:
    """The write alias of a dataset's receive day."""
    return f"{PREFIX}{dataset}-{day:%Y.%m.%d}"


def parse_index(name: str) -> IndexName | None:
    """The parts of an index name, None when it is not ours. An alias gives generation 0."""
    match = _INDEX.fullmatch(name)
    if match is None:
        return None
    try:
        day = date.fromisoformat(match["day"].replace(".", "-"))
    except ValueError:
        return None
    return IndexName(match["dataset"], day, int(match["generation"] or 0))
