"""
Every error that TokenTrail raises, in one tree.

    TokenTrailError
    ├── UsageError            wrong use: a bad time, subject, option (exit 2)
    │   └── SubjectNotFound   nothing in the case answers to that name
    ├── SourceError           evidence can't be listed or read at all
    ├── CaseError             the case folder is missing, foreign or damaged
    │   ├── CaseBusy          another process holds the case
    │   ├── CaseReplaced      another case lies where an open one did
    │   ├── RecordNotFound    the case holds no such record
    │   ├── NoRoom            a question needs more memory than it may take
    │   └── QueryFailed       the engine refuses a query, or its values
    ├── EvidenceIncomplete    `--strict`: something was rejected or is missing (exit 3)
    └── ActionRefused         a change was refused or failed (exit 4)

A message has three parts: what failed, where, and what to do next.
Bad records are not errors: they are `Rejected` values, counted and listed.
"""

from __future__ import annotations


class TokenTrailError(Exception):
    """Anything that TokenTrail reports to a person instead of a traceback."""

    exit_code = 2


class UsageError(TokenTrailError):
    """A wrong option, time or name."""


class SubjectNotFound(UsageError):
    """No credential, principal, address or event of the case answers to a subject."""


class SourceError(TokenTrailError):
    """A source of evidence can't be listed or opened."""


class CaseError(TokenTrailError):
    """A case folder is missing, damaged or of another version."""


class CaseBusy(CaseError):
    """Another process works on the case in a way that can't be shared."""


class CaseReplaced(CaseError):
    """What was opened is not there any more, and another case is in its place: it must be opened anew."""


class RecordNotFound(CaseError):
    """The case holds no record of that event, or none at that place."""


class NoRoom(CaseError):
    """A query on a case needs more memory than it may take."""


class QueryFailed(CaseError):
    """The engine refuses a query, or fails over the values that it meets."""


class EvidenceIncomplete(TokenTrailError):
    """`--strict` was asked for and evidence was rejected or is missing."""

    exit_code = 3


class ActionRefused(TokenTrailError):
    """A change to an account was refused or failed."""

    exit_code = 4
