"""
How STS mints credentials, and what each of its calls leaves in the trail.

Shapes: "Logging IAM and AWS STS API calls with AWS CloudTrail" (IAM User Guide), Invictus and Stratus Red
    Team data.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from tokentrail.testing.actor import Actor
from tokentrail.testing.ids import Ids
from tokentrail.testing.names import Identity, Json, Role, User, issuer, role_identity
from tokentrail.testing.records import Call, expiration, role_resource
from tokentrail.testing.stage import Stage
from tokentrail.testing.truth import Entry, Kind, Link, Origin

Sides = Literal["both", "caller", "role"]
"""Which accounts' trails of a cross-account AssumeRole are in the evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What somebody asks of AssumeRole."""

    role: Role
    session_name: str
    duration: int | None = None
    source_identity: str | None = None
    mfa: str | None = None
    """The serial number (ARN) of an MFA device."""
    policy: str | None = None
    external_id: str | None = None
    explicit_trust: bool | None = None

    def params(self) -> Json:
        """Write the request's parameters; only those given are logged."""
        wanted: Json = {
            "roleArn": self.role.arn,
            "roleSessionName": self.session_name,
            "durationSeconds": self.duration,
            "externalId": self.external_id,
            "policy": self.policy,
            "serialNumber": self.mfa,
            "sourceIdentity": self.source_identity,
        }
        return {key: value for key, value in wanted.items() if value is not None}

    def response(self, credentials: Json) -> Json:
        """Write what STS answers."""
        answer: Json = {
            "credentials": credentials,
            "assumedRoleUser": assumed_role_user(self.role, self.session_name),
        }
        if self.source_identity is not None:
            answer["sourceIdentity"] = self.source_identity
        return answer


def assumed_role_user(role: Role, session_name: str) -> Json:
    """Write the `assumedRoleUser` of a response."""
    return {"assumedRoleId": role.session_id(session_name), "arn": role.session_arn(session_name)}


def credentials(ids: Ids, key_id: str, expires: datetime) -> Json:
    """Write the `credentials` of a response: the session token is logged, the secret key never."""
    return {"accessKeyId": key_id, "sessionToken": ids.session_token(), "expiration": expiration(expires)}


def assume_role(actor: Actor, asked: Assumption, *, sides: Sides, ip: str, user_agent: str) -> Entry:
    """
    Mint a role session.

    Across accounts AWS writes twins: the caller's account sees the full identity, the role's account only an
    AWSAccount with a principal id; both carry the new key id and one `sharedEventID`.
    """
    stage, role = actor.stage, asked.role
    created = stage.fresh_second(role.session_id(asked.session_name))
    key = stage.ids.access_key("ASIA", role.account)
    expires = created + timedelta(seconds=asked.duration or 3600)
    across = role.account != actor.account
    call = Call(
        action="sts:AssumeRole",
        params=asked.params(),
        response=asked.response(credentials(stage.ids, key, expires)),
        resources=role_resource(role),
        additional=None if asked.explicit_trust is None else {"explicitTrustGrant": asked.explicit_trust},
        ip=ip,
        user_agent=user_agent,
        region=stage.region,
        shared_event_id=stage.ids.uuid() if across else None,
    )
    seen = _written_sides(actor, call, role.account, sides)
    source = asked.source_identity or actor.identity.source_identity
    mfa = asked.mfa is not None or actor.identity.mfa
    return issue(
        stage,
        role_identity(role, asked.session_name, created, mfa=mfa, source_identity=source),
        kind="assumed_role",
        kind_from_uses="assumed_role",
        key=key,
        expires=expires,
        parent=None if seen == "role" else actor.entry,
        link="shared_event" if across and seen == "both" else "recorded",
        origin="not_in_evidence",
    )


def _written_sides(actor: Actor, call: Call, role_account: str, sides: Sides) -> Sides:
    if role_account == actor.account:
        actor.act(call)
        return "caller"
    if sides != "role":
        actor.act(replace(call))
    if sides != "caller":
        actor.seen_from_outside(replace(call), role_account)
    return sides


def issue(
    stage: Stage,
    identity: Identity,
    *,
    kind: Kind,
    kind_from_uses: Kind,
    key: str | None,
    expires: datetime | None,
    parent: Entry | None = None,
    link: Link | None = None,
    origin: Origin | None = None,
    issued_key: str | None = "",
) -> Entry:
    """Enter a minted credential; the key issued is the key used, unless said otherwise."""
    return stage.enter(
        Entry(
            identity=identity,
            kind=kind,
            kind_from_uses=kind_from_uses,
            key=key,
            issued_key=key if issued_key == "" else issued_key,
            parent=parent,
            link=link if parent is not None else None,
            origin=None if parent is not None else origin,
            expires_at=expires,
            issuance_shown=stage.logging,
        )
    )


def session_token(actor: Actor, *, duration: int | None, mfa_serial: str | None) -> Entry:
    """Mint with GetSessionToken: the same user, with a creation date and a key id of its own."""
    stage = actor.stage
    created = stage.fresh_second(actor.identity.principal_id)
    key = stage.ids.access_key("ASIA", actor.account)
    expires = created + timedelta(seconds=duration or 43200)
    params: Json = {} if duration is None else {"durationSeconds": duration}
    if mfa_serial is not None:
        params["serialNumber"] = mfa_serial
    response = {"credentials": credentials(stage.ids, key, expires)}
    actor.act(
        Call(action="sts:GetSessionToken", params=params or None, response=response, region=stage.region)
    )
    identity = replace(actor.identity, created=created, mfa=mfa_serial is not None)
    return issue(
        stage, identity, kind="session_token", kind_from_uses="unknown", key=key, expires=expires,
        parent=actor.entry, link="recorded",
    )  # fmt: skip


def federation_token(
    actor: Actor, user: User, name: str, *, policy: str | None, duration: int | None
) -> Entry:
    """Mint with GetFederationToken: a federated user whose issuer is the IAM user."""
    stage = actor.stage
    arn, principal = f"arn:aws:sts::{actor.account}:federated-user/{name}", f"{actor.account}:{name}"
    created = stage.fresh_second(principal)
    key = stage.ids.access_key("ASIA", actor.account)
    expires = created + timedelta(seconds=duration or 43200)
    wanted = {"name": name, "policy": policy, "durationSeconds": duration}
    response: Json = {
        "credentials": credentials(stage.ids, key, expires),
        "federatedUser": {"federatedUserId": principal, "arn": arn},
    }
    if policy is not None:
        response["packedPolicySize"] = 4
    params = {key: value for key, value in wanted.items() if value is not None}
    actor.act(Call(action="sts:GetFederationToken", params=params, response=response, region=stage.region))
    identity = Identity(
        type="FederatedUser",
        principal_id=principal,
        arn=arn,
        account=actor.account,
        issuer=issuer(user),
        created=created,
    )
    return issue(
        stage, identity, kind="federation_token", kind_from_uses="federation_token", key=key, expires=expires,
        parent=actor.entry, link="recorded",
    )  # fmt: skip


def scoped_credentials(
    actor: Actor, *, policy: str | None, duration: int | None, description: str | None
) -> Entry:
    """
    Mint with GetScopedCredentials: the same identity, with less power.

    AWS has not published the record; the response follows its API, the creation date is taken to be the
    child's own.
    """
    stage = actor.stage
    created = stage.fresh_second(actor.identity.principal_id)
    key = stage.ids.access_key("ASIA", actor.account)
    parent_end = actor.entry.expires_at
    expires = created + timedelta(seconds=duration) if duration is not None else parent_end
    wanted = {"policy": policy, "durationSeconds": duration, "scopedSessionDescription": description}
    response = {"credentials": credentials(stage.ids, key, expires or created + timedelta(hours=1))}
    params = {key: value for key, value in wanted.items() if value is not None}
    actor.act(
        Call(
            action="sts:GetScopedCredentials",
            params=params or None,
            response=response,
            read_only=False,
            region=stage.region,
        )
    )
    return issue(
        stage, replace(actor.identity, created=created), kind="scoped",
        kind_from_uses=actor.entry.kind_from_uses, key=key, expires=expires or created + timedelta(hours=1),
        parent=actor.entry, link="recorded",
    )  # fmt: skip


def root_session(actor: Actor, account: str, task_policy: str) -> Entry:
    """
    Mint with AssumeRoot: a root session in a member account, logged in the caller's account.

    "Track privileged tasks in AWS CloudTrail", IAM User Guide.
    """
    stage = actor.stage
    created = stage.fresh_second(account)
    key = stage.ids.access_key("ASIA", account)
    expires = created + timedelta(seconds=900)
    params = {
        "targetPrincipal": account,
        "taskPolicyArn": {"arn": f"arn:aws:iam::aws:policy/root-task/{task_policy}"},
    }
    response = {"credentials": credentials(stage.ids, key, expires)}
    actor.act(Call(action="sts:AssumeRoot", params=params, response=response, region=stage.region))
    identity = Identity(
        type="Root", principal_id=account, arn=f"arn:aws:iam::{account}:root", account=account,
        created=created, assumed_root=True,
    )  # fmt: skip
    return issue(
        stage, identity, kind="root_session", kind_from_uses="root_session", key=key, expires=expires,
        parent=actor.entry, link="recorded",
    )  # fmt: skip
