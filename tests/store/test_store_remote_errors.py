"""What an error says is the same after it has been told by another process, and nothing else comes of a text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.errors import CaseBusy, SourceError, SubjectNotFound, TokenTrailError
from tokentrail.store.task_exchange import EXPECTED, decode_error, encode_error

ERROR_SUFFIX = st.text(st.characters(codec=None))


def said(error: BaseException | None) -> list[tuple[str, str]]:
    """An error and its causes as a person is told of them."""
    return [] if error is None else [(type(error).__name__, str(error)), *said(error.__cause__)]


@given(ERROR_SUFFIX, ERROR_SUFFIX, st.sampled_from([TokenTrailError, SourceError, CaseBusy, SubjectNotFound]))
def test_kind_words_exit_code_and_causes_are_kept(words: str, why: str, kind: type[TokenTrailError]) -> None:
    """Whatever the words hold, names of files that are no text among them."""
    error = kind(words)
    error.__cause__ = RuntimeError(why)
    error.__cause__.__cause__ = PermissionError(13, why, words)
    found = decode_error(encode_error(error))

    assert type(found) is kind
    assert kind.exit_code == found.exit_code
    expected = said(error)
    assert expected[:2] == said(found)[:2]
    assert expected[2][1] == said(found)[2][1]


def test_a_kind_of_its_own_is_told_as_what_it_is_one_of() -> None:
    """One machine's errors of a reader or a system are told by the names that end a verb in the same way."""

    class Deeper(SourceError):
        pass

    assert type(decode_error(encode_error(Deeper("x")))) is SourceError
    lost = decode_error(encode_error(FileNotFoundError(2, "gone", "a")))
    assert (type(lost), "[Errno 2] gone: 'a'") == (OSError, str(lost))


def test_a_fault_stays_one() -> None:
    """It bears the name of what was raised, says where, and is nothing that a verb would take for a message."""
    try:
        raise KeyError("x")
    except KeyError as error:
        found = decode_error(encode_error(error))
    assert found is not None
    assert [("KeyError", "'x'")] == said(found)
    assert "in test_a_fault_stays_one" in found.__notes__[0]
    assert not isinstance(found, EXPECTED)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        b"[]",
        b'{"kind":"SourceError"}',
        b'{"kind":"SourceError","words":7,"causes":[],"trace":""}',
        b'{"kind":"SourceError","words":"x","causes":[["a"]],"trace":""}',
        b'{"kind":"SourceError","words":"x","causes":',
        b"[" * 100_000,
    ],
)
def test_a_text_that_is_none_of_ours_is_nothing(text: bytes) -> None:
    """Cut off, of another shape, or a pickle."""
    assert decode_error(text) is None


@pytest.mark.parametrize(
    "kind", ["SystemExit", "KeyboardInterrupt", "__import__('os')", "a\0b", "\udc80", ""]
)
def test_no_kind_is_more_than_a_name(kind: str) -> None:
    """Whatever it is called, it is an error with words."""
    found = decode_error(
        json.dumps({"kind": kind, "words": "x", "causes": [[kind, "y"]], "trace": ""}).encode()
    )
    assert isinstance(found, Exception)
    assert ("x", "y") == (str(found), str(found.__cause__))
