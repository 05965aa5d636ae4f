"""LogSync Streams: a log pipeline on Kafka, Faust and Elasticsearch.

`app` is the Faust app for `faust -A logsync_streams worker`. It is made when first asked for (PEP 562), so that
importing a model costs nothing and reads no settings.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from logsync_streams.version import VERSION as __version__

if TYPE_CHECKING:
    import faust

    app: faust.App

__all__ = ["__version__", "app"]


def __getattr__(name: str) -> object:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # In a bare checkout Faust has the current folder on the path only while it imports this package, not when it then
    # asks for `app`; the packages beside this one are found from there.
    root = str(Path(__file__).parent.parent)
    if root not in sys.path:
        sys.path.append(root)
    from logsync_streams import worker

    made = worker.app_from_environment()
    globals()["app"] = made
    return made
