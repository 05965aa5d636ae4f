"""moto's server as a process: S3's API without AWS."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from types import TracebackType

from deploy.servers import free_port
from logsync_streams.settings import RetentionSettings
from retention.s3 import S3Objects

_UP_SECONDS = 120  # generous: the machine may be busy
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}  # moto takes any


class MotoServer:
    """Use as a context. What is put there is gone with it."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.settings = RetentionSettings(s3_endpoint_url=self.url, s3_region="us-east-1", s3_addressing="path")

    def __enter__(self) -> MotoServer:
        port = self.url.rpartition(":")[2]
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", port]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + _UP_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "moto's server has ended"
            assert time.monotonic() < deadline, "moto's server did not come up"
            time.sleep(0.2)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()

    def bucket(self, name: str) -> S3Objects:
        """A new bucket, opened. The environment must have the credentials."""
        objects = S3Objects(name, self.settings)
        objects._client.create_bucket(Bucket=name)
        return objects

    @staticmethod
    def credentials(setenv: Callable[[str, str], None]) -> None:
        """Give the SDK credentials through the environment, as an operator would."""
        for name, value in CREDENTIALS.items():
            setenv(name, value)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).close()
        except (urllib.error.URLError, OSError):
            return False
        return True
