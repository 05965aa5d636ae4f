"""One run of the retention as a process of its own, which is killed at a step: what a power cut leaves.

Arguments: the store's URL, S3's URL, the folder, the step to die at ("" = none).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from logsync_streams.settings import RetentionSettings, StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, connect
from retention.lease import Lease
from retention.run import Guard, run
from retention.s3 import S3Objects
from tests.retention import archiver


def die_at(step: str) -> None:
    if step == sys.argv[4]:
        os.kill(os.getpid(), signal.SIGKILL)


async def main() -> None:
    store, s3, folder = sys.argv[1:4]
    admin = ElasticsearchAdmin(connect(StoreSettings(elasticsearch_urls=[store], replicas=0)))
    settings = RetentionSettings(s3_endpoint_url=s3, s3_region="us-east-1", s3_addressing="path")
    one = archiver(admin, S3Objects("logs", settings), Path(folder), step=die_at)

    async def holds() -> dict[str, list[str]]:
        return {}

    receipt = await run(one, one.state, Lease(one.state, lambda: 0), Guard(3, 10**9), holds)
    print("\n".join(receipt.problems))
    await admin.close()


asyncio.run(main())
