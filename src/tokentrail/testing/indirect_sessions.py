"""
Sessions that a credential gets by way of Lake Formation, of another partition of AWS, or for a partner.

Shapes: "Cross-account CloudTrail logging" (AWS Lake Formation Developer Guide); "Auditing cross-partition identity
federation" and "Temporary delegation" (IAM User Guide).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from tokentrail.testing.actor import Actor
from tokentrail.testing.names import Json, Role, role_identity
from tokentrail.testing.records import Call, role_resource
from tokentrail.testing.sts import Sides, assumed_role_user, credentials, issue
from tokentrail.testing.truth import Entry

_TOKEN_LIFE = timedelta(minutes=5)
"""The default (AWS STS API Reference, 'GetWebIdentityToken')."""


def data_access(
    actor: Actor, role: Role, *, engine: str, session_name: str | None, sides: Sides, names_principal: bool
) -> Entry:
    """
    Ask Lake Formation for the data of a table: it gives a session of the role that the location is registered with.

    Across accounts both logs show the caller as an AWSAccount, and its ARN only if the recipient opted in.

    Args:
        actor: Who asks.
        role: The role that the location is registered with.
        engine: Two letters for what asks: `AT` for Athena, `GL` for Glue, `RE` for Redshift, `NA` for others.
        session_name: The session's name; a fresh one by default, as Lake Formation gives it.
        sides: Of a call across accounts, whose trails are in the evidence.
        names_principal: Whether the record tells the caller's ARN.
    """
    stage, identity = actor.stage, actor.identity
    name = session_name or f"AWSLF-00-{engine}-{actor.account}-{stage.ids.hex(10)}"
    across = role.account != actor.account
    additional = {"requesterService": "UNKNOWN", "lakeFormationRoleSessionName": name}
    if names_principal:
        issuer = identity.issuer or {"arn": identity.arn}
        additional["lakeFormationPrincipal"] = issuer["arn"]
    call = Call(
        action="lakeformation:GetDataAccess", region=stage.region, additional=additional, read_only=True,
        params={"tableArn": f"arn:aws:glue:{stage.region}:{role.account}:table/sales/orders"},
        shared_event_id=stage.ids.uuid() if across else None,
    )  # fmt: skip
    if not across:
        actor.act(call)
    else:
        for account, side in ((actor.account, "caller"), (role.account, "role")):
            if sides in ("both", side):
                actor.seen_from_outside(replace(call), account)
    stage.pass_tick()
    created = stage.fresh_second(role.session_id(name))
    return issue(
        stage, role_identity(role, name, created), kind="assumed_role", kind_from_uses="assumed_role",
        key=stage.ids.access_key("ASIA", role.account), issued_key=None, expires=None,
        parent=None if across else actor.entry, link="matched", origin="not_in_evidence",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class WebIdentityToken:
    """A token that proves a principal to another partition of AWS."""

    id: str
    holder: Actor
    """Who asked for it."""


def web_identity_token(actor: Actor, *, audience: str, duration: int | None) -> WebIdentityToken:
    """Ask for a token with GetWebIdentityToken; its id is logged, the token is not."""
    stage = actor.stage
    made = WebIdentityToken(stage.ids.uuid(), actor)
    params: Json = {"audience": [audience], "signingAlgorithm": "ES384"}
    if duration is not None:
        params["durationSeconds"] = duration
    expires = stage.now + (timedelta(seconds=duration) if duration else _TOKEN_LIFE)
    answer = {"webIdentityTokenId": made.id, "expiration": f"{expires:%b %d, %Y, %I:%M:%S %p}"}
    actor.act(
        Call(
            action="sts:GetWebIdentityToken",
            params=params,
            response=answer,
            region=stage.region,
            read_only=True,
        )
    )
    stage.pass_tick()
    return made


def across_partitions(
    token: WebIdentityToken, role: Role, session_name: str, *, region: str, duration: int, ip: str
) -> Entry:
    """Assume a role of another partition by a token, with AssumeRoleWithWebIdentity; the role's account logs it."""
    actor, source = token.holder, token.holder.identity
    stage = actor.stage
    created = stage.fresh_second(role.session_id(session_name))
    key = stage.ids.access_key("ASIA", role.account)
    expires = created + timedelta(seconds=duration)
    principal = (source.issuer or {"arn": source.arn})["arn"]
    provider = (
        f"arn:{role.partition}:iam::{role.account}:oidc-provider/{actor.account}.tokens.sts.global.api.aws"
    )
    call = Call(
        action="sts:AssumeRoleWithWebIdentity", ip=ip or actor.ip, user_agent=actor.user_agent, region=region,
        params={
            "roleArn": role.arn, "roleSessionName": session_name, "durationSeconds": duration,
            "webIdentityTokenId": token.id,
        },
        response={
            "credentials": credentials(stage.ids, key, expires), "subjectFromWebIdentityToken": principal,
            "assumedRoleUser": assumed_role_user(role, session_name), "provider": provider, "audience": "sts",
        },
        resources=role_resource(role),
        additional={"crossPartitionData": {"sourcePrincipalArn": principal, "sourceRegion": stage.region}},
    )  # fmt: skip
    who = {
        "type": "WebIdentityUser", "principalId": f"{provider}:sts:{principal}", "userName": principal,
        "identityProvider": provider,
    }  # fmt: skip
    stage.log(call, who, account=role.account)
    return issue(
        stage, replace(role_identity(role, session_name, created), federated_provider=provider),
        kind="assumed_role_web_identity", kind_from_uses="assumed_role_web_identity", key=key, expires=expires,
        parent=actor.entry, link="matched", origin="identity_provider",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Delegation:
    """A partner's request for delegated access, and who accepted it."""

    id: str
    partner: str
    """The partner's account."""
    approver: Actor

    def sent(self, sender: Actor | None = None) -> None:
        """Send the token to the partner, who may act from then on."""
        self._approve("SendDelegationToken", sender or self.approver)

    def _approve(self, name: str, actor: Actor) -> None:
        stage = actor.stage
        params = {"delegationRequestId": self.id}
        actor.act(Call(action=f"iam:{name}", params=params, read_only=False, region=stage.region))
        stage.pass_tick()


def delegation(actor: Actor, partner: str) -> Delegation:
    """Accept a partner's request to act as this identity (IAM API Reference, 'AcceptDelegationRequest')."""
    made = Delegation(f"dr-{actor.stage.ids.hex(24)}", partner, actor)
    made._approve("AcceptDelegationRequest", actor)
    return made


def delegated(given: Delegation, *, traded_by: Actor | None) -> Entry:
    """
    The session that a partner trades the token for, with GetDelegatedAccessToken in its own account.

    AWS has not published that record; the response follows the API, and the creation date is taken to be the session's
    own. The session's identity is the approver's; its records name the partner's account in `invokedByDelegate`.
    """
    approver = given.approver
    stage = approver.stage
    created = stage.fresh_second(approver.identity.principal_id)
    key = stage.ids.access_key("ASIA", approver.account)
    expires = created + timedelta(hours=1)
    if traded_by is not None:
        answer = {"credentials": credentials(stage.ids, key, expires), "assumedPrincipal": approver.arn}
        call = Call(
            action="sts:GetDelegatedAccessToken", response=answer, region=stage.region, read_only=False
        )
        traded_by.act(call)
        stage.pass_tick()
    return issue(
        stage, replace(approver.identity, created=created, delegate=given.partner), kind="delegated",
        kind_from_uses="delegated", key=key, issued_key=key if traded_by else None,
        expires=expires if traded_by else None, parent=traded_by.entry if traded_by else approver.entry,
        link="recorded" if traded_by else "created", origin="not_in_evidence",
    )  # fmt: skip
