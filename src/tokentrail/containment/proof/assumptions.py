"""
The assumptions of a plan's proof (`holds_if`), and the risks that no step removes (`residual_risks`), as data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime

from tokentrail.aws.principals import Principal, is_account, short_apart
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.credential_sources import GRANTED
from tokentrail.containment.incident.incident_model import IncidentModel, assumes
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.proof.game import NEVER, Outcome
from tokentrail.formatting import more, quoted, short
from tokentrail.lineage.model import Gap

GOT_IN = (
    "entered", "certificate", "role_credentials", "task_credentials", "person_token", "reactivated", "namesake",
    "unnamed_lifting", "password_reset", "silent_sessions", "propagated_person", "signed_out",
)  # fmt: skip
"""Kinds of assumptions about what the attacker got into, and about what others did there, which no step bears on."""
NUMBERED = frozenset({"lingering", "by_hand", "last_by_hand", "member_account", "member_accounts"})
"""Kinds of assumptions that belong to one step, and may name its number."""
_OTHERS = ("doubt", "possible", "carried_off", "neighbour")
"""Kinds of assumptions that a living credential is somebody else's, in the order of `may_be_stolen`."""
_FOR_GOOD = frozenset({"deny-user", "deny-role", "delete-user", "delete-created-user"})
"""Actions after which nothing works that is minted for the principal, whenever it is minted."""


def holds_if(
    incident: IncidentModel,
    moves: Sequence[PlannedStep],
    outcome: Outcome,
    gaps: Sequence[Gap],
    *,
    propagation: int,
) -> Iterator[Assumption]:
    """The assumptions under which the proof holds; `propagation`: in how many seconds each change must take effect."""
    yield from incident.assumed("minter", "maker", "above_maker")
    yield from _left_out(incident, outcome)
    yield from _undenied(incident, moves, "stranger")
    yield from _living(incident, outcome, "doubt")
    yield from _living(incident, outcome, "possible")
    yield from _api_keys(incident, moves)
    yield from _grants(incident, moves)
    yield from incident.assumed(*GOT_IN)
    yield from _living(incident, outcome, "neighbour")
    yield from _living(incident, outcome, "carried_off")
    if moves:
        yield Assumption.of("takes_effect", seconds=propagation)
    yield from _lingering(moves)
    yield from _by_token(incident)
    yield from _entry_points(incident, moves)
    yield from _reach(incident)
    yield from _not_entered(incident, moves, outcome)
    yield from _writers(incident, moves)
    yield from _by_hand(moves)
    yield from _unseen(incident, outcome, gaps)


def may_be_stolen(incident: IncidentModel, outcome: Outcome) -> tuple[str, ...]:
    """The ids of living credentials that conditions take to be others' and that may be the attacker's, too."""
    others = (one for kind in _OTHERS for one in _living(incident, outcome, kind))
    led = incident.assumed("minter", "maker", "above_maker")
    return tuple(dict.fromkeys(one.subject for one in (*led, *others)))


def _living(incident: IncidentModel, outcome: Outcome, kind: str) -> Iterator[Assumption]:
    """The assumptions of a kind whose credential no step ends."""
    return (one for one in incident.assumed(kind) if _goes_on(outcome, one.subject))


def _goes_on(outcome: Outcome, credential: str) -> bool:
    """Whether no step ends a credential of somebody else's."""
    return credential not in outcome.innocents or outcome.innocents[credential].ends is NEVER


def _undenied(incident: IncidentModel, moves: Sequence[PlannedStep], *kinds: str) -> Iterator[Assumption]:
    """
    The assumptions of some kinds but for those about principals that are denied everything.

    An unknown minter can't be ended, and what was given to a partner can't be taken back: only such a deny helps.
    """
    denied = _denied(moves)
    return (one for one in incident.assumed(*kinds) if one["principal"] not in denied)


def _denied(moves: Sequence[PlannedStep]) -> Set[Principal | None]:
    """The principals that moves deny everything, for good."""
    return {one for move in moves if move.action in _FOR_GOOD for one in move.principals}


def _left_out(incident: IncidentModel, outcome: Outcome) -> Iterator[Assumption]:
    """What the narrowing leaves out goes on under a complete plan, even where an address was mistyped."""
    left = tuple(one.subject for one in _living(incident, outcome, "left_out"))
    if left:
        yield Assumption.of("left_out", credentials=left)


def _api_keys(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """Calls whose records show no key id may be those of an API key that was made before the evidence begins."""
    denied = _denied(moves)
    alone = [one.id for one in incident.held if one.by_user_alone and one.principal not in denied]
    if alone:
        yield Assumption.of("api_key", keys=tuple(map(quoted, alone)))


def _grants(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """What the attacker got or gave away by one record, of which no other record shows the use."""
    for one in _undenied(incident, moves, "data_access", "token", "delegation"):
        principal: Principal | None = one["principal"]
        yield one.with_facts(role=short(incident.arn(principal))) if principal else one


def _entry_points(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """A portal or provider lets its user into roles of several accounts, of which the log may show only some."""
    cut = {one for move in moves for one in move.principals}
    open_still = {"certificate" if one.what == "certificate" else one.kind for one in incident.sources}
    alike: dict[tuple[str, bool], list[Assumption]] = {}
    for one in incident.assumed("entry_point"):
        if ("provider" if one["way"] == "saml" else one["way"]) in open_still:
            alike.setdefault((one["way"], one["since"] is None), []).append(one)
    for (way, _), ways in alike.items():
        others: dict[Principal, None] = dict.fromkeys(
            other for one in ways for other in one["opened"] if other not in cut
        )
        yield Assumption.of(
            "entry_point", way=way, names=tuple(one["name"] for one in ways),
            since=min((one["since"] for one in ways if one["since"]), default=None),
            opened=tuple(f"{short(incident.arn(one))} of account {one.account}" for one in others),
        )  # fmt: skip


def _reach(incident: IncidentModel) -> Iterator[Assumption]:
    if incident.reach is None:
        yield Assumption.of("observed_roles")
        return
    missing = sorted({one.account for one in incident.known} - set(incident.reach.accounts))
    if missing:
        yield Assumption.of("no_snapshot", accounts=tuple(missing))
    yield Assumption.of("as_in_snapshots")
    yield from incident.assumed("no_organization_change", "no_takeover", "no_other_account")


def _not_entered(
    incident: IncidentModel, moves: Sequence[PlannedStep], outcome: Outcome
) -> Iterator[Assumption]:
    """Roles that policies let the attacker assume and no step touches: why none of their sessions is the attacker's."""
    if incident.reach is None:
        return
    touched = {one for move in moves for one in move.principals}
    alive = {one for one, pool in outcome.pools.items() if pool.life.ends > incident.as_of}
    ended = _ended_minters(incident, outcome)
    into: dict[Principal, set[Principal]] = {}
    for edge in incident.edges:
        into.setdefault(edge.into, set()).add(edge.by)
    alike: dict[Assumption, list[Principal]] = {}
    for role in sorted(into.keys() - touched - alive):
        alike.setdefault(_why_not_entered(incident, outcome, role, into[role], ended), []).append(role)
    for why, roles in alike.items():
        yield why.with_facts(roles=tuple(short_apart([incident.arn(one) for one in roles])))


def _ended_minters(incident: IncidentModel, outcome: Outcome) -> dict[Principal, datetime]:
    """By principal: when the last of the attacker's credentials and sources of it ended that could assume a role."""
    found: dict[Principal, datetime] = {}
    ends = [
        (one.principal, outcome.lives[one.id].mints_until) for one in incident.held if assumes(one.caller)
    ]
    ends += [(one.mints, outcome.sources[one].mints_until) for one in incident.sources]
    ends += [(one, pool.life.mints_until) for one, pool in outcome.pools.items()]
    for principal, end in ends:
        found[principal] = max(found.get(principal, end), end)
    return found


def _why_not_entered(
    incident: IncidentModel,
    outcome: Outcome,
    role: Principal,
    by: Set[Principal],
    ended: Mapping[Principal, datetime],
) -> Assumption:
    """Why nobody who may assume a role can have done so unseen, or why that ended."""
    if role in outcome.pools:
        return Assumption.of("denied_role")
    last = max((ended[one] for one in by if one in ended), default=None)
    if last is None:
        through = short_apart([incident.arn(one) for one in sorted(by)])
        return Assumption.of("unreached_role", through=tuple(through))
    since = incident.unseen(role)
    if last > since:
        return Assumption.of("gone_before")
    return Assumption.of("logged_until", last=last, since=since)


def _writers(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """
    An attacker who may write IAM can undo the steps; only an SCP, or reading everything back, helps against that.

    What it made before the SCP took effect, and no log shows yet, is beyond the plan all the same.
    """
    shielded = {principal for move in moves[:1] for principal in move.shields}
    if incident.writers:
        name, how = incident.writers[0]
        kind = "nothing_made" if incident.writing <= shielded else "read_back"
        yield Assumption.of(kind, f"{name}{more(len(incident.writers) - 1)}", how=how)


def _by_hand(moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    for number, move in enumerate(moves, 1):
        if not move.calls and number < len(moves):
            yield Assumption.of("by_hand", step=number, next=number + 1)
        elif not move.calls:
            yield Assumption.of("last_by_hand", step=number)
        if move.action == "scp-deny":
            accounts = sorted({one.account for one in move.principals})
            if len(accounts) > 1:
                yield Assumption.of("member_accounts", accounts=tuple(accounts))
            elif accounts:
                yield Assumption.of("member_account", accounts[0])


def _lingering(moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """A task that was stopped may go on for a time that its definition, or its instance's agent, sets."""
    slow = [(number, move) for number, move in enumerate(moves, 1) if move.lingers]
    for number, move in slow[:1]:
        yield Assumption.of("lingering", step=number, seconds=move.lingers.total_seconds())


def _by_token(incident: IncidentModel) -> Iterator[Assumption]:
    """
    An agent's OAuth access token is valid for an hour, even if its sign-in session is revoked.

    Source: AWS Sign-In User Guide, 'Configure OAuth access to AWS MCP Server', 'Troubleshooting'. `aws login`, in
    contrast, is granted the credential itself, which lives for a shorter time (`GRANTED`): so the two are told apart.
    """
    agents = {
        arn
        for one in incident.held
        if one.kind == "oauth_login"
        and one.issued_at
        and one.expires
        and (arn := one.caller.sign_in_session_arn)
        if one.expires - one.issued_at > GRANTED
    }
    yield from (Assumption.of("access_token", arn) for arn in sorted(agents))


def _unseen(incident: IncidentModel, outcome: Outcome, gaps: Sequence[Gap]) -> Iterator[Assumption]:
    unknown = [source for source in incident.sources if source.mints.kind == "unknown"]
    still = tuple(f"{one.id} ({one.why})" for one in unknown if one.until is None)
    shut = tuple(f"{one.id} ({one.why})" for one in unknown if one.until is not None)
    if still:
        yield Assumption.of("unseen_source", sources=still)
    if shut:
        yield Assumption.of("unseen_shut_source", sources=shut)
    if seconds := tuple(sorted({moment for _, moment in outcome.twins})):
        yield Assumption.of("spared_seconds", seconds=seconds)
    kinds = {gap.kind for gap in gaps}
    for kind in ("contradicting_copies", "masked_ids"):
        if kind in kinds:
            yield Assumption.of(kind)
    yield from (
        Assumption.of("unused_credentials", why=gap.why) for gap in gaps if gap.kind == "unused_credentials"
    )
    if silent := sum(gap.kind in ("missing_log", "silent_hours") for gap in gaps):
        yield Assumption.of("silent_hours", gaps=silent)
    if any(source.kind == "password" for source in incident.sources):
        yield Assumption.of("command_line_login")
    yield from _let_in(incident)


def _let_in(incident: IncidentModel) -> Iterator[Assumption]:
    """
    Whom identity providers must no longer let in, and how to make sure of it.

    STS checks a token's signature, audience and expiry, and not whether its holder still exists (AWS STS API Reference,
    'AssumeRoleWithWebIdentity').
    """
    into: dict[tuple[str, str], dict[str, list[str]]] = {}
    for one in incident.assumed("let_in"):  # each account has a provider of its own for the same
        through = into.setdefault((short(one["provider"]), one.subject), {})
        through.setdefault(one["provider"], []).append(incident.arn(one["role"]))
    for (_, person), through in into.items():
        provider = next(iter(through))
        yield Assumption.of(
            "let_in", person, provider=provider, how=_way_out(provider, person), others=len(through) - 1,
            roles=tuple(role for roles in through.values() for role in roles),
        )  # fmt: skip


def _way_out(provider: str, person: str) -> str:
    """The kind of identity provider, by which it is told how a person is shut out of it."""
    if person.startswith("system:serviceaccount:"):
        return "service_account"
    if provider == "cognito-identity.amazonaws.com":
        return "identity_pool"
    return "web_identity" if person.startswith("arn:") else "provider"


def residual_risks(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """The risks that no step removes."""
    yield from incident.residual_risks
    yield from _kept_as_evidence(moves)
    yield from _without_room(incident, moves)
    for principal in sorted({one.principal for one in incident.held}):
        known = incident.known.get(principal)
        if known and principal.is_host:
            yield Assumption.of("instance_identity", known.arn)
        elif known and known.service_linked:
            yield Assumption.of("service_linked", known.arn, name=known.principal.name)
    if roots := sorted({one.principal.account for one in incident.held if one.principal.is_root}):
        yield Assumption.of("root", accounts=tuple(roots))
    if incident.without_access:
        yield Assumption.of("no_access", accounts=tuple(sorted(incident.without_access)))
    told = {one.principal.account for one in incident.held} | {one.account for one in incident.sources}
    if unknown := sorted(one for one in told if one and not is_account(one)):
        yield Assumption.of("no_account", accounts=tuple(map(quoted, unknown)))
    if incident.held:
        yield Assumption.of("outlives_deny")


def _without_room(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """Accounts that can't have the service control policy that would keep the attacker from undoing steps."""
    shielded = {principal for move in moves[:1] for principal in move.shields}
    manager = incident.management_account
    if manager is None or not incident.writers or incident.writing <= shielded:
        return
    accounts = {one.account for one in incident.writing - shielded} - {"", manager}
    if full := sorted(one for one in accounts if not incident.controls_room(one)):
        yield Assumption.of("no_room", accounts=tuple(full))


def _kept_as_evidence(moves: Sequence[PlannedStep]) -> Iterator[Assumption]:
    """What the attacker made and the plan does not delete."""
    made = short_apart([one for move in moves for one in move.made])
    if made:
        yield Assumption.of("kept_as_evidence", things=tuple(made))
