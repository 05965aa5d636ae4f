"""Elasticsearch 7.10 and newer as a store: what the rest of the product takes from here."""

from logsync_streams.storage.elasticsearch_admin import ElasticsearchAdmin
from logsync_streams.storage.elasticsearch_client import Connection, connect
from logsync_streams.storage.elasticsearch_reader import ElasticsearchReader
from logsync_streams.storage.elasticsearch_writer import ElasticsearchWriter

__all__ = ["Connection", "ElasticsearchAdmin", "ElasticsearchReader", "ElasticsearchWriter", "connect"]
