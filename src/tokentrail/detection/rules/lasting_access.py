"""Ways in that outlive a credential: keys, users, passwords, trusts, providers, open functions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import SEVERITIES, Hit, Rule, Severity
from tokentrail.detection.privilege_gains import CLOSING, is_self_grant
from tokentrail.detection.trust_policies import ANYBODY, account_in, grants_all, let_in
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CHANGE_ACTORS, CREDENTIAL_DETAILS, LOGGED
from tokentrail.formatting import at, enumerated
from tokentrail.lineage.rows import Row, object_of

_NAMES = (
    "CreateAccessKey", "CreateUser", "CreateLoginProfile", "UpdateLoginProfile", "CreateRole",
    "UpdateAssumeRolePolicy", "CreateSAMLProvider", "UpdateSAMLProvider", "CreateOpenIDConnectProvider",
    "CreateTrustAnchor", "CreateProfile", "CreateServiceSpecificCredential", "UploadSSHPublicKey",
    "UploadSigningCertificate", "AttachUserPolicy", "CreateFunction20150331", "CreateFunction20150331v2",
    "AddPermission20150331v2", "CreateFunctionUrlConfig", "CreateActivation", "CreatePolicyVersion",
    "AttachRolePolicy", "EnableOutboundWebIdentityFederation", "CreateOAuth2PublicClient",
    "AddClientIDToOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint", "UpdateTrustAnchor",
    "UpdateOpenIDConnectProvider", "PutAttributeMapping",
    "ResetServiceSpecificCredential", "CreatePermissionSet", "PutInlinePolicyToPermissionSet",
    "CreateAccountAssignment", "CreateGroupMembership", "AttachGroupPolicy", "AddUserToGroup", "PutUserPolicy",
    "PutRolePolicy", "PutGroupPolicy", "AcquireRole", "IssueCertificate", "EnableOrganizationsRootSessions",
    "EnableOrganizationsRootCredentialsManagement", "PutConsoleAuthorizationConfiguration",
    "PutResourcePermissionStatement",
)  # fmt: skip
_INLINE = ("PutUserPolicy", "PutRolePolicy", "PutGroupPolicy")
_SHARED = {
    "CreateUser": ("iam", "identitystore", "sso-directory"), "CreateGroupMembership": ("identitystore",),
    "CreatePolicyVersion": ("iam",), "CreateProfile": ("rolesanywhere",), "CreateActivation": ("ssm",),
}  # fmt: skip
"""Names that other services' calls bear too: a user of Transfer Family or of a cache can't act in an account."""
_MEANT = " AND ".join(
    f"({{of}}.name <> '{name}' OR replace({{of}}.source, '.amazonaws.com', '') IN ({', '.join(map(repr, sources))}))"
    for name, sources in _SHARED.items()
)
_POWERS = r'"NotAction"|"Action"\s*:\s*(\[[^\]]*)?"\*(:\*)?"'
"""What stands in an inline policy that gives all power: of all others, which are many, none is looked at."""
_MADE = f"""
    SELECT c.n, c.source, c.name, c.time, c.event_id, c.event_id_text, c.request, c.response, c.document,
           c.by_arn, c.by_type, c.in_account, k.kind AS by_kind, k.person,
           coalesce(h.first < c.time - ?, FALSE) AS before
    FROM attributed_changes c LEFT JOIN change_actors k ON k.n = c.n
    LEFT JOIN (SELECT e.name, q.person, min(e.time) AS first FROM attributed_changes e JOIN change_actors q ON q.n = e.n
               WHERE {_MEANT.format(of="e")} GROUP BY e.name, q.person) h ON h.name = c.name AND h.person = k.person
    WHERE c.name IN {_NAMES!r} AND c.by_service IS NULL AND {_MEANT.format(of="c")}
      AND (c.name NOT IN {_INLINE!r} OR regexp_matches(coalesce(c.document, ''), '{_POWERS}'))
    ORDER BY c.n, c.time, c.event_id"""
_STRONG = {
    "CreateSAMLProvider": None, "UpdateSAMLProvider": None, "CreateOpenIDConnectProvider": None,
    "CreateTrustAnchor": None,
    "EnableOrganizationsRootSessions": "root sessions in the organisation's accounts (AssumeRoot)",
    "EnableOrganizationsRootCredentialsManagement": "the right to manage its accounts' root credentials",
    "PutConsoleAuthorizationConfiguration": "limits to who signs in to the console, in force",
    "PutResourcePermissionStatement": "a statement of who signs in to the console, and from where",
}  # fmt: skip
"""
What always counts, and how it is told if not by the call's name.

Sources: IAM User Guide, 'Centralize root access for member accounts': the organisation's management account, and whom
that delegates to, acts as root in all member accounts from then on; AWS Sign-In API Reference,
'PutResourcePermissionStatement' (networks from which people sign in, and `excludedPrincipal`, whom that does not bind:
so an attacker may shut out those who respond, or open the console to addresses of his own).
"""
_WAYS_IN = frozenset(
    {
        "CreateLoginProfile",
        "UpdateLoginProfile",
        "CreateServiceSpecificCredential",
        "UploadSigningCertificate",
    }
)
_FUNCTIONS = frozenset({"CreateFunction20150331", "CreateFunction20150331v2", "CreateFunctionUrlConfig"})
_PASSWORDS = {"CreateLoginProfile": "a password", "UpdateLoginProfile": "a new password"}
_ADMIN = ("AdministratorAccess", "IAMFullAccess", "PowerUserAccess")


@dataclass(frozen=True, slots=True)
class _Made:
    """One lasting thing."""

    row: Row
    severity: Severity
    what: str


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather, by the credential that made them, the ways in that it left."""
    accounts = {row["account"] for row in context.rows(LOGGED)}
    by_maker: dict[tuple[int, str], list[_Made]] = {}
    for row in list(context.rows(_MADE, (context.thresholds.whole("habit_after"),))):
        one = _judged(row, accounts, suspicious=context.suspicious(row["n"]))
        if one is not None:
            by_maker.setdefault((row["n"] if row["n"] is not None else -1, row["by_arn"] or ""), []).append(
                one
            )
    known = context.credentials(n for n, _ in by_maker if n >= 0)
    for (n, arn), made in sorted(by_maker.items()):
        yield _hit(known.get(n), arn, made)


def _judged(row: Row, accounts: set[str], *, suspicious: bool) -> _Made | None:
    """One change as a lasting thing, with its severity; `None` for what people and pipelines do every day."""
    asked = object_of(row["request"])
    if row["name"] in _INLINE and not grants_all(row["document"]):
        return None
    if is_self_grant(row):
        return None  # told as `self-escalation`
    found = _outright(row, asked, accounts)
    if str(asked.get("policyArn", "")).rpartition("/")[2].startswith(CLOSING):
        return None  # AWS's quarantine is put on a user in the user's own name, and opens nothing
    if found is None and suspicious:
        return _Made(row, "high", _besides(row, asked))
    if found is None:
        return None
    severity, what = found
    if row["before"] and not suspicious and severity != "high":
        return None
    return _Made(row, _worse(severity) if suspicious else severity, what)


def _besides(row: Row, asked: dict[str, Any]) -> str:
    """What is reported of suspicious lineages only, in words."""
    name, who = row["name"], asked.get("userName")
    if name == "CreateAccessKey" or name in _PASSWORDS:
        return f"{_PASSWORDS.get(name, 'a key')} for {_whose(row, who)}"
    if name == "AddUserToGroup":
        return f"user {who} in group {asked.get('groupName')}"
    return f"{name} {_target(asked)}".rstrip()


def _outright(row: Row, asked: dict[str, Any], accounts: set[str]) -> tuple[Severity, str] | None:
    name, who = row["name"], asked.get("userName")
    own = who is None or (row["by_type"] == "IAMUser" and (row["by_arn"] or "").endswith(f"/{who}"))
    temporary = row["by_kind"] not in (None, "long_term_key")
    if name in ("CreateRole", "AcquireRole", "UpdateAssumeRolePolicy"):
        return _trust(row, str(asked.get("roleName") or _acquired(row)), accounts)
    if name in _STRONG:
        return "medium", _STRONG[name] or f"{name} {_target(asked)}"
    if name == "CreateAccessKey" and not (own and not temporary):
        return "medium", f"a key for {_whose(row, who)}"
    if name == "CreateUser":
        of_iam = row["source"] == "iam.amazonaws.com"
        return "low", f"user {who or '(not named)'}" if of_iam else "a user of Identity Center"
    if name in _WAYS_IN and not (own and name == "UpdateLoginProfile"):
        return "medium", f"{_PASSWORDS.get(name, name)} for {_whose(row, who)}"
    if name == "AttachUserPolicy" and str(asked.get("policyArn", "")).endswith(_ADMIN):
        return "low", f"{short(str(asked['policyArn']))} for user {who}"
    if name == "PutUserPolicy":
        return "low", f"all power for user {who} by inline policy {asked.get('policyName')}"
    if name in _FUNCTIONS and temporary:
        return "low", f"function {_target(asked)}".rstrip()
    if name == "AddPermission20150331v2":
        return _callers(asked, accounts)
    return None


def _callers(asked: dict[str, Any], accounts: set[str]) -> tuple[Severity, str] | None:
    """
    Whom a function is opened to.

    Source: Lambda API Reference, 'AddPermission': PrincipalOrgID limits `*` to an organisation, and SourceAccount to
    what AWS's services do for an account.
    """
    function, account = _target(asked), _account(asked)
    if str(asked.get("principal", "")) == ANYBODY:
        if asked.get("principalOrgID"):
            return "low", f"anybody of organisation {asked['principalOrgID']} may call function {function}"
        account = str(asked.get("sourceAccount") or "") or None
        if account is None:
            return "high", f"anybody may call function {function}"
    if account not in (None, *accounts):
        return "medium", f"account {account} may call function {function}"
    return None


def _whose(row: Row, who: str | None) -> str:
    """
    Name the user that something was made for; a call that names none means its caller.

    Source: IAM API Reference, 'CreateAccessKey' and 'CreateLoginProfile': so are credentials of the root user made,
    which is no user of IAM.
    """
    if who is not None:
        return f"user {who}"
    return "the root user" if row["by_type"] == "Root" else "its own user"


def _acquired(row: Row) -> str:
    """The name of a role that was made of a template, as the answer tells it (IAM API Reference, 'AcquireRole')."""
    role = object_of(row["response"]).get("role")
    return str(role.get("roleName") or "") if isinstance(role, dict) else ""


def _trust(row: Row, role: str, accounts: set[str]) -> tuple[Severity, str] | None:
    allowed = let_in(row["document"])
    if ANYBODY in allowed:
        return "high", f"role {role} trusts anybody"
    strangers = sorted(allowed - accounts)
    if strangers:
        return (
            "medium",
            f"role {role} trusts account {enumerated(strangers)}, of which the case has no evidence",
        )
    return None


def _account(asked: dict[str, Any]) -> str | None:
    return account_in(str(asked.get("principal", "")))


def _target(asked: dict[str, Any]) -> str:
    for member in (
        "name",
        "roleName",
        "userName",
        "groupName",
        "functionName",
        "url",
        "policyArn",
        "instanceId",
    ):
        if isinstance(asked.get(member), str):
            return str(asked[member])
    return ""


def _worse(severity: Severity) -> Severity:
    return SEVERITIES[min(SEVERITIES.index(severity) + 1, len(SEVERITIES) - 1)]


def _hit(known: Row | None, arn: str, made: list[_Made]) -> Hit:
    """One finding for each maker; several small things together weigh more."""
    severity: Severity = max((one.severity for one in made), key=SEVERITIES.index)
    armed = {one.row["name"] for one in made}
    if severity == "low" and "CreateUser" in armed and len(armed) > 1:
        severity = "medium"
    empowered = armed & {"AttachUserPolicy", "PutUserPolicy"}
    if "CreateUser" in armed and armed & {"CreateAccessKey", "CreateLoginProfile"} and empowered:
        severity = max(severity, "high", key=SEVERITIES.index)
    telling = sorted(
        made, key=lambda one: (one.what.startswith(one.row["name"]), -SEVERITIES.index(one.severity))
    )
    first = made[0].row
    event = event_of(first)
    who = named(known) if known else short(arn or None)
    return Hit(
        about=(known["id"] if known else arn, event),
        time=first["time"],
        severity=severity,
        why=f"{who} made what outlives it, first at {at(first['time'])}: {enumerated(one.what for one in telling)}.",
        subject=known["n"] if known else None,
        places=(known["n"],) if known else (),
        events=tuple(event_of(one.row) for one in made),
        count=len(made),
        principals=(arn,) if arn else (),
        accounts=tuple(sorted({one.row["in_account"] for one in made if one.row["in_account"]})),
        thresholds=("habit_after",),
    )


RULE = Rule(
    id="lasting-access",
    title="Persistence created",
    severity="critical",
    attack=("T1098.001", "T1098.003", "T1136.003", "T1484.002"),
    why="Keys, users, passwords, trusts and identity providers work on when the credential that made them is gone. A "
    "clean-up that misses one of them starts again in a week.",
    false_alarm="Administrators and pipelines make such things for a living: what the same principal did on an earlier "
    "day is left out, and so are calls that a service such as CloudFormation makes. Ask for the ticket.",
    references=(
        "IAM API Reference",
        "IAM User Guide, 'Centralize root access for member accounts'",
        "MITRE ATT&CK, T1098 'Account Manipulation'",
        "Stratus Red Team, aws.persistence.*",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES, CHANGE_ACTORS),
    prefilter=frozenset(_NAMES),
    late=True,
    thresholds=("habit_after",),
)
