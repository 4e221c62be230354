"""Pages for tests: a small story, the same with every text poisoned, and a large one; and how a page is read back."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from present_cases import KEY, NINE, TOKEN, child, credential, event, trace

from tokentrail.containment.model import Call, Collateral, NotSpared, Plan, Proof, Step, Survivor
from tokentrail.lineage.model import (
    ApiUse,
    CallLine,
    CallLines,
    Created,
    Credential,
    Gap,
    Link,
    PrincipalUse,
    ResourceUse,
    SecretRead,
    Tick,
    TimelineEvent,
    TracedCredential,
)
from tokentrail.present.text.timeline_text import RUN, runs
from tokentrail.present.views.report import ReportData
from tokentrail.results import Coverage, HourGap, Rejection, Status

NOW = NINE + timedelta(hours=1, minutes=30)
GONE, ALIVE, RIA = "ASIAIOSFODNN7GONEGON", "ASIAIOSFODNN7ALIVEAL", "ASIAIOSFODNN7RIARIAR"
ROLE = "arn:aws:iam::111122223333:role/MyBucketRole"
USER = "arn:aws:iam::111122223333:user/support"


def credentials() -> tuple[TracedCredential, ...]:
    """A key that was deactivated, its token, which lives, and two sessions, of which one was revoked."""
    key = credential(
        id=KEY, access_key_ids=(KEY,), kind="long_term_key", principal=USER, role=None, session_name=None, issued_at=None,
        expires_at=None, issued_by=None, origin="long_term", origin_detail=None, root=KEY, state="ended",
        state_reason="UpdateAccessKey made the key inactive", ended_at=NINE + timedelta(minutes=20), ended_by="e-off",
    )  # fmt: skip
    token = child(
        1, KEY, id=TOKEN, access_key_ids=(TOKEN,), kind="session_token", principal=USER, role=None, session_name=None,
        issued_at=NINE + timedelta(minutes=5), expires_at=NINE + timedelta(hours=36), root=KEY,
    )  # fmt: skip
    gone = child(
        2, KEY, id=GONE, issued_at=NINE + timedelta(minutes=6), state="expired", root=KEY,
        state_reason="expired 10:06; ended 09:30 already: inline policy Revoke of role MyBucketRole denies every action",
        ended_at=NINE + timedelta(minutes=30), ended_by="e-revoke",
    )  # fmt: skip
    alive = child(
        3,
        TOKEN,
        id=ALIVE,
        issued_at=NINE + timedelta(minutes=40),
        expires_at=NINE + timedelta(minutes=100),
        root=KEY,
    )
    return key, token, gone, alive


def ria() -> Credential:
    """A colleague's session of the same role, ended by the revocation too."""
    return credential(
        id=RIA, session_name="ria", issued_at=NINE + timedelta(minutes=10), tainted=False, state="ended",
        ended_at=NINE + timedelta(minutes=30), ended_by="e-revoke", state_reason="inline policy Revoke denies all",
    )  # fmt: skip


def step(n: int, **changes: Any) -> Step:
    """A step that revokes a role's sessions."""
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
    call = Call(
        account="111122223333", service="iam", operation="PutRolePolicy",
        parameters={"RoleName": "MyBucketRole", "PolicyName": "Revoke", "PolicyDocument": document},
    )  # fmt: skip
    values: dict[str, Any] = {
        "n": n, "action": "revoke-role-sessions", "account": "111122223333", "principal": ROLE, "principals": (ROLE,),
        "targets": (ROLE,), "calls": (call,), "cutoff": NOW, "ends": (ALIVE,), "alive_after": (),
        "collateral": (Collateral(credential=RIA, principal=ROLE),), "undo": (call,), "safe_to_undo_after": NOW,
        "reversible": True, "bites_within": 50, "needs": ("iam:PutRolePolicy",), "why": "On role/MyBucketRole.",
    }  # fmt: skip
    return Step(**(values | changes))


def plan(**changes: Any) -> Plan:
    """Two steps that end it all."""
    first = step(
        1, action="revoke-user-sessions", targets=(USER,), ends=(TOKEN,), alive_after=(ALIVE,), collateral=()
    )
    values: dict[str, Any] = {
        "version": 1, "case_id": "c0ffee", "as_of": NOW, "subjects": (KEY,), "strategy": "standard", "margin": 60,
        "lag": 900, "narrowing": {"since": None, "source_ips": (), "trusted_ips": ()},
        "tainted": (KEY, TOKEN, GONE, ALIVE), "steps": (first, step(2)),
        "proof": Proof(complete=True, scope="observed-edges", survivors=(), counterexample=(), holds_if=("IAM is quick",)),
        "not_spared": (), "residual_risks": ("open SSM sessions",),
    }  # fmt: skip
    return Plan(**(values | changes))


def failing() -> Plan:
    """A plan that the attacker survives."""
    proof = Proof(
        complete=False, scope="trust-policies", survivors=(Survivor(credential=TOKEN, until=NOW, why="nothing ends it"),),
        counterexample=("after step 1, B mints a new session",), holds_if=("step 1 is carried out by hand",),
    )  # fmt: skip
    return plan(proof=proof, not_spared=(NotSpared(credential=RIA, why="it shares a name"),))


def status() -> Status:
    """What a small case holds."""
    covered = Coverage(
        account="111122223333", region="us-east-1", first=NINE, last=NOW, hours_seen=2,
        gaps=(HourGap(start=NINE, end=NOW),), read_only_events=True, write_events=True, data_events=False, digest=None,
    )  # fmt: skip
    rejected = Rejection(object="broken.json.gz", ordinal=4, field=None, reason="no JSON")
    return Status(
        case_id="c0ffee", objects=3, records=40, credentials=9, first=NINE, last=NOW, coverage=(covered,),
        rejected=(rejected,), warnings=("no data events",),
    )  # fmt: skip


def finding() -> dict[str, Any]:
    """A finding, as `detect` prints it."""
    return {
        "id": "f1", "rule": "moved-network", "title": "A key moved", "severity": "high", "time": "2026-11-23T09:41:12Z",
        "credentials": [KEY], "principals": [USER], "why": "It was used from two networks.", "attack": ["T1078.004"],
        "next": "tokentrail contain", "count": 3, "false_alarm": "the office moved",
    }  # fmt: skip


def report_data(**changes: Any) -> ReportData:
    """The small story's page, as it goes in."""
    listed = credentials()
    traced = trace(
        *listed, as_of=NOW, subject=(KEY,),
        created=(Created(by=TOKEN, event_id="e-9", time=NOW, event_name="CreateUser", what="user", id="mallory"),),
        secrets_read=(SecretRead(credential=GONE, event_id="e-8", time=NOW, event_name="GetSecretValue", what="prod/db"),),
        apis=(ApiUse(credential=GONE, event_source="s3.amazonaws.com", event_name="GetObject", count=9, errors=2, first=NINE,
                     last=NOW),),
        resources=(ResourceUse(credential=GONE, arn="arn:aws:s3:::loot", event_name="GetObject", count=9, errors=2,
                               bytes_out=8_000_000, first=NINE, last=NOW),),
        gaps=(Gap(account="111122223333", region="us-east-1", start=NINE, end=NOW, why="no evidence"),),
        by_principal=(PrincipalUse(principal_id="AROAX:night", credentials=(GONE,), account="444455556666",
                                   event_source="s3.amazonaws.com", event_name="PutObject", arns=("arn:aws:s3:::far",),
                                   count=3, errors=0, first=NINE, last=NOW, with_key=0),),
    )  # fmt: skip
    values: dict[str, Any] = {
        "case_id": "c0ffee", "trace": traced, "status": status(), "version": "0.1.0", "plan": plan(),
        "events": tuple(
            event(time=NINE + timedelta(minutes=n), event_id=f"e-{n}", credential=listed[n % 4].id,
                  error_code="AccessDenied" if n % 7 == 0 else None)
            for n in range(60)
        ),
        "bystanders": (ria(),), "bystander_events": (event(credential=RIA, time=NINE + timedelta(minutes=12)),),
        "findings": (finding(),), "notes": ("something was left out",),
    }  # fmt: skip
    values |= changes
    calls = Heard(tuple(values.pop("events")), tuple(values.pop("bystander_events")))
    return ReportData(calls=calls, **values)


@dataclasses.dataclass(frozen=True)
class Heard:
    """Calls that a test holds in memory, told as a case tells those of its evidence."""

    events: tuple[TimelineEvent, ...]
    others: tuple[TimelineEvent, ...] = ()

    def lines(self, *, telling: str, room: int, run: int) -> CallLines:
        """As a case does, by the rule that groups calls one by one."""
        assert run == RUN
        every = [
            CallLine(
                first=one.first, until=one.last.time, count=one.count,
                telling=bool(one.first.error_code or re.match(telling, one.first.event_name or "")),
            )
            for one in runs(self.events)
        ]  # fmt: skip
        left, kept = {True: room, False: room}, []
        for one in every:
            left[one.telling] -= 1
            kept += [one] if left[one.telling] >= 0 else []
        return CallLines(
            lines=tuple(kept), events=len(self.events), left_out=len(every) - len(kept),
            left_events=len(self.events) - sum(one.count for one in kept),
        )  # fmt: skip

    def ticks(self, *, start: datetime, end: datetime, places: float) -> Iterator[Tick]:
        """Each call by itself."""
        for one in (*self.events, *self.others):
            if start <= one.time <= end:
                place = int((one.time - start) / (end - start) * places)
                yield Tick(credential=one.credential, place=place, failed=bool(one.error_code), count=1)


def poisoned(value: Any, poison: str, hint: Any = str) -> Any:
    """The same result with poison at the end of every text that evidence may choose."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value), vars(typing) | _known(type(value)))
        return replace(value, **{
            one.name: poisoned(getattr(value, one.name), poison, hints[one.name]) for one in dataclasses.fields(value)
        })  # fmt: skip
    if isinstance(value, str):
        return value if _literal(hint) else value + poison
    if isinstance(value, (tuple, list)):
        return type(value)(poisoned(one, poison) for one in value)
    if isinstance(value, dict):
        return {name: poisoned(one, poison) for name, one in value.items()}
    return value


def _known(kind: type) -> dict[str, Any]:
    import sys
    from collections.abc import Iterable, Mapping

    from tokentrail.lineage.model import TimelineEvent

    return vars(sys.modules[kind.__module__]) | {
        "Iterable": Iterable, "Mapping": Mapping, "TimelineEvent": TimelineEvent, "Credential": Credential, "Link": Link,
    }  # fmt: skip


def _literal(hint: Any) -> bool:
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return any(_literal(one) for one in typing.get_args(hint))
    return typing.get_origin(hint) is typing.Literal


def deep(count: int) -> ReportData:
    """A chain of sessions, each in a role of its own that the one before took up."""
    listed = [credentials()[0]]
    for n in range(count):
        role = f"arn:aws:iam::111122223333:role/r{n}"
        listed.append(child(n, listed[-1].id, role=role, root=KEY, expires_at=NINE + timedelta(hours=2)))
    return report_data(trace=trace(*listed, as_of=NOW, subject=(KEY,)), events=(), bystanders=(), plan=None)


def large(count: int) -> ReportData:
    """A trace of many sessions, some of which work."""
    key = credentials()[0]
    listed = [key]
    for n in range(count):
        issued = NINE + timedelta(seconds=n * 3600 // count)
        dead = n % 9 != 0
        listed.append(child(
            n, KEY if n < 50 else f"ASIA{n - 50:016}", role=f"arn:aws:iam::111122223333:role/r{n % 7}", issued_at=issued,
            expires_at=NINE + timedelta(hours=1) if dead else NINE + timedelta(hours=2), root=KEY,
            state="expired" if dead else "active",
        ))  # fmt: skip
    found = trace(*listed, as_of=NOW, subject=(KEY,))
    return report_data(trace=found, plan=None, bystanders=(), bystander_events=(), findings=None)


LINK = re.compile(
    r"#(c\d+|e\d+|lifelines|plan|lineage|timeline|taken|findings|evidence|start|kinds|content|first)"
)
