"""
The table of the call catalogue: the facts about each AWS call, by service and operation.

`reviewed` asks the rows that people wrote, and needs no file. `facts` asks those and the line of `operations.tsv`,
which is read when first needed (1 MB, in some milliseconds).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, get_args

from tokentrail.aws.calls import (
    access_grants,
    benign,
    credential_delivery,
    evidence_loss,
    resource_policies,
    reversals,
    role_passing,
    workload_kinds,
)
from tokentrail.aws.calls.names import operation_of

Verdict = Literal[
    "benign",  # lets nobody in and starts nothing
    "creates",  # leaves something that outlives the caller's credential, or enters what has a role
    "changes_iam",  # changes what credentials may do
    "changes_log",  # turns CloudTrail or GuardDuty off, or may reduce what they record
    "issues",  # issues a credential of the caller's own lineage
    "role_credentials",  # gives credentials of a role that the service assumes for the caller
    "task_credentials",  # gives the credentials of the tasks on a container instance
    "person_token",  # gives a token of a person in IAM Identity Center
    "foreign_token",  # gives a token for services outside AWS
    "token",  # gives a token, a password for a while, or a link that signs in
    "secret",  # gives a lasting secret
    "removes_policy",  # takes away a policy or permission of a resource, which may have held a denial
    "blinds",  # turns off logs and detection other than CloudTrail, or makes them ignore something
    "deletes_later",  # has AWS delete data days later
    "stops_keeping",  # has AWS keep deleted or overwritten data no more
    "opens",  # reads, labels or takes away by its name, and opens something
    "unreviewed",  # may let somebody in or start something; nobody has looked
]
"""What a plan says about a call of the attacker's."""
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """What a call leaves behind."""

    kind: str
    id_paths: tuple[str, ...]
    """Paths of the request, or with `~` of the response, at which the id may stand; the first that has one counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """A way to reverse a call."""

    operations: frozenset[str]
    """The reversing operations of the same service."""
    members: tuple[str, ...]
    """The members in which both must agree, spelled as in `reversals`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The protection that a call removes."""

    what: str
    members: tuple[str, ...]
    """The request parameters that name it."""
    restored_by: frozenset[str]
    """The operations that add the same, with the same parameters."""
    optional: frozenset[str] = frozenset()
    """Those of `members` that may be missing in both calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What an AWS call does."""

    service: str
    operation: str
    verdict: Verdict
    reason: str | None = None
    """Why a plan need not name it, although AWS counts it as managing permissions or its answer looks like a secret."""
    issues: bool = False
    """Whether it issues a credential, whose key id the log may not show."""
    changes: bool = False
    """Whether the log's record of it is kept with its request and answer."""
    creates: Creation | None = None
    ends: tuple[tuple[str, str], ...] = ()
    """The kinds of workloads that it ends, each with the path in the request that names the workload."""
    reversed_by: tuple[Reversal, ...] = ()
    removes: Removal | None = None
    remedy: str | None = None
    """How the loss of data is undone."""
    access: str | None = None
    """The access level of its permission in the Service Authorization Reference."""
    permission: str | None = None
    """The name of its permission, if AWS has one of the operation's own name."""
    takes_role: tuple[str, ...] = ()
    """Paths of the request at which a role may be named, spelled as in the API's model."""
    hands_out: tuple[str, ...] = ()
    """Paths of the response at which a credential, token or signed link may stand, spelled as in the API's model."""


@dataclass(slots=True)
class _Row:
    """What the reviewed tables say of a call, while they are merged."""

    verdict: Verdict | None = None
    reason: str | None = None
    issues: bool = False
    changes: bool = False
    creates: Creation | None = None
    ends: list[tuple[str, str]] = field(default_factory=list)
    reversed_by: list[Reversal] = field(default_factory=list)
    removes: Removal | None = None
    remedy: str | None = None


_Key = tuple[str, str]


class _Rows(dict[_Key, _Row]):
    """The reviewed rows, by service and operation."""

    def of(self, services: str, operations: str) -> Iterator[tuple[_Key, _Row]]:
        """The rows of some operations of some services, made if they are new."""
        for service in services.split():
            for operation in operations.split():
                yield (service, operation), self.setdefault((service, operation), _Row())

    def judge(
        self, table: Mapping[str, str], verdict: Verdict, *, changes: bool = False, reason: str | None = None
    ) -> None:
        """Give a verdict to all calls of a table by service."""
        for services, operations in table.items():
            for _, row in self.of(services, operations):
                row.verdict = row.verdict or verdict
                row.reason = row.reason or reason
                row.changes |= changes

    def leave(self, table: Iterable[role_passing.Row]) -> None:
        """Take in a table of calls that leave something."""
        for kind, services, operations, paths in table:
            for _, row in self.of(services, operations):
                row.creates = row.creates or Creation(kind=kind, id_paths=tuple(paths.split()))
                row.verdict, row.changes = row.verdict or "creates", True

    def write_policies(self, kind: str, table: Iterable[resource_policies.Row]) -> None:
        """Take in a table of calls that write and remove policies of resources."""
        for services, writing, removing, members in table:
            pairs = tuple(members.split())
            first = next((n for n, pair in enumerate(pairs) if not pair.endswith("?")), len(pairs))
            own = tuple(pair.rpartition("=")[2].rstrip("?") for pair in pairs[: first + 1])
            named = tuple(pair.partition("=")[0].rstrip("?") for pair in pairs)
            optional = frozenset(pair.partition("=")[0].rstrip("?") for pair in pairs if pair.endswith("?"))
            for _, row in self.of(services, writing):
                row.creates = row.creates or Creation(kind=kind, id_paths=own)
                row.verdict, row.changes = row.verdict or "creates", True
                if removing:
                    row.reversed_by.append(Reversal(operations=frozenset(removing.split()), members=pairs))
            for _, row in self.of(services, removing):
                restoring = frozenset(writing.split())
                row.removes = Removal(
                    what=_WHAT[kind], members=named, restored_by=restoring, optional=optional
                )
                row.verdict, row.changes = row.verdict or "removes_policy", True

    def reverse(self, table: Iterable[tuple[str, str, str, str]]) -> None:
        """Take in a table of reversals."""
        for services, made, undone, members in table:
            reversal = Reversal(operations=frozenset(undone.split()), members=tuple(members.split()))
            for _, row in self.of(services, made):
                row.reversed_by.append(reversal)
            for _, row in self.of(services, undone):
                row.changes = True

    def mark(self) -> None:
        """Take in what else is known of some calls: whether they issue, what they remove, which workloads they end."""
        for service, operations in credential_delivery.ISSUES.items():
            for _, row in self.of(service, operations):
                row.issues = True
        for service, operation, what, members, restoring in reversals.PROTECTIONS:
            restored_by = frozenset({restoring})
            for _, row in self.of(service, operation):
                row.removes = Removal(what=what, members=tuple(members.split()), restored_by=restored_by)
        for kind, service, operation, path in _ends():
            for _, row in self.of(service, operation):
                row.ends.append((kind, path))
                row.changes = True


_WHAT = {
    "resource_policy": "a policy or permission of a resource",
    "function_policy": "a function's policy",
    "bucket_access": "a grant of access to S3",
}
"""By kind of policy: the noun for it in a sentence."""


@cache
def _rows() -> _Rows:
    """The reviewed tables, merged: an earlier table's verdict wins."""
    rows = _Rows()
    for verdict, table in _GIVING.items():
        rows.judge(table, verdict)
    for verdict, losses in _LOSING.items():
        for (service, operation), remedy in losses.items():
            for _, row in rows.of(service, operation):
                row.verdict, row.remedy = verdict, remedy
    rows.judge(evidence_loss.LOG, "changes_log", changes=True)
    rows.judge(benign.OPENS, "opens")
    for leaving in _LEAVING:
        rows.leave(leaving)
    for kind, policies in _POLICIES.items():
        rows.write_policies(kind, policies)
    rows.judge(access_grants.SETTINGS, "changes_iam", changes=True)
    rows.reverse(reversals.UNDONE_BY)
    rows.judge(reversals.ALSO_KEPT, "benign", changes=True)
    for reasons in (credential_delivery.NO_CREDENTIAL, resource_policies.NO_CHANGE):
        for reason, table in reasons.items():
            rows.judge(table, "benign", reason=reason)
    rows.mark()
    return rows


_GIVING: Mapping[Verdict, Mapping[str, str]] = {
    "role_credentials": credential_delivery.ROLE_CREDENTIALS,
    "task_credentials": credential_delivery.TASK_CREDENTIALS,
    "person_token": credential_delivery.PERSON_TOKENS,
    "foreign_token": credential_delivery.FOREIGN_TOKENS,
    "issues": credential_delivery.ISSUES,
    "token": credential_delivery.TOKENS,
    "secret": credential_delivery.SECRETS,
    "blinds": evidence_loss.WATCH,
}
_LOSING: Mapping[Verdict, Mapping[_Key, str]] = {
    "deletes_later": evidence_loss.DELETES_LATER,
    "stops_keeping": evidence_loss.STOPS_KEEPING,
}
_LEAVING = (
    role_passing.RUNS, role_passing.DOORS, role_passing.ENTERED, access_grants.IAM, access_grants.OTHER,
)  # fmt: skip
_POLICIES = {
    "function_policy": resource_policies.FUNCTION_POLICIES,
    "bucket_access": resource_policies.ACCESS_GRANTS,
    "resource_policy": resource_policies.POLICIES,
}


def _ends() -> Iterator[tuple[str, str, str, str]]:
    """The kinds of workloads that a call ends: kind, service, operation and path."""
    services: dict[str, dict[str, None]] = {}
    for kind, service, _, _ in (*role_passing.RUNS, *role_passing.DOORS, *role_passing.ENTERED):
        services.setdefault(kind, {})[service] = None
    services["instance_profile"] = {"iam": None}
    for kind, workload in workload_kinds.WORKLOADS.items():
        for operation, path in workload.ended_by.items():
            for service in services[kind]:
                yield kind, service, operation, path


def reviewed(service: str, event_name: str) -> CallFacts | None:
    """What people reviewed of a call; `None` if there is no row. Nothing is read for it."""
    return _reviewed(service, operation_of(event_name))


@lru_cache(maxsize=8192)
def _reviewed(service: str, operation: str) -> CallFacts | None:
    row = _rows().get((service, operation))
    if row is None:
        return None
    return CallFacts(
        service=service, operation=operation, verdict=row.verdict or _by_name(service, operation),
        reason=row.reason, issues=row.issues, changes=row.changes, creates=row.creates, ends=tuple(row.ends),
        reversed_by=tuple(row.reversed_by), removes=row.removes, remedy=row.remedy,
    )  # fmt: skip


def _by_name(service: str, operation: str) -> Verdict:
    return "benign" if benign.is_benign(service, operation) else "unreviewed"


@cache
def every_reviewed() -> tuple[CallFacts, ...]:
    """The facts of all reviewed rows, by service and operation."""
    return tuple(facts for key in sorted(_rows()) if (facts := _reviewed(*key)) is not None)


OPERATIONS = Path(__file__).with_name("operations.tsv")
"""
The data file: service, operation, verdict, access level, permission, role paths, paths of secrets, and what the
reviewed rows say besides; tabulators between. A permission of the operation's own name is written `=`.
"""


def verdict_of(services: Sequence[str], operation: str, *, hands_out: bool) -> Verdict:
    """The verdict on an operation of AWS's models, whose service has a name or several: the first is its own."""
    for service in services:
        row = _rows().get((service, operation))
        if row is not None and row.verdict is not None:
            return row.verdict
    return "unreviewed" if hands_out else _by_name(services[0], operation)


@cache
def _lines() -> Sequence[str]:
    """The lines of the data file, in order, not yet taken apart."""
    return OPERATIONS.read_text(encoding="utf-8").splitlines()


def _line(service: str, operation: str) -> str | None:
    """The line of an operation without its key, found by bisection; `None` if there is none."""
    key, lines = f"{service}\t{operation}\t", _lines()
    place = bisect_left(lines, key)
    found = place < len(lines) and lines[place].startswith(key)
    return lines[place][len(key) :] if found else None


def facts(service: str, event_name: str) -> CallFacts:
    """
    The facts about a call, as far as they are known.

    Args:
        service: The first label of `eventSource`.
        event_name: `eventName`, with or without the version of the API.
    """
    return _facts(service, operation_of(event_name))


@lru_cache(maxsize=8192)
def _facts(service: str, operation: str) -> CallFacts:
    told = _line(service, operation)
    known = _reviewed(service, operation)
    if told is None:
        return known or CallFacts(service=service, operation=operation, verdict=_by_name(service, operation))
    verdict, level, permission, roles, secrets = (*told.split("\t"), "", "", "", "")[:5]
    return replace(
        known or CallFacts(service=service, operation=operation, verdict="unreviewed"),
        verdict=_VERDICTS[verdict], access=level or None,
        permission=operation if permission == "=" else permission or None,
        takes_role=tuple(roles.split()), hands_out=tuple(secrets.split()),
    )  # fmt: skip


def summary(facts: CallFacts) -> str:
    """What the reviewed rows say of a call, as the data file shows it to who looks at a diff."""
    said = ["issues"] * facts.issues + ["kept"] * facts.changes
    if facts.creates:
        said.append(f"creates {facts.creates.kind} ({' '.join(facts.creates.id_paths)})")
    said += [f"ends {kind} ({path})" for kind, path in facts.ends]
    for one in facts.reversed_by:
        said.append(f"reversed by {' '.join(sorted(one.operations))} ({' '.join(one.members)})")
    if facts.removes:
        said.append(f"removes {facts.removes.what} ({' '.join(facts.removes.members)})")
    said += filter(
        None, (facts.remedy and f"remedy: {facts.remedy}", facts.reason and f"reason: {facts.reason}")
    )
    return "; ".join(said)


def every_operation() -> Iterator[CallFacts]:
    """The facts of all lines of the data file, in its order."""
    keys = (line.split("\t", 2) for line in _lines() if not line.startswith("#"))
    return (_facts(service, operation) for service, operation, _ in keys)


_VERDICTS: Mapping[str, Verdict] = {verdict: verdict for verdict in VERDICTS}
