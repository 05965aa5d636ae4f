"""Writing into embedded indices: each id once, and on disk before the answer. For one thread."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence

import tantivy

from logsync_streams.errors import Unavailable
from logsync_streams.storage.api import DUPLICATE, STORED, Document, Outcome, Reaction
from logsync_streams.storage.documents import read_body, unreadable, write_blocked
from logsync_streams.storage.embedded_index import IndexFolder
from logsync_streams.storage.embedded_schema import to_tantivy

_WRITER_BYTES = 15_000_000  # Tantivy's least
_COPIED_AT_ONCE = 1000
_MAX_WRITERS = 3  # today's, yesterday's, and one more dataset's; the next closes the one unused longest


class Writers:
    """The open writers, a few: each takes 15 MB and a thread."""

    def __init__(self) -> None:
        self._open: OrderedDict[str, tantivy.IndexWriter] = OrderedDict()

    def write(self, generations: Sequence[IndexFolder], documents: Sequence[Document]) -> list[Outcome]:
        """The outcomes of documents of one target, whose indices are `generations`, oldest first; never raises for
        a store that fails: then every document that is not a duplicate is held.
        """
        newest = generations[-1]
        try:
            ids = {document.id for document in documents}
            there = {id for index in generations for id in index.existing(ids)}
            outcomes = [DUPLICATE if document.id in there else STORED for document in documents]
            if there >= ids:
                return outcomes
            if newest.write_blocked:
                return [one if one is DUPLICATE else write_blocked(str(newest.name)) for one in outcomes]
            return self._add(newest, documents, there, outcomes)
        except (OSError, ValueError, RuntimeError, Unavailable) as error:
            # A full or failing disk: none of it is the documents' fault. What the writer holds is given up.
            self._open.pop(str(newest.name), None)
            failed = Outcome(Reaction.HOLD, "embedded_store_failed", f"{newest.path}: {error}")
            return [failed] * len(documents)

    def close(self, name: str) -> None:
        """End the writer of this index, if there is one, and its merges."""
        writer = self._open.pop(name, None)
        if writer is not None:
            writer.wait_merging_threads()

    def close_all(self) -> None:
        """End all writers and their merges."""
        for name in list(self._open):
            self.close(name)

    def _add(
        self, index: IndexFolder, documents: Sequence[Document], there: set[str], outcomes: list[Outcome]
    ) -> list[Outcome]:
        writer = self._writer(index)
        taken = set(there)
        for position, document in enumerate(documents):
            if document.id in taken:
                outcomes[position] = DUPLICATE
                continue
            try:
                parsed, timestamp = read_body(document.body)
                ready = to_tantivy(document.id, document.body, parsed, timestamp, index.known)
            except ValueError as error:
                outcomes[position] = unreadable(error)
                continue
            writer.add_document(ready)
            taken.add(document.id)
        if len(taken) > len(there):
            writer.commit()
        return outcomes

    def _writer(self, index: IndexFolder) -> tantivy.IndexWriter:
        name = str(index.name)
        if name in self._open:
            self._open.move_to_end(name)
        else:
            while len(self._open) >= _MAX_WRITERS:
                self.close(next(iter(self._open)))
            self._open[name] = index.tantivy.writer(_WRITER_BYTES, 1)
        return self._open[name]


def copy_documents(source: IndexFolder, to: IndexFolder, without: Collection[str]) -> None:
    """Write all documents of an index but those with these ids into an empty one; on disk when it returns."""
    writer = to.tantivy.writer(_WRITER_BYTES, 1)
    after = ""
    while page := source.bodies(after, _COPIED_AT_ONCE):
        for id, body in page:
            if id not in without:
                parsed, timestamp = read_body(body)
                writer.add_document(to_tantivy(id, body, parsed, timestamp, to.known))
        after = page[-1][0]
    writer.commit()
    writer.wait_merging_threads()
