"""
The typed results of lineage: credentials, links, traces.

Field names are those of the JSON that others script against, so that each document is one `asdict` away, without
the fields that are marked `UNLISTED`.
Times are aware UTC `datetime`s with whole seconds; absent values are `None`; collections are tuples.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tokentrail.formatting import listed
from tokentrail.policy.language.context import CallerKind
from tokentrail.results import NotebookLine, NotebookTable

UNLISTED = {"listed": False}
"""Marks a field that no document shows."""
Kind = CallerKind
State = Literal["active", "expired", "ended", "unknown"]
ParentLink = Literal["recorded", "shared_event", "matched", "inferred", "created"]
Origin = Literal[
    "long_term", "service", "identity_provider", "console_sign_in", "forwarded_call", "not_in_evidence"
]  # fmt: skip
KINDS: dict[Kind, str] = {
    "long_term_key": "long-term key",
    "api_key": "API key",
    "session_token": "session token",
    "federation_token": "federation token",
    "assumed_role": "role session",
    "assumed_role_saml": "role session (SAML)",
    "assumed_role_web_identity": "role session (web identity)",
    "service_role": "service's role session",
    "root_session": "root session",
    "console_session": "console session",
    "identity_center": "Identity Center session",
    "oauth_login": "login session (OAuth)",
    "scoped": "scoped credential",
    "delegated": "delegated session",
    "forwarded": "forwarded session",
    "unknown": "credential of unknown kind",
}
"""What people call each kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedBy:
    """The event that issued a credential."""

    api: str
    event_id: str
    source_ip: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credential(NotebookLine):
    """What a principal acts with: a long-term key, or a temporary credential (session)."""

    id: str
    """The key id that the issuing event names, or `PRINCIPALID@CREATIONDATE`, or the key id used."""
    access_key_ids: tuple[str, ...]
    """Every key id seen for this credential; console and Identity Center sessions show many."""
    kind: Kind
    account: str | None
    principal: str | None
    """The ARN that it speaks for."""
    principal_id: str | None
    role: str | None
    session_name: str | None
    source_identity: str | None
    identity: str | None
    """The person or workload behind a federated sign-in, where the evidence names one."""
    mfa: bool | None
    issued_at: datetime | None
    """A session's `creationDate`; a long-term key's creation, where seen."""
    expires_at: datetime | None
    expires_bound: datetime | None
    """The latest possible end, when `expires_at` is not known. `None` for long-term keys."""
    issued_by: IssuedBy | None
    parent: str | None
    parent_link: ParentLink | None
    origin: Origin | None
    """Why there is no parent; `None` where there is one."""
    origin_detail: str | None
    """The sentence behind `origin`, or behind an inferred or created link."""
    root: str
    depth: int
    state: State
    state_reason: str
    ended_at: datetime | None
    ended_by: str | None
    first_used: datetime | None
    last_used: datetime | None
    events: int
    errors: int
    source_ips: tuple[str, ...]
    used: bool
    unusable: bool = field(default=False, metadata=UNLISTED)
    """Whether it can sign no request since it ended, as its key is inactive or deleted."""

    @property
    def may_mint(self) -> bool:
        """Whether somebody may mint with it now; a forwarded call is nobody's credential."""
        return self.state in ("active", "unknown") and self.kind != "forwarded"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TracedCredential(Credential):
    """A credential of a trace."""

    tainted: bool
    """Whether it counts as the attacker's under the subject, `since` and the addresses given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One edge: `parent` minted `child`, or made what `child` acts through (`created`)."""

    parent: str
    child: str
    api: str | None
    event_id: str | None
    time: datetime | None
    link: ParentLink
    why: str | None = None
    """For inferred and created links: the sentence that justifies it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """Something that outlives a token, made or changed by a credential."""

    by: str
    event_id: str
    time: datetime
    event_name: str
    what: str
    """Its kind: `access_key`, `user`, `login_profile`, `role`, `trust`, `policy`, `function`, `instance`, ..."""
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiUse:
    """What one credential called, and how often."""

    credential: str
    event_source: str | None
    event_name: str | None
    count: int
    errors: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    """What one credential touched."""

    credential: str
    arn: str
    event_name: str | None
    count: int
    errors: int
    bytes_out: int | None
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRead:
    """What whoever holds the credential now knows."""

    credential: str
    event_id: str
    time: datetime
    event_name: str
    what: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalUse:
    """Calls whose records name a principal and no key, so that whoever was that principal then may have made them."""

    principal_id: str
    credentials: tuple[str, ...]
    """Those of the trace that may have; another one of the principal may as well."""
    account: str | None
    """In whose log they stand."""
    event_source: str | None
    event_name: str | None
    arns: tuple[str, ...]
    """What each of them touched."""
    count: int
    errors: int
    first: datetime
    last: datetime
    with_key: int
    """Calls of that name, at any time, that records with the keys of these credentials tell of: maybe the same ones."""
    further: int = 0
    """How many more of the trace may have: at most twenty are listed, the tainted ones first."""


GapKind = Literal[
    "missing_log",
    "silent_hours",
    "no_data_events",
    "unused_credentials",
    "masked_ids",
    "contradicting_copies",
]
"""
Which evidence is lacking: a log or a part of it, hours without any event (where little goes on, there are thousands of
them), data events, the keys of issued credentials that nobody is seen to use, ids, or copies of a record that agree.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Evidence that the answer lacks."""

    account: str | None
    region: str | None
    start: datetime | None
    end: datetime | None
    why: str
    kind: GapKind = "missing_log"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    """A credential that counts as the attacker's though it descends from no subject."""

    credential: str
    state: State
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPerson:
    """That calls of a subject's credential name the person whom the subject names."""

    credential: str
    person: str
    issuer: str | None
    """Who vouches for the name; `None` for the user id of a directory of IAM Identity Center."""
    event_id: str
    """The first call whose record says so (`onBehalfOf`)."""
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Trace(NotebookTable):
    """A subject's lineage: ancestors, descendants, what they did, made and learned."""

    as_of: datetime
    subject: tuple[str, ...]
    credentials: tuple[TracedCredential, ...]
    links: tuple[Link, ...]
    created: tuple[Created, ...]
    principals: tuple[str, ...]
    apis: tuple[ApiUse, ...]
    resources: tuple[ResourceUse, ...]
    secrets_read: tuple[SecretRead, ...]
    gaps: tuple[Gap, ...]
    by_principal: tuple[PrincipalUse, ...] = ()
    """What is counted nowhere else."""
    handed: tuple[HandedOut, ...] | None = None
    """What sources behind the tainted ones handed out since, as a plan counts it; `None`: that was not looked for."""
    persons: tuple[NamedPerson, ...] = ()
    """Where a person is the subject: why each credential is theirs."""

    @property
    def minters(self) -> tuple[str, ...]:
        """What tainted credentials descend from, is not tainted, and may still work: whoever holds it mints again."""
        by_id = {one.id: one for one in self.credentials}
        found: dict[str, TracedCredential] = {}
        for one in self.credentials:
            up = by_id.get(one.parent or "") if one.tainted else None
            while up is not None and not up.tainted and up.id not in found:
                found[up.id] = up
                up = by_id.get(up.parent or "")
        return tuple(one.id for one in found.values() if one.may_mint)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TimelineEvent(NotebookLine):
    """One call in a timeline, with the credential that made it, or that began with it."""

    time: datetime
    event_id: str
    credential: str
    account: str | None
    region: str | None
    event_source: str | None
    event_name: str | None
    error_code: str | None
    source_ip: str | None
    user_agent: str | None
    resources: tuple[str, ...] = field(default=())
    object: str = ""
    """The evidence object (SHA-256) and place in it that hold the raw record."""
    ordinal: int = 0
    began: bool = False
    """Whether the credential began with it, and none in the evidence made it: who signs in has none yet."""
    about: tuple[str, ...] = field(default=())
    """Of a change that succeeded: what it names, by the member of its request, as `roleName=Deploy`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLine:
    """A call, or several alike in a row."""

    first: TimelineEvent
    until: datetime
    """When the last of them was made."""
    count: int
    telling: bool
    """Whether it mints, makes, changes or fails, so that nobody should miss it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLines:
    """The calls of a lineage as lines, as many as were asked for."""

    lines: tuple[CallLine, ...]
    events: int
    """Calls in all."""
    left_out: int
    """Lines for which there was no room."""
    left_events: int
    """Calls in these."""
    began: int = 0
    """How many of all are calls that credentials began with and that none in the evidence made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How many calls a credential made in one of the places that a stretch of time is parted into."""

    credential: str
    place: int
    failed: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A credential that an investigation might start from."""

    id: str
    kind: Kind
    account: str | None
    principal: str | None
    state: State
    minted: int
    """Credentials whose parent it is."""
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """An inventory, counted."""

    credentials: int
    counts: tuple[tuple[Kind, State, int], ...]
    candidates: tuple[Candidate, ...]
    """Long-term keys and session tokens, those that minted most first."""


def why_each(handed: Iterable[tuple[str, str]], most: int) -> str:
    """Tell credentials and why each counts, what several share once: `A, B and 9 more, each as the host handed…`."""
    alike: dict[str, list[str]] = {}
    for one, why in handed:
        alike.setdefault(why, []).append(one)
    told = [f"{listed(ids, most)}, {'each ' if len(ids) > 1 else ''}as {why}" for why, ids in alike.items()]
    left = sum(map(len, list(alike.values())[most:]))
    return "; ".join([*told[:most], *([f"and {left:,} more"] if left else [])])
