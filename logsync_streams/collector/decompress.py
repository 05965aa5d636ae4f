"""Compressed request bodies -> bytes, never more than a limit: a bomb costs the limit and not what it unpacks to."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import zstandard

from logsync_streams.errors import RejectInput

# What is left of a slice is copied when a member ends in it: a body of many small members must not take for ever.
_ZLIB_SLICE_BYTES = 8 * 1024
_ZSTD_SLICE_BYTES = 256  # what one call may unpack to is then 64 blocks of 128 KiB at most
_ZSTD_LEAST_WINDOW = 8 * 1024 * 1024  # what RFC 8878 asks every decoder to support


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding ("", identity, gzip, x-gzip, deflate, zstd; lower case).

    Several gzip members or zstd frames in a row are one body. Raises RejectInput: 413 when more than `limit` bytes
    come out, 400 for what is damaged or ends early, 415 for an encoding that we do not know.
    """
    if encoding in ("", "identity"):
        return body
    unpack = _UNPACKERS.get(encoding)
    if unpack is None:
        known = ", ".join(name for name in _UNPACKERS if not name.startswith("x-"))
        raise RejectInput(415, "Unknown content encoding", f"Content-Encoding {encoding!r}: one of {known} is expected")
    try:
        return unpack(body, limit)
    except (zlib.error, zstandard.ZstdError) as error:
        raise RejectInput(400, "Damaged body", f"the {encoding} body cannot be unpacked: {error}") from error


def too_large(limit: int) -> RejectInput:
    """The refusal of a body that is over the limit, as sent or unpacked."""
    return RejectInput(413, "Body too large", f"a body has at most {limit} bytes, unpacked", limit_bytes=limit)


def _gzip(body: bytes, limit: int) -> bytes:
    return _zlib_members(body, limit, zlib.MAX_WBITS | 16)


def _deflate(body: bytes, limit: int) -> bytes:
    # RFC 9110 means the zlib format; some senders leave its two bytes of head away.
    zlib_head = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return _zlib_members(body, limit, zlib.MAX_WBITS if zlib_head else -zlib.MAX_WBITS)


def _zlib_members(body: bytes, limit: int, window_bits: int) -> bytes:
    parts: list[bytes] = []
    left = limit
    stream = zlib.decompressobj(window_bits)
    for position in range(0, len(body), _ZLIB_SLICE_BYTES):
        rest = body[position : position + _ZLIB_SLICE_BYTES]
        while rest:
            if stream.eof:
                rest = rest.lstrip(b"\0")  # some senders pad with zeros
                if not rest:
                    break
                stream = zlib.decompressobj(window_bits)
            part = stream.decompress(rest, left + 1)
            left -= len(part)
            if left < 0:
                raise too_large(limit)
            parts.append(part)
            rest = stream.unused_data
    if not stream.eof:
        raise RejectInput(400, "Damaged body", "the compressed body ends too early")
    return b"".join(parts)


def _zstd(body: bytes, limit: int) -> bytes:
    window = max(_ZSTD_LEAST_WINDOW, 1 << (limit - 1).bit_length())
    decoder = zstandard.ZstdDecompressor(max_window_size=window)
    parts: list[bytes] = []
    left = limit
    stream = decoder.decompressobj()
    position = 0
    while position < len(body):
        if stream.eof:
            stream = decoder.decompressobj()
        piece = body[position : position + _ZSTD_SLICE_BYTES]
        part = stream.decompress(piece)
        position += len(piece) - len(stream.unused_data)
        left -= len(part)
        if left < 0:
            raise too_large(limit)
        parts.append(part)
    if not stream.eof:
        raise RejectInput(400, "Damaged body", "the compressed body ends too early")
    return b"".join(parts)


_UNPACKERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
