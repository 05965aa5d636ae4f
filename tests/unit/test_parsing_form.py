import logging
from logging.handlers import HTTPHandler
from urllib.parse import urlencode

from logsync_streams.parsing.form import parse


def test_what_pythons_http_handler_sends_has_its_places():
    record = logging.LogRecord("shop.cart", logging.WARNING, "cart.py", 7, "no stock", (), None)
    fields = parse(urlencode(HTTPHandler("h", "/").mapLogRecord(record)).encode(), 0)

    assert ("no stock", {"level": "warn", "logger": "shop.cart"}) == (fields["message"], fields["log"])
    assert abs(fields["@timestamp"] - record.created * 1000) <= 1
    assert ("7", "cart.py") == (fields["labels"]["lineno"], fields["labels"]["filename"])


def test_any_form_is_read_as_json_of_its_keys_would_be():
    assert {"message": "a b", "log": {"level": "error"}, "labels": {"x": "1"}} == parse(
        b"message=a+b&level=ERROR&x=1", 0
    )


def test_what_is_no_form_is_kept_as_text():
    assert {"message": "words", "tags": ["unparsed"]} == parse(b"words", 0)
