"""
Ordinary days of a company that does everything that address and chain rules trip over, and is not under attack.

People whose tools ask for a second factor, who work from home, on the train and by IPv6 and IPv4 in turn; runners of
a hosted pipeline; Terraform through chains of roles; pods, tasks and functions behind NAT gateways and VPC endpoints;
keys that are rotated, exports at night, an audit that is refused in many accounts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tokentrail.testing import World
from tokentrail.testing.credential import Credential, LongTermKey, WorkloadSession
from tokentrail.testing.names import Json

HOME, TOOLS = "111122223333", "444455556666"
START = datetime(2026, 11, 16, 0, 0, tzinfo=UTC)
CLOUD = ("18.236", "34.201", "52.45")
"""Networks of EC2."""
EKS = "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
VAULT = "aws-sdk-go/1.44.5 (go1.21; darwin; arm64) aws-vault/7.2"
CLI = "aws-cli/2.15.30 Python/3.11.8 Darwin/23.3.0"
TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 aws-sdk-go-v2/1.30.4"
Act = Callable[[], None]


class NoisyCompany:
    """Fills a world with some days."""

    def __init__(self, seed: int = 7, days: int = 5) -> None:
        self.world = World(START, seed, account=HOME)
        self._chance = random.Random(seed)
        self._days = days

    def works(self) -> World:
        """Live through all days."""
        for day in range(self._days):
            midnight = START + timedelta(days=day)
            for hour, act in self._day(day):
                self.world.at(midnight + timedelta(hours=hour, seconds=self._chance.randint(0, 600)))
                act()
        return self.world

    def _day(self, day: int) -> list[tuple[float, Act]]:
        plan: list[tuple[float, Act]] = [(1.0, self._exports), (2.0, self._audit), (3.0, self._scripts)]
        for place, name in enumerate(("ada", "ben", "cleo")):
            plan += [(8.0 + place, lambda n=name: self._with_second_factor(n, day))]  # type: ignore[misc]
        for hour in (8.5, 10.2, 13.0, 15.5, 17.1):
            plan += [(hour, self._pipeline), (hour + 0.3, self._pods), (hour + 0.5, self._tasks)]
        plan += [(9.0, lambda: self._portal("dana", day)), (9.7, lambda: self._portal("omar", day))]
        plan += [(11.0, self._instances), (12.0, self._administrator), (14.0, self._deploys_secrets)]
        plan += [(15.0, self._operations), (4.0, self._cleans_up)]
        if day == 4:
            plan += [(15.2, self._first_times)]
        if day <= 2:
            plan += [(7.0, lambda: self._reports().calls("s3:ListBuckets", count=8, every=60))]  # type: ignore[list-item]
        if day == 2:
            plan += [(16.0, self._rotates)]
        return sorted(plan, key=lambda one: one[0])

    def _anywhere(self) -> str:
        """An address that a provider gives out for a day."""
        return f"{self._chance.choice((79, 84, 91, 93))}.{self._chance.randint(1, 250)}.{self._chance.randint(1, 250)}.7"

    def _person(self, name: str) -> LongTermKey:
        return self.world.user(name, ip="192.0.2.40", user_agent=VAULT)

    def _with_second_factor(self, name: str, day: int) -> None:
        """A token with a second factor from home, roles by it all day, by phone on the train, by IPv6 and IPv4."""
        home = self._anywhere() if day % 2 else "192.0.2.40"
        key = self._person(name).seen_from(home)
        token = key.gets_session_token(duration=43200, mfa_serial=f"arn:aws:iam::{HOME}:mfa/{name}")
        for turn in range(3):
            role = token.assumes("Developer", name)
            role = role.seen_from(home, CLI)
            role.calls("s3:ListBuckets", count=3, every=20)
            role.seen_from(f"2003:e1:{name[0].encode().hex()}::7", CLI).calls(
                "ec2:DescribeInstances", count=2
            )
            role.calls("ec2:DescribeInstances", count=2, every=5)
            if turn == 1:
                train = role.seen_from(self._anywhere(), CLI)
                train.calls("logs:FilterLogEvents", {"logGroupName": "/aws/lambda/x"}, count=4, every=30)
                role.calls("s3:ListBuckets", count=2)
            self.world.wait(1500)

    def _scripts(self) -> None:
        """A script of long standing that mints a token without a second factor, at home."""
        key = self.world.user("batch", ip="192.0.2.33", user_agent="Boto3/1.34.1")
        key.calls("s3:ListBuckets", count=4, every=60)
        key.gets_session_token(duration=3600).calls(
            "s3:GetObject", {"bucketName": "in", "key": "{n}"}, count=20, every=9
        )

    def _pipeline(self) -> None:
        """A hosted runner deploys: a role by web identity, then Terraform's roles below it, in two accounts."""
        runner = f"{self._chance.choice((4, 13, 20, 52))}.{self._chance.randint(1, 250)}.{self._chance.randint(1, 250)}.9"
        build = self.world.oidc(
            self.world.role("GitHub", account=TOOLS), "repo:example/shop:ref:refs/heads/main", ip=runner
        )
        deploy = build.assumes("Deploy", "shop", account=HOME).seen_from(runner, TERRAFORM)
        for name in ("TerraformNetwork", "TerraformApps"):
            self._terraform(deploy.assumes(name, "terraform"))

    def _terraform(self, session: Credential) -> None:
        session.calls("ec2:DescribeVpcs", count=3)
        name = f"job-{self._chance.randint(1, 9)}"
        session.calls("iam:GetRole", {"roleName": name}, error="NoSuchEntityException")
        session.creates_role(f"{name}-{self.world.ids.hex(4)}", {"Service": "ecs-tasks.amazonaws.com"})
        session.iam("PutRolePolicy", roleName=name, policyName="inline", policyDocument=_READS)
        session.iam("AttachRolePolicy", roleName=name, policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
        session.iam("DetachRolePolicy", roleName=name, policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
        session.iam("DeleteRolePolicy", roleName=name, policyName="inline")
        everything = {"readWriteType": "All", "includeManagementEvents": True, "dataResources": []}
        selectors: Json = {"trailName": "main", "eventSelectors": [everything]}
        session.calls("cloudtrail:PutEventSelectors", selectors, read_only=False)

    def _pods(self) -> None:
        """Pods by web identity: out by two gateways, and by an endpoint of the VPC, in turn."""
        for pod in ("api", "worker"):
            session = self.world.oidc(
                f"Pod-{pod}",
                f"system:serviceaccount:shop:{pod}",
                provider=EKS,
                ip="52.20.1.9",
                user_agent="Boto3/1.35",
            )
            for way in ("52.20.1.9", "10.0.7.8", "34.201.3.4", "10.0.7.8", "52.20.1.9", "34.201.3.4"):
                session.seen_from(way).calls("sqs:ReceiveMessage", count=2, every=15)

    def _tasks(self) -> None:
        old_style = self.world.user("shop-mail", ip="10.0.3.4", user_agent="Boto3/1.35")
        for way in (
            "52.20.1.9",
            "34.201.3.4",
        ):  # a key in a program that leaves by the same gateways with the same tool
            old_style.seen_from(way).calls("ses:SendEmail", count=2)
        for session in (
            self.world.task("Orders"),
            self.world.function("Resize", "resize"),
            self.world.pod_identity("Web"),
        ):
            self._in_and_out(
                session, ("10.0.3.4", "52.20.1.9", "34.201.3.4"), ("Boto3/1.35", "aws-sdk-go/1.5")
            )

    def _instances(self) -> None:
        """Instances with several tools, whose way out changes from day to day; people are logged in on one of them."""
        for number in range(3):
            session = self.world.instance("WebServer", ip=f"10.0.{number}.17")
            out = f"{self._chance.choice(CLOUD)}.{self._chance.randint(1, 250)}.1"
            self._in_and_out(
                session, (f"10.0.{number}.17", out), ("aws-sdk-go/1.5 amazon-ssm-agent/3.3", "Boto3/1.35")
            )
            session.rotates().seen_from(out).calls("s3:ListBuckets")

    def _in_and_out(self, session: WorkloadSession, ways: tuple[str, ...], tools: tuple[str, ...]) -> None:
        for _ in range(2):
            for way in ways:
                for tool in tools:
                    session.seen_from(way, tool).calls(
                        "s3:GetObject", {"bucketName": "a", "key": "k-{n}"}, count=3, every=7
                    )

    def _portal(self, name: str, day: int) -> None:
        """A person of Identity Center: console and command line, office and home, on to another role."""
        place = "192.0.2.41" if day % 2 else self._anywhere()
        person = f"{name}@example.com"
        browser = self.world.identity_center(
            person, "Developer", account=HOME, directory_account=TOOLS, console=True, ip=place
        )
        browser.calls("ec2:DescribeInstances", count=6, every=30)
        browser.via("cloudwatch.amazonaws.com").calls("logs:DescribeLogGroups", count=2)
        shell = self.world.identity_center(
            person, "Developer", account=HOME, directory_account=TOOLS, ip=place
        )
        shell.calls("s3:ListBuckets", count=5, every=20)
        shell.assumes("ReadLogs", name).calls(
            "logs:FilterLogEvents", {"logGroupName": "x"}, count=5, every=20
        )

    def _exports(self) -> None:
        """Much is read every night."""
        session = self.world.task("NightlyExport")
        session.calls("s3:GetObject", {"bucketName": "orders", "key": "{n}"}, count=150, bytes_out=3_000_000)

    def _audit(self) -> None:
        """An audit walks all accounts; its role is missing in some."""
        audit = self.world.user("audit", ip="192.0.2.50", user_agent="Boto3/1.35").assumes("Audit", "audit")
        for number in range(8):
            audit.denied("sts:AssumeRole", f"arn:aws:iam::{700000000000 + number}:role/Audit")

    def _deploys_secrets(self) -> None:
        """A service starts anew and reads its settings."""
        session = self.world.task("Orders")
        for number in range(12):
            session.calls("secretsmanager:GetSecretValue", {"secretId": f"prod/orders/{number}"})

    def _administrator(self) -> None:
        """An administrator at the console, with a second factor."""
        session = self.world.console_sign_in(
            self.world.user("noor", ip="192.0.2.60"), mfa=True, ip="192.0.2.60"
        )
        session.calls("iam:ListUsers", count=3)
        session.switches_role("Auditor").calls("iam:GetAccountAuthorizationDetails")

    def _operations(self) -> None:
        """Hosts are entered, functions deployed, models invoked and settings read by the batch, as every day."""
        noor = self._person("noor").assumes("Admin", "noor")
        noor.calls("ssm:StartSession", {"target": "i-0a1b2c3d4e5f60718"}, read_only=False, count=6, every=40)
        noor.calls("ssm:SendCommand", {"documentName": "AWS-RunPatchBaseline"}, read_only=False)
        build = self.world.oidc(
            self.world.role("GitHub", account=TOOLS),
            "repo:example/shop:ref:refs/heads/main",
            ip=self._anywhere(),
        )
        build.assumes("Deploy", "shop", account=HOME).updates_function("resize-images")
        chat = self.world.task("Chat")
        chat.calls("bedrock:InvokeModel", {"modelId": "anthropic.claude-3-haiku"}, count=20, every=5)
        chat.calls("secretsmanager:BatchGetSecretValue", {"filters": []}, count=3)

    def _cleans_up(self) -> None:
        """What is old is deleted every night, by a task."""
        session = self.world.task("Cleanup")
        session.calls("s3:DeleteObject", {"bucketName": "tmp", "key": "{n}"}, count=120, data=True)

    def _first_times(self) -> None:
        """On the last day people do for the first time what others do every day, from where they always work."""
        ada = self._person("ada").assumes("Developer", "ada")
        ada.calls("ssm:StartSession", {"target": "i-0a1b2c3d4e5f60718"}, read_only=False)
        ada.updates_function("resize-images")
        ada.calls("bedrock:InvokeModel", {"modelId": "anthropic.claude-3-haiku"})
        kept = {"bucketName": "tmp", "VersioningConfiguration": {"Status": "Suspended"}}
        ada.calls("s3:PutBucketVersioning", kept, read_only=False)

    def _reports(self) -> LongTermKey:
        return self.world.user("reports", ip="192.0.2.35", user_agent="aws-cli/1.29")

    def _rotates(self) -> None:
        """A key is rotated in good order while a job of it is at work."""
        old = self._reports()
        job = old.assumes("Reports", "daily")
        job.calls("s3:ListBuckets", count=3, every=60)
        new = old.creates_access_key()
        new.seen_from("192.0.2.35").calls("s3:ListBuckets", count=3)
        self.world.wait(1800)
        new.seen_from("192.0.2.35").deactivates(old)
        job.calls("s3:ListBuckets", count=3, every=60)


_READS = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}'
