"""The plain way to keep an index, and to bring it back: scroll it into a gzip file, and send that in bulks.

What a script of thirty lines does, with the same client as ours: nothing is verified, counted or left resumable.
`python -m bench.scroll_loop save|load URL INDEX FILE`; prints how many documents there were.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan, streaming_bulk

_PAGE = 2000
_GZIP_LEVEL = 6  # gzip's own default; Python's is 9


def save(client: Elasticsearch, index: str, file: Path) -> int:
    """All documents of the index, one a line."""
    number = 0
    with gzip.open(file, "wb", compresslevel=_GZIP_LEVEL) as lines:
        for hit in scan(client, index=index, size=_PAGE):
            lines.write(orjson.dumps(hit["_source"]) + b"\n")
            number += 1
    return number


def load(client: Elasticsearch, index: str, file: Path) -> int:
    """All lines of the file, under the ids that they say."""

    def actions() -> Iterator[dict[str, Any]]:
        with gzip.open(file, "rb") as lines:
            for line in lines:
                document = orjson.loads(line)
                yield {
                    "_op_type": "create",
                    "_index": index,
                    "_id": document["event"]["id"],
                    "_source": document,
                }

    return sum(ok for ok, _ in streaming_bulk(client, actions(), chunk_size=_PAGE))


if __name__ == "__main__":
    with Elasticsearch(sys.argv[2]) as connected:
        print({"save": save, "load": load}[sys.argv[1]](connected, sys.argv[3], Path(sys.argv[4])))
