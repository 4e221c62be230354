"""
People and workloads that come from outside: SAML, OpenID Connect, IAM Identity Center, Roles Anywhere,
Cognito.

Shapes: "Logging IAM and AWS STS API calls with AWS CloudTrail" (IAM User Guide); for Identity Center what
    Aidan Steele and the trailtool project observed in 2026.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from tokentrail.testing.names import Json, Role, role_identity
from tokentrail.testing.records import Call, role_resource
from tokentrail.testing.stage import Stage
from tokentrail.testing.sts import assumed_role_user, credentials, issue
from tokentrail.testing.truth import Entry

GITHUB = "token.actions.githubusercontent.com"
DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_PORTAL_ADDRESS = "192.0.2.250"
_PORTAL_AGENT = (
    "aws-internal/3 aws-sdk-java/1.12.797 Linux/5.10 OpenJDK_64-Bit_Server_VM/17.0.16 java/17.0.16"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody in an Identity Center directory."""

    name: str
    user_id: str
    store: str
    directory_account: str

    @property
    def on_behalf_of(self) -> Json:
        """Write the `onBehalfOf` element."""
        return {"userId": self.user_id, "identityStoreArn": self.store}


def propagated(subject: str, issuer: str, provider: str) -> Json:
    """
    Write the `onBehalfOf` element of a session whose provider propagates identities.

    Source: EMR Serverless User Guide, 'Audit identity with simplified trusted identity propagation'.
    """
    return {"subject": subject, "subjectType": "user", "issuer": issuer, "federatedProviderArn": provider}


def saml(
    stage: Stage,
    role: Role,
    subject: str,
    *,
    session_name: str,
    provider: str,
    duration: int,
    ip: str,
    user_agent: str,
) -> Entry:
    """Mint with AssumeRoleWithSAML."""
    created = stage.fresh_second(role.session_id(session_name))
    key = stage.ids.access_key("ASIA", role.account)
    expires = created + timedelta(seconds=duration)
    call = _saml_call(stage, role, subject, session_name, provider, duration)
    call.ip, call.user_agent = ip, user_agent
    _answer_saml(stage, call, role, subject, credentials(stage.ids, key, expires))
    return issue(
        stage,
        role_identity(role, session_name, created),
        kind="assumed_role_saml",
        kind_from_uses="assumed_role",
        key=key,
        expires=expires,
        origin="identity_provider",
    )


def identity_center(
    stage: Stage, role: Role, person: Person, *, duration: int, ip: str, user_agent: str
) -> Entry:
    """
    Sign a person in to an account through IAM Identity Center.

    The directory's account logs GetRoleCredentials, without parameters; the member account logs
    AssumeRoleWithSAML from AWS's own address, and the key id in that answer is not the one that is used
    afterwards.
    """
    created = stage.fresh_second(role.session_id(person.name))
    portal = _portal_identity(stage, person)
    credential_id = portal["credentialId"]
    handing_out = Call(
        action="sso:GetRoleCredentials",
        ip=ip,
        user_agent=user_agent,
        region=stage.region,
        event_type="AwsServiceEvent",
        service_details={"role_name": role.name.split("_")[1], "account_id": role.account},
        read_only=True,
    )
    stage.log(handing_out, portal, account=person.directory_account)
    issued = stage.ids.access_key("ASIA", role.account)
    expires = created + timedelta(seconds=duration)
    provider = f"AWSSSO_{role.name.rpartition('_')[2]}_DO_NOT_DELETE"
    call = _saml_call(stage, role, person.name, person.name, provider, duration)
    call.ip, call.user_agent = _PORTAL_ADDRESS, _PORTAL_AGENT
    _answer_saml(stage, call, role, person.name, credentials(stage.ids, issued, expires))
    identity = role_identity(role, person.name, created)
    entry = issue(
        stage, replace(identity, on_behalf_of=person.on_behalf_of, credential_id=credential_id),
        kind="identity_center", kind_from_uses="identity_center", expires=expires, origin="identity_provider",
        key=stage.ids.access_key("ASIA", role.account), issued_key=issued,
    )  # fmt: skip
    entry.by_date = True
    return entry


def portal_sign_in(stage: Stage, person: Person, *, ip: str, user_agent: str) -> None:
    """
    Sign a person in to the access portal, which says who it was twice.

    Sources: IAM Identity Center User Guide, 'Understanding IAM Identity Center sign-in events' (UserAuthentication) and
        'IAM Identity Center information in CloudTrail' (Authenticate).
    """
    signed_in = {
        "type": "Unknown",
        "principalId": person.directory_account,
        "arn": "",
        "accountId": person.directory_account,
        "accessKeyId": "",
        "userName": person.name,
        "onBehalfOf": person.on_behalf_of,
        "credentialId": stage.ids.uuid(),
    }
    authentication = Call(
        action="signin:UserAuthentication", ip=ip, user_agent=user_agent, region=stage.region, read_only=False,
        event_type="AwsServiceEvent", service_details={"UserAuthentication": "Success"},
        additional={"AuthWorkflowID": stage.ids.uuid(), "CredentialType": "PASSWORD",
                    "LoginTo": f"https://{person.store.rpartition('/')[2]}.awsapps.com/start/"},
    )  # fmt: skip
    stage.log(authentication, signed_in, account=person.directory_account)
    opening = Call(
        action="sso:Authenticate", ip=ip, user_agent=user_agent, region=stage.region, read_only=False,
        event_type="AwsServiceEvent",
    )  # fmt: skip
    stage.log(opening, _portal_identity(stage, person), account=person.directory_account)


def portal_token(stage: Stage, person: Person, *, grant_type: str, ip: str, user_agent: str) -> Json:
    """
    Give a tool a person's token of the access portal.

    Source: IAM Identity Center User Guide, 'Understanding CloudTrail events for IAM Identity Center' (CreateToken).
    """
    hidden = "HIDDEN_DUE_TO_SECURITY_REASONS"
    params: Json = {"clientId": stage.ids.blob(22), "clientSecret": hidden, "grantType": grant_type}
    if grant_type.endswith(":device_code"):
        params["deviceCode"] = stage.ids.blob(43)
    giving = Call(
        action="sso:CreateToken", ip=ip, user_agent=user_agent, region=stage.region, read_only=False, params=params,
        response={"accessToken": hidden, "refreshToken": hidden, "idToken": hidden, "tokenType": "Bearer",
                  "expiresIn": 28800},
    )  # fmt: skip
    return stage.log(giving, _portal_identity(stage, person), account=person.directory_account)


def web_identity(
    stage: Stage,
    role: Role,
    subject: str,
    *,
    session_name: str,
    provider: str,
    duration: int,
    ip: str,
    user_agent: str,
) -> Entry:
    """
    Mint with AssumeRoleWithWebIdentity, as GitHub Actions and pods with a service account (IRSA) do.

    Args:
        stage: Where.
        role: Into which role.
        subject: The token's `sub`: `repo:example/shop:ref:refs/heads/main`, `system:serviceaccount:shop:web`.
        session_name: The session's name.
        provider: The host of an OIDC provider of the role's account, or `cognito-identity.amazonaws.com`.
        duration: Seconds.
        ip: The caller's address.
        user_agent: The caller's user agent.
    """
    created = stage.fresh_second(role.session_id(session_name))
    key = stage.ids.access_key("ASIA", role.account)
    expires = created + timedelta(seconds=duration)
    known = provider.endswith("amazonaws.com") and "oidc.eks" not in provider
    arn = provider if known else f"arn:aws:iam::{role.account}:oidc-provider/{provider}"
    audience = f"us-east-1:{stage.ids.uuid()}" if known else "sts.amazonaws.com"
    call = Call(
        action="sts:AssumeRoleWithWebIdentity", ip=ip, user_agent=user_agent, region=stage.region,
        params={"roleArn": role.arn, "roleSessionName": session_name, "durationSeconds": duration},
        response={
            "credentials": credentials(stage.ids, key, expires),
            "subjectFromWebIdentityToken": subject,
            "assumedRoleUser": assumed_role_user(role, session_name),
            "provider": arn,
            "audience": audience,
        },
        resources=role_resource(role),
        additional={"identityProviderConnectionVerificationMethod": "IAMTrustStore"},
    )  # fmt: skip
    who = {
        "type": "WebIdentityUser",
        "principalId": f"{arn}:{audience}:{subject}",
        "userName": subject,
        "identityProvider": arn,
    }
    stage.log(call, who, account=role.account)
    return issue(
        stage,
        replace(role_identity(role, session_name, created), federated_provider=arn),
        kind="assumed_role_web_identity",
        kind_from_uses="assumed_role_web_identity",
        key=key,
        expires=expires,
        origin="identity_provider",
    )


def roles_anywhere(
    stage: Stage,
    role: Role,
    subject: str,
    *,
    anchor: str | None,
    serial: str | None,
    duration: int,
    ip: str,
    user_agent: str,
) -> Entry:
    """
    Mint for the holder of a certificate: CreateSession, and the AssumeRole by which the service gets the
    session.

    "Logging IAM Roles Anywhere API calls using AWS CloudTrail". The session is named after the certificate's
    serial, its source identity is the subject's common name. Whether the log holds the answer's key id is not
    documented.
    """
    serial = serial or stage.ids.hex(40)
    service, name = "rolesanywhere.amazonaws.com", f"CN={subject}"
    created = stage.fresh_second(role.session_id(serial))
    key = stage.ids.access_key("ASIA", role.account)
    expires = created + timedelta(seconds=duration)
    issued = {
        "credentials": credentials(stage.ids, key, expires),
        "assumedRoleUser": assumed_role_user(role, serial),
    }
    arn = f"arn:aws:rolesanywhere:{stage.region}:{role.account}"
    session = Call(
        action="rolesanywhere:CreateSession",
        ip=ip,
        user_agent=user_agent,
        region=stage.region,
        read_only=False,
        params={
            "cert": "HIDDEN_DUE_TO_SECURITY_REASONS",
            "profileArn": f"{arn}:profile/{stage.ids.uuid()}",
            "roleArn": role.arn,
            "trustAnchorArn": anchor or f"{arn}:trust-anchor/{stage.ids.uuid()}",
            "durationSeconds": duration,
        },
        response={
            "credentialSet": [{**issued, "roleArn": role.arn, "sourceIdentity": name}],
            "subjectArn": f"{arn}:subject/{stage.ids.uuid()}",
        },
    )
    stage.log(
        session, {"type": "Unknown", "principalId": "", "accountId": role.account}, account=role.account
    )
    assumption = Call(
        action="sts:AssumeRole",
        ip=service,
        user_agent=service,
        region=stage.region,
        params={
            "roleArn": role.arn,
            "roleSessionName": serial,
            "durationSeconds": duration,
            "sourceIdentity": name,
        },
        response={**issued, "sourceIdentity": name},
        resources=role_resource(role),
        shared_event_id=stage.ids.uuid(),
    )
    stage.log(assumption, {"type": "AWSService", "invokedBy": service}, account=role.account)
    return issue(
        stage, role_identity(role, serial, created, source_identity=name), kind="service_role",
        kind_from_uses="assumed_role", key=key, expires=expires, origin="service",
    )  # fmt: skip


def _portal_identity(stage: Stage, person: Person) -> Json:
    """Write a person as calls of the access portal show one."""
    return {
        "type": "IdentityCenterUser",
        "accountId": person.directory_account,
        "onBehalfOf": person.on_behalf_of,
        "credentialId": stage.ids.uuid(),
    }


def _answer_saml(stage: Stage, call: Call, role: Role, subject: str, issued: Json) -> None:
    answer = call.response or {}
    call.response = answer | {"credentials": issued}
    qualifier = str(answer["nameQualifier"])
    who = {
        "type": "SAMLUser",
        "principalId": f"{qualifier}:{subject}",
        "userName": subject,
        "identityProvider": qualifier,
    }
    stage.log(call, who, account=role.account)


def _saml_call(
    stage: Stage, role: Role, subject: str, session_name: str, provider: str, duration: int
) -> Call:
    arn = f"arn:aws:iam::{role.account}:saml-provider/{provider}"
    qualifier = stage.ids.blob(27) + "="
    return Call(
        action="sts:AssumeRoleWithSAML", region=stage.region,
        params={
            "sAMLAssertionID": f"_{stage.ids.uuid()}",
            "roleSessionName": session_name,
            "durationSeconds": duration,
            "roleArn": role.arn,
            "principalArn": arn,
        },
        response={
            "subjectType": "persistent",
            "issuer": f"https://idp.example.com/{provider}",
            "nameQualifier": qualifier,
            "assumedRoleUser": assumed_role_user(role, session_name),
            "subject": subject,
            "audience": "https://signin.aws.amazon.com/saml",
        },
        resources=[
            *role_resource(role),
            {"accountId": role.account, "type": "AWS::IAM::SAMLProvider", "ARN": arn},
        ],
    )  # fmt: skip
