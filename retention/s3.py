"""Archives on S3 and what is compatible with it. Credentials come from the SDK's own chain, never from our settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boto3 import session
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.settings import RetentionSettings
from retention.objects import CHUNK_BYTES, PLAIN, ObjectExists, ObjectInfo, ObjectMissing, PutOptions

_MIB = 1024 * 1024
# No threads within an upload: it holds one part in memory, and runs in a thread of its own already.
_TRANSFER = TransferConfig(multipart_threshold=16 * _MIB, multipart_chunksize=8 * _MIB, use_threads=False)
_MISSING = {"404", "NoSuchKey", "NotFound"}
_EXISTS = {"412", "PreconditionFailed", "409", "ConditionalRequestConflict"}
_REFUSED = {
    *("403", "AccessDenied", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled"),
    *("InvalidBucketName", "KMS.NotFoundException", "InvalidStorageClass", "InvalidArgument", "InvalidObjectState"),
}


class S3Objects:
    """One bucket of S3. May be used from several threads."""

    def __init__(self, bucket: str, settings: RetentionSettings) -> None:
        self._bucket = bucket
        config = Config(
            region_name=settings.s3_region,
            connect_timeout=settings.s3_connect_timeout_seconds,
            read_timeout=settings.s3_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": settings.s3_attempts},
            # Stores that know no newer checksums refuse or ignore them: our own sha256 is checked either way.
            request_checksum_calculation=settings.s3_checksums,
            response_checksum_validation=settings.s3_checksums,
            s3={"addressing_style": settings.s3_addressing},
        )
        self._client: Any = session.Session().client("s3", endpoint_url=settings.s3_endpoint_url, config=config)

    def upload(self, key: str, path: Path, options: PutOptions = PLAIN) -> None:
        with self._asking(key):
            self._client.upload_file(str(path), self._bucket, key, ExtraArgs=_extra(options), Config=_TRANSFER)

    def put(self, key: str, content: bytes, options: PutOptions = PLAIN, *, only_new: bool = False) -> None:
        condition = {"IfNoneMatch": "*"} if only_new else {}
        with self._asking(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=content, **_extra(options), **condition)

    def read(self, key: str) -> Iterator[bytes]:
        with self._asking(key):
            body = self._client.get_object(Bucket=self._bucket, Key=key)["Body"]

        def chunks() -> Iterator[bytes]:
            with body, self._asking(key):
                yield from body.iter_chunks(CHUNK_BYTES)

        return chunks()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with self._asking(prefix):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield ObjectInfo(entry["Key"], entry["Size"])

    def delete(self, key: str) -> None:
        with self._asking(key):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def abort_uploads(self, prefix: str, before: float) -> int:
        aborted = 0
        begun_before = datetime.fromtimestamp(before, UTC)
        with self._asking(prefix):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=prefix)
            stale = [one for page in pages for one in page.get("Uploads", ()) if one["Initiated"] < begun_before]
            for one in stale:
                self._client.abort_multipart_upload(Bucket=self._bucket, Key=one["Key"], UploadId=one["UploadId"])
                aborted += 1
        return aborted

    @contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        where = f"s3://{self._bucket}/{key}"
        try:
            yield
        except ClientError as error:
            raise _named(where, error) from error
        except NoCredentialsError as error:
            raise ConfigurationError(
                [f"{where}: no credentials: give them to the SDK (environment, profile, or the machine's role)"]
            ) from error
        except (BotoCoreError, Boto3Error) as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ClientError):  # upload_file tells of it in words only
                raise _named(where, cause) from error
            raise Unavailable(f"{where}: {error}") from error


def _named(where: str, error: ClientError) -> Exception:
    said = error.response.get("Error", {})
    code, message = str(said.get("Code", "")), str(said.get("Message", ""))
    if code in _MISSING:
        return ObjectMissing(where)
    if code in _EXISTS:
        return ObjectExists(where)
    if code in _REFUSED:
        return ConfigurationError([f"{where}: S3 refuses: {code}: {message}"])
    return Unavailable(f"{where}: {code}: {message}")


def _extra(options: PutOptions) -> dict[str, str]:
    given = {
        "StorageClass": options.storage_class,
        "ServerSideEncryption": options.encryption,
        "SSEKMSKeyId": options.kms_key_id,
    }
    return {name: value for name, value in given.items() if value is not None}
