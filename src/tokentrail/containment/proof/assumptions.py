"""
The assumptions of a plan's proof (`holds_if`), and the risks that no step removes (`residual_risks`), as sentences.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime

from tokentrail.aws.principals import Principal, is_account, short_apart
from tokentrail.containment.catalogue import OUTLIVES
from tokentrail.containment.incident.credential_sources import GRANTED
from tokentrail.containment.incident.incident_model import EntryPoint, IncidentModel, Source, WayKind, assumes
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.proof.game import NEVER, Outcome
from tokentrail.lineage.model import Gap
from tokentrail.spelling import counted, instant, listed, more, quoted, short

_MOST, _MANY = 6, 50
"""How many of a kind have a sentence of their own, and how many are named at all."""
_FOR_GOOD = frozenset({"deny-user", "deny-role", "delete-user", "delete-created-user"})
"""Actions after which nothing works that is minted for the principal, whenever it is minted."""


def holds_if(
    incident: IncidentModel,
    moves: Sequence[PlannedStep],
    outcome: Outcome,
    gaps: Sequence[Gap],
    *,
    propagation: int,
) -> Iterator[str]:
    """The assumptions under which the proof holds; `propagation`: in how many seconds each change must take effect."""
    yield from _minted_by(incident)
    yield from _left_out(incident, outcome)
    yield from _minted_unseen(incident, moves)
    yield from _doubted(incident, outcome)
    yield from _possible(incident, outcome)
    yield from _api_keys(incident, moves)
    yield from _unseen_grants(incident, moves)
    yield from incident.entered[:_MOST]
    if len(incident.entered) > _MOST:
        left = len(incident.entered) - _MOST
        yield f"nor where it got in otherwise: {left:,} more (see `created` of `tokentrail trace`)"
    yield from _beside(incident, outcome)
    yield from _carried_off(incident, outcome)
    if moves:
        yield f"each change takes effect within {propagation} seconds of being sent (a longer --margin allows more)"
    yield from _lingering(moves)
    yield from _by_token(incident)
    yield from _ways_in(incident, moves)
    yield from _reach(incident)
    yield from _not_entered(incident, moves, outcome)
    yield from _writers(incident, moves)
    yield from _by_hand(moves)
    yield from _unseen(incident, outcome, gaps)


def may_be_stolen(incident: IncidentModel, outcome: Outcome) -> tuple[str, ...]:
    """The ids of living credentials that conditions take to be others' and that may be the attacker's, too."""
    others = [
        *(one for one, _ in incident.doubts), *(one.id for one in incident.possible),
        *(one for one, _ in incident.held_there), *(one.id for one in incident.neighbours),
    ]  # fmt: skip
    left = (one for one in others if _goes_on(outcome, one))
    return tuple(dict.fromkeys([*(one.id for one in incident.minters), *left]))


def _goes_on(outcome: Outcome, credential: str) -> bool:
    """Whether no step ends a credential of somebody else's."""
    return credential not in outcome.innocents or outcome.innocents[credential].ends is NEVER


def numbered_conditions(moves: Sequence[PlannedStep]) -> Iterator[str]:
    """Those of the assumptions that each belong to one step and name its number."""
    yield from _lingering(moves)
    yield from _by_hand(moves)


def _minted_by(incident: IncidentModel) -> Iterator[str]:
    """What led to the subjects is assumed not to be the attacker's, though it may be what leaked."""
    for one in incident.minters[:_MOST]:
        yield (
            f"{one.id}, {one.link or 'which a subject descends from'} and which may still work, is not the attacker's, "
            f"else it {'does so' if one.link else 'mints'} again (`tokentrail contain {shlex.quote(one.id)}` ends it "
            "and all below it)"
        )
    if len(incident.minters) > _MOST:
        rest = _rest([one.id for one in incident.minters])
        yield f"nor are {len(incident.minters) - _MOST:,} more that led to subjects: {rest}"


def _rest(ids: Sequence[str]) -> str:
    """Those of many that have no sentence of their own."""
    return ", ".join(ids[_MOST:_MANY]) + (", …" if len(ids) > _MANY else "")


def _left_out(incident: IncidentModel, outcome: Outcome) -> Iterator[str]:
    """What the narrowing leaves out goes on under a complete plan, even where an address was mistyped."""
    left = [one for one in incident.left_out if _goes_on(outcome, one)]
    if left:
        yield (
            "what descends from a subject and --attacker-since, --source-ip or --trusted-ip leaves out is not the "
            f"attacker's: no step ends {listed(left, _MOST)}"
        )


def _minted_unseen(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[str]:
    """An unknown minter can't be ended: it mints again, unless its principal is denied everything."""
    denied = {one for move in moves if move.action in _FOR_GOOD for one in move.principals}
    left = [(one, why) for one, principal, why in incident.strangers if principal not in denied]
    for one, why in left[:_MOST]:
        yield f"whoever minted {one} mints no more, as no step ends that: {why}"
    if len(left) > _MOST:
        yield f"the same is so of {len(left) - _MOST:,} more: {_rest([one for one, _ in left])}"


def _doubted(incident: IncidentModel, outcome: Outcome) -> Iterator[str]:
    """A person's later sign-ins may be the attacker's too, if neither names nor addresses tell whose they are."""
    left = [(one, why) for one, why in incident.doubts if _goes_on(outcome, one)]
    for one, why in left[:_MOST]:
        yield (
            f"{one} is the rightful owner's, though {why}: it was not used from where the attacker was seen, and no "
            f"step ends it (`tokentrail contain {shlex.quote(one)}` does)"
        )
    if len(left) > _MOST:
        yield f"the same is so of {len(left) - _MOST:,} more: {_rest([one for one, _ in left])}"


def _api_keys(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[str]:
    """Calls whose records show no key id may be those of an API key that was made before the evidence begins."""
    denied = {one for move in moves if move.action in _FOR_GOOD for one in move.principals}
    alone = [one for one in incident.held if one.by_user_alone and one.principal not in denied]
    if alone:
        named = listed([quoted(one.id) for one in alone], _MOST)
        yield (
            f"the calls of {'their' if len(alone) > 1 else 'its'} user that show no key id were made with {named}, and "
            "with no API key from before the evidence: `aws iam list-service-specific-credentials` tells which exist"
        )


def _possible(incident: IncidentModel, outcome: Outcome) -> Iterator[str]:
    """Sessions of which one record names the attacker's principal, and none the credential that asked for them."""
    left = [one for one in incident.possible if _goes_on(outcome, one.id)]
    for one in left[:_MOST]:
        yield (
            f"{one.id} is not the attacker's, though {one.why}, and no record tells which credential asked for it: no "
            f"step ends it (`tokentrail contain {shlex.quote(one.id)}` does)"
        )
    if len(left) > _MOST:
        yield f"the same is so of {len(left) - _MOST:,} more: {_rest([one.id for one in left])}"


_UNSEEN_GRANTS = {
    "data_access": (
        "no session works that Lake Formation gave the attacker and whose use is not in the evidence ({}): each lasts "
        "twelve hours at most. S3's data events show the name behind the role's id in `principalId`: plan for that "
        "role, too (`tokentrail contain ROLE-ARN`)"
    ),
    "token": (
        "no role was assumed with the attacker's web identity tokens whose use is not in the evidence ({}): a token "
        "works for an hour at most, and the role's session longer. AssumeRoleWithWebIdentity in the log of an account "
        "in another partition of AWS shows the id as `webIdentityTokenId`: ingest that log, and plan anew"
    ),
    "delegation": (
        "no partner acts any more by the delegations that the attacker approved ({}): until twelve hours after the "
        "token was sent, each lets its partner act as {}, with new credentials. Revoke them by hand in the IAM console"
    ),
}  # fmt: skip


def _unseen_grants(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[str]:
    """What the attacker got or gave away by one record, of which no other record shows the use."""
    denied = {one for move in moves if move.action in _FOR_GOOD for one in move.principals}
    for one in incident.unseen_grants:
        if one.principal is None or one.principal not in denied:
            whom = short(incident.arn(one.principal)) if one.principal else ""
            yield _UNSEEN_GRANTS[one.kind].format(listed(map(quoted, one.names), _MOST), whom)


def _carried_off(incident: IncidentModel, outcome: Outcome) -> Iterator[str]:
    """Sessions that a function held when the attacker changed its code, as far as no step ends them."""
    for one, name in incident.held_there:
        if _goes_on(outcome, one):
            yield (
                f"{one} was not carried off from the function {name}, which held it when the attacker gave it other "
                f"code: no step ends it (`tokentrail contain {shlex.quote(one)}` does)"
            )


def _beside(incident: IncidentModel, outcome: Outcome) -> Iterator[str]:
    """What is used from an address that the attacker used first may be stolen, though nothing tainted minted it."""
    left = [one for one in incident.neighbours if _goes_on(outcome, one.id)]
    for one in left[:_MOST]:
        yield (
            f"{one.id} was not stolen as well, though it was used from {one.address}, where nobody was before "
            f"{one.by}: no step ends it (`tokentrail contain {shlex.quote(one.id)}` does)"
        )
    if len(left) > _MOST:
        yield f"the same is so of {len(left) - _MOST:,} more: {_rest([one.id for one in left])}"


_WAYS = {
    "portal": ("through the access portal nobody took up, as {}", "GetRoleCredentials and Federate in the log of the "
               "directory's account name each"),
    "certificate": ("by the certificate {} nobody took up", "CreateSession in each account's log names each"),
    "saml": ("through the identity provider nobody took up, as {}", "AssumeRoleWithSAML in each account's log names "
             "each"),
}  # fmt: skip


def _ways_in(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[str]:
    """A portal or provider lets its user into roles of several accounts, of which the log may show only some."""
    cut = {one for move in moves for one in move.principals}
    open_still = {"certificate" if one.what == "certificate" else one.kind for one in incident.sources}
    alike: dict[tuple[WayKind, bool], list[EntryPoint]] = {}
    for way in incident.ways_in:
        if ("provider" if way.kind == "saml" else way.kind) in open_still:
            alike.setdefault((way.kind, way.since is None), []).append(way)
    for (kind, _), ways in alike.items():
        said, where = _WAYS[kind]
        others = dict.fromkeys(one for way in ways for one in way.others if one not in cut)
        left = [f"{short(incident.arn(one))} of account {one.account}" for one in others]
        seen = f" (it was seen to open {listed(left, 3)})" if left else ""
        since = min((way.since for way in ways if way.since), default=None)
        when = f" since {instant(since)}" if since else ""
        named = listed([way.name for way in ways], _MOST)
        yield f"{said.format(named)}, unseen{when}, a role that no step cuts{seen}: {where}"


def _reach(incident: IncidentModel) -> Iterator[str]:
    if incident.reach is None:
        yield (
            "the attacker assumes no role that its principals were not seen to assume: give --iam SNAPSHOT for a proof "
            "over trust policies and permissions"
        )
        return
    missing = sorted({one.account for one in incident.known} - set(incident.reach.accounts))
    if missing:
        yield f"in accounts without a snapshot ({listed(missing, _MOST)}) no role is assumed that was not seen assumed"
    yield (
        "IAM is as in the snapshots and as the log shows it to have changed, and no change that neither shows lets the "
        "attacker into more"
    )
    yield from incident.beyond[:_MOST]
    if len(incident.beyond) > _MOST:
        yield f"and {len(incident.beyond) - _MOST:,} more of the kind, from other principals"


def _not_entered(incident: IncidentModel, moves: Sequence[PlannedStep], outcome: Outcome) -> Iterator[str]:
    """Roles that policies let the attacker assume and no step touches: why none of their sessions is the attacker's."""
    if incident.reach is None:
        return
    touched = {one for move in moves for one in move.principals}
    alive = {one for one, pool in outcome.pools.items() if pool.life.ends > incident.as_of}
    ended = _ended_minters(incident, outcome)
    into: dict[Principal, set[Principal]] = {}
    for edge in incident.edges:
        into.setdefault(edge.into, set()).add(edge.by)
    alike: dict[str, list[Principal]] = {}
    for role in sorted(into.keys() - touched - alive):
        alike.setdefault(_why_not_entered(incident, outcome, role, into[role], ended), []).append(role)
    for why, roles in alike.items():
        named = listed(short_apart([incident.arn(one) for one in roles]), _MANY)
        yield f"no session of {named} is the attacker's, though policies let it in: {why}"


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
) -> str:
    """Why nobody who may assume a role can have done so unseen, or why that ended."""
    if role in outcome.pools:
        return "policies of before the plan deny what was issued to it since the log may lack sessions, or it is gone"
    last = max((ended[one] for one in by if one in ended), default=None)
    since = instant(incident.unseen(role))
    if last is None:
        through = listed(short_apart([incident.arn(one) for one in sorted(by)]), _MOST)
        return f"the way there leads through {through}, as which it has nothing that could assume a role"
    if last > incident.unseen(role):
        return "it was gone before the log may lack sessions"
    return (
        f"the last that could assume it ended at {instant(last)}; what it issued until then the log shows, which may "
        f"lack sessions since {since} alone"
    )


def _writers(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[str]:
    """
    An attacker who may write IAM can undo the steps; only an SCP, or reading everything back, helps against that.

    What it made before the SCP took effect, and no log shows yet, is beyond the plan all the same.
    """
    shielded = {principal for move in moves[:1] for principal in move.shields}
    if not incident.writers:
        return
    name, why = incident.writers[0]
    who = f"{name}{more(len(incident.writers) - 1)}, which {why},"
    if incident.writing <= shielded:
        yield (
            "until step 1 took effect nothing was made that no log shows yet: no new key, user, role, password or "
            f"trust, and nothing new that runs with a role. {who} may create until then: ingest newer logs, and plan "
            "again if they show any"
        )
    else:
        yield (
            "a read-back after the last step finds every step in place, no new key, user, role, password or trust, "
            f"and nothing new that runs with a role: {who} may undo and create until it is ended; apply reads back and "
            "repeats, and what it finds new needs a new plan"
        )


def _by_hand(moves: Sequence[PlannedStep]) -> Iterator[str]:
    for number, move in enumerate(moves, 1):
        if not move.calls:
            before = f" before step {number + 1}" if number < len(moves) else ""
            yield f"step {number} is carried out by hand{before}"
        if move.action == "scp-deny":
            accounts = sorted({one.account for one in move.principals})
            if len(accounts) > 1:
                yield f"{listed(accounts)} are member accounts of the organisation, none its management account"
            elif accounts:
                yield f"{accounts[0]} is a member account of the organisation, not its management account"


def _lingering(moves: Sequence[PlannedStep]) -> Iterator[str]:
    """A task that was stopped may go on for a time that its definition, or its instance's agent, sets."""
    slow = [(number, move) for number, move in enumerate(moves, 1) if move.lingers]
    for number, move in slow[:1]:
        yield (
            f"each task that is stopped (step {number}) has ended {move.lingers.total_seconds():.0f} seconds later: "
            "Fargate allows a container 120 (`stopTimeout`), on instances more may be set (ECS_CONTAINER_STOP_TIMEOUT "
            "too). Until then it may be handed another session, which the steps after it cut; apply reads back that it "
            "has ended"
        )


def _by_token(incident: IncidentModel) -> Iterator[str]:
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
    for arn in sorted(agents)[:_MOST]:
        yield (
            "nobody acts by an agent's access token in the hour after its session is revoked: what it is given is "
            f"newer than any cutoff. A deny where `aws:SignInSessionArn` is {arn} ends that at once"
        )
    if len(agents) > _MOST:
        yield f"the same is so of {len(agents) - _MOST:,} more sign-in sessions"


def _unseen(incident: IncidentModel, outcome: Outcome, gaps: Sequence[Gap]) -> Iterator[str]:
    unknown = [source for source in incident.sources if source.mints.kind == "unknown"]
    still = [source for source in unknown if source.until is None]
    shut = [source for source in unknown if source.until is not None]
    if still:
        yield f"nobody comes in unseen, as whichever role, before the step that closes it, through {_named(still)}"
    if shut:
        yield f"nobody came in unseen, as whichever role, before it was shut, through {_named(shut)}"
    seconds = sorted({moment for _, moment in outcome.twins})
    if seconds:
        some = ", ".join(f"{one:%H:%M:%S}" for one in seconds[:3]) + (", …" if len(seconds) > 3 else "")
        yield f"nobody minted unseen under a spared session's name in the very second of its issue ({some})"
    kinds = {gap.kind for gap in gaps}
    if "contradicting_copies" in kinds:
        yield "of events that came in copies which contradict each other, those count that AWS wrote"
    if "masked_ids" in kinds:
        yield (
            "no credential descends from the subjects that only ids would tie to them which the evidence masks "
            "(sessions are linked by principal and time of issue instead)"
        )
    yield from (
        f"nobody uses what no step may reach: {gap.why}" for gap in gaps if gap.kind == "unused_credentials"
    )
    silent = [gap for gap in gaps if gap.kind in ("missing_log", "silent_hours")]
    if silent:
        many = "gaps" if len(silent) > 1 else "gap"
        yield f"nothing was minted in the {len(silent):,} {many} of the evidence that `trace` lists"
    if any(source.kind == "password" for source in incident.sources):
        yield "the attacker did not sign the command line in with the password (`aws login`): list and revoke sign-ins"
    yield from _let_in(incident)


def _let_in(incident: IncidentModel) -> Iterator[str]:
    """
    Whom identity providers must no longer let in, and how to make sure of it.

    STS checks a token's signature, audience and expiry, and not whether its holder still exists (AWS STS API Reference,
    'AssumeRoleWithWebIdentity').
    """
    said = "the identity provider behind the federated sessions lets the attacker in no more"
    into: dict[tuple[str, str], dict[str, list[str]]] = {}
    for provider, person, role in incident.let_in:  # each account has one of its own for the same
        into.setdefault((short(provider), person), {}).setdefault(provider, []).append(incident.arn(role))
    for (_, person), through in list(into.items())[:_MOST]:
        provider, roles = next(iter(through)), [role for each in through.values() for role in each]
        if person.startswith("system:serviceaccount:"):
            how = (
                "the service account's token opens the role until it expires, though the pod be gone, so take the "
                "account out of the role's trust policy for as long"
            )
        elif provider == "cognito-identity.amazonaws.com":
            how = (
                f"delete the identity (`aws cognito-identity delete-identities --identity-ids-to-delete="
                f"{shlex.quote(person)}`); where the pool lets guests in, anybody is given another"
            )
        elif person.startswith("arn:"):
            how = (
                "a token of sts:GetWebIdentityToken opens the role for an hour at most after its holder was ended: "
                "revoke the role's sessions again then, or take the provider out of the role's trust policy now"
            )
        else:
            how = "shut that out there; a trust policy that leaves it out shuts one role of perhaps several"
        also = f" and the same of {counted(len(through) - 1, 'other account')}" if len(through) > 1 else ""
        yield f"{said}: {provider}{also}, as {person or 'nobody knows whom'}, into {listed(short_apart(roles))} ({how})"
    if len(into) > _MOST:
        yield f"{said} in {len(into) - _MOST:,} more ways (`tokentrail trace` lists the sessions)"


def _named(sources: Sequence[Source]) -> str:
    return "; ".join(f"{source.id} ({source.why})" for source in sources[:3]) + more(len(sources) - 3)


def residual_risks(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[str]:
    """The risks that no step removes."""
    yield from incident.residual_risks
    yield from _kept_as_evidence(moves)
    yield from _without_room(incident, moves)
    for principal in sorted({one.principal for one in incident.held}):
        known = incident.known.get(principal)
        if known and principal.is_host:
            yield (
                f"{short(known.arn)} is an instance identity role, which no policy binds: its sessions can't be "
                "revoked, and end by themselves; while the instance runs it is given more, with an instance profile or "
                "without. With one, a thief tells who the instance is, may change the host keys that EC2 "
                "Instance Connect knows, and is given the role of Default Host Management where Systems Manager has one"
            )
        elif known and known.service_linked:
            yield (
                f"{short(known.arn)} is a service-linked role, which AWS's service alone acts as: its sessions can't "
                "be revoked; remove what the service acts for, then the role (`aws iam delete-service-linked-role "
                f"--role-name={shlex.quote(known.principal.name)}`)"
            )
    if roots := sorted({one.principal.account for one in incident.held if one.principal.is_root}):
        yield (
            f"no IAM policy binds root of {listed(roots, _MOST)}: a service control policy does in a member account, "
            "and nothing does in the management account, where its session tokens end by themselves within the hour"
        )
    if barred := sorted(incident.without_access):
        yield (
            f"account{'s' * (len(barred) > 1)} {listed(barred, _MOST)}: without access, only the owner or the "
            "organisation can end what lives there"
        )
    told = {one.principal.account for one in incident.held} | {one.account for one in incident.sources}
    if unknown := sorted(one for one in told if one and not is_account(one)):
        yield (
            f"what the evidence puts into {listed([quoted(one) for one in unknown], _MOST)}, which no account is "
            "called: no call can be made there, so that no step ends it. Find out whose it is by the raw records"
        )
    if incident.held:
        yield f"what a deny does not end: {', '.join(OUTLIVES)}"


def _without_room(incident: IncidentModel, moves: Sequence[PlannedStep]) -> Iterator[str]:
    """Accounts that can't have the service control policy that would keep the attacker from undoing steps."""
    shielded = {principal for move in moves[:1] for principal in move.shields}
    manager = incident.management_account
    if manager is None or not incident.writers or incident.writing <= shielded:
        return
    accounts = {one.account for one in incident.writing - shielded} - {"", manager}
    if full := sorted(one for one in accounts if not incident.controls_room(one)):
        yield (
            f"by the log, account{'s' * (len(full) > 1)} {listed(full, _MOST)} can't have another service control "
            "policy, so that none keeps whoever may change IAM there from undoing the steps: detach one and plan again"
        )


def _kept_as_evidence(moves: Sequence[PlannedStep]) -> Iterator[str]:
    """What the attacker made and the plan does not delete."""
    made = short_apart([one for move in moves for one in move.made])
    if made:
        yield (
            f"what the attacker made stays as evidence, inactive or denied everything: {listed(made, _MOST)}. "
            "Whoever may write IAM can put it back into use: delete it after the investigation (--delete-created plans "
            "that)"
        )
