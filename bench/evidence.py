"""
Made evidence for measuring: a seeded organisation trail, of the shape and size of a real one.

    python bench/evidence.py FOLDER --events 1000000

Each account is made on its own, from its own seed, so that the bytes do not depend on how many processes make
them. About a tenth of the events issue credentials, a third of these to sessions; an event has some 1,300 bytes
of JSON and 200 gzipped. Ids are made up, addresses are from documentation ranges. For measuring only: what comes
out right is proven by the builder `tokentrail.testing` and its truth.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ACCOUNTS = 24
REGIONS = ("us-east-1", "eu-west-1")
START = 1_709_251_200  # 2024-03-01T00:00:00Z
MEDIAN_FILE = 900
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
ROLES = (
    "deploy",
    "ci-runner",
    "ReadOnly",
    "lambda-orders",
    "ecs-payments",
    "terraform",
    "org-audit",
    "glue-etl",
)
AGENTS = (
    "aws-cli/2.15.17 Python/3.11.6 Linux/5.10.205-195.807.amzn2.x86_64 exe/x86_64.amzn.2 prompt/off command/s3.ls",
    "Boto3/1.34.34 md/Botocore#1.34.34 ua/2.0 os/linux#5.10.209 md/arch#x86_64 lang/python#3.12.1 cfg/retry#legacy",
    "APN/1.0 HashiCorp/1.0 Terraform/1.7.2 terraform-provider-aws/5.35.0 aws-sdk-go-v2/1.24.1 os/linux lang/go#1.20.12",
    "aws-sdk-java/1.12.646 Linux/5.15.0-1053-aws OpenJDK_64-Bit_Server_VM/17.0.9 java/17.0.9 cfg/retry-mode/standard",
    "AWS Internal",
)
POLICY = json.dumps(
    json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}]},
        indent=2,
    )
)


@dataclass(slots=True)
class Session:
    """A credential, as it shows in the events that it makes."""

    key: str
    identity: str
    ip: str
    agent: str


class Maker:
    """Makes one account's events, in order of time."""

    def __init__(self, number: int, seed: int) -> None:
        self.random = random.Random(f"{seed} {number}")
        self.account = str(100_000_000_000 + number * 7_919)
        self.role_ids = {role: "AROA" + self.base32(17) for role in ROLES}
        self.users = [self.user(n) for n in range(6)]
        self.live: list[Session] = []

    def base32(self, length: int) -> str:
        return "".join(self.random.choices(BASE32, k=length))

    def hex(self, length: int) -> str:
        return f"{self.random.getrandbits(4 * length):0{length}x}"

    def uuid(self) -> str:
        digits = self.hex(32)
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"

    def ip(self) -> str:
        return f"{self.random.choice(('10.0', '203.0.113', '198.51.100'))}.{self.random.getrandbits(8)}"

    def user(self, n: int) -> Session:
        key = "AKIA" + self.base32(16)
        identity = (
            f'{{"type":"IAMUser","principalId":"AIDA{self.base32(17)}","arn":"arn:aws:iam::{self.account}:user/service-{n}",'
            f'"accountId":"{self.account}","accessKeyId":"{key}","userName":"service-{n}"}}'
        )
        return Session(key, identity, self.ip(), self.random.choice(AGENTS))

    def event(self, when: int, region: str) -> str:
        """One event; which kind is drawn."""
        kind = self.random.random()
        if kind < 0.11 or not self.live:
            return self.issuance(when, region)
        if kind < 0.85:
            age = int(len(self.live) * self.random.random() ** 2.2)
            return self.use(self.live[-1 - age], when, region)
        return self.use(self.random.choice(self.users), when, region)

    def issuance(self, when: int, region: str) -> str:
        parent = self.random.choice(self.live if self.live and self.random.random() < 0.35 else self.users)
        role, name, key = self.random.choice(ROLES), f"run-{self.hex(12)}", "ASIA" + self.base32(16)
        arn, role_id = f"arn:aws:iam::{self.account}:role/{role}", self.role_ids[role]
        principal = f"arn:aws:sts::{self.account}:assumed-role/{role}/{name}"
        identity = (
            f'{{"type":"AssumedRole","principalId":"{role_id}:{name}","arn":"{principal}","accountId":"{self.account}",'
            f'"accessKeyId":"{key}","sessionContext":{{"sessionIssuer":{{"type":"Role","principalId":"{role_id}","arn":"{arn}",'
            f'"accountId":"{self.account}","userName":"{role}"}},"webIdFederationData":{{}},'
            f'"attributes":{{"creationDate":"{iso(when)}","mfaAuthenticated":"false"}}}}}}'
        )
        self.live.append(Session(key, identity, self.ip(), self.random.choice(AGENTS)))
        del self.live[:-400]
        asked = f'{{"roleArn":"{arn}","roleSessionName":"{name}","durationSeconds":3600}}'
        answer = (
            f'{{"credentials":{{"accessKeyId":"{key}","sessionToken":"FAKE{self.hex(400)}",'
            f'"expiration":"{us_date(when + 3600)}"}},'
            f'"assumedRoleUser":{{"assumedRoleId":"{role_id}:{name}","arn":"{principal}"}}}}'
        )
        listed = f'[{{"accountId":"{self.account}","type":"AWS::IAM::Role","ARN":"{arn}"}}]'
        return self.record(parent, when, region, "sts", "AssumeRole", asked, answer, f'"resources":{listed},')

    def use(self, session: Session, when: int, region: str) -> str:
        service, name, asked, answer, extra = self.call(region)
        if self.random.random() < 0.04:
            answer, extra = (
                "null",
                f'"errorCode":"AccessDenied","errorMessage":"not authorized to perform: {service}:{name}",{extra}',
            )
        return self.record(session, when, region, service, name, asked, answer, extra)

    def call(self, region: str) -> tuple[str, str, str, str, str]:
        """Service, name, request, answer and other members of an ordinary call."""
        bucket, account = f"data-{self.random.getrandbits(4)}", self.account
        kind = self.random.random()
        if kind < 0.2:
            item = f"events/part-{self.hex(16)}.parquet"
            extra = (
                f'"additionalEventData":{{"SignatureVersion":"SigV4","bytesTransferredIn":0,"x-amz-id-2":"{self.hex(76)}",'
                f'"bytesTransferredOut":{self.random.getrandbits(20)}}},"resources":[{{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/{item}"}},'
                f'{{"accountId":"{account}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}}],'
            )
            return (
                "s3",
                "GetObject",
                f'{{"bucketName":"{bucket}","Host":"{bucket}.s3.amazonaws.com","key":"{item}"}}',
                "null",
                extra,
            )
        if kind < 0.45:
            key = f"arn:aws:kms:{region}:{account}:key/{self.uuid()}"
            context = f'{{"aws:s3:arn":"arn:aws:s3:::{bucket}"}}'
            asked = f'{{"encryptionContext":{context},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}}'
            return (
                "kms",
                "Decrypt",
                asked,
                "null",
                f'"resources":[{{"accountId":"{account}","type":"AWS::KMS::Key","ARN":"{key}"}}],',
            )
        if kind < 0.49:
            role, policy = self.random.choice(ROLES), f"inline-{self.hex(8)}"
            asked = f'{{"roleName":"{role}","policyName":"{policy}","policyDocument":{POLICY}}}'
            return "iam", "PutRolePolicy", asked, "null", ""
        if kind < 0.52:
            secret = f"arn:aws:secretsmanager:{region}:{account}:secret:prod/db-{self.hex(6)}"
            return "secretsmanager", "GetSecretValue", f'{{"secretId":"{secret}"}}', "null", ""
        if kind < 0.62:
            items = ",".join(f'{{"instanceId":"i-0{self.hex(16)}"}}' for _ in range(6))
            return (
                "ec2",
                "DescribeInstances",
                f'{{"instancesSet":{{"items":[{items}]}},"filterSet":{{}}}}',
                "null",
                "",
            )
        if kind < 0.75:
            return (
                "logs",
                "CreateLogStream",
                f'{{"logStreamName":"2024/03/[$LATEST]{self.hex(32)}","logGroupName":"/aws/lambda/f"}}',
                "null",
                "",
            )
        if kind < 0.85:
            return (
                "dynamodb",
                "DescribeTable",
                f'{{"tableName":"orders-{self.random.getrandbits(5)}"}}',
                "null",
                "",
            )
        return "sts", "GetCallerIdentity", "null", "null", ""

    def record(
        self,
        session: Session,
        when: int,
        region: str,
        service: str,
        name: str,
        asked: str,
        answer: str,
        extra: str,
    ) -> str:
        return (
            f'{{"eventVersion":"1.09","userIdentity":{session.identity},"eventTime":"{iso(when)}","eventSource":"{service}.amazonaws.com",'
            f'"eventName":"{name}","awsRegion":"{region}","sourceIPAddress":"{session.ip}","userAgent":"{session.agent}",'
            f'"requestParameters":{asked},"responseElements":{answer},{extra}"requestID":"{self.uuid()}","eventID":"{self.uuid()}",'
            f'"readOnly":true,"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"{self.account}",'
            f'"eventCategory":"Management","tlsDetails":{{"tlsVersion":"TLSv1.3","clientProvidedHostHeader":"{service}.{region}.amazonaws.com"}}}}'
        )

    def files(self, folder: Path, events: int) -> Iterator[int]:
        """Write the account's events as files of log-normal size; yields how many each holds."""
        when = START
        while events > 0:
            count = min(events, max(100, min(10_000, int(self.random.lognormvariate(0, 0.8) * MEDIAN_FILE))))
            region = self.random.choice(REGIONS)
            records = []
            for _ in range(count):
                when += self.random.random() < 0.3
                records.append(self.event(when, region))
            events -= count
            stamp = time.strftime("%Y%m%dT%H%MZ", time.gmtime(when))
            day = (
                folder
                / "AWSLogs"
                / self.account
                / "CloudTrail"
                / region
                / time.strftime("%Y/%m/%d", time.gmtime(when))
            )
            day.mkdir(parents=True, exist_ok=True)
            path = day / f"{self.account}_CloudTrail_{region}_{stamp}_{self.base32(16)}.json.gz"
            path.write_bytes(gzip.compress(('{"Records":[' + ",".join(records) + "]}").encode(), 6, mtime=0))
            yield count


def iso(when: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))


def us_date(when: int) -> str:
    """A time as STS writes it: `Mar 1, 2024, 1:02:03 AM`."""
    moment = time.gmtime(when)
    half = "AM" if moment.tm_hour < 12 else "PM"
    clock = f"{moment.tm_hour % 12 or 12}:{moment.tm_min:02d}:{moment.tm_sec:02d} {half}"
    return f"{time.strftime('%b', moment)} {moment.tm_mday}, {moment.tm_year}, {clock}"


def _account(folder: Path, number: int, seed: int, events: int) -> int:
    return sum(Maker(number, seed).files(folder, events))


def options(about: str | None, events: int = 1_000_000, cores: int = 2) -> argparse.ArgumentParser:
    """What those who measure with evidence let themselves be told."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="evidence: a folder of .json.gz log files")
    parser.add_argument("--events", type=int, default=events, help="how many to make without FOLDER")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=cores)
    return parser


def write(folder: Path, events: int, seed: int = 7) -> int:
    """Make the evidence; says how many events it holds."""
    share, rest = divmod(events, ACCOUNTS)
    with ProcessPoolExecutor() as pool:
        made = [pool.submit(_account, folder, n, seed, share + (n < rest)) for n in range(ACCOUNTS)]
        return sum(one.result() for one in made)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    print(write(asked.folder, asked.events, asked.seed), "events")
