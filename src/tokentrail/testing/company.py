"""
An ordinary day in a small company on AWS: what any evidence is full of, and what an incident hides in.

Production is account 111122223333; 444455556666 holds the build pipeline and the Identity Center directory.
People's addresses are of the documentation ranges (RFC 5737): the company's own are 192.0.2.0/24. Workloads call from
addresses of EC2, as these tell a workload on its host from one that was stolen.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from tokentrail.testing.names import Json
from tokentrail.testing.records import Call
from tokentrail.testing.world import World

PRODUCTION = "111122223333"
TOOLS = "444455556666"

_AGENT = "aws-sdk-go/1.55.5 (go1.23.1; linux; amd64) amazon-ssm-agent/3.3.3050.0"


class Company:
    """The company's people and machines, who fill a world's trail between two moments."""

    def __init__(self, world: World, start: datetime, end: datetime, seed: int) -> None:
        self.world = world
        self.start = start
        self.end = end
        self._random = random.Random(seed)

    def works(self) -> None:
        """Live through the whole time; who acts first makes no difference to the records' order."""
        self._instances()
        self._functions()
        self._automation()
        self._service_roles()
        self._trail_delivery()
        self._pipeline()
        self._developers()
        self._console_administrator()

    def _moments(self, every: float, *, first: float = 0.0, until: datetime | None = None) -> list[datetime]:
        """List moments about so many seconds apart, none of them quite punctual."""
        moments, moment = [], self.start + timedelta(seconds=first)
        while moment < (until or self.end):
            moments.append(moment + timedelta(seconds=self._random.randint(0, int(every / 10))))
            moment += timedelta(seconds=every)
        return moments

    def _instances(self) -> None:
        for number in range(4):
            ip = f"3.225.{number}.17"
            with self.world.unlogged():
                self.world.at(self.start - timedelta(hours=4, minutes=7 * number))
                session = self.world.instance("WebServer" if number < 3 else "Worker", ip=ip)
            session.user_agent = _AGENT
            born = self.world.now
            for moment in self._moments(420, first=31 * number):
                if moment - born > timedelta(hours=6, minutes=5):
                    born = self.world.at(moment - timedelta(seconds=20))
                    session = session.rotates()
                self.world.at(moment)
                ping: Json = {"instanceId": session.session_name, "agentName": "amazon-ssm-agent"}
                session.calls("ssm:UpdateInstanceInformation", ping)
                if self._random.random() < 0.25:
                    session.calls(
                        "s3:GetObject", _object("assets", f"page-{moment:%H%M}.html"), bytes_out=18211
                    )

    def _functions(self) -> None:
        for name, role in (("resize-images", "ResizeImages"), ("send-invoices", "SendInvoices")):
            born = self.world.at(self.start + timedelta(seconds=self._random.randint(5, 90)))
            session = self.world.function(role, name)
            for moment in self._moments(600, first=120):
                self.world.at(moment)
                if self.world.now - born > timedelta(hours=7):
                    born, session = self.world.now, session.rotates()
                key = f"{name}/{moment:%H%M}.dat"
                session.calls(
                    "s3:GetObject", _object("uploads", key), bytes_out=self._random.randint(900, 90000)
                )
                session.calls("s3:PutObject", _object("results", key))
                if name == "send-invoices":
                    session.calls("secretsmanager:GetSecretValue", {"secretId": "prod/mail"})
                    session.via("secretsmanager.amazonaws.com").calls("kms:Decrypt", _decryption("prod/mail"))

    def _automation(self) -> None:
        reports = self.world.user(
            "reporting", ip="192.0.2.33", user_agent="aws-cli/1.42.59 Python/3.12.3 Linux/6.8.0"
        )
        for moment in self._moments(900, first=240):
            self.world.at(moment)
            reports.calls("s3:ListObjects", {"bucketName": f"reports-{PRODUCTION}", "prefix": "daily/"})
            reports.calls("s3:PutObject", _object("reports", f"daily/{moment:%H%M}.csv"))
            reports.calls("cloudwatch:GetMetricData", read_only=True)
            if self._random.random() < 0.3:
                forwarded = reports.via("athena.amazonaws.com")
                forwarded.calls("glue:GetTable", {"databaseName": "sales", "name": "orders"}, count=2)

    def _service_roles(self) -> None:
        for moment in self._moments(3600, first=60):
            self.world.at(moment)
            config = self.world.service("config.amazonaws.com", "AWSServiceRoleForConfig")
            config.calls("ec2:DescribeSecurityGroups")
            config.calls("iam:ListRoles", count=2)
        for moment in self._moments(3600, first=7200, until=self.start + timedelta(hours=5)):
            self.world.at(moment)
            backup = self.world.service("backup.amazonaws.com", "AWSServiceRoleForBackup")
            backup.calls("ec2:DescribeVolumes")
            backup.calls("ec2:CreateSnapshot", {"volumeId": "vol-0f1e2d3c4b5a69788"}, count=3, every=20)

    def _trail_delivery(self) -> None:
        trail = "cloudtrail.amazonaws.com"
        for moment in self._moments(1800):
            self.world.at(moment)
            check = Call(
                action="s3:GetBucketAcl",
                params={"bucketName": f"trail-{TOOLS}", "acl": ""},
                ip=trail,
                user_agent=trail,
                shared_event_id=self.world.ids.uuid(),
            )
            self.world.log(check, {"type": "AWSService", "invokedBy": trail}, account=TOOLS)

    def _pipeline(self) -> None:
        for hour in (0.5, 8.4, 9.2, 10.1, 11.3, 11.8):
            self.world.at(self.start + timedelta(hours=hour))
            build = self.world.oidc(
                self.world.role("GitHubDeploy", account=TOOLS),
                "repo:example/shop:ref:refs/heads/main",
                ip=f"192.0.2.{self._random.randint(200, 220)}",
            )
            build.calls("sts:GetCallerIdentity")
            build.calls("ecr:BatchGetImage", {"repositoryName": "shop", "registryId": TOOLS}, count=2)
            deploy = build.assumes("Deploy", "shop-pipeline", account=PRODUCTION)
            deploy.calls("cloudformation:DescribeStacks", {"stackName": "shop"})
            deploy.calls("cloudformation:UpdateStack", {"stackName": "shop"}, read_only=False)
            forwarded = deploy.via("cloudformation.amazonaws.com")
            forwarded.calls("ec2:DescribeSecurityGroups", count=3)
            forwarded.calls("lambda:UpdateFunctionCode20150331v2", {"functionName": "resize-images"})
            forwarded.calls("iam:GetRole", {"roleName": "ResizeImages"}, count=2)
            self.world.wait(30)
            deploy.calls("cloudformation:DescribeStackEvents", {"stackName": "shop"}, count=4, every=15)

    def _developers(self) -> None:
        for number, name in enumerate(("dana", "lena", "omar", "yuki", "tomas")):
            self.world.at(self.start + timedelta(hours=8.2 + 0.35 * number))
            person, console = f"{name}@example.com", number % 2 == 0
            session = self.world.identity_center(
                person, "Developer", account=PRODUCTION, directory_account=TOOLS, console=console,
                ip=f"192.0.2.{40 + number}",
            )  # fmt: skip
            for moment in self._moments(260, first=(8.3 + 0.35 * number) * 3600):
                self.world.at(moment)
                action, params = self._random.choice(_DEVELOPERS_CALLS)
                session.calls(action, params, count=self._random.randint(1, 5), every=2)
                if console and self._random.random() < 0.3:
                    session.via("cloudwatch.amazonaws.com").calls("logs:DescribeLogGroups")
            if not console:
                self.world.at(self.start + timedelta(hours=10.5 + 0.1 * number))
                reader = session.assumes("ReadLogs", name, account=PRODUCTION)
                reader.calls(
                    "logs:FilterLogEvents", {"logGroupName": "/aws/lambda/resize-images"}, count=12, every=20
                )

    def _console_administrator(self) -> None:
        noor = self.world.user("noor", ip="192.0.2.60")
        self.world.at(self.start + timedelta(hours=9.6))
        session = self.world.console_sign_in(noor, mfa=True, ip="192.0.2.60")
        for moment in self._moments(400, first=9.65 * 3600):
            self.world.at(moment)
            action, params = self._random.choice(_DEVELOPERS_CALLS)
            session.calls(action, params, count=self._random.randint(2, 4))
        self.world.at(self.start + timedelta(hours=10.3))
        auditor = session.switches_role("Auditor")
        auditor.calls("iam:ListUsers", count=2)
        auditor.calls("iam:GetAccountAuthorizationDetails")
        auditor.calls("cloudtrail:LookupEvents", count=4, every=9)


def bucket(name: str) -> str:
    """Name one of production's buckets."""
    return f"{name}-{PRODUCTION}"


def _object(name: str, key: str) -> Json:
    return {"bucketName": bucket(name), "key": key}


def _decryption(secret: str) -> Json:
    arn = f"arn:aws:secretsmanager:us-east-1:{PRODUCTION}:secret:{secret}-x7Qk2P"
    return {"encryptionContext": {"SecretARN": arn}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}


_DEVELOPERS_CALLS: tuple[tuple[str, Json | None], ...] = (
    ("ec2:DescribeInstances", None),
    ("ec2:DescribeVolumes", None),
    ("s3:ListBuckets", None),
    ("s3:GetBucketLocation", {"bucketName": bucket("uploads")}),
    ("lambda:ListFunctions20150331", None),
    ("lambda:GetFunction20150331v2", {"functionName": "resize-images"}),
    ("logs:DescribeLogStreams", {"logGroupName": "/aws/lambda/resize-images"}),
    ("cloudwatch:DescribeAlarms", None),
    ("dynamodb:DescribeTable", {"tableName": "orders"}),
    ("rds:DescribeDBInstances", None),
)
