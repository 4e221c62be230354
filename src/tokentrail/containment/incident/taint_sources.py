"""
The sources of credentials that are the attacker's: since when each is, how that is known, and what it has issued.

A trace follows what credentials mint. Sources (hosts, passwords, portals, sign-ins, providers) are not credentials, but
whoever controls one gets the sessions that it issues. A source comes to be the attacker's in three ways:

- A tainted credential came from it. A host or a sign-in session (`aws login`) has one holder. By a password, portal,
  certificate or identity provider the owner may come in again too.
- It issues sessions of a role, and the names of these do not show who has them, as those of pods, role aliases of
  devices and identity pools. The attacker gave such a workload the role, or stole a session from one: tasks, pods and
  builds are replaced by others, whose sessions have new names, and the thief may get in again the same way.
- The attacker changed it. Whoever replaces the metadata of a SAML provider, or lets another client or certificate into
  an OIDC provider, can sign in as anybody whom it lets in, while everybody else goes on signing in (IAM API Reference,
  'UpdateSAMLProvider', 'AddClientIDToOpenIDConnectProvider', 'UpdateOpenIDConnectProviderThumbprint'); so does a trust
  anchor's new certificate authority (IAM Roles Anywhere API Reference, 'UpdateTrustAnchor'). What comes through a
  provider or anchor that the attacker made descends from its maker (`7_created.sql`).
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, cast

from tokentrail.aws.principals import Principal, caseless
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.incident_model import HeldCredential
from tokentrail.containment.incident.persistence import roles_given, roles_let_in
from tokentrail.containment.incident.reversal_index import ReversalIndex, issued_where
from tokentrail.containment.incident.source_kinds import SOURCE_KINDS, certified
from tokentrail.containment.incident.workloads import session_of
from tokentrail.lineage import creations, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row

SESSION_NAMED = """
session_name IN (SELECT unnest(?)) OR split_part(coalesce(principal_id, child), ':', -1) IN (SELECT unnest(?))"""
NAMED_OR_SIGNED_IN = f"{SESSION_NAMED} OR kind IN ('console_session', 'oauth_login')"
ACTING_AS = """
split_part(coalesce(issuer_arn, role_arn, arn, caller_arn), '/', -1) IN (SELECT unnest(?))
OR split_part(coalesce(arn, child_arn, caller_arn), '/', -1) IN (SELECT unnest(?))
OR split_part(coalesce(arn, child_arn, caller_arn), '/', -2) IN (SELECT unnest(?))"""
"""Of what was never used and is its caller's own, as a scoped child is, only the ARN of a session may tell the role."""
_LAMBDA, _ANYWHERE = "lambda.amazonaws.com", "rolesanywhere.amazonaws.com"
_HOST_NAMED = frozenset({"ec2.amazonaws.com", _LAMBDA, _ANYWHERE})
"""Services whose sessions have the name of their host or holder, so that the name tells the source."""
_SOME = "some service"
"""Stands for the service that issued a session, if the evidence begins too late to show it."""
_LOOKED_BACK = 86_400
"""Seconds before the theft for which a role's sessions are read, to learn where its workloads call from."""
WORKLOAD_KINDS = frozenset({"service_role", "assumed_role_web_identity"})
"""Kinds of sessions that workloads have."""
_REVERSED_BY: dict[str, tuple[tuple[str, str], ...]] = {
    "provider": (("provider", "sAMLProviderArn"), ("provider", "openIDConnectProviderArn")),
    "trust_anchor": (("anywhere", "trustAnchorId"),),
}
"""By kind of thing: how it is put right (`ReversalIndex.put_right`), and the parameter that names it then."""
_COMING_IN = {
    "changed_provider": "'assumed_role_saml', 'assumed_role_web_identity'", "changed_anchor": "'service_role'",
}  # fmt: skip
"""By kind of source that the attacker changed: the kinds of sessions that come in through it."""

Kind = Literal[
    "host", "sign_in", "password", "certificate", "portal", "provider", "role", "changed_provider",
    "changed_anchor",
]  # fmt: skip
BY_NAME = frozenset({"host", "sign_in", "password", "certificate", "portal", "provider"})
"""Kinds of which a credential itself shows that it came from the source."""
ONE_HOLDER = frozenset({"host", "sign_in"})
"""Kinds that have one holder, to which nobody else signs in: all that they issue is the attacker's."""
SIGNING_IN = BY_NAME - ONE_HOLDER
"""Kinds by which a person signs in anew, so that `--attacker-since` counts for each credential."""
SourceKey = tuple[str, ...]
"""What identifies a source: its kind, and what tells it from others of that kind."""
_IN_WORDS = {
    "host": "the host {}", "sign_in": "the sign-in session", "password": "the password of {}",
    "certificate": "the certificate {}", "portal": "the access portal of {}",
    "provider": "the identity provider of {}",
}  # fmt: skip


def accounts_of(some: Iterable[Principal]) -> Set[str]:
    """The accounts in which to look for ARNs of some principals; none, which means all, if one is not known."""
    found = {one.account for one in some}
    return frozenset() if "" in found else found


class Issued(NamedTuple):
    """A credential that sources of the attacker's may have issued."""

    row: Row
    credential: Credential
    sources: tuple[SourceKey, ...]
    """The sources that may have issued it, known or not."""

    @property
    def began(self) -> int:
        """When it was issued or first used, in seconds since 1970; 0 if neither is known."""
        return began(self.row)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSource:
    """A source of credentials that is the attacker's."""

    key: SourceKey
    since: int
    """From when on what it issues may be the attacker's, in seconds since 1970."""
    why: str
    """How it is known to be the attacker's: how the reason begins for which its credentials count."""
    until: float | None = None
    """When somebody else changed or deleted it, if anybody has."""
    service: str | None = None
    """If given, only sessions that this service issued count: that of the workload from which one was stolen."""
    names: frozenset[str] = frozenset()
    """The last parts of the ARNs by which its credentials are found."""
    principal: Principal | None = None
    """For sessions of a role: the role."""

    @property
    def kind(self) -> Kind:
        """The kind of source."""
        return cast(Kind, self.key[0])

    def may_have_issued(self, issued: Issued) -> bool:
        """Whether the time and the service of a credential agree with its having come from here."""
        if issued.began < self.since or (self.until is not None and issued.began > self.until):
            return False
        return self.service is None or _is_of(service_of(issued.credential), self.service)


def began(row: Row) -> int:
    """When a credential was issued or first used, in seconds since 1970; 0 if neither is known."""
    return int(row["issued_at"] or row["first"] or 0)


# What a tainted credential came from.


def behind(forest: Forest, tainted: Iterable[Credential]) -> Iterator[CredentialSource]:
    """The sources that issued tainted credentials; each is the attacker's from then on."""
    credentials = {one.id: one for one in tainted if one.kind in SOURCE_KINDS}
    regions = _regions(forest, credentials.values())
    for row in forest.named(sorted(credentials)):
        one = credentials[row["id"]]
        names = frozenset(end.rpartition("/")[2] for end in (one.principal, one.role) if end)
        for key in _keys(row, one, regions.get(one.id)):
            if key[0] == "password" and one.kind == "oauth_login":
                continue  # it may have been stolen without the password
            why = f"{_IN_WORDS[key[0]].format(key[-1])} handed it out after {one.id}"
            yield CredentialSource(key=key, since=began(row), why=why, names=names)


def _regions(forest: Forest, some: Iterable[Credential]) -> dict[str, str]:
    """By credential id: the region of the function to which Lambda gave it."""
    return issued_where(forest, [one for one in some if one.issued_by and one.issued_by.source_ip == _LAMBDA])


def _keys(row: Row, one: Credential, region: str | None) -> Iterator[SourceKey]:
    """The sources that may have issued a credential; `region` is its function's, if a function has it."""
    caller = rows.caller(row)
    principal, name = caller.acts_as, caller.session_name or ""
    match one.kind:
        case "service_role" if name and certified(one):
            yield "certificate", principal.account, name
        case "service_role" if name and "/aws-service-role/" not in (caller.role or ""):
            yield from (
                ("host", principal.account, of, name) for of in _of_host(name, principal.name, region)
            )
        case "oauth_login":
            if caller.sign_in_session_arn:
                yield "sign_in", caller.sign_in_session_arn
            if one.parent is None:
                yield "password", principal.account, principal.kind, principal.name
        case "console_session" if one.origin == "console_sign_in":
            yield "password", principal.account, principal.kind, principal.name
        case "identity_center" if name:
            yield "portal", name
        case "assumed_role_saml" | "assumed_role_web_identity":
            provider = row["target"] or caller.federated_provider
            if provider:
                yield "provider", provider, one.identity or name


def _of_host(name: str, role: str, region: str | None) -> tuple[str, ...]:
    """
    What tells a host from others of the same name: nothing for an instance, since its id is unique.

    For others it is the role; for a function, whose role may change, also its region.
    """
    if name.startswith("i-"):
        return ("",)
    return (role, f"function in {region}") if region else (role,)


# What issues sessions of a role whose names do not show who has them.


def opened_roles(
    actions: Iterable[AttackerAction], tainted: Sequence[tuple[Credential, HeldCredential]]
) -> Iterator[CredentialSource]:
    """
    The roles that the attacker gave to a workload without session names, or stole from such a workload.

    Args:
        actions: The changes that the attacker made.
        tainted: The attacker's credentials, in both forms.
    """
    found: dict[Principal, CredentialSource] = {}
    names, known = {own.caller.session_name for _, own in tainted}, {one.id for one, _ in tainted}
    for action in sorted(actions, key=lambda one: (one.time, one.event_id)):
        if _session_names(action) <= names:  # the sessions of all that it started are known
            continue
        why = f"{action.cause} lets its maker have sessions of its role"
        for role in roles_given(action):
            found.setdefault(role, _role(role, action.time, why))
        for role in roles_let_in(action):
            found.setdefault(role, _role(role, action.time, why, _ANYWHERE))
    for one, own in tainted:
        if one.parent_link == "created" and one.parent in known:
            continue  # no service replaces what the attacker started
        service = _unnamed_service(one, own)
        role, issued = own.principal, one.issued_at
        if service is None or issued is None:
            continue
        if role not in found or (found[role].service and issued.timestamp() < found[role].since):
            why = f"{service} handed it out after {one.id}, to what runs with the same role"
            found[role] = _role(role, issued, why, service)
    yield from found.values()


def _role(role: Principal, since: datetime, why: str, service: str | None = None) -> CredentialSource:
    return CredentialSource(
        key=role_key(role), since=int(since.timestamp()), why=why, service=service, names=frozenset({role.name}),
        principal=role,
    )  # fmt: skip


def role_key(role: Principal) -> SourceKey:
    """The key of what issues sessions of a role."""
    return "role", role.account, role.kind, caseless(role.name)


def _unnamed_service(one: Credential, own: HeldCredential) -> str | None:
    """The service that issued a session whose name does not tell its host; `None` for all else."""
    service = service_of(one)
    unseen = service is None and one.kind == "service_role"
    if unseen and not (own.caller.session_name or "").startswith("i-"):
        service = _SOME
    return None if service in _HOST_NAMED or "/aws-service-role/" in (one.role or "") else service


def service_of(one: Credential) -> str | None:
    """The service that issued a session, by the source address of the issuing event or as IAM Roles Anywhere."""
    if certified(one):
        return _ANYWHERE
    issuer = one.issued_by.source_ip if one.kind == "service_role" and one.issued_by else None
    return issuer if issuer and issuer.endswith(".amazonaws.com") else None


def _is_of(issuer: str | None, service: str) -> bool:
    return issuer == service or (service == _SOME and issuer is not None and issuer not in _HOST_NAMED)


def _session_names(action: AttackerAction) -> set[str]:
    """The session names of all that a call started; an empty one stands for those that the log does not show."""
    made = creations.made(action.name, action.request, action.response, action.source)
    return {(session_of(what, thing) if thing else None) or "" for what, thing in made} or {""}


# What the attacker changed, so that it lets in others too.


def changed(forest: Forest, actions: Sequence[AttackerAction]) -> Iterator[CredentialSource]:
    """The identity providers and trust anchors that the attacker changed, until somebody else put them right."""
    changes = [
        (action, what, thing)
        for action in sorted(actions, key=lambda one: (one.time, one.event_id))
        if action.source in ("iam.amazonaws.com", _ANYWHERE) and not action.name.startswith("Create")
        for what, thing in creations.made(action.name, action.request, action.response, action.source)
        if what in _REVERSED_BY and thing
    ]
    if not changes:
        return
    own = {one.event_id for one in actions}
    anchors = any(what == "trust_anchor" for _, what, _ in changes)
    later = (
        *forest.changes({action.account for action, _, _ in changes}), *(forest.removals() if anchors else ()),
    )  # fmt: skip
    reversals = ReversalIndex(one for one in later if one.event_id not in own)
    known = set[SourceKey]()
    for action, what, thing in changes:
        named = thing if what == "provider" else thing.rpartition("/")[2]
        ends = [reversals.put_right(action, kind, member, named) for kind, member in _REVERSED_BY[what]]
        # Sessions do not tell by which anchor of their account they came in.
        key = ("changed_provider", thing) if what == "provider" else ("changed_anchor", action.account)
        if key not in known:
            known.add(key)
            yield CredentialSource(
                key=key, since=int(action.time.timestamp()),
                until=min((end.timestamp() for end in ends if end), default=None),
                why=f"{action.cause} lets identities of its maker in through "
                f"{thing}",
            )  # fmt: skip


def _doors(row: Row) -> Iterator[SourceKey]:
    """Through what a session came in, as its issuing call and its own calls tell."""
    caller = rows.caller(row)
    yield from (("changed_provider", one) for one in (row["target"], caller.federated_provider) if one)
    if row["api"] == "CreateSession" or row["issue_ip"] == _ANYWHERE:
        yield "changed_anchor", caller.account or ""


# What sources issued.


def issued_by(
    forest: Forest, sources: Mapping[SourceKey, CredentialSource], known: Container[str]
) -> Iterator[Issued]:
    """The credentials, without those `known`, that some sources may have issued; of opened roles earlier ones too."""
    kinds: dict[str, list[CredentialSource]] = {}
    for one in sources.values():
        kinds.setdefault("name" if one.kind in BY_NAME else one.kind, []).append(one)
    found = {n for kind, some in kinds.items() for n in _FINDERS[kind](forest, some)}
    listed = [row for row in (forest.chosen_rows(found) if found else ()) if row["id"] not in known]
    credentials = forest.credentials(listed)
    regions = _regions(forest, credentials)
    for row, credential in zip(listed, credentials, strict=True):
        named = _keys(row, credential, regions.get(credential.id))
        yield Issued(row, credential, (*named, *_workload_role(row, credential), *_doors(row)))


def _workload_role(row: Row, one: Credential) -> Iterator[SourceKey]:
    if one.kind in WORKLOAD_KINDS:
        yield role_key(rows.caller(row).acts_as)


def _by_name(forest: Forest, sources: Sequence[CredentialSource]) -> Set[int]:
    sessions = sorted({one.key[-1] for one in sources if one.kind != "password"})
    names = sorted({*sessions, *(name for one in sources for name in one.names)})
    kinds = ", ".join(f"'{one}'" for one in SOURCE_KINDS)
    first = min(one.since for one in sources)
    among = f"f.kind IN ({kinds}) AND coalesce(f.issued_at, f.first, 0) >= {first}"
    return forest.called(names, NAMED_OR_SIGNED_IN, (sessions, sessions), among)


def _of_roles(forest: Forest, sources: Sequence[CredentialSource]) -> Set[int]:
    names = sorted({name for one in sources for name in one.names})
    kinds = ", ".join(f"'{one}'" for one in sorted(WORKLOAD_KINDS))
    first = min(one.since for one in sources)
    return forest.called(
        names, ACTING_AS, (names,) * 3,
        f"f.kind IN ({kinds}) AND (f.expires_at IS NULL OR f.expires_at > {int(forest.as_of.timestamp())} "
        f"OR coalesce(f.issued_at, f.first, 0) >= {first - _LOOKED_BACK})",
        accounts_of(one.principal for one in sources if one.principal),
    )  # fmt: skip


def _through_changed(forest: Forest, sources: Sequence[CredentialSource]) -> Set[int]:
    """The sessions that came in through a changed provider or anchor, of all that came in through any."""
    wanted = {one.key: one for one in sources}
    first = min(one.since for one in sources)
    kinds = ", ".join(sorted({_COMING_IN[one.kind] for one in sources}))
    among = f"kind IN ({kinds}) AND coalesce(issued_at, first, 0) >= {first}"
    return {
        row["n"]
        for some in forest.known(among)
        for row in some
        if any(key in wanted and began(row) >= wanted[key].since for key in _doors(row))
    }


_FINDERS = {
    "name": _by_name, "role": _of_roles, "changed_provider": _through_changed, "changed_anchor": _through_changed,
}  # fmt: skip
"""By kind: what finds the places of the credentials that sources of the kind may have issued."""


def spent_among(forest: Forest, some: Collection[Issued], unseen_since: Mapping[str, datetime]) -> set[str]:
    """
    The ids of credentials that are spent: they had expired when the log stops being complete, and left nothing.

    Nothing of one that minted and changed nothing is left to end, so that a plan leaves it out; but the addresses from
    which it was used are the attacker's.
    """
    dead = {one.row["n"]: one.credential.id for one in some if _has_expired(one.credential, unseen_since)}
    if not dead:
        return set()
    below, extra = forest.descendants(set(dead))
    left = {row["parent_n"] for row in forest.chosen_rows(below)} | {link["parent"] for link in extra}
    left |= {row["n"] for row in forest.changed_by(set(dead))}
    return {id for n, id in dead.items() if n not in left}


def _has_expired(one: Credential, unseen_since: Mapping[str, datetime]) -> bool:
    """Whether a credential had expired by the time, by account, up to which the log is complete."""
    end = one.expires_at or one.expires_bound
    log_end = unseen_since.get(one.account or "")
    return end is not None and log_end is not None and end <= log_end
