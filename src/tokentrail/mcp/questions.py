"""
What an assistant may ask: for each tool its arguments, which are checked and described by their types.

A name that is nothing that can be asked is refused: if `as-of` for `as_of` were passed over, the answer would be about
another time. Names are those of the command line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from tokentrail.containment.model import Strategy
from tokentrail.detection.model import Severity
from tokentrail.errors import UsageError
from tokentrail.present.document import Document, moment

Some: TypeAlias = str | list[str]
TracePart = Literal[
    "credentials", "links", "created", "principals", "apis", "resources", "secrets_read", "gaps", "by_principal",
    "handed", "persons", "subject",
]  # fmt: skip
PlanPart = Literal["steps", "tainted", "not_spared", "residual_risks", "subjects"]
StatusPart = Literal["coverage", "rejected", "warnings", "unfinished"]
_Time = Annotated[str | None, msgspec.Meta(description="ISO 8601, UTC where no zone is given.")]
_Subjects = Annotated[
    Some,
    msgspec.Meta(
        description="One or several of: an access key id, a credential id or a unique prefix of one, the ARN of a "
        "user, role or session, a principal id, an IP address, an instance id, a person's user id or subject "
        "(`onBehalfOf`), an event id."
    ),
]
_Networks = msgspec.Meta(description="IP addresses or networks in CIDR notation.")
PAGE, MOST = 20, 100
Asked = TypeVar("Asked", bound="Question")


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every question may say: as of when, and which page of the answer."""

    as_of: Annotated[
        str | None,
        msgspec.Meta(
            description="Answer as could be answered then, from evidence up to then: ISO 8601 or `now`; by default the "
            "newest event."
        ),
    ] = None
    offset: Annotated[
        int, msgspec.Meta(ge=0, description="Where the page begins: `next_offset` of the page before.")
    ] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST, description="The most items of a page.")] = PAGE


class AboutSubjects(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A question about subjects, and what of them counts as the attacker's."""

    subjects: _Subjects
    attacker_since: Annotated[
        str | None,
        msgspec.Meta(
            description="Only what was minted from the subject at or after this time counts as the attacker's."
        ),
    ] = None
    source_ips: Annotated[Some, _Networks] = ""
    trusted_ips: Annotated[Some, _Networks] = ""


class LeadsQuestion(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Where to start when nothing is known: credentials ranked by how much speaks for theft, each with its reasons.

    A lead is no finding; a weak one (`strong` is false) may well be harmless.
    """

    since: _Time = None
    until: _Time = None


class TraceQuestion(AboutSubjects, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    What subjects descend from, what descends from them, and what all of it did, made and learned.

    The answer counts each part and shows one. `tainted` credentials count as the attacker's.
    """

    part: TracePart = "credentials"


class TimelineQuestion(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls of subjects and of all that descends from them, in order of time."""

    subjects: _Subjects
    since: _Time = None
    until: _Time = None
    calls: Annotated[Some, msgspec.Meta(description="Such as GetObject, s3:* or iam:Create*.")] = ""
    errors: Annotated[bool, msgspec.Meta(description="Only calls that failed.")] = False


class CredentialQuestion(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One credential, or those that a name stands for: whose it is, where it came from, whether it works, and why."""

    credential: Annotated[str, msgspec.Meta(description="Its id, a key id, or any subject of `trace`.")]


class EventQuestion(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The raw CloudTrail record of an event that an answer cites, secrets blanked."""

    event_id: str


class DetectQuestion(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Findings: what looks like theft by the rules of the catalogue, why, and how to tell a false alarm."""

    min_severity: Severity = "info"
    rules: Annotated[Some, msgspec.Meta(description="Ids of rules to judge by; all by default.")] = ""


class PlanQuestion(AboutSubjects, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Plan the smallest ordered steps that end all of the attacker's credentials and nobody else's, and prove them.

    Nothing is changed, and no tool here can carry a plan out: a person does, with `tokentrail contain -o` and `apply`.
    A plan whose `proof.complete` is false does not hold; say so, with its counterexample.
    """

    strategy: Annotated[
        Strategy,
        msgspec.Meta(
            description="standard revokes older sessions, so that colleagues sign in again; surgical ends exactly the "
            "tainted ones and what nobody can see yet; scorched denies all on tainted principals."
        ),
    ] = "standard"
    what_if: Annotated[
        Some, msgspec.Meta(description="Steps to prove, in this order, instead of planning: ACTION:TARGET.")
    ] = ""
    spare: Annotated[Some, msgspec.Meta(description="Credentials to leave alone.")] = ""
    part: PlanPart = "steps"


class StatusQuestion(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the case holds and lacks: events, credentials, hours by account and region, what could not be read."""

    part: StatusPart = "coverage"


class ExplainQuestion(Question, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a word of these answers means: a state, link, kind, origin, rule, signal, action. Without one: the words."""

    word: str = ""


def read(kind: type[Asked], arguments: dict[str, Any]) -> Asked:
    """
    Read a tool's arguments.

    Raises:
        UsageError: one is unknown, missing or can't be read.
    """
    try:
        return msgspec.convert(arguments, kind, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(kind.__struct_fields__)
        raise UsageError(f"{error}. The arguments of this tool are {known}.") from error


def schema(kind: type[Question]) -> Document:
    """A tool's arguments as JSON Schema."""
    _, found = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    return {
        name: value for name, value in found[kind.__name__].items() if name not in ("title", "description")
    }


def listed(given: Some) -> tuple[str, ...]:
    """One text or several, without the blanks that come along when something is pasted."""
    some = (given,) if isinstance(given, str) else given
    return tuple(dict.fromkeys(one.strip() for one in some if one.strip()))


def time(text: str | None) -> datetime | None:
    """
    Read a time.

    Raises:
        UsageError: it is none.
    """
    if text == "now":
        return datetime.now(UTC).replace(microsecond=0)
    return moment(text) if text else None
