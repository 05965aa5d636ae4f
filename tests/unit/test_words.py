from hypothesis import given
from hypothesis import strategies as st

from logsync_streams.words import words, words_field


def test_a_dotted_name_is_found_whole_and_by_its_parts():
    text = words("java.lang.NullPointerException: timeout_ms")

    assert ["java", "lang", "nullpointerexception", "timeout", "ms"] == text


def test_cjk_characters_are_words_of_their_own():
    assert ["日", "志", "error", "1"] == words("日志 error-1")


def test_a_plain_text_needs_no_second_field():
    assert words_field("user 42 logged in - ok") is None


@given(st.text(max_size=600))
def test_the_second_field_holds_exactly_the_words(text):
    field = words_field(text)

    if field is not None:
        assert words(text) == field.split()


@given(st.text(st.characters(max_codepoint=127), max_size=40))
def test_without_the_second_field_only_blanks_and_marks_separate_words(text):
    if words_field(text) is None:
        assert "_" not in text
