"""Removing documents from an embedded index by putting a copy without them in its place.

Deleting in place would leave their bytes in the index's files. A crash leaves the index as it was, or the copy.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from threading import Lock

from logsync_streams.storage.embedded_index import IndexFolder, fsync_folder
from logsync_streams.storage.embedded_writer import copy_documents

_COPY = "copy."


def rebuild(
    index: IndexFolder, without: Collection[str], condemned: Path, lock: Lock, forget: Callable[[], object]
) -> None:
    """Nobody may write to the index meanwhile. condemned: the name that the old folder gets before it is removed;
    lock: held, and forget() called, while the folder's name stands for neither.
    """
    folder = index.path.parent
    copy = folder / (_COPY + index.path.name)
    shutil.rmtree(copy, ignore_errors=True)
    try:
        copy.mkdir()
        IndexFolder.make(copy)
        made = IndexFolder(copy, index.name)
        copy_documents(index, made, without)
        if index.write_blocked:
            made.block_writes()
        fsync_folder(copy)
    except BaseException:
        shutil.rmtree(copy, ignore_errors=True)  # only a whole one may be left
        raise
    with lock:
        index.path.rename(condemned)
        copy.rename(index.path)
        forget()
    fsync_folder(folder)
    shutil.rmtree(condemned)


def settle(folder: Path) -> None:
    """At the opening, before anything else: end what a crash cut off."""
    for copy in folder.glob(f"{_COPY}*"):
        place = folder / copy.name.removeprefix(_COPY)
        if place.exists():
            shutil.rmtree(copy)  # perhaps not whole
        else:
            copy.rename(place)
