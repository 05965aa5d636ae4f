from logsync_streams.storage.api import Equals, FacetsRequest, HistogramRequest
from logsync_streams.storage.elasticsearch_counts import facets_body, histogram_body
from tests.golden.compare import assert_golden_json

ERRORS = Equals("log.level", "error")
HOUR = (1_790_000_000_000, 1_790_003_600_000)


def test_a_histogram_of_an_hour_counts_each_minute_and_its_levels():
    split = (Equals("log.level", "error"), Equals("log.level", "info"))
    request = HistogramRequest(ERRORS, *HOUR, 60_000, split)
    assert_golden_json("elasticsearch/counts/a_histogram_by_level.json", histogram_body(request, 10))


def test_facets_are_counted_in_one_request_and_labels_in_both_their_places():
    request = FacetsRequest(ERRORS, ("log.level", "labels.order.id", "source.ip"), *HOUR, limit=5)
    assert_golden_json("elasticsearch/counts/facets_of_a_level_a_label_and_an_address.json", facets_body(request, 10))
