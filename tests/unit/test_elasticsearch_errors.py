import json
from pathlib import Path

import pytest
from elastic_transport import ConnectionError as NoConnection
from elastic_transport import ConnectionTimeout

from logsync_streams.storage.api import Outcome, Reaction
from logsync_streams.storage.elasticsearch_errors import (
    classify,
    classify_failure,
    classify_item,
    classify_request,
    unavailable,
)

RECORDED = Path(__file__).parent.parent / "golden" / "errors"
CASES = [
    pytest.param(case, id=f"{file.stem}: {name}")
    for file in sorted(RECORDED.glob("*.json"))
    for name, case in json.loads(file.read_text()).items()
]


def test_answers_of_every_supported_version_are_recorded():
    assert {"7.10.2", "7.17.29", "8.19.8", "9.2.4"} == {file.stem for file in RECORDED.glob("*.json")}


@pytest.mark.parametrize("case", CASES)
def test_an_answer_of_a_real_server_asks_for_the_reaction_that_was_decided(case):
    if "item" in case:
        outcome = classify_item(case["item"])
    else:
        outcome = classify_request(case["request"]["status"], case["request"]["body"])

    assert Reaction(case["reaction"]) is outcome.reaction


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_busy_or_absent_server_is_asked_again(status):
    assert Reaction.RETRY is classify_request(status, {}).reaction
    assert Reaction.RETRY is classify(status, "unheard_of_exception").reaction


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 409, 410, 500, 501])
def test_a_request_refused_as_a_whole_is_held_whatever_the_status_says(status):
    assert Reaction.HOLD is classify_request(status, {}).reaction


def test_a_request_that_is_too_large_is_split():
    assert Outcome(Reaction.SPLIT, "too_large") == classify_request(413, {})


def test_a_document_error_of_the_whole_request_kills_no_document():
    outcome = classify_request(400, {"error": {"type": "mapper_parsing_exception", "reason": "failed to parse"}})

    assert Reaction.HOLD is outcome.reaction


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500])
def test_what_is_not_known_is_held(status):
    assert Reaction.HOLD is classify(status, "unheard_of_exception", "something new").reaction


def test_an_illegal_argument_is_held_unless_it_is_the_documents():
    limit = classify(400, "illegal_argument_exception", "Limit of total fields [500] has been exceeded")
    immense = classify(400, "illegal_argument_exception", 'Document contains at least one immense term in field="raw"')

    assert Reaction.HOLD is limit.reaction
    assert ("dead_letter", "mapping") == (immense.reaction.value, immense.category)


@pytest.mark.parametrize("status", [200, 429, 500, 503])
def test_a_document_error_counts_only_with_a_status_400(status):
    assert Reaction.DEAD_LETTER is not classify(status, "mapper_parsing_exception", "failed to parse").reaction


def test_a_circuit_breaker_is_asked_again_whatever_its_status():
    assert Reaction.RETRY is classify(500, "circuit_breaking_exception", "[parent] Data too large").reaction


def test_an_odd_type_becomes_a_bounded_reason():
    assert "status_400" == classify(400, "<html>" * 100).reason
    assert len(classify(400, "x", "y" * 10**6).detail) < 1100


def test_no_answer_means_again_with_the_same_ids():
    assert ("retry", "timeout") == _short(classify_failure(ConnectionTimeout("slow")))
    assert ("retry", "connection") == _short(classify_failure(NoConnection("refused")))


def test_a_searcher_is_told_in_words_of_ours():
    told = unavailable(400, "search_phase_execution_exception").detail

    assert "the store cannot answer now (status 400 search_phase_execution_exception)" == told
    assert "the store cannot answer now (status 500)" == unavailable(500).detail


def _short(outcome: Outcome) -> tuple[str, str]:
    return outcome.reaction.value, outcome.reason
