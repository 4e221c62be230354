"""
The documents of some policies that AWS manages, and a reader that parses equal documents once.

Only a few policies that AWS manages deny anything; the others only allow, and so end no credential.
Source: AWS Managed Policy Reference, 'AWSDenyAll', 'AWSCompromisedKeyQuarantine' and those with V2 to V4 behind it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from tokentrail.policy.language.conditions import Condition
from tokentrail.policy.language.documents import EVERYTHING, Document, Malformed, Selection, Statement, parse

_AWS_OWNED = ":iam::aws:policy/"

UNSEEN = Malformed(reason="its document is not in the evidence")
ALLOWS_ONLY = Document(statements=(Statement(effect="Allow", actions=EVERYTHING, resources=EVERYTHING),))
"""Stands for a document that denies nothing, whatever it allows."""
NEWER_QUARANTINE = Malformed(reason="AWS's list of the actions that it denies is not known here")
DENIES_ALL = Document(statements=(Statement(effect="Deny", actions=EVERYTHING, resources=EVERYTHING),))
_QUARANTINED = {
    "amplify": "CreateBackendEnvironment CreateDeployment",
    "bedrock": "CreateFoundationModelAgreement CreateModelInvocationJob InvokeModel"
    " InvokeModelWithResponseStream PutFoundationModelEntitlement",
    "cloudtrail": "LookupEvents",
    "codebuild": "CreateProject",
    "ec2": "AcceptReservedInstancesExchangeQuote CreateReservedInstancesListing"
    " PurchaseReservedInstancesOffering RequestSpotInstances RunInstances StartInstances",
    "ecr": "GetAuthorizationToken",
    "ecs": "CreateCluster CreateService RegisterTaskDefinition",
    "glue": "CreateJob",
    "iam": "AddUserToGroup AttachGroupPolicy AttachRolePolicy AttachUserPolicy ChangePassword CreateAccessKey"
    " CreateInstanceProfile CreateLoginProfile CreatePolicyVersion CreateRole CreateUser DeleteAccessKey"
    " DeleteRole DetachUserPolicy ListUsers PassRole PutGroupPolicy PutRolePolicy PutUserPermissionsBoundary"
    " PutUserPolicy SetDefaultPolicyVersion UpdateAccessKey UpdateAccountPasswordPolicy"
    " UpdateAssumeRolePolicy UpdateLoginProfile UpdateUser",
    "lambda": "AddLayerVersionPermission AddPermission CreateFunction GetEventSourceMapping GetPolicy"
    " ListTags PutProvisionedConcurrencyConfig TagResource UntagResource UpdateFunctionCode",
    "lightsail": "Create* Delete* DownloadDefaultKeyPair GetInstanceAccessDetails Start* Update*",
    "mediapackagev2": "CreateChannel",
    "organizations": "CreateAccount CreateOrganization InviteAccountToOrganization",
    "s3": "CreateBucket DeleteBucket DeleteBucketPolicy DeleteObject DeleteObjectVersion GetObject"
    " ListAllMyBuckets ListBucket ObjectOwnerOverrideToBucketOwner PutAccountPublicAccessBlock PutBucketAcl"
    " PutBucketCors PutBucketOwnershipControls PutBucketPolicy PutLifecycleConfiguration",
    "sagemaker": "CreateEndpointConfig CreateProcessingJob",
    "savingsplans": "CreateSavingsPlan",
    "ses": "GetSendQuota ListIdentities",
    "sns": "GetSMSAttributes",
    "sts": "GetFederationToken GetSessionToken",
}
"""What AWSCompromisedKeyQuarantineV2 (v5) and V3 (v2) deny, as of 2024-10-02; sts:AssumeRole is not among it."""
_FIRST_QUARANTINED = {
    "ec2": "RequestSpotInstances RunInstances StartInstances",
    "iam": "AttachGroupPolicy AttachRolePolicy AttachUserPolicy ChangePassword CreateAccessKey CreateInstanceProfile"
    " CreateLoginProfile CreateRole CreateUser DetachUserPolicy PutUserPermissionsBoundary PutUserPolicy"
    " UpdateAccessKey UpdateAccountPasswordPolicy UpdateUser",
    "lambda": "CreateFunction",
    "lightsail": "Create* Delete* DownloadDefaultKeyPair GetInstanceAccessDetails Start* Update*",
    "organizations": "CreateAccount CreateOrganization InviteAccountToOrganization",
}
"""What AWSCompromisedKeyQuarantine (v1) denies, as of 2020-08-11: nothing of STS is among it."""


def _denying_calls(listed: Mapping[str, str]) -> Document:
    patterns = (f"{service}:{name}".lower() for service, names in listed.items() for name in names.split())
    actions = Selection(patterns=tuple(patterns))
    return Document(statements=(Statement(effect="Deny", actions=actions, resources=EVERYTHING),))


QUARANTINE = _denying_calls(_QUARANTINED)
"""It contains nothing: with the key, roles can still be assumed."""
_QUARANTINES = {
    "": _denying_calls(_FIRST_QUARANTINED),
    "V2": QUARANTINE,
    "V3": QUARANTINE,
}
"""By what AWS adds to their name; of V4, which AWS made in November 2026, and of later ones the list is not known."""
_QUARANTINE_NAME = "AWSCompromisedKeyQuarantine"


def aws_owned(policy_arn: str) -> Document | Malformed | None:
    """A document that denies what a policy that AWS manages does; `None` if the policy is a customer's."""
    if _AWS_OWNED not in policy_arn:
        return None
    name = policy_arn.rpartition("/")[2]
    if name == "AWSDenyAll":
        return DENIES_ALL
    if name.startswith(_QUARANTINE_NAME):
        return _QUARANTINES.get(name.removeprefix(_QUARANTINE_NAME), NEWER_QUARANTINE)
    return ALLOWS_ONLY


_UNSEEN_TEXT = (Condition(operator="StringEquals", key="what AWS's policy says", values=("",)),)
"""A condition on a key that no request is known to have, so that statements with it are always undecided."""
_WATCHED = ("sts:*", "iam:*", "organizations:*")
_READING = Document(
    statements=(
        Statement(
            effect="Allow",
            actions=Selection(patterns=("iam:get*", "iam:list*", "sts:getaccesskeyinfo")),
            resources=EVERYTHING,
        ),
        Statement(
            effect="Allow",
            actions=Selection(patterns=_WATCHED, inverted=True),
            resources=EVERYTHING,
            conditions=_UNSEEN_TEXT,
        ),
    )
)
"""
Stands for read-only policies, which allow no calls of STS, IAM and Organizations that mint or write.

What they allow for other services is undecided.
"""
_POWER_USER = Document(
    statements=(
        Statement(
            effect="Allow",
            actions=Selection(patterns=("iam:*", "organizations:*", "account:*"), inverted=True),
            resources=EVERYTHING,
        ),
        Statement(
            effect="Allow",
            actions=Selection(
                patterns=(
                    "iam:createservicelinkedrole", "iam:deleteservicelinkedrole", "iam:listroles",
                    "organizations:describeeffectivepolicy", "organizations:describeorganization",
                    "account:get*", "account:listregions",
                )
            ),
            resources=EVERYTHING,
        ),
    )
)  # fmt: skip
_IAM_FULL = Document(
    statements=(
        Statement(
            effect="Allow",
            actions=Selection(patterns=("iam:*", "organizations:describe*", "organizations:list*")),
            resources=EVERYTHING,
        ),
    )
)
_KNOWN = {
    "AdministratorAccess": ALLOWS_ONLY,
    "PowerUserAccess": _POWER_USER,
    "IAMFullAccess": _IAM_FULL,
    "ReadOnlyAccess": _READING,
    "SecurityAudit": _READING,
    "ViewOnlyAccess": _READING,
    "IAMReadOnlyAccess": _READING,
    "AWSDenyAll": DENIES_ALL,
    **{f"{_QUARANTINE_NAME}{version}": document for version, document in _QUARANTINES.items()},
}


def aws_document(policy_arn: str) -> Document | Malformed:
    """
    The document of a policy that the snapshot does not have: known for a few that AWS manages, else `UNSEEN`.

    For read-only policies, and what IAMFullAccess allows for Organizations, it has only what matters for credentials.
    Source: AWS Managed Policy Reference, 'AdministratorAccess', 'PowerUserAccess', 'IAMFullAccess',
    'ReadOnlyAccess', 'SecurityAudit', 'ViewOnlyAccess', 'IAMReadOnlyAccess'.
    """
    name = policy_arn.rpartition("/")[2]
    return _KNOWN.get(name, UNSEEN) if _AWS_OWNED in policy_arn else UNSEEN


class Reader:
    """
    Parses documents and keeps only what they deny; equal texts are parsed once.

    Logs have the same documents thousands of times, since automation writes them again and again.
    """

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._read: dict[bytes, Document | Malformed] = {}

    def __call__(self, text: object) -> Document | Malformed:
        """Parse a request's document; its statements that allow are replaced by one that allows everything."""
        if not isinstance(text, str):
            return _denying(parse(text))
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if digest not in self._read:
            self._read[digest] = _denying(parse(text))
        return self._read[digest]


def _denying(document: Document | Malformed) -> Document | Malformed:
    if isinstance(document, Malformed):
        return document
    if not document.denials and document.allows:
        return ALLOWS_ONLY
    return Document(statements=tuple(_kept(document)), variables=document.variables)


def _kept(document: Document) -> Iterator[Statement]:
    yield from document.denials
    if document.allows:
        yield ALLOWS_ONLY.statements[0]
