"""
The things that a plan's IAM calls change: keys, inline and attached policies, trust policies, sign-in, and users.

Sources: IAM API Reference, the page of each operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.execution.resource import Irreversible, Resource, State, document_text
from tokentrail.containment.model import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey(Resource):
    """A user's long-term key: `status` is `Active`, `Inactive`, or null if it does not exist."""

    compared: ClassVar = ("status",)
    user: str
    access_key_id: str

    @property
    def name(self) -> str:
        """The key, and whose it is."""
        return f"access key {self.access_key_id} of user {self.user}"

    def read(self, cloud: Cloud) -> State:
        """Read its status; raises if the key is not found because its user was renamed, since it may still work."""
        keys = self._list(cloud, "iam", "ListAccessKeys", "AccessKeyMetadata", UserName=self.user)
        found = [one["Status"] for one in keys if one["AccessKeyId"] == self.access_key_id]
        if not found:
            _insist_on_name(self.account, self.user, self.access_key_id, cloud)
        return {"status": found[0] if found else None}

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say that it was deleted."""
        return _no_more(self.name) if state["status"] is None else None

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Set the status that it had; a deleted key stays deleted."""
        if present["status"] is None:
            raise Irreversible("a deleted access key can't be brought back; its user can be given a new one")
        return (
            self._call(
                "iam", "UpdateAccessKey", UserName=self.user, AccessKeyId=self.access_key_id,
                Status=original["status"],
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(Resource):
    """A user's API key (service-specific credential): `status` is `Active`, `Inactive`, or null if there is none."""

    compared: ClassVar = ("status",)
    user: str
    credential_id: str

    @property
    def name(self) -> str:
        """The key, and whose it is."""
        return f"API key {self.credential_id} of user {self.user}"

    def read(self, cloud: Cloud) -> State:
        """
        Read its status.

        Raises:
            CallFailed: its user has another name by now, or none, of which only newer logs tell.
        """
        answer = self._ask(cloud, "iam", "ListServiceSpecificCredentials", UserName=self.user)
        if answer is None or answer.get("IsTruncated"):
            raise CallFailed(
                "refused", "UserUnknown", f"{self.name} is not to be found: the user is gone, or has another name, or "
                "has more keys than AWS lists: ingest newer logs and plan again",
            )  # fmt: skip
        found = [
            one["Status"]
            for one in answer.get("ServiceSpecificCredentials", ())
            if one["ServiceSpecificCredentialId"] == self.credential_id
        ]
        return {"status": found[0] if found else None}

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say that it was deleted."""
        return _no_more(self.name) if state["status"] is None else None

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Set the status that it had; a deleted key stays deleted."""
        if present["status"] is None:
            raise Irreversible("a deleted API key can't be brought back; its user can be given a new one")
        return (
            self._call(
                "iam", "UpdateServiceSpecificCredential", UserName=self.user,
                ServiceSpecificCredentialId=self.credential_id, Status=original["status"],
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfOwner(Resource):
    """Something that a user or role has; its state has `owner_gone` if that user or role does not exist."""

    owner: Owner
    owner_name: str

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say that its owner is no more."""
        return _no_more(f"{self.owner.lower()} {self.owner_name}") if state.get("owner_gone") else None


@dataclass(frozen=True, slots=True, kw_only=True)
class InlinePolicy(_OfOwner):
    """An inline policy of a user or role: `document` is its text, or null if there is none."""

    compared: ClassVar = ("document",)
    policy: str

    @property
    def name(self) -> str:
        """The policy, and whose it is."""
        return f"inline policy {self.policy} of {self.owner.lower()} {self.owner_name}"

    def read(self, cloud: Cloud) -> State:
        """Read its text."""
        found = self._ask(cloud, "iam", f"Get{self.owner}Policy", **self._names())
        if found is None:  # IAM says the same of a policy that is missing and of its owner
            gone = _owner_gone(self.account, self.owner, self.owner_name, cloud)
            return {"document": None, "owner_gone": True} if gone else {"document": None}
        return {"document": document_text(found["PolicyDocument"])}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Write the text that was there, or delete the policy where there was none."""
        if (gone := self.gone(present)) is not None:
            raise Irreversible(gone)
        if original["document"] is None:
            return (self._call("iam", f"Delete{self.owner}Policy", **self._names()),)
        document = {"PolicyDocument": original["document"]}
        return (self._call("iam", f"Put{self.owner}Policy", **self._names(), **document),)

    def _names(self) -> dict[str, Any]:
        return {f"{self.owner}Name": self.owner_name, "PolicyName": self.policy}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedPolicy(_OfOwner):
    """A managed policy's attachment to a user or role: `attached` is whether there is one."""

    compared: ClassVar = ("attached",)
    policy_arn: str

    @property
    def name(self) -> str:
        """The attachment."""
        return f"attachment of {self.policy_arn} to {self.owner.lower()} {self.owner_name}"

    def read(self, cloud: Cloud) -> State:
        """Read whether it is attached."""
        operation = f"ListAttached{self.owner}Policies"
        owner = {f"{self.owner}Name": self.owner_name}
        found = self._list(cloud, "iam", operation, "AttachedPolicies", **owner)
        if any(one["PolicyArn"] == self.policy_arn for one in found):
            return {"attached": True}
        gone = not found and _owner_gone(self.account, self.owner, self.owner_name, cloud)
        return {"attached": False, "owner_gone": True} if gone else {"attached": False}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Attach or detach it."""
        if (gone := self.gone(present)) is not None:
            raise Irreversible(gone)
        operation = f"{'Attach' if original['attached'] else 'Detach'}{self.owner}Policy"
        owner = {f"{self.owner}Name": self.owner_name}
        return (self._call("iam", operation, **owner, PolicyArn=self.policy_arn),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedPolicy(Resource):
    """A customer managed policy: `document` is its default version's text, or null; beside it its ARN and versions."""

    compared: ClassVar = ("document",)
    policy: str
    """Its name, or its ARN."""
    path: str = "/"

    @property
    def name(self) -> str:
        """The policy."""
        return f"managed policy {self.policy.split(':policy/')[-1] if ':' in self.policy else self._tail}"

    @property
    def _tail(self) -> str:
        return f"{self.path.strip('/')}/{self.policy}".lstrip("/")

    def arn(self, partition: str) -> str:
        """Its ARN."""
        if ":" in self.policy:
            return self.policy
        return f"arn:{partition}:iam::{self.account}:policy/{self._tail}"

    def read(self, cloud: Cloud) -> State:
        """Read its text, and the ids of its other versions, the oldest first."""
        arn = self.arn(cloud.caller(self.account).partition)
        found = self._ask(cloud, "iam", "GetPolicy", PolicyArn=arn)
        if found is None:
            return {"document": None, "arn": arn}
        about = found["Policy"]
        default = about["DefaultVersionId"]
        version = self._ask(cloud, "iam", "GetPolicyVersion", PolicyArn=arn, VersionId=default)
        listed = self._list(cloud, "iam", "ListPolicyVersions", "Versions", PolicyArn=arn)
        others = sorted((one["VersionId"] for one in listed if one["VersionId"] != default), key=_number)
        return {
            "document": document_text(version["PolicyVersion"]["Document"]) if version else None,
            "arn": arn, "name": about["PolicyName"], "path": about.get("Path", "/"),
            "description": about.get("Description"), "other_versions": others,
        }  # fmt: skip

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Delete it if there was none, create it if it was deleted, or write the original text."""
        if original["document"] is None:
            return self.deleting(present)
        document = {"PolicyDocument": original["document"]}
        if present["document"] is not None:
            return self.rewriting(present, original["document"])
        about = {
            "PolicyName": original["name"],
            "Path": original["path"],
            "Description": original["description"],
        }
        return (
            self._call(
                "iam", "CreatePolicy", **{k: v for k, v in about.items() if v is not None}, **document
            ),
        )

    def deleting(self, present: State) -> tuple[Call, ...]:
        """Delete it, its other versions first."""
        arn = {"PolicyArn": present["arn"]}
        versions = present.get("other_versions", ())
        return (
            *(self._call("iam", "DeletePolicyVersion", **arn, VersionId=one) for one in versions),
            self._call("iam", "DeletePolicy", **arn),
        )

    def rewriting(self, present: State, document: str) -> tuple[Call, ...]:
        """Create a new default version; if there are five already, the most that IAM keeps, first delete the oldest."""
        arn, others = {"PolicyArn": present["arn"]}, list(present.get("other_versions", ()))
        return (
            *(self._call("iam", "DeletePolicyVersion", **arn, VersionId=one) for one in others[:1] if len(others) > 3),
            self._call("iam", "CreatePolicyVersion", **arn, PolicyDocument=document, SetAsDefault=True),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust(Resource):
    """A role's trust policy: `document` is its text, or null if the role does not exist."""

    compared: ClassVar = ("document",)
    role: str

    @property
    def name(self) -> str:
        """The trust."""
        return f"trust policy of role {self.role}"

    def read(self, cloud: Cloud) -> State:
        """Read its text."""
        found = self._ask(cloud, "iam", "GetRole", RoleName=self.role)
        return {"document": document_text(found["Role"]["AssumeRolePolicyDocument"]) if found else None}

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say that the role is no more."""
        return _no_more(f"role {self.role}") if state["document"] is None else None

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Write the text that was there."""
        if present["document"] is None or original["document"] is None:
            raise Irreversible("the role is gone")
        text = original["document"]
        return (self._call("iam", "UpdateAssumeRolePolicy", RoleName=self.role, PolicyDocument=text),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership(Resource):
    """A user's membership in a group: `member` is whether there is one."""

    compared: ClassVar = ("member",)
    user: str
    group: str

    @property
    def name(self) -> str:
        """The membership."""
        return f"membership of user {self.user} in group {self.group}"

    def read(self, cloud: Cloud) -> State:
        """Read whether the user is a member."""
        found = self._list(cloud, "iam", "ListGroupsForUser", "Groups", UserName=self.user)
        return {"member": any(one["GroupName"] == self.group for one in found)}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Add or remove the user."""
        operation = "AddUserToGroup" if original["member"] else "RemoveUserFromGroup"
        return (self._call("iam", operation, UserName=self.user, GroupName=self.group),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn(Resource):
    """What a user signs in or signs requests with and can't be restored, such as a password: `exists`."""

    compared: ClassVar = ("exists",)
    user: str
    what: Literal["password", "MFA device", "SSH key", "signing certificate", "service credential"]
    id: str = ""

    @property
    def name(self) -> str:
        """The thing, and whose it is."""
        return f"{self.what}{' ' + self.id if self.id else ''} of user {self.user}"

    def read(self, cloud: Cloud) -> State:
        """Read whether it is there."""
        if self.what == "password":
            exists = self._ask(cloud, "iam", "GetLoginProfile", UserName=self.user) is not None
        else:
            operation, member, id_ = _SIGN_IN[self.what]
            found = (self._ask(cloud, "iam", operation, UserName=self.user) or {}).get(member, [])
            exists = any(one[id_] == self.id for one in found)
        gone = not exists and _owner_gone(self.account, "User", self.user, cloud)
        return {"exists": exists, "owner_gone": True} if gone else {"exists": exists}

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say that its user is no more."""
        return _no_more(f"user {self.user}") if state.get("owner_gone") else None

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Nothing brings it back."""
        remedy = "set the user a new one" if self.what == "password" else "the user must add one again"
        raise Irreversible(f"a deleted {self.what} can't be brought back; {remedy}")


_SIGN_IN = {
    "MFA device": ("ListMFADevices", "MFADevices", "SerialNumber"),
    "SSH key": ("ListSSHPublicKeys", "SSHPublicKeys", "SSHPublicKeyId"),
    "signing certificate": ("ListSigningCertificates", "Certificates", "CertificateId"),
    "service credential": (
        "ListServiceSpecificCredentials", "ServiceSpecificCredentials", "ServiceSpecificCredentialId"
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Resource):
    """A whole user: `exists`, and all that must be deleted before IAM deletes the user."""

    compared: ClassVar = ("exists",)
    user: str

    @property
    def name(self) -> str:
        """The user."""
        return f"user {self.user}"

    def read(self, cloud: Cloud) -> State:
        """Read whether it is there, and what it has."""
        user = {"UserName": self.user}
        found = self._ask(cloud, "iam", "GetUser", **user)
        if found is None:
            return {"exists": False}

        def ids(operation: str, member: str, id_: str) -> list[str]:
            return [one[id_] for one in (self._ask(cloud, "iam", operation, **user) or {}).get(member, [])]

        def rare(what: str) -> list[str]:
            """Ids of what few users have; if they can't be listed, DeleteUser refuses as long as there are any."""
            try:
                return ids(*_SIGN_IN[what])
            except CallFailed:
                return []

        return {
            "exists": True, "path": found["User"].get("Path"), "user_id": found["User"].get("UserId"),
            "keys": ids("ListAccessKeys", "AccessKeyMetadata", "AccessKeyId"),
            "login_profile": self._ask(cloud, "iam", "GetLoginProfile", **user) is not None,
            "mfa_devices": ids(*_SIGN_IN["MFA device"]),
            "ssh_keys": rare("SSH key"),
            "certificates": rare("signing certificate"),
            "service_credentials": rare("service credential"),
            "groups": [one["GroupName"] for one in self._list(cloud, "iam", "ListGroupsForUser", "Groups", **user)],
            "attached": [
                one["PolicyArn"]
                for one in self._list(cloud, "iam", "ListAttachedUserPolicies", "AttachedPolicies", **user)
            ],
            "inline": list(self._list(cloud, "iam", "ListUserPolicies", "PolicyNames", **user)),
        }  # fmt: skip

    def deleting(self, state: State, last: Call) -> tuple[Call, ...]:
        """Delete what it has, its password and keys first and its policies, such as our deny, last; then the user."""
        if not state.get("exists"):
            return (last,)
        one_of = (
            ("DeleteAccessKey", "AccessKeyId", "keys"),
            ("DeactivateMFADevice", "SerialNumber", "mfa_devices"),
            ("DeleteSSHPublicKey", "SSHPublicKeyId", "ssh_keys"),
            ("DeleteSigningCertificate", "CertificateId", "certificates"),
            ("DeleteServiceSpecificCredential", "ServiceSpecificCredentialId", "service_credentials"),
            ("RemoveUserFromGroup", "GroupName", "groups"),
            ("DetachUserPolicy", "PolicyArn", "attached"),
            ("DeleteUserPolicy", "PolicyName", "inline"),
        )
        found = [
            self._call("iam", operation, UserName=self.user, **{parameter: value})
            for operation, parameter, member in one_of
            for value in state[member]
        ]
        password = (
            [self._call("iam", "DeleteLoginProfile", UserName=self.user)] if state["login_profile"] else []
        )
        return (*password, *found, last)

    def lost(self, present: State, original: State) -> str | None:
        """Say what the user has lost by a deletion that was broken off."""
        return _taken_from(present, original)

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Nothing brings it back."""
        raise Irreversible(
            "a deleted user can't be brought back: a new one of the same name is another principal, with other keys"
        )


def _number(version: str) -> int:
    return int(version.lstrip("v")) if version.lstrip("v").isdigit() else 0


Owner = Literal["User", "Role"]
_LOOK: dict[Owner, str] = {"User": "GetUser", "Role": "GetRole"}


def _owner_gone(account: str, owner: Owner, name: str, cloud: Cloud) -> bool:
    """
    Whether a user or role does not exist; one that we may not read is assumed to exist.

    Sources: IAM API Reference, 'GetUser' and 'GetRole', which answer NoSuchEntity for what does not exist.

    Raises:
        CallFailed: AWS did not say.
    """
    call = Call(account=account, service="iam", operation=_LOOK[owner], parameters={f"{owner}Name": name})
    try:
        cloud.send(call)
    except CallFailed as failure:
        if failure.kind not in ("missing", "denied"):
            raise
        return failure.kind == "missing"
    return False


def _insist_on_name(account: str, user: str, access_key_id: str, cloud: Cloud) -> None:
    """
    Check that a key that was not found with its user does not belong to another name: an attacker may rename users.

    Source: IAM API Reference, 'GetAccessKeyLastUsed', which names the user that owns a key.

    Raises:
        CallFailed: the key belongs to a user of another name, or AWS does not answer.
    """
    asked = {"AccessKeyId": access_key_id}
    try:
        owner = cloud.send(
            Call(account=account, service="iam", operation="GetAccessKeyLastUsed", parameters=asked)
        )
    except CallFailed as failure:
        if failure.kind in ("unanswered", "throttled"):
            raise
        return  # there is no such key, or nobody may ask
    name = owner.body.get("UserName")
    if name not in (None, user):
        raise CallFailed(
            "refused", "UserRenamed", f"access key {access_key_id} is there, and its user {user} is called {name} by "
            "now: ingest newer logs and plan again",
        )  # fmt: skip


def _no_more(what: str) -> str:
    """Say that something does not exist and needs no deny; of a user, that it may have been renamed instead."""
    said = f"there is no {what} any more, and what is gone needs no denial"
    renamed = "; if it was renamed (UpdateUser), it lives on: then ingest newer logs and plan again"
    return said + renamed if what.startswith("user ") else said


def _taken_from(present: Mapping[str, Any], original: Mapping[str, Any]) -> str | None:
    """Say what a user no longer has, without TokenTrail's policies, which are reported by themselves."""
    lists = {member: was for member, was in original.items() if isinstance(was, list)}
    found = [
        f"{member.replace('_', ' ')} {', '.join(gone)}"
        for member, was in lists.items()
        if (gone := [one for one in was if one not in present.get(member, ()) and "TokenTrail-" not in one])
    ]
    found += ["its password"] if original.get("login_profile") and not present.get("login_profile") else []
    told = f"its deletion was broken off after it took {'; '.join(found)}: put back by hand what must be"
    return told if found else None
