"""The whole of `guard`: audit, guardrails from the catalogue and the user's own, and their back-test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tokentrail.detection.model import SEVERITIES, Severity
from tokentrail.errors import UsageError
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import credential
from tokentrail.policy.account.permissions import Policy
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.supplements import Report, under
from tokentrail.prevention import backtest, own_policies
from tokentrail.prevention.attacker import Attacker
from tokentrail.prevention.catalogue import CHECKS, GUARDRAILS
from tokentrail.prevention.estate import Estate, SeenKey
from tokentrail.prevention.evidence import Evidence, gather
from tokentrail.prevention.history import History
from tokentrail.prevention.model import AuditFinding, Guard
from tokentrail.prevention.proposal import GuardrailProposal
from tokentrail.prevention.rule import NotMade
from tokentrail.store.interface import Engine

CANNOT = (
    "GetSessionToken can't be denied: it needs no permission, and no policy stops it (IAM User Guide, 'Permissions for "
    "GetSessionToken'). Only what its token may do can be, and only users and keys that are not there mint none.",
    "GetCallerIdentity can't be denied either; it tells a thief whose key it is, and nothing more.",
    "What was minted before a policy is in force lives on, but is under it from then: policies on principals and SCPs "
    "are tested at each call, trust policies and session lengths only when a session is minted.",
    "SCPs and RCPs bind neither the management account nor service-linked roles, and root users' tokens in the "
    "management account can't be narrowed at all.",
    "No policy of AWS tells a thief on the host, or in the browser, from whom the credential belongs to.",
)
"""What no policy prevents (IAM and AWS STS documentation, and AWS Organizations User Guide, 'SCPs')."""
_NEEDS_SNAPSHOT = (
    "No IAM snapshot was given (--iam), so that the audit saw only what the logs show. Make one for each account with "
    "`aws iam get-account-authorization-details`; `aws iam get-credential-report` and `aws iam list-roles` add the use "
    "of keys and the length of sessions."
)
_CONTROLS_ALONE = (
    "The SCPs that were given (--scp) were not looked at: they bear on the audit of an account whose snapshot is given "
    "too (--iam). `--policy` tests one over the history."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the user gave beside the case."""

    snapshots: tuple[Snapshot, ...] = ()
    reports: tuple[Report, ...] = ()
    lengths: Mapping[str, int] | None = None
    controls: tuple[Policy, ...] = ()
    policies: tuple[tuple[str, bytes], ...] = ()
    """The user's own policies to test, by name."""
    only: tuple[str, ...] = ()
    """Ids or rules of the guardrails to test; all by default."""
    whole: bool = False
    """Whether every call is listed."""


def guard(
    engine: Engine,
    forest: Forest,
    attacker: Attacker,
    objects: Sequence[str],
    given: Given,
    scratch: Path | None,
) -> Guard:
    """
    Audit, propose and test; a `scratch` folder is made for what is much.

    Raises:
        UsageError: a policy of the user's can't be read, a guardrail is not among those made, or two snapshots are
            of one account.
    """
    snapshots = tuple(under(one, given.controls) for one in given.snapshots)
    with (
        engine.as_written(),  # else all calls may be held in memory, to join a smaller table to them
        closing(History(engine, attacker.places, attacker.starts, scratch)) as history,
    ):
        evidence = gather(history, objects, snapshots)
        proposals, unmade = _proposals(evidence, given.policies)
        proposals = _only(proposals, given.only)
        tested = backtest.ranked(backtest.run(history, attacker, proposals, whole=given.whole))
        keys = _seen(forest)
    findings = audit(evidence, keys, given, forest.as_of)
    if not snapshots:
        unmade = (_NEEDS_SNAPSHOT, *((_CONTROLS_ALONE,) if given.controls else ()), *unmade)
    return Guard(
        as_of=forest.as_of, subjects=attacker.subjects, attackers=tuple(sorted(attacker.names)),
        assumed=attacker.assumed, findings=findings, guardrails=tested, cannot=CANNOT, unmade=unmade,
    )  # fmt: skip


def audit(
    evidence: Evidence, keys: tuple[SeenKey, ...], given: Given, as_of: datetime
) -> tuple[AuditFinding, ...]:
    """Run every check; the worst first, then by rule, principal and id."""
    estate = Estate(
        reach=Reach(under(one, given.controls) for one in given.snapshots),
        evidence=evidence, as_of=as_of, keys=keys, reports=given.reports,
        lengths=given.lengths or {},
    )  # fmt: skip
    found = [one for check in CHECKS for one in check.find(estate)]
    return tuple(sorted(found, key=_rank))


def _rank(one: AuditFinding) -> tuple[object, ...]:
    severity: Severity = one.severity
    return -SEVERITIES.index(severity), one.rule, one.principal or "", one.id


def _proposals(
    evidence: Evidence, policies: Sequence[tuple[str, bytes]]
) -> tuple[list[GuardrailProposal], tuple[str, ...]]:
    found = [own_policies.proposal(content, name, evidence) for name, content in policies]
    unmade = []
    for maker in GUARDRAILS:
        made = maker.make(evidence)
        if isinstance(made, NotMade):
            unmade.append(f"{maker.id}: {made.why}.")
        else:
            found += made
    return _identified(found), tuple(unmade)


def _identified(proposals: list[GuardrailProposal]) -> list[GuardrailProposal]:
    """Tell those of one rule apart by the principal that they are for, and by its account where names are alike."""
    counts = Counter((one.id, _short(one)) for one in proposals)
    return [
        one
        if one.rule == own_policies.OWN or not _short(one)
        else replace(
            one, id=f"{one.id}:{_short(one)}" + (f"@{one.account}" if counts[one.id, _short(one)] > 1 else "")
        )
        for one in proposals
    ]


def _only(proposals: list[GuardrailProposal], wanted: Sequence[str]) -> list[GuardrailProposal]:
    known = {name for one in proposals for name in (one.id, one.rule)}
    for name in wanted:
        if name not in known:
            raise UsageError(f"{name!r}: no such guardrail was made. There are: {', '.join(sorted(known))}.")
    return [one for one in proposals if not wanted or {one.id, one.rule} & set(wanted)]


def _short(one: GuardrailProposal) -> str:
    return (one.target or "").rpartition("/")[2]


_USERS = "kind IN ('long_term_key', 'api_key', 'session_token')"


def _seen(forest: Forest) -> tuple[SeenKey, ...]:
    """Users' keys and tokens, with their state."""
    listed = (
        credential(row, judge)
        for rows in forest.known(_USERS)
        for judge in (forest.judge_of(rows),)
        for row in rows
    )
    return tuple(
        SeenKey(
            id=one.id, kind=one.kind, account=one.account, principal=one.principal, mfa=one.mfa, state=one.state,
            used=one.used, made=one.issued_by is not None, expires=one.expires_at is not None,
        )
        for one in listed
    )  # fmt: skip
