"""
The world in which credentials are born, used and stolen; what happens in it is written down as CloudTrail
would.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from tokentrail.testing import federation, signin, trails, workload
from tokentrail.testing.credential import (
    CLOUD,
    OFFICE,
    ConsoleSession,
    Credential,
    LongTermKey,
    ServiceSession,
    WorkloadSession,
    long_term_key,
    user_of,
)
from tokentrail.testing.names import Json, Role, User
from tokentrail.testing.records import BROWSER, CLI, SDK
from tokentrail.testing.stage import DEFAULT_ACCOUNT, Stage
from tokentrail.testing.trails import Layout
from tokentrail.testing.truth import Entry


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account of a world, as a short way to name its users and roles."""

    world: World
    id: str

    def user(self, name: str) -> LongTermKey:
        """Give an IAM user of this account, acting through a long-term key."""
        return self.world.user(name, account=self.id)

    def role(self, name: str, *, path: str = "/") -> Role:
        """Give a role of this account."""
        return self.world.role(name, path=path, account=self.id)


class World(Stage):
    """
    A small AWS of one's own.

    The same calls on a world with the same start and seed give the same records, to the byte.

    Args:
        start: When the clock begins; a time without zone is taken for UTC.
        seed: What all identifiers are drawn from.
        account: The account of actors for whom no other is named.
        region: The region of calls for which no other is named.
        tick: Seconds that pass with every call.
    """

    def __init__(
        self,
        start: datetime,
        seed: int = 0,
        *,
        account: str = DEFAULT_ACCOUNT,
        region: str = "us-east-1",
        tick: float = 1.0,
    ) -> None:
        super().__init__(start, seed=seed, account=account, region=region, tick=tick)
        self._users: dict[tuple[str, str], LongTermKey] = {}
        self._people: dict[str, federation.Person] = {}
        self._store = f"d-{self.ids.hex(10)}"
        self._permission_sets: dict[tuple[str, str], str] = {}

    def account(self, account_id: str) -> Account:
        """Name an account."""
        return Account(self, account_id)

    def user(
        self,
        name: str,
        *,
        account: str | None = None,
        path: str = "/",
        ip: str = OFFICE,
        user_agent: str = CLI,
    ) -> LongTermKey:
        """Give the IAM user of that name, acting through a long-term key made before the evidence begins."""
        account = account or self.account_id
        if (account, name) not in self._users:
            user = self.new_user(name, account, path)
            self._users[account, name] = long_term_key(self, user, ip=ip, user_agent=user_agent)
        return self._users[account, name]

    def console_sign_in(
        self,
        user: User | LongTermKey,
        *,
        mfa: bool = False,
        console_share: float = signin.CONSOLE_SHARE,
        ip: str = OFFICE,
        user_agent: str = BROWSER,
    ) -> ConsoleSession:
        """
        Sign an IAM user in to the console.

        Args:
            user: Who.
            mfa: Whether with a second factor.
            console_share: The share of the session's records flagged `sessionCredentialFromConsole`; the
                first always is, unless the share is 0.
            ip: The browser's address.
            user_agent: The browser.
        """
        entry = signin.console_sign_in(
            self, user_of(user), mfa=mfa, share=console_share, ip=ip, user_agent=user_agent
        )
        self.pass_tick()
        return ConsoleSession(self, entry, ip=ip, user_agent=user_agent)

    def failed_console_sign_in(
        self, user: User | LongTermKey, *, ip: str = OFFICE, user_agent: str = BROWSER
    ) -> Json:
        """Fail to sign an IAM user in."""
        written = signin.failed_console_sign_in(self, user_of(user), ip=ip, user_agent=user_agent)
        self.pass_tick()
        return written

    def person(self, name: str, directory_account: str | None = None) -> federation.Person:
        """Give somebody of the Identity Center directory, who is made known to it before the evidence begins."""
        if name not in self._people:
            account = directory_account or self.account_id
            self._people[name] = federation.Person(
                name=name, user_id=self.ids.uuid(), directory_account=account,
                store=f"arn:aws:identitystore::{account}:identitystore/{self._store}",
            )  # fmt: skip
        return self._people[name]

    def identity_center(
        self,
        person: str,
        permission_set: str,
        *,
        account: str | None = None,
        directory_account: str | None = None,
        duration: int = 43200,
        console: bool = False,
        console_share: float = signin.CONSOLE_SHARE,
        ip: str = OFFICE,
        user_agent: str = CLI,
    ) -> ConsoleSession:
        """
        Sign a person in to an account through IAM Identity Center.

        Args:
            person: The person's user name, which names the session.
            permission_set: The permission set, from which the role `AWSReservedSSO_<set>_<hash>` is named.
            account: The member account.
            directory_account: The account that holds the Identity Center instance.
            duration: Seconds.
            console: Whether in the browser, where each request shows a fresh key id.
            console_share: Of a browser session, the share of records flagged as the console's.
            ip: The person's address.
            user_agent: The person's tool.
        """
        who = self.person(person, directory_account)
        role = self._reserved_role(permission_set, account or self.account_id)
        agent = BROWSER if console else user_agent
        entry = federation.identity_center(self, role, who, duration=duration, ip=ip, user_agent=agent)
        if console:
            signin.browsing(entry, console_share)
        self.pass_tick()
        return ConsoleSession(self, entry, ip=ip, user_agent=agent)

    def portal_sign_in(self, person: str, *, ip: str = OFFICE, user_agent: str = BROWSER) -> None:
        """Sign a person in to the access portal of IAM Identity Center."""
        federation.portal_sign_in(self, self.person(person), ip=ip, user_agent=user_agent)
        self.pass_tick()

    def portal_token(
        self, person: str, *, grant: str = federation.DEVICE_CODE, ip: str = OFFICE, user_agent: str = CLI
    ) -> Json:
        """Give a tool a person's token of the access portal, by a device code that the person agreed to."""
        who = self.person(person)
        written = federation.portal_token(self, who, grant_type=grant, ip=ip, user_agent=user_agent)
        self.pass_tick()
        return written

    def saml(
        self,
        role: Role | str,
        subject: str,
        *,
        session_name: str | None = None,
        provider: str = "corporate",
        duration: int = 3600,
        ip: str = OFFICE,
        user_agent: str = CLI,
        issuer: str | None = None,
    ) -> Credential:
        """Bring in a subject of a SAML provider, which propagates identities if an issuer is given."""
        into = self._as_role(role)
        entry = federation.saml(
            self, into, subject, session_name=session_name or subject, provider=provider,
            duration=duration, ip=ip, user_agent=user_agent,
        )  # fmt: skip
        if issuer:
            arn = f"arn:aws:iam::{into.account}:saml-provider/{provider}"
            entry.identity = replace(entry.identity, on_behalf_of=federation.propagated(subject, issuer, arn))
        return self._arrived(entry, ip, user_agent)

    def oidc(
        self,
        role: Role | str,
        subject: str,
        *,
        session_name: str | None = None,
        provider: str = federation.GITHUB,
        duration: int = 3600,
        ip: str = "192.0.2.200",
        user_agent: str = SDK,
    ) -> Credential:
        """
        Bring in a subject of an OIDC provider: a GitHub workflow by default, or a pod's service account
        (IRSA).
        """
        default = (
            "GitHubActions"
            if provider == federation.GITHUB
            else f"botocore-session-{self.now.timestamp():.0f}"
        )
        entry = federation.web_identity(
            self, self._as_role(role), subject, session_name=session_name or default, provider=provider,
            duration=duration, ip=ip, user_agent=user_agent,
        )  # fmt: skip
        return self._arrived(entry, ip, user_agent)

    def cognito(
        self, role: Role | str, identity_id: str | None = None, *, ip: str = "192.0.2.201"
    ) -> Credential:
        """Bring in an app's user through a Cognito identity pool."""
        subject = identity_id or f"us-east-1:{self.ids.uuid()}"
        return self.oidc(
            role,
            subject,
            session_name="CognitoIdentityCredentials",
            provider="cognito-identity.amazonaws.com",
            ip=ip,
        )

    def roles_anywhere(
        self,
        role: Role | str,
        subject: str,
        *,
        anchor: str | None = None,
        serial: str | None = None,
        duration: int = 3600,
        ip: str = OFFICE,
        user_agent: str = "CredHelper",
    ) -> Credential:
        """
        Bring in the holder of a certificate, by the subject's common name; `anchor` is the trust anchor's ARN.

        `serial` is the certificate's serial number, in hexadecimal digits as `Credential.issues_certificate` has it.
        """
        entry = federation.roles_anywhere(
            self, self._as_role(role), subject, anchor=anchor, serial=serial, duration=duration, ip=ip,
            user_agent=user_agent,
        )  # fmt: skip
        return self._arrived(entry, ip, user_agent)

    def instance(
        self,
        role: Role | str,
        *,
        instance_id: str | None = None,
        delivery: str = "2.0",
        ip: str = CLOUD,
    ) -> WorkloadSession:
        """
        Have an EC2 instance get its role's credentials; `delivery` is `1.0` for IMDSv1, `2.0` for IMDSv2.
        """
        source = workload.instance(self, self._as_role(role), instance_id, delivery)
        return WorkloadSession.deliver(self, source, ip=ip)

    def function(self, role: Role | str, name: str) -> WorkloadSession:
        """Have a Lambda function get its role's credentials."""
        return WorkloadSession.deliver(self, workload.function(self, self._as_role(role), name))

    def task(self, role: Role | str, *, cluster: str = "main") -> WorkloadSession:
        """Have an ECS task get its role's credentials."""
        return WorkloadSession.deliver(self, workload.task(self, self._as_role(role), cluster))

    def pod_identity(self, role: Role | str, *, cluster: str = "main", pod: str = "web") -> WorkloadSession:
        """Have a pod get its role's credentials through EKS Pod Identity."""
        return WorkloadSession.deliver(self, workload.pod(self, self._as_role(role), cluster, pod))

    def service(
        self, service: str, role_name: str, *, session_name: str | None = None, account: str | None = None
    ) -> ServiceSession:
        """Have an AWS service take up its service-linked role, such as `AWSServiceRoleForBackup`."""
        role = self.role(role_name, path=f"/aws-service-role/{service}/", account=account)
        source = workload.service_linked(self, service, role, session_name)
        entry = workload.deliver(self, source)
        self.pass_tick()
        return ServiceSession(self, entry, source, ip=service, user_agent=service)

    def write(
        self, folder: Path | str, layout: Layout = "s3", *, gzip: bool = True, minutes: int = 5
    ) -> list[Path]:
        """
        Write the evidence to files, as a trail delivers it to S3.

        Args:
            folder: Where; made if absent.
            layout: `s3`: the bucket's tree of accounts, regions and days; `flat`: the same files in one
                folder.
            gzip: Whether compressed, as AWS does.
            minutes: How much time goes into one file.

        Returns:
            The files, in order of name.
        """
        return trails.write(
            self.records(), Path(folder), self.ids, layout=layout, compress=gzip, minutes=minutes
        )

    def _arrived(self, entry: Entry, ip: str, user_agent: str) -> Credential:
        self.pass_tick()
        return Credential(self, entry, ip=ip, user_agent=user_agent)

    def _as_role(self, role: Role | str) -> Role:
        return self.role(role) if isinstance(role, str) else role

    def _reserved_role(self, permission_set: str, account: str) -> Role:
        key = (permission_set, account)
        if key not in self._permission_sets:
            self._permission_sets[key] = f"AWSReservedSSO_{permission_set}_{self.ids.hex(16)}"
        return self.role(self._permission_sets[key], path="/aws-reserved/sso.amazonaws.com/", account=account)
