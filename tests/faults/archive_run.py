"""One run of the retention on real Elasticsearch and S3's API, with small parts, each uploaded in the multipart way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

from boto3.s3.transfer import TransferConfig

from logsync_streams.settings import RetentionSettings, StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, connect
from retention.lease import Lease
from retention.run import Guard, Receipt, run
from retention.s3 import S3Objects
from tests.retention import DUE, archiver

_MULTIPART = TransferConfig(multipart_threshold=1, use_threads=False)


async def one_run(
    store: str,
    s3: str,
    folder: Path,
    step: Callable[[str], None] = lambda _: None,
    now: Callable[[], int] = lambda: DUE,
    **settings: float,
) -> Receipt:
    """store, s3: their URLs; settings: of RetentionSettings. Raises what `run` raises."""
    given = RetentionSettings(s3_endpoint_url=s3, s3_region="us-east-1", s3_addressing="path", **settings)
    admin = ElasticsearchAdmin(connect(StoreSettings(elasticsearch_urls=[store], replicas=0)))
    one = archiver(admin, S3Objects("logs", given), folder, part_bytes=8192, step=step, now=now)

    async def holds() -> dict[str, list[str]]:
        return {}

    try:
        with mock.patch("retention.s3._TRANSFER", _MULTIPART):
            return await run(one, one.state, Lease(one.state, lambda: 0, steady=lambda: 0), Guard(3, 10**9), holds)
    finally:
        await admin.close()
