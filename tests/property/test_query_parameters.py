from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from logsync_streams.errors import InvalidQuery
from logsync_streams.query.parameters import SEARCH_PARAMETERS, decode_cursor, encode_cursor, search_request
from logsync_streams.query.problems import BadParameter
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.api import Cursor
from logsync_streams.storage.evaluate import check

NOW = 1_795_564_800_000
SETTINGS = QueryHttpSettings()

times = st.from_regex(r"now([+-]\d{1,12}[smhdw])?|-?\d{1,17}|\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?")
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | times | st.integers().map(str)
names = st.sampled_from(SEARCH_PARAMETERS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(st.tuples(names, values), max_size=6))
def test_any_parameters_are_a_request_that_stores_can_answer_or_a_refusal(parameters):
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in parameters)
    try:
        request = search_request(QueryParams(query), SETTINGS, NOW)
    except (BadParameter, InvalidQuery):
        return

    check(request.query)
    assert 1 <= request.limit <= SETTINGS.max_hits
    assert request.start is None or request.end is None or request.start < request.end


@given(st.binary(max_size=60))
def test_bytes_that_are_no_query_string_are_a_request_or_a_refusal(raw):
    try:
        search_request(QueryParams(raw.decode("latin-1")), SETTINGS, NOW)
    except (BadParameter, InvalidQuery):
        return


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_a_cursor_reads_back(timestamp, id_):
    assert Cursor(timestamp, id_) == decode_cursor(encode_cursor(Cursor(timestamp, id_)))
