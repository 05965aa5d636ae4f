"""A line of text: the line is the message."""

from __future__ import annotations

from logsync_streams.events import Fields


def parse(data: bytes, received_at: int) -> Fields:
    """The whole line as `message`; any bytes are a line (see `decode_text`)."""
    return {"message": decode_text(data)}


def decode_text(data: bytes) -> str:
    """The text of a line, without the line end; raises nothing.

    UTF-8, and where it is none, Latin-1 for the whole line: no byte is lost. A NUL becomes U+FFFD: people see that
    something stood there, and no tool takes it for the end of the text. NULs at the very end are padding of some
    senders and go with the line end.
    """
    data = data.rstrip(b"\r\n\0")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\0", "\ufffd") if "\0" in text else text
