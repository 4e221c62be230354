"""
The actors of a world: a long-term key, a session, a browser session, a workload's session.
"""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any, Self

from tokentrail.testing import administration, indirect_sessions, signin, sts, workload
from tokentrail.testing.actor import Actor
from tokentrail.testing.api_key import ApiKey, api_key
from tokentrail.testing.federation import Person
from tokentrail.testing.indirect_sessions import Delegation, WebIdentityToken
from tokentrail.testing.names import Json, Role, User, user_identity
from tokentrail.testing.records import BROWSER, CLI, Call
from tokentrail.testing.stage import Stage
from tokentrail.testing.sts import Sides
from tokentrail.testing.truth import Entry

OFFICE = "192.0.2.10"
"""The address of whoever is not said to be elsewhere (TEST-NET-1, RFC 5737)."""
CLOUD = "3.225.16.10"
"""The address of a workload that is not said to be elsewhere: one of EC2's, as nothing else than AWS's would do."""


class Credential(Actor):
    """A credential that can call, mint and administer."""

    def assumes(
        self,
        role: Role | str,
        session_name: str | None = None,
        *,
        account: str | None = None,
        duration: int | None = None,
        source_identity: str | None = None,
        mfa: str | None = None,
        policy: str | None = None,
        external_id: str | None = None,
        explicit_trust: bool | None = None,
        sides: Sides = "both",
        ip: str = "",
        user_agent: str = "",
    ) -> Credential:
        """
        Mint a role session with AssumeRole.

        Args:
            role: The role, its name, or its ARN.
            session_name: The session's name; botocore's default if not given.
            account: The account of a role given by name; this credential's own by default.
            duration: Seconds; one hour, and not logged, if not given.
            source_identity: What to set; a source identity once set is inherited.
            mfa: The ARN of an MFA device.
            policy: A session policy.
            external_id: An external id.
            explicit_trust: What a role that may still assume itself untold logs: whether its trust policy says so.
            sides: Of a cross-account call, whose trails are in the evidence.
            ip: Where this call, and the session from then on, comes from.
            user_agent: What it says it is.
        """
        name = session_name or f"botocore-session-{int(self.stage.now.timestamp())}"
        asked = sts.Assumption(
            role=self._role(role, account),
            session_name=name,
            duration=duration,
            source_identity=source_identity,
            mfa=mfa,
            policy=policy,
            external_id=external_id,
            explicit_trust=explicit_trust,
        )
        entry = sts.assume_role(self, asked, sides=sides, ip=ip, user_agent=user_agent)
        return self._minted(entry, ip, user_agent)

    def gets_scoped_credentials(
        self, *, policy: str | None = None, duration: int | None = None, description: str | None = None
    ) -> Credential:
        """
        Mint a child with the same identity and less power, with GetScopedCredentials; only a session may.
        """
        if self.identity.created is None:
            raise ValueError(
                f"{self.key_id} is a long-term key: only a session can call GetScopedCredentials."
            )
        return self._minted(
            sts.scoped_credentials(self, policy=policy, duration=duration, description=description)
        )

    def assumes_root(self, account: str, task_policy: str = "S3UnlockBucketPolicy") -> Credential:
        """Mint a root session in a member account, with AssumeRoot."""
        return self._minted(sts.root_session(self, account, task_policy))

    def gets_signin_token(
        self, *, session_duration: int | None = None, console_share: float = signin.CONSOLE_SHARE
    ) -> ConsoleSession:
        """Carry this credential into a browser, with GetSigninToken and a federated ConsoleLogin."""
        entry = signin.signin_token(self, session_duration=session_duration, share=console_share)
        self.stage.pass_tick()
        return ConsoleSession(self.stage, entry, ip=self.ip, user_agent=BROWSER)

    def gets_data_access(
        self,
        role: Role | str,
        *,
        account: str | None = None,
        engine: str = "AT",
        session_name: str | None = None,
        sides: Sides = "both",
        names_principal: bool = True,
    ) -> Credential:
        """
        Ask Lake Formation for a table's data, and read with the session that it gives.

        Args:
            role: The role that the table's location is registered with, its name, or its ARN.
            account: The account of a role given by name; this credential's own by default.
            engine: Two letters for what asks: `AT` for Athena, `GL` for Glue, `RE` for Redshift, `NA` for others.
            session_name: The session's name; a fresh one by default.
            sides: Of a call across accounts, whose trails are in the evidence.
            names_principal: Whether the record tells this credential's ARN, which it does within an account.
        """
        entry = indirect_sessions.data_access(
            self, self._role(role, account), engine=engine, session_name=session_name, sides=sides,
            names_principal=names_principal,
        )  # fmt: skip
        return self._minted(entry)

    def gets_web_identity_token(
        self, *, audience: str = "sts", duration: int | None = None
    ) -> WebIdentityToken:
        """Ask for a token that proves this principal to another partition of AWS, or to others than AWS."""
        return indirect_sessions.web_identity_token(self, audience=audience, duration=duration)

    def assumes_across_partitions(
        self,
        role: Role | str,
        session_name: str = "across",
        *,
        token: WebIdentityToken | None = None,
        region: str = "cn-north-1",
        duration: int = 3600,
        ip: str = "",
    ) -> Credential:
        """
        Assume a role of another partition of AWS, by a token that is asked for first unless it is given.

        Args:
            role: The role, or its ARN, which names the partition.
            session_name: The session's name.
            token: The token; another one of this credential's by default.
            region: The region of the other partition that logs it.
            duration: Seconds.
            ip: Where this call, and the session from then on, comes from.
        """
        entry = indirect_sessions.across_partitions(
            token or self.gets_web_identity_token(), self._role(role, None), session_name, region=region,
            duration=duration, ip=ip,
        )  # fmt: skip
        return self._minted(entry, ip)

    def accepts_delegation(self, partner: str) -> Delegation:
        """Accept the request of a partner, by its account, to act as this identity for a time."""
        return indirect_sessions.delegation(self, partner)

    def delegates(self, partner: str, *, traded_by: Credential | None = None, ip: str = "") -> Credential:
        """
        Let a partner act as this identity: the request is accepted, the token sent, and traded for a session.

        Args:
            partner: The partner's account.
            traded_by: The partner's credential that trades the token, if its account's trail is in the evidence.
            ip: Where the partner calls from.
        """
        given = self.accepts_delegation(partner)
        given.sent()
        return self.partner_of(given, traded_by=traded_by, ip=ip)

    def partner_of(
        self, given: Delegation, *, traded_by: Credential | None = None, ip: str = ""
    ) -> Credential:
        """Give the session that a partner trades a delegation's token for."""
        return self._minted(indirect_sessions.delegated(given, traded_by=traded_by), ip)

    def iam(self, name: str, **params: Any) -> Json:
        """
        Make one IAM call, with parameters spelled as CloudTrail's `requestParameters`; documents may be
        objects.

        Calls that make something that can act have methods of their own.
        """
        written = administration.request(name, params)
        answer = administration.response(self.stage, name, written, self.account)
        return self._administers(f"iam:{name}", written, answer)

    def creates_access_key(self, user: User | LongTermKey | None = None) -> LongTermKey:
        """
        Make a long-term key, of this credential's own user if none is given: `userName` is then not logged.
        """
        owner = self._own_user() if user is None else user_of(user)
        if owner.account != self.account:
            raise ValueError(
                f"{self.arn} can't create a key in account {owner.account}: IAM stays in its account."
            )
        key_id = self.stage.ids.access_key("AKIA", owner.account)
        made_at = self.stage.now
        params = None if user is None else {"userName": owner.name}
        self._administers(
            "iam:CreateAccessKey", params, administration.access_key_answer(owner, key_id, made_at)
        )
        entry = long_term_entry(owner, key_id)
        entry.parent, entry.link, entry.made_at = self.entry, "created", made_at
        entry.issuance_shown, entry.issued_key = self.stage.logging, key_id
        return LongTermKey(self.stage, self.stage.enter(entry), owner, ip=self.ip, user_agent=self.user_agent)

    def creates_api_key(
        self, user: User | LongTermKey, *, service: str = "bedrock.amazonaws.com", days: int | None = None,
        shows_id: bool = False,
    ) -> ApiKey:  # fmt: skip
        """
        Make a long-term API key of a user.

        Args:
            user: Whose.
            service: The service that it is for.
            days: After how many days it expires; never by default.
            shows_id: Whether the records of its calls show its id, of which AWS says nothing.
        """
        made, request, answer = api_key(self, user_of(user), service, days, shows_id=shows_id)
        self._administers("iam:CreateServiceSpecificCredential", request, answer)
        return made

    def with_short_term_key(self) -> Self:
        """Give the same credential, whose calls are made with a short-term API key that it signed."""
        other = copy.copy(self)
        other.bearer = "SHORT_TERM"
        return other

    def creates_user(self, name: str, *, path: str = "/") -> User:
        """Make an IAM user in this credential's account; it has no key yet."""
        user = self.stage.new_user(name, self.account, path)
        self._administers(
            "iam:CreateUser", {"userName": name}, administration.user_answer(user, self.stage.now)
        )
        return user

    def creates_role(self, name: str, trust: Json | str, *, path: str = "/") -> Role:
        """
        Make a role that trusts a principal, such as `{"AWS": "arn:aws:iam::444455556666:root"}`, or by a
        document.
        """
        role = self.stage.role(name, path=path, account=self.account)
        document = trust if isinstance(trust, str) else administration.trust_policy(trust)
        params = {"roleName": name, "assumeRolePolicyDocument": document}
        self._administers(
            "iam:CreateRole", params, administration.role_answer(role, document, self.stage.now)
        )
        return role

    def acquires_role(self, name: str, trust: Json | str) -> Role:
        """Make a role of a role template, which has its name and trust policy: the request names neither."""
        role = self.stage.role(name, account=self.account)
        document = trust if isinstance(trust, str) else administration.trust_policy(trust)
        self._administers(
            "iam:AcquireRole",
            {"templateArn": "arn:aws:iam::aws:role-template/example"},
            administration.role_answer(role, document, self.stage.now),
        )
        return role

    def issues_certificate(self, authority: str | None = None) -> str:
        """Have AWS Private CA issue a certificate, of an authority by its ARN; its serial number is returned."""
        serial = self.stage.ids.hex(32)
        authority = authority or (
            f"arn:aws:acm-pca:{self.stage.region}:{self.account}:certificate-authority/{self.stage.ids.uuid()}"
        )
        wanted = {"certificateAuthorityArn": authority, "signingAlgorithm": "SHA256WITHRSA"}
        answer = {"certificateArn": f"{authority}/certificate/{serial}"}
        self._administers("acm-pca:IssueCertificate", wanted, answer)
        return serial

    def runs_instance(self, role: Role | str) -> WorkloadSession:
        """Start an EC2 instance with a role; the session delivered to it is returned."""
        role = self._role(role, None)
        instance = workload.instance(self.stage, role, None, "2.0")
        params, answer = administration.run_instances(self.stage, self.account, role, instance.session_name)
        self._administers("ec2:RunInstances", params, answer)
        return WorkloadSession.deliver(self.stage, instance)

    def creates_function(self, name: str, role: Role | str) -> WorkloadSession:
        """Make a Lambda function with a role; the session delivered to it is returned."""
        role = self._role(role, None)
        params, answer = administration.create_function(self.stage, self.account, name, role)
        self._administers("lambda:CreateFunction20150331", params, answer)
        return WorkloadSession.deliver(self.stage, workload.function(self.stage, role, name))

    def runs_task(self, role: Role | str, *, cluster: str = "main") -> WorkloadSession:
        """Start an ECS task with a role; the session delivered to it is returned."""
        role = self._role(role, None)
        task = workload.task(self.stage, role, cluster)
        params, answer = administration.run_task(self.stage, self.account, role, cluster, task.session_name)
        self._administers("ecs:RunTask", params, answer)
        return WorkloadSession.deliver(self.stage, task)

    def starts_build(self, project: str, role: Role | str) -> WorkloadSession:
        """Start a build of CodeBuild, whose project has a role; the session delivered to it is returned."""
        role = self._role(role, None)
        build = workload.build(self.stage, role)
        params, answer = administration.start_build(
            self.stage, self.account, role, project, build.session_name
        )
        self._administers("codebuild:StartBuild", params, answer)
        return WorkloadSession.deliver(self.stage, build)

    def updates_function(self, name: str) -> Json:
        """Put other code into a Lambda function."""
        params, answer = administration.update_function(self.stage, self.account, name)
        return self._administers("lambda:UpdateFunctionCode20150331v2", params, answer)

    def creates_directory_user(self, person: Person) -> Json:
        """Make somebody known to Identity Center, who may then come in by `World.identity_center`."""
        params, answer = administration.create_directory_user(person)
        return self._administers("identitystore:CreateUser", params, answer)

    def deactivates(self, key: LongTermKey) -> Json:
        """Make a long-term key inactive."""
        return self.iam("UpdateAccessKey", userName=key.user.name, accessKeyId=key.key_id, status="Inactive")

    def deletes(self, key: LongTermKey) -> Json:
        """Delete a long-term key."""
        return self.iam("DeleteAccessKey", userName=key.user.name, accessKeyId=key.key_id)

    def revokes_sessions(self, role: Role | str, cutoff: datetime | None = None) -> Json:
        """Revoke a role's sessions as the IAM console does, by default with a cutoff 30 seconds from now."""
        cutoff = cutoff or self.stage.now + timedelta(seconds=30)
        return self.iam(
            "PutRolePolicy",
            roleName=self._role(role, None).name,
            policyName="AWSRevokeOlderSessions",
            policyDocument=administration.revoke_older_sessions(cutoff),
        )

    def seen_from(self, ip: str, user_agent: str | None = None) -> Self:
        """Give the same credential in other hands: a copy that calls from another address."""
        other = copy.copy(self)
        other.ip, other.user_agent = ip, user_agent or self.user_agent
        return other

    def _administers(self, action: str, params: Json | None, answer: Json | None) -> Json:
        call = Call(action=action, params=params, response=answer, read_only=False, region=self.stage.region)
        written = self.act(call)
        self.stage.pass_tick()
        return written

    def _minted(self, entry: Entry, ip: str = "", user_agent: str = "") -> Credential:
        self.stage.pass_tick()
        return Credential(self.stage, entry, ip=ip or self.ip, user_agent=user_agent or self.user_agent)

    def _role(self, role: Role | str, account: str | None) -> Role:
        return self.stage.role(role, account=account or self.account) if isinstance(role, str) else role

    def _own_user(self) -> User:
        if self.identity.type != "IAMUser" or self.identity.user_name is None:
            raise ValueError(f"{self.arn} is no IAM user: say whose key to create.")
        return User(name=self.identity.user_name, account=self.account, id=self.identity.principal_id)


class LongTermKey(Credential):
    """A long-term access key of an IAM user, who acts through it."""

    def __init__(self, stage: Stage, entry: Entry, user: User, *, ip: str, user_agent: str) -> None:
        super().__init__(stage, entry, ip=ip, user_agent=user_agent)
        self.user = user

    def key(self) -> LongTermKey:
        """Give a further long-term key of this user, made before the evidence begins."""
        return long_term_key(self.stage, self.user, ip=self.ip, user_agent=self.user_agent)

    def gets_session_token(self, *, duration: int | None = None, mfa_serial: str | None = None) -> Credential:
        """Mint a session of the same user, with GetSessionToken."""
        return self._minted(sts.session_token(self, duration=duration, mfa_serial=mfa_serial))

    def gets_federation_token(
        self, name: str, *, policy: str | None = None, duration: int | None = None
    ) -> Credential:
        """Mint a federated user, with GetFederationToken."""
        return self._minted(sts.federation_token(self, self.user, name, policy=policy, duration=duration))


class ConsoleSession(Credential):
    """A browser's session: one creation date, a fresh key id at every request."""

    def switches_role(
        self,
        role: Role | str,
        *,
        account: str | None = None,
        session_name: str | None = None,
        sides: Sides = "both",
        console_share: float = signin.CONSOLE_SHARE,
    ) -> ConsoleSession:
        """Switch roles in the browser."""
        name = session_name or self.identity.user_name or self.identity.principal_id.rpartition(":")[2]
        entry = signin.switch_role(self, self._role(role, account), name, sides=sides, share=console_share)
        self.stage.pass_tick()
        return ConsoleSession(self.stage, entry, ip=self.ip, user_agent=self.user_agent)

    def logs_in(self, *, ip: str = "", user_agent: str = CLI) -> Credential:
        """Sign the command line in with `aws login`, on the strength of this browser session."""
        entry = signin.log_in(self, ip=ip, user_agent=f"{user_agent} md/command#login")
        return self._minted(entry, ip, user_agent)


class WorkloadSession(Credential):
    """A session that AWS delivers to an instance, function, task or pod."""

    def __init__(
        self, stage: Stage, entry: Entry, source: workload.Workload, *, ip: str, user_agent: str
    ) -> None:
        super().__init__(stage, entry, ip=ip, user_agent=user_agent)
        self.workload = source

    @classmethod
    def deliver(
        cls,
        stage: Stage,
        source: workload.Workload,
        *,
        ip: str = CLOUD,
        user_agent: str = "Boto3/1.40.44",
    ) -> WorkloadSession:
        """Deliver a first session to a workload."""
        entry = workload.deliver(stage, source)
        stage.pass_tick()
        return cls(stage, entry, source, ip=ip, user_agent=user_agent)

    @property
    def session_name(self) -> str:
        """The instance id, function name, task id, or whatever names its sessions."""
        return self.workload.session_name

    def rotates(self) -> WorkloadSession:
        """Deliver the next session, under the same name."""
        return WorkloadSession.deliver(self.stage, self.workload, ip=self.ip, user_agent=self.user_agent)


class ServiceSession(WorkloadSession):
    """A service's own session in its service-linked role: its calls show the service, and no key id."""

    def calls(self, action: str, params: Json | None = None, **options: Any) -> list[Json]:
        """Call an API; of the options, `resources`, `response`, `count`, `every` and `region` apply."""
        return self.via(self.workload.service, fresh_key=False).calls(action, params, **options)


def long_term_entry(user: User, key_id: str) -> Entry:
    """Enter a long-term key that the evidence does not show being made."""
    return Entry(
        identity=user_identity(user), kind="long_term_key", kind_from_uses="long_term_key", key=key_id,
        origin="long_term",
    )  # fmt: skip


def long_term_key(stage: Stage, user: User, *, ip: str = OFFICE, user_agent: str = CLI) -> LongTermKey:
    """Give a user a long-term key, made before the evidence begins."""
    entry = stage.enter(long_term_entry(user, stage.ids.access_key("AKIA", user.account)))
    return LongTermKey(stage, entry, user, ip=ip, user_agent=user_agent)


def user_of(owner: User | LongTermKey) -> User:
    """Give the user behind a key, or the user itself."""
    return owner.user if isinstance(owner, LongTermKey) else owner
