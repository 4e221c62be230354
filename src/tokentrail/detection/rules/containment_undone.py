"""
A step of containment that somebody else took back.

What a customer's own policy denies is known if the evidence has its document; what is set as a permissions boundary is
read in the same way (IAM User Guide, 'Permissions boundaries for IAM entities'). A denial is taken back, too, by one in
its place that denies less, and by another default version of the policy that is attached (IAM API Reference,
'PutRolePolicy': a policy of the same name is overwritten; 'SetDefaultPolicyVersion').
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import short
from tokentrail.detection.model import SEVERITIES, Hit, Rule, Severity
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CHANGE_ACTORS, CREDENTIAL_DETAILS
from tokentrail.formatting import at
from tokentrail.lineage.entries import change
from tokentrail.lineage.rows import Row, object_of
from tokentrail.policy.history.changes import Change, in_order
from tokentrail.policy.history.ledger import Ledger
from tokentrail.policy.history.managed import Reader
from tokentrail.policy.history.replay import enter
from tokentrail.policy.history.service_control_policies import ORGANIZATIONS_HANDLERS, Organisation
from tokentrail.policy.history.timeline import PlacedPolicy, step_at
from tokentrail.policy.language.documents import Document
from tokentrail.policy.language.evaluate import cutoff_of

_KEY_NAMED = {
    "UpdateAccessKey": "accessKeyId",
    "UpdateServiceSpecificCredential": "serviceSpecificCredentialId",
}
"""The calls that make a key active or inactive, each with the parameter that names the key."""
_CALLS = (
    *_KEY_NAMED, "PutRolePolicy", "PutUserPolicy", "DeleteRolePolicy", "DeleteUserPolicy",
    "AttachUserPolicy", "AttachRolePolicy", "DetachUserPolicy", "DetachRolePolicy",
    "PutUserPermissionsBoundary", "PutRolePermissionsBoundary", "DeleteUserPermissionsBoundary",
    "DeleteRolePermissionsBoundary",
)  # fmt: skip
_SWITCHES = ("CreatePolicyVersion", "SetDefaultPolicyVersion")
_ORGANIZATIONS_CALLS = frozenset(ORGANIZATIONS_HANDLERS)
_LIFTED_BY = {
    "DetachPolicy": "detached service control policy {policy} from {target}",
    "UpdatePolicy": "rewrote service control policy {policy} of {target}",
    "MoveAccount": "moved account {account} away from {target}, where service control policy {policy} binds,",
    "RemoveAccountFromOrganization": "removed account {account} from the organisation, where {policy} bound it,",
    "LeaveOrganization": "took account {account} out of the organisation, where {policy} bound it,",
    "DisablePolicyType": "switched off service control policies, {policy} of {target} among them,",
}
"""The calls that may lift a service control policy, and what they did, in words."""
_STEPS = f"""
    SELECT c.n, c.name, c.time, c.event_id, c.event_id_text, c.request, c.document, c.by_arn, c.in_account
    FROM attributed_changes c
    WHERE c.name IN {(*_CALLS, *_SWITCHES)!r} AND c.source = 'iam.amazonaws.com'
      AND (c.name NOT LIKE 'Put%' OR c.request IS NOT NULL)
      AND (c.name NOT LIKE 'Put%Policy' OR coalesce(c.in_account, '') IN (
        SELECT coalesce(d.in_account, '') FROM attributed_changes d
        WHERE d.name LIKE 'Put%Policy' AND d.document LIKE '%"Deny"%'))"""
"""Policies that are put count where one that denies was put at all: another put in its place may take it back. What is
left of these texts is few, and only then whose they are is asked."""
_TAKEN = """
    SELECT s.*, coalesce(k.person, s.by_arn) AS person FROM steps s LEFT JOIN change_actors k ON k.n = s.n
    ORDER BY s.time, s.event_id"""
_ARN = """coalesce(nullif(regexp_extract(c.response, '"arn":"([^"]+)"', 1), ''),
                   regexp_extract(c.request, '"policyArn":"([^"]+)"', 1))"""
_VERSIONS = "c.name IN ('CreatePolicy', 'CreatePolicyVersion', 'SetDefaultPolicyVersion', 'DeletePolicy')"
_DENYING_POLICIES = f"""
    SELECT DISTINCT {_ARN} AS arn FROM attributed_changes c
    WHERE {_VERSIONS} AND c.source = 'iam.amazonaws.com' AND c.document LIKE '%"Deny"%'"""
_WRITTEN = f"""
    SELECT c.*, NULL AS caller_user FROM attributed_changes c
    WHERE {_VERSIONS} AND c.source = 'iam.amazonaws.com' AND {_ARN} IN (SELECT arn FROM denying_policies)"""
_CONTROLLED = f"""
    SELECT c.*, NULL AS caller_user, coalesce(k.person, c.by_arn) AS person
    FROM attributed_changes c LEFT JOIN change_actors k ON k.n = c.n
    WHERE c.source = 'organizations.amazonaws.com' AND c.name IN {tuple(sorted(_ORGANIZATIONS_CALLS))!r}"""
_KEYS = """
    SELECT id FROM (SELECT DISTINCT regexp_extract(id, '^([^@]+)', 1) AS id FROM credential_details
                    WHERE kind IN ('long_term_key', 'api_key'))
    WHERE id NOT IN (
      SELECT coalesce(regexp_extract(response, '"(accessKeyId|serviceSpecificCredentialId)":"([^"]+)"', 2), '')
      FROM attributed_changes WHERE name IN ('CreateAccessKey', 'CreateServiceSpecificCredential'))"""
"""A key that was made within the evidence was active from then on."""
_DENYING = ("AWSDenyAll", "AWSCompromisedKeyQuarantine")
_REVOCATION = "AWSRevokeOlderSessions"
_Thing = tuple[str, str, str, str]


def find(context: DetectionContext) -> Iterator[Hit]:
    """Go through the changes: which denied or deactivated something, and which undid that."""
    yield from _controls_lifted(context)
    if not context.table("steps", _STEPS):
        return
    ledger = _policies(context)
    set_before: dict[_Thing, Row] = {}
    switched: set[_Thing] = set()
    reactivated: list[tuple[Row, _Thing]] = []
    for row in context.rows(_TAKEN):
        asked = object_of(row["request"])
        if row["name"] in _SWITCHES:
            opened = _opened(row, asked, set_before, ledger)
            told = [hit for thing in opened for hit in _undone(context, row, set_before.pop(thing), thing)]
            if told:  # of all whom the policy denied, the worst: one event is one finding
                yield max(told, key=lambda hit: SEVERITIES.index(hit.severity))
            continue
        thing = _thing(row, asked)
        if thing is None:
            continue
        switches = row["name"] in _KEY_NAMED
        first = switches and thing not in switched
        if switches:
            switched.add(thing)
        before = set_before.get(thing)
        if _contains(row, asked, ledger) and not _weaker(row, before, ledger):
            set_before[thing] = row
            continue
        set_before.pop(thing, None)
        if before is None and first and asked.get("status") == "Active":
            reactivated.append((row, thing))
        unseen = before is None and row["name"].startswith(("Detach", "Delete"))
        if unseen or before is not None:
            yield from _undone(context, row, before, thing)
    yield from _deactivated_before(context, reactivated)


def _controls_lifted(context: DetectionContext) -> Iterator[Hit]:
    """The same for service control policies, in the log of the organisation's management account."""
    rows = {event_of(row): row for row in context.rows(_CONTROLLED)}
    changes = (change({**row, "account": row["in_account"]}, event) for event, row in rows.items())
    for one in sorted(lifted(changes), key=lambda one: (rows[one.by]["time"], one.by)):
        row, before = rows[one.by], rows[one.before]
        suspicious = context.suspicious(row["n"])
        soon = row["time"] - before["time"] <= context.thresholds.whole("undone_within")
        if soon and (suspicious or before["person"] != row["person"]):
            why = (
                f"{short(row['by_arn'])} {one.done} at {at(row['time'])}; "
                f"{short(before['by_arn'])} had denied everything by it at {at(before['time'])}."
            )
            yield _told(row, before, why, "critical" if suspicious else "medium")


def _undone(context: DetectionContext, row: Row, before: Row | None, thing: _Thing) -> Iterator[Hit]:
    """The hit for a step that was undone, if that came soon enough after it."""
    if before is None or row["time"] - before["time"] <= context.thresholds.whole("undone_within"):
        hit = _hit(context, row, before, thing)
        if hit is not None:
            yield hit


def _weaker(row: Row, before: Row | None, ledger: Ledger) -> bool:
    """Whether an inline denial replaces one that denied everything, or denied it to more tokens."""
    if before is None or not before["name"].startswith("Put") or not row["name"].endswith("Policy"):
        return False
    return _reach(ledger.read(row["document"])) < _reach(ledger.read(before["document"]))


def _opened(
    row: Row, asked: Mapping[str, Any], set_before: Mapping[_Thing, Row], ledger: Ledger
) -> list[_Thing]:
    """Changes of a version of an attached policy or boundary that had denied everything and no longer does."""
    arn = str(asked.get("policyArn", ""))
    if _denies_all(ledger, arn, row["time"]):
        return []
    return [thing for thing, before in set_before.items() if _policy_of(before) == arn]


def _policy_of(before: Row) -> str | None:
    """The managed policy that a step attached or set as a boundary."""
    asked = object_of(before["request"])
    return asked.get("policyArn") or asked.get("permissionsBoundary")


def _policies(context: DetectionContext) -> Ledger:
    """The customer's policies that denied at any time, each with its documents over time."""
    ledger = Ledger()
    if context.table("denying_policies", _DENYING_POLICIES):
        written = (
            change({**row, "account": row["in_account"]}, event_of(row)) for row in context.rows(_WRITTEN)
        )
        for one in in_order(written):
            enter(ledger, one)
    return ledger


def _denies_all(ledger: Ledger, arn: str, time: int) -> bool:
    """Whether a managed policy denied everything at a time, or everything to tokens issued before a cutoff."""
    steps, says = ledger.documents_of(arn)
    last = step_at(steps, datetime.fromtimestamp(time, UTC))
    held = steps[last].value if last >= 0 else says
    return _reach(held) > -math.inf


def _reach(held: PlacedPolicy) -> float:
    """The cutoff before which tokens must have been issued for a policy to deny them everything; infinite for all."""
    denials = held.denials if isinstance(held, Document) else ()
    cutoffs = (cutoff_of(Document(statements=(one,))) for one in denials)
    return max((cutoff for cutoff in cutoffs if cutoff is not None), default=-math.inf)


def _thing(row: Row, asked: Mapping[str, Any]) -> _Thing | None:
    """What a call is about, if it is one that can contain or undo."""
    account = row["in_account"] or ""
    who = str(asked.get("roleName") or asked.get("userName") or "")
    name = row["name"]
    if name in _KEY_NAMED:  # whose it is may be left out: the caller's own
        return (account, "key", "", str(asked.get(_KEY_NAMED[name])))
    if name.endswith("PermissionsBoundary"):
        return (account, "role boundary" if "Role" in name else "user boundary", who, "")
    if name.startswith(("Attach", "Detach")):
        return (account, "attached", who, str(asked.get("policyArn", "")))
    policy = str(asked.get("policyName", ""))
    denies = row["document"] is not None and '"Deny"' in row["document"]
    known = policy == _REVOCATION or denies or name.startswith("Put")
    return (account, "inline", who, policy) if known or name.startswith("Delete") else None


def _contains(row: Row, asked: Mapping[str, Any], ledger: Ledger) -> bool:
    name = row["name"]
    if name in _KEY_NAMED:
        return bool(asked.get("status") == "Inactive")
    if name.startswith("Put") and name.endswith("Boundary"):
        return _denies_all(ledger, str(asked.get("permissionsBoundary", "")), row["time"])
    if name.startswith("Put"):
        return row["document"] is not None and '"Deny"' in row["document"]
    arn = str(asked.get("policyArn", ""))
    return bool(name.startswith("Attach")) and (_quarantines(arn) or _denies_all(ledger, arn, row["time"]))


def _quarantines(arn: str) -> bool:
    """Whether a policy contains, judged by its name."""
    return any(one in arn for one in _DENYING)


def _hit(context: DetectionContext, row: Row, before: Row | None, thing: _Thing) -> Hit | None:
    """The hit for an undone step; a responder who undoes a step of their own is left out."""
    _, kind, _, what = thing
    if before is None and not ((kind == "attached" and _quarantines(what)) or what == _REVOCATION):
        return None
    suspicious, own = context.suspicious(row["n"]), _own(row, thing)
    if before is not None and before["person"] == row["person"] and not (suspicious or own):
        return None
    since = f", which {short(before['by_arn'])} had set at {at(before['time'])}" if before else ""
    why = f"{short(row['by_arn'])} {_done(row, before, thing)} at {at(row['time'])}{since}."
    return _told(row, before, why, "critical" if suspicious or own else "medium")


def _own(row: Row, thing: _Thing) -> bool:
    """Whether a credential freed its own user or role; a role session's name follows the role's name."""
    _, kind, who, _ = thing
    if kind == "key":
        who = str(object_of(row["request"]).get("userName") or "")
        if not who:
            return True  # whoever names no user means its own
    arn = row["by_arn"] or ""
    _, session, role = arn.partition(":assumed-role/")
    if session:
        return role.partition("/")[0] == who and "userName" not in (row["request"] or "")
    return ":user/" in arn and arn.rpartition("/")[2] == who


def _done(row: Row, before: Row | None, thing: _Thing) -> str:
    """What was done, in words."""
    _, kind, who, what = thing
    if kind == "key":
        return f"made the key {what} active again"
    if row["name"] in _SWITCHES and before is not None:
        return f"opened {short(_policy_of(before))}, which denied {who} everything,"
    if kind == "inline" and row["name"].startswith("Put") and row["document"] and '"Deny"' in row["document"]:
        return f"put a denial of less in the place of {what} of {who}"
    if kind == "attached":
        return f"detached {short(what)} from {who}"
    if before is not None and kind.endswith("boundary"):
        bound = str(object_of(before["request"]).get("permissionsBoundary"))
        return f"took the permissions boundary {short(bound)} from {who}"
    return f"took the denial {what} from {who}"


def _deactivated_before(context: DetectionContext, reactivated: list[tuple[Row, _Thing]]) -> Iterator[Hit]:
    """Keys that were reactivated and had been deactivated before the evidence begins, if they occur in it otherwise."""
    if not reactivated:
        return
    known = {row["id"] for row in context.rows(_KEYS)}
    for row, thing in reactivated:
        if thing[-1] in known:
            yield _told(
                row,
                None,
                f"{short(row['by_arn'])} {_done(row, None, thing)} at {at(row['time'])}; the evidence does not show "
                "who had deactivated it.",
                "low",
            )


def _told(row: Row, before: Row | None, why: str, severity: Severity) -> Hit:
    event = event_of(row)
    done = [event_of(before)] if before else []
    return Hit(
        about=(event,),
        time=row["time"],
        severity=severity,
        why=why,
        subject=row["n"],
        places=() if row["n"] is None else (row["n"],),
        events=(*done, event),
        count=1 + len(done),
        principals=(row["by_arn"],) if row["by_arn"] else (),
        accounts=(row["in_account"],) if row["in_account"] else (),
        thresholds=("undone_within",),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """A denial by an SCP that a call lifted from an account."""

    by: str
    """The id of the event that lifted it."""
    before: str
    """The id of the event that had put it in force."""
    done: str
    """What was done, in words."""


def lifted(changes: Iterable[Change]) -> Iterator[Lifted]:
    """
    Find the calls that lifted a service control policy which denied somebody everything from an account, each once.

    Whoever may change the organisation can lift a containment that nobody in the account itself could lift.
    Source: AWS Organizations User Guide, 'Service control policies (SCPs)'; that of each call is cited by
    `policy.history.service_control_policies`.
    """
    organisation = Organisation(Reader())
    for one in in_order(changes):
        organisation.enter(one)
    told = set[str]()
    for account in organisation.accounts():
        for control in organisation.controls(account):
            for before, after in pairwise(control.steps if control.doubt is None else ()):
                freed = _denies_everything(before.value) and not _denies_everything(after.value)
                if freed and after.event_name in _LIFTED_BY and after.event_id not in told:
                    told.add(after.event_id)
                    done = _LIFTED_BY[after.event_name].format(
                        policy=control.policy, target=control.target, account=account
                    )
                    yield Lifted(by=after.event_id, before=before.event_id, done=done)


def _denies_everything(held: PlacedPolicy) -> bool:
    """Whether a policy denies everything to somebody, unlike guardrails, which deny some actions or regions."""
    denials = held.denials if isinstance(held, Document) else ()
    return any(one.is_total for one in denials)


RULE = Rule(
    id="containment-undone",
    title="A step of containment was taken back by somebody else",
    severity="critical",
    attack=("T1562", "T1098"),
    why="Who may write IAM can lift a denial within the seconds that it takes to bite, and go on as before.",
    false_alarm="Colleagues lift what is no longer needed, too; who set a step and takes it back is left out. A key "
    "that was deactivated before the evidence begins may have been so by whoever makes it active again: that is told "
    "at low severity.",
    references=(
        "OFFENSAI, 'AWS IAM eventual consistency persistence'",
        "AWS Identity and Access Management User Guide, 'AWSCompromisedKeyQuarantineV3'",
        "IAM User Guide, 'Permissions boundaries for IAM entities'",
        "AWS Organizations User Guide, 'Service control policies (SCPs)'",
        "IAM API Reference, 'UpdateAccessKey' and 'UpdateServiceSpecificCredential'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES, CHANGE_ACTORS),
    prefilter=frozenset((*_CALLS, *_SWITCHES, *_ORGANIZATIONS_CALLS)),
    late=True,
    thresholds=("undone_within",),
)
