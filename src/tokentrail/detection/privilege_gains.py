"""
What a principal does to its own power: policies, groups, trusts and boundaries of its own.

A change is about its maker where it names the maker's user or role, a group that the log shows the user to be in, or a
policy that the log shows to be attached to one of these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import short
from tokentrail.detection.model import Severity
from tokentrail.detection.trust_policies import let_in
from tokentrail.formatting import quoted
from tokentrail.lineage.rows import Row, object_of
from tokentrail.policy.history.managed import aws_document
from tokentrail.policy.language.documents import Document, Malformed, names_action, parse
from tokentrail.policy.language.truth import Truth

OWN_CALLS = (
    "AddUserToGroup", "AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy", "CreatePolicyVersion",
    "DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "PutGroupPolicy", "PutRolePolicy",
    "PutUserPolicy", "SetDefaultPolicyVersion", "UpdateAssumeRolePolicy",
)  # fmt: skip
"""Calls by which a principal can do more than before (IAM API Reference; Rhino Security Labs, 'AWS IAM Privilege
Escalation Methods')."""
CLOSING = ("AWSDenyAll", "AWSCompromisedKeyQuarantine")
"""How the names of AWS's policies begin that only deny: AWS attaches a quarantine in the user's own name."""
_BY_NAME = (
    "DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "PutRolePolicy", "PutUserPolicy",
    "UpdateAssumeRolePolicy",
)  # fmt: skip
"""Of these, which pipelines make all day, only those matter that name their maker."""
_LONGEST_KEPT = 16_384
"""Characters of the longest document whose judgement is kept: IAM stores no longer one."""
_READ = {
    *(set(OWN_CALLS) - set(_BY_NAME)),
    "CreatePolicy", "DetachUserPolicy", "DetachRolePolicy", "RemoveUserFromGroup",
}  # fmt: skip
_CHANGES = f"""
    SELECT c.n, c.source, c.name, c.time, c.event_id, c.event_id_text, c.request, c.response, c.document, c.by_arn,
           c.by_type, c.by_service, c.in_account
    FROM attributed_changes c
    WHERE c.source = 'iam.amazonaws.com'
      AND (c.name IN {tuple(sorted(_READ))!r}
           OR c.name IN {_BY_NAME!r}
              AND contains(c.request, '"' || CASE WHEN contains(c.by_arn, ':assumed-role/')
                                                  THEN split_part(split_part(c.by_arn, ':assumed-role/', 2), '/', 1)
                                                  ELSE split_part(c.by_arn, '/', -1) END || '"'))
    ORDER BY c.time, c.event_id"""
_EMPOWERING = (
    "iam:attachuserpolicy", "iam:attachrolepolicy", "iam:putuserpolicy", "iam:putrolepolicy", "iam:createpolicyversion",
    "iam:createaccesskey", "iam:updateassumerolepolicy", "iam:addusertogroup",
)  # fmt: skip
"""Actions by which whoever has them on everything can take all others, as far as a policy can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivilegeGain:
    """A change by which its maker may do more."""

    row: Row
    severity: Severity
    what: str
    """What was done, in words."""


@dataclass(slots=True)
class _Account:
    """What the log shows so far of who has which policies and groups."""

    groups: dict[str, set[str]] = field(default_factory=dict)
    """By user: the groups."""
    attached: dict[str, set[str]] = field(default_factory=dict)
    """By `user/NAME`, `role/NAME` or `group/NAME`: the ARNs of policies."""
    policies: dict[str, Severity | None] = field(default_factory=dict)
    """By a policy's ARN: how much its newest document gives."""


def privilege_gains(context: DetectionContext) -> list[PrivilegeGain]:
    """The changes by which their change_actors may do more, by time; what AWS does in somebody's name is none."""
    accounts: dict[str | None, _Account] = {}
    found = []
    for row in context.rows(_CHANGES):  # not all at once: most of them are text
        known = accounts.setdefault(row["in_account"], _Account())
        asked = object_of(row["request"])
        if row["name"] in OWN_CALLS and row["by_service"] is None:
            own = _own(row, asked, known)
            if own is not None:
                found.append(PrivilegeGain(row=row, severity=own[0], what=own[1]))
        _take_in(row, asked, known)
    return found


def _maker(row: Row) -> str | None:
    """The maker as `user/NAME` or `role/NAME`; names are without paths, and one to an account."""
    arn = row["by_arn"] or ""
    head, _, rest = arn.partition(":user/")
    if rest and row["by_type"] == "IAMUser":
        return f"user/{rest.rpartition('/')[2]}"
    head, _, rest = arn.partition(":assumed-role/")
    return f"role/{rest.partition('/')[0]}" if rest and head else None


def _target(asked: dict[str, Any]) -> str | None:
    """Whom a change names."""
    for member, kind in (("groupName", "group"), ("userName", "user"), ("roleName", "role")):
        if isinstance(asked.get(member), str):
            return f"{kind}/{asked[member]}"
    return None


def _own(row: Row, asked: dict[str, Any], known: _Account) -> tuple[Severity, str] | None:
    maker = _maker(row)
    if maker is None:
        return None
    name, target = row["name"], _target(asked)
    groups = known.groups.get(maker.removeprefix("user/"), set()) if maker.startswith("user/") else set[str]()
    mine = {maker, *(f"group/{group}" for group in groups)}
    if name == "AddUserToGroup":
        return (
            ("high", f"joined group {_said(asked.get('groupName'))}")
            if maker == f"user/{asked.get('userName')}"
            else None
        )
    if name in ("CreatePolicyVersion", "SetDefaultPolicyVersion"):
        return _version(name, asked, row["document"], mine, known)
    if target not in mine:
        return None
    whose = "itself" if target == maker else f"{_said(target).replace('/', ' ')}, which it is in"
    if name.endswith("PermissionsBoundary"):
        return "high", "took its own permissions boundary away"
    if name == "UpdateAssumeRolePolicy":
        strangers = let_in(row["document"]) - {row["in_account"]}
        return ("high" if strangers else "medium"), "changed whom its own role trusts"
    if name.startswith("Attach"):
        arn = str(asked.get("policyArn") or "")
        severity = _power_of_policy(arn, known)
        return (severity, f"attached {short(arn)} to {whose}") if severity else None
    severity = _power_of_text(row["document"])
    return (severity, f"gave {whose} inline policy {_said(asked.get('policyName'))}") if severity else None


def _said(name: object) -> str:
    """A name of the request in a sentence, whatever stands there."""
    return quoted(name) if isinstance(name, str) else "?"


def _version(
    name: str, asked: dict[str, Any], document: str | None, mine: Iterable[str], known: _Account
) -> tuple[Severity, str] | None:
    """A new or another default version of a policy that the maker has; a version that is no default changes nothing."""
    arn = str(asked.get("policyArn") or "")
    if not any(arn in known.attached.get(one, ()) for one in mine):
        return None
    if name == "SetDefaultPolicyVersion":
        return "high", f"chose version {_said(asked.get('versionId'))} of its own policy {short(arn)}"
    if asked.get("setAsDefault") not in (True, "true"):
        return None
    severity = _power_of_text(document)
    return (severity, f"wrote a new version of its own policy {short(arn)}") if severity else None


def _power_of_policy(arn: str, known: _Account) -> Severity | None:
    """How much a managed policy gives, as far as the log shows its text, or AWS wrote it."""
    if arn.rpartition("/")[2].startswith(CLOSING):
        return None
    return known.policies[arn] if arn in known.policies else power_of(aws_document(arn))


def _power_of_text(text: str | None) -> Severity | None:
    """How much a document gives, by its text."""
    return _power_of_kept_text(text) if text and len(text) <= _LONGEST_KEPT else power_of(parse(text))


@lru_cache(maxsize=256)
def _power_of_kept_text(text: str) -> Severity | None:
    """The same of texts of a usual length; pipelines write the same ones all day."""
    return power_of(parse(text))


def power_of(document: Document | Malformed) -> Severity | None:
    """How much a policy gives: all, or the way to all; something, or nobody knows what; or nothing (`None`)."""
    if isinstance(document, Malformed):
        return "medium"
    allowing = [one for one in document.statements if one.effect == "Allow"]
    if not allowing:
        return None
    wide = any(
        one.names_all_resources
        and any(names_action(one.actions, action) is Truth.YES for action in ("*", *_EMPOWERING))
        for one in allowing
    )
    return "high" if wide else "medium"


def _take_in(row: Row, asked: dict[str, Any], known: _Account) -> None:
    """Enter what a change did to the account."""
    name, target, arn = row["name"], _target(asked), asked.get("policyArn")
    user, group = str(asked.get("userName")), str(asked.get("groupName"))
    if name == "AddUserToGroup":
        known.groups.setdefault(user, set()).add(group)
    elif name == "RemoveUserFromGroup":
        known.groups.get(user, set()).discard(group)
    elif name.startswith("Attach") and target and isinstance(arn, str):
        known.attached.setdefault(target, set()).add(arn)
    elif name.startswith("Detach") and target and isinstance(arn, str):
        known.attached.get(target, set()).discard(arn)
    elif name == "CreatePolicy":
        policy = object_of(row["response"]).get("policy")
        if isinstance(policy, dict) and isinstance(policy.get("arn"), str):
            known.policies[policy["arn"]] = _power_of_text(row["document"])
    elif (
        name == "CreatePolicyVersion" and isinstance(arn, str) and asked.get("setAsDefault") in (True, "true")
    ):
        known.policies[arn] = _power_of_text(row["document"])


def is_self_grant(row: Row) -> bool:
    """Whether a change gives its maker a policy or a group, by its request alone: `privilege_gains` tells of it."""
    given = row["name"] in OWN_CALLS and row["name"] != "UpdateAssumeRolePolicy"
    asked = object_of(row["request"]) if given else {}
    target = f"user/{asked.get('userName')}" if row["name"] == "AddUserToGroup" else _target(asked)
    return given and target is not None and target == _maker(row)
