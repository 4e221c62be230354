"""
How long the audit takes over a snapshot of 5,000 roles, and the back-test over a million events.

    python bench/guard.py [CASE] [--roles 5000] [--users 500] [--events 1000000]

Without CASE evidence is made (bench/evidence.py) and ingested first, which is not measured. The back-test's attacker is
the long-term key with the most descendants. 'in all' is what a user waits for: the case opened, everything judged.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tokentrail.case import Case
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.guard import Given, audit

HERE = "111122223333"
Json = dict[str, Any]


def document(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def snapshot(roles: int, users: int, seed: int = 1) -> bytes:
    """An account as large ones are: half of the roles for services, others for the account, people, and each other."""
    chance = random.Random(seed)
    allow = {"Effect": "Allow", "Action": ["s3:Get*", "sqs:*"], "Resource": "*"}
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"arn:aws:iam::{HERE}:role/team-*"}

    def trust(number: int) -> Json:
        kind = chance.random()
        if kind < 0.5:
            who: Json = {
                "Service": chance.choice(["lambda", "ec2", "ecs-tasks", "sns", "states"]) + ".amazonaws.com"
            }
        elif kind < 0.7:
            who = {"AWS": f"arn:aws:iam::{HERE}:root"}
        elif kind < 0.9:
            who = {"AWS": f"arn:aws:iam::{HERE}:role/team-{chance.randrange(roles)}"}
        else:
            who = {"AWS": f"arn:aws:iam::{HERE}:user/user-{chance.randrange(users)}"}
        return document({"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"})

    def holder(kind: str, name: str, *policies: Json) -> Json:
        return {
            "Arn": f"arn:aws:iam::{HERE}:{kind.lower()}/{name}", f"{kind}Name": name, f"{kind}Id": name, "Path": "/",
            f"{kind}PolicyList": [{"PolicyName": str(n), "PolicyDocument": one} for n, one in enumerate(policies)],
            "AttachedManagedPolicies": [],
        }  # fmt: skip

    page = {
        "UserDetailList": [
            holder("User", f"user-{n}", document(allow, *([assume] if n % 5 == 0 else [])))
            | {"GroupList": []}
            for n in range(users)
        ],
        "RoleDetailList": [
            holder("Role", f"team-{n}", document(allow, *([assume] if n % 20 == 0 else [])))
            | {
                "AssumeRolePolicyDocument": trust(n),
                "RoleLastUsed": {"LastUsedDate": "2026-11-01T00:00:00+00:00"},
            }
            for n in range(roles)
        ],
    }
    return json.dumps(page).encode()


def measured(what: str, started: float) -> None:
    print(f"{what:<60} {time.perf_counter() - started:8.2f} s")


def audits(roles: int, users: int) -> None:
    content = snapshot(roles, users)
    started = time.perf_counter()
    shot = Snapshot.read(content, "made")
    measured(f"reading a snapshot of {roles:,} roles and {users:,} users", started)
    started = time.perf_counter()
    nothing = Evidence(ways=(), mints=(), used={}, first=0, last=0)
    found = audit(nothing, (), Given(snapshots=(shot,)), datetime(2026, 11, 24, tzinfo=UTC))
    measured(f"auditing it: {len(found):,} findings", started)


def backtests(case: Path) -> None:
    with Case.open(case, create=False) as opened:
        started = time.perf_counter()
        events = opened.status().records
        keys = opened.credentials(kind="long_term_key")
        minted: dict[str, int] = {}
        for one in opened.credentials():
            minted[one.root] = minted.get(one.root, 0) + 1
        subject = max((one.id for one in keys), key=lambda key: (minted.get(key, 0), key))
        measured(f"opening a case of {events:,} events", started)
        started = time.perf_counter()
        found = opened.guard([subject])
        spent = time.perf_counter() - started
        measured(f"guard: {len(found.guardrails)} guardrails over its history, in all", started)
        print(
            f"{'events judged a second, by each guardrail':<60} {events * len(found.guardrails) / spent:8,.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", nargs="?", type=Path)
    parser.add_argument("--roles", type=int, default=5000)
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--events", type=int, default=1_000_000)
    asked = parser.parse_args()
    audits(asked.roles, asked.users)
    if asked.case:
        backtests(asked.case)
        return
    with tempfile.TemporaryDirectory() as folder:
        logs, case = Path(folder) / "logs", Path(folder) / "case"
        here = Path(__file__).parent / "evidence.py"
        subprocess.run([sys.executable, str(here), str(logs), "--events", str(asked.events)], check=True)
        with Case.open(case) as opened:
            opened.ingest([str(logs)], reference=True)
        backtests(case)


if __name__ == "__main__":
    main()
