"""The lists of calls."""

from __future__ import annotations

from tokentrail.events import vocabulary as words
from tokentrail.events.vocabulary import Mark, name_marks, source_marks


def test_marks_follow_the_lists() -> None:
    """The marks of names and sources are those of the lists they stand in, with or without the API's version."""
    lists = {
        Mark.NAMES_ISSUER: words.KEYLESS_ISSUERS, Mark.CHANGES: words.CHANGES, Mark.READS_SECRET: words.SECRET_READS,
        Mark.NAMES_RESOURCE: words.NAMED_BY_CALL.keys(),
    }  # fmt: skip
    for name in set().union(*lists.values()):
        assert sum(mark for mark, names in lists.items() if name in names) == name_marks(name)
    assert name_marks("AddPermission20150331v2") == name_marks("AddPermission") == Mark.CHANGES
    assert all(source_marks(source) & Mark.FROM_ISSUER for source in words.ISSUING_SOURCES)
    assert all(source_marks(source) & Mark.NAMES_RESOURCE for source in words.NAMED_BY_REQUEST)
    assert (0, 0) == (name_marks(None), source_marks(None))


def test_a_secret_is_told_by_its_service() -> None:
    """The connection of another service than Amazon DataZone holds no token; without a source, the name decides."""
    read = {
        source: words.reads_secret(source, "GetConnection")
        for source in ("datazone.amazonaws.com", "codestar-connections.amazonaws.com", None)
    }

    assert list(read.values()) == [True, False, True]
    assert words.reads_secret("lambda.amazonaws.com", "GetFunction20150331v2")


def test_sources_are_spelled_as_cloudtrail_does() -> None:
    """Every source is a service's DNS name."""
    assert all(one.endswith(".amazonaws.com") for one in words.ISSUING_SOURCES | set(words.NAMED_BY_REQUEST))
