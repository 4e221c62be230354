"""What the tests of carrying out share: accounts in moto, a wire to them that can fail, a clock, and plans by hand."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tokentrail.containment import planfile
from tokentrail.containment.execution.apply import Means, apply
from tokentrail.containment.execution.aws import Accounts
from tokentrail.containment.execution.journal import Journal, journal_path
from tokentrail.containment.execution.outcome import Applied, Undone
from tokentrail.containment.execution.undo import Undo
from tokentrail.containment.model import PLAN_VERSION, Call, Plan, Proof, Step

HOME, AWAY = "123456789012", "444455556666"
AS_OF = datetime(2026, 11, 23, 10, 14, 0, tzinfo=UTC)
CUTOFF = AS_OF + timedelta(seconds=60)
REVOKE = "TokenTrail-revoke-sessions"
BEFORE = '{ "Version": "2012-10-17",  "Statement": [{"Effect": "Deny", "Action": "iam:*", "Resource": "*"}] }'
"""A policy that was there before, laid out as only its author would."""
Action = str
Hook = Callable[[Action], "tuple[int, str] | None"]


def denial(cutoff: datetime = CUTOFF, operator: str = "DateLessThan") -> str:
    """A document that denies all to sessions issued before a moment."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Deny", "Action": "*", "Resource": "*",
                    "Condition": {operator: {"aws:TokenIssueTime": cutoff.strftime("%Y-%m-%dT%H:%M:%SZ")}},
                }
            ],
        }
    )  # fmt: skip


def call(operation: str, service: str = "iam", account: str = HOME, **parameters: Any) -> Call:
    return Call(account=account, service=service, operation=operation, parameters=parameters)


def step(n: int, action: Any, *calls: Call, **fields: Any) -> Step:
    """A step with what a test does not care about filled in."""
    whole: dict[str, Any] = {
        "n": n, "action": action, "account": calls[0].account if calls else HOME, "principal": None, "principals": (),
        "targets": (), "calls": calls, "cutoff": None, "ends": (), "alive_after": (), "collateral": (), "undo": (),
        "safe_to_undo_after": AS_OF + timedelta(hours=12), "reversible": True, "bites_within": 10, "needs": (),
        "why": f"{action} ends it.",
    }  # fmt: skip
    return Step(**{**whole, **fields})


def plan_of(*steps: Step, **fields: Any) -> Plan:
    whole: dict[str, Any] = {
        "version": PLAN_VERSION, "case_id": "case-1", "as_of": AS_OF, "subjects": ("AKIAIOSFODNN7EXAMPLE",),
        "strategy": "standard", "margin": 60, "lag": 900,
        "narrowing": {"since": None, "source_ips": (), "trusted_ips": ()}, "tainted": (), "steps": steps,
        "proof": Proof(complete=True, scope="observed-edges", survivors=(), counterexample=(), holds_if=()),
        "not_spared": (), "residual_risks": (),
    }  # fmt: skip
    return Plan(**{**whole, **fields})


@dataclass
class Clock:
    """A clock that stands still but for sleeping and what tests add."""

    now: datetime = AS_OF + timedelta(minutes=5)
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)


class Wire:
    """
    A proxy before moto that counts calls by action, and can refuse, answer late, or kill.

    `before` sees an action before moto does, and may answer in its place; `after` sees it once moto has answered.
    An answer is a status and an error's code, or a status and a whole page. What is read by GET, as IAM Toolbox is, is
    among `pages`, each a status and a JSON document.
    """

    def __init__(self, upstream: str) -> None:
        self.actions: list[Action] = []
        self.agents: set[str] = set()
        self.before: Hook = lambda action: None
        self.after: Hook = lambda action: None
        self.pages: dict[str, tuple[int, Any]] = {}
        wire, target = self, urlsplit(upstream)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                action = _action(dict(self.headers), body)
                wire.actions.append(action)
                wire.agents.add(self.headers["User-Agent"])
                answer = wire.before(action)
                if answer is None:
                    there = HTTPConnection(str(target.hostname), target.port)
                    there.request("POST", self.path, body, dict(self.headers))
                    got = there.getresponse()
                    content, status, kind = got.read(), got.status, got.headers["Content-Type"]
                    there.close()
                    answer = wire.after(action)
                if answer is not None and self.headers["X-Amz-Target"]:
                    status, code = answer
                    kind = "application/x-amz-json-1.1"
                    content = json.dumps({"__type": code, "message": "by the test"}).encode()
                elif answer is not None:
                    status, code = answer
                    kind = "text/xml"
                    page = code if code.startswith("<") else (
                        f"<ErrorResponse><Error><Code>{code}</Code><Message>by the test</Message></Error>"
                        "<RequestId>r-1</RequestId></ErrorResponse>"
                    )  # fmt: skip
                    content = page.encode()
                with suppress(OSError):  # the caller may be dead by now
                    self.send_response(status)
                    self.send_header("Content-Type", kind or "text/xml")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def do_GET(self) -> None:
                wire.agents.add(self.headers["User-Agent"])
                status, answer = wire.pages.get(self.path, (404, {"message": "no such id"}))
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                if status >= 400:
                    code = {403: "AccessDeniedException", 404: "ResourceNotFoundException"}[status]
                    self.send_header("x-amzn-ErrorType", code)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def writes(self) -> list[Action]:
        """The calls so far that change something."""
        return [one for one in self.actions if not re.match(r"Get|List|Describe|AssumeRole", one)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _action(headers: dict[str, str], body: bytes) -> Action:
    target = {name.lower(): value for name, value in headers.items()}.get("x-amz-target")
    return target.split(".")[-1] if target else parse_qs(body.decode()).get("Action", ["?"])[0]


@dataclass
class Stand:
    """Accounts in moto, and a plan on disk."""

    folder: Path
    wire: Wire
    iam: Any
    clock: Clock = field(default_factory=Clock)
    confirmed: set[int] = field(default_factory=set)
    key: str = ""

    @property
    def file(self) -> Path:
        return self.folder / "plan.json"

    def story(self) -> Plan:
        """A user with a leaked key, a role with a policy of its own, and the plan against them."""
        self.iam.create_user(UserName="support")
        self.key = self.iam.create_access_key(UserName="support")["AccessKey"]["AccessKeyId"]
        self.iam.create_role(RoleName="MyBucketRole", AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{HOME}:user/support"}}]}
        ))  # fmt: skip
        self.iam.put_role_policy(RoleName="MyBucketRole", PolicyName=REVOKE, PolicyDocument=BEFORE)
        user, role = f"arn:aws:iam::{HOME}:user/support", f"arn:aws:iam::{HOME}:role/MyBucketRole"
        return plan_of(
            step(
                1, "deactivate-key", call("UpdateAccessKey", UserName="support", AccessKeyId=self.key, Status="Inactive"),
                principal=user, principals=(user,), targets=(self.key,), ends=(self.key,), safe_to_undo_after=None,
            ),
            step(
                2, "revoke-user-sessions",
                call("PutUserPolicy", UserName="support", PolicyName=REVOKE, PolicyDocument=denial()), cutoff=CUTOFF,
                principal=user, principals=(user,), targets=(user,), ends=("ASIASESSIONTOKEN0001",),
                safe_to_undo_after=AS_OF + timedelta(hours=36),
            ),
            step(
                3, "revoke-role-sessions",
                call("PutRolePolicy", RoleName="MyBucketRole", PolicyName=REVOKE, PolicyDocument=denial()), cutoff=CUTOFF,
                principal=role, principals=(role,), targets=(role,), ends=("ASIAROLESESSION00001",),
            ),
            tainted=(self.key, "ASIASESSIONTOKEN0001", "ASIAROLESESSION00001"),
        )  # fmt: skip

    def cloud(self, **options: Any) -> Accounts:
        at_once = {"sleep": lambda _: None}  # a call that AWS says is too much is tried again without waiting
        return Accounts("run-1", endpoint_url=self.wire.url, **(at_once | options))

    def apply(
        self, plan: Plan, *, cloud: Any = None, clock: Any = None, sleep: Any = None, **options: Any
    ) -> Applied:
        means = Means(
            clock=clock or self.clock,
            sleep=sleep or self.clock.sleep,
            confirm=lambda step, why: step.n in self.confirmed,
            done=frozenset(self.confirmed),
        )
        with self.journal(plan) as journal, self.cloud() as reached:
            return apply(plan, cloud or reached, journal, means, **options)

    def undo(self, plan: Plan, *, reactivate: bool = False, only: Collection[int] = ()) -> Undone:
        with self.journal(plan) as journal, self.cloud() as cloud:
            undo = Undo(plan, cloud, journal, clock=self.clock, reactivate_leaked_key=reactivate, only=only)
            return undo.go(undo.look())

    def journal(self, plan: Plan) -> Journal:
        return Journal(journal_path(self.file), plan=planfile.digest(plan), run="run-1")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in journal_path(self.file).read_text().splitlines()]

    def details(self) -> Any:
        """The account as `aws iam get-account-authorization-details` gives it, with the status of the key."""
        found = {
            member: page
            for member, page in self.iam.get_account_authorization_details().items()
            if member != "ResponseMetadata"
        }
        keys = [
            [
                (one["AccessKeyId"], one["Status"])
                for one in self.iam.list_access_keys(UserName=user["UserName"])["AccessKeyMetadata"]
            ]
            for user in found["UserDetailList"]
        ]
        return json.loads(json.dumps([found, keys], default=str, sort_keys=True))

    def user_policy(self) -> Any:
        return self.iam.get_user_policy(UserName="support", PolicyName=REVOKE)["PolicyDocument"]

    def role_policy(self) -> Any:
        return self.iam.get_role_policy(RoleName="MyBucketRole", PolicyName=REVOKE)["PolicyDocument"]

    def key_status(self) -> str:
        return str(self.iam.list_access_keys(UserName="support")["AccessKeyMetadata"][0]["Status"])


def issue_time(document: Any) -> datetime:
    """The cutoff in a document that `denial` wrote."""
    text = document["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"]
    return datetime.fromisoformat(text)


def with_steps(plan: Plan, *steps: Step) -> Plan:
    return replace(plan, steps=steps)
