"""A snapshot, an image, a database's snapshot or a key is shared with an account that the case does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.trust_policies import ANYBODY, account_in, let_in
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CREDENTIAL_DETAILS, LOGGED
from tokentrail.formatting import at, enumerated, quoted
from tokentrail.lineage.rows import Row, object_of

_THINGS = {
    ("ec2", "ModifySnapshotAttribute"): ("snapshot", "snapshotId", "createVolumePermission"),
    ("ec2", "ModifyImageAttribute"): ("image", "imageId", "launchPermission"),
    ("rds", "ModifyDBSnapshotAttribute"): ("database snapshot", "dBSnapshotIdentifier", "valuesToAdd"),
    ("rds", "ModifyDBClusterSnapshotAttribute"): ("database snapshot", "dBClusterSnapshotIdentifier", "valuesToAdd"),
    ("redshift", "AuthorizeSnapshotAccess"): ("database snapshot", "snapshotIdentifier", "accountWithRestoreAccess"),
    ("kms", "PutKeyPolicy"): ("key", "keyId", ""),
    ("kms", "CreateGrant"): ("key", "keyId", "granteePrincipal"),
}  # fmt: skip
"""
By call: what is shared, where its id stands, and where whoever it is shared with stands; a key's policy tells.

Sources: Amazon EC2 API Reference, 'ModifySnapshotAttribute' and 'ModifyImageAttribute' (`userId`, or `all` as `group`);
Amazon RDS API Reference, 'ModifyDBSnapshotAttribute' (`ValuesToAdd`: account ids, or `all`) and
'ModifyDBClusterSnapshotAttribute'; Amazon Redshift API Reference, 'AuthorizeSnapshotAccess'; AWS KMS API Reference,
'PutKeyPolicy' and 'CreateGrant'.
"""
_NAMES = tuple(sorted({name for _, name in _THINGS}))
_SOURCES = tuple(sorted({f"{service}.amazonaws.com" for service, _ in _THINGS}))
_SHARED = f"""
    SELECT c.n, c.source, c.name, c.time, c.event_id, c.event_id_text, c.request, c.document, c.by_arn, c.in_account
    FROM attributed_changes c WHERE c.name IN {_NAMES!r} AND c.source IN {_SOURCES!r} AND c.by_service IS NULL
    ORDER BY c.time, c.event_id"""
_EVERYBODY = "all"


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather what was shared by the credential that did, for each account until sharing with it is a habit."""
    known = {row["account"] for row in context.rows(LOGGED)}
    begun: dict[tuple[str, str], int] = {}
    found: dict[tuple[int, str], list[tuple[Row, str]]] = {}
    for row in list(context.rows(_SHARED)):
        for account in sorted(_given_to(row) - known - {row["in_account"]}):
            since = begun.setdefault((row["in_account"] or "", account), row["time"])
            if row["time"] <= since + context.thresholds["habit_after"] or context.suspicious(row["n"]):
                maker = (row["n"] if row["n"] is not None else -1, row["by_arn"] or "")
                found.setdefault(maker, []).append((row, account))
    change_actors = context.credentials(n for n, _ in found if n >= 0)
    for (n, arn), shared in sorted(found.items()):
        yield _hit(change_actors.get(n), arn, shared, suspicious=n >= 0 and context.suspicious(n))


def _given_to(row: Row) -> set[str]:
    """The accounts that something was shared with, and `*` for everybody."""
    thing = _THINGS.get((row["source"].partition(".")[0], row["name"]))
    if thing is None:
        return set()
    if not thing[2]:
        return let_in(row["document"])
    given = object_of(row["request"]).get(thing[2])
    if isinstance(given, dict):
        given = given.get("add")
        given = given.get("items") if isinstance(given, dict) else None
    names = given if isinstance(given, list) else [given]
    return {account for one in names if (account := _account(one))}


def _account(name: Any) -> str | None:
    """The account that an entry names."""
    if isinstance(name, dict):
        name = ANYBODY if name.get("group") == _EVERYBODY else name.get("userId")
    if not isinstance(name, str):
        return None
    return ANYBODY if name in (_EVERYBODY, ANYBODY) else account_in(name)


def _what(row: Row, account: str) -> str:
    noun, member, _ = _THINGS[row["source"].partition(".")[0], row["name"]]
    named_id = object_of(row["request"]).get(member)
    thing = f"{noun} {quoted(named_id)}" if isinstance(named_id, str) else f"a {noun}"
    return f"{thing} with {'everybody' if account == ANYBODY else f'account {account}'}"


def _hit(maker: Row | None, arn: str, shared: list[tuple[Row, str]], *, suspicious: bool) -> Hit:
    public = any(account == ANYBODY for _, account in shared)
    severity: Severity = "high" if public or suspicious else "medium"
    events = tuple(dict.fromkeys(event_of(row) for row, _ in shared))
    first = shared[0][0]
    what = enumerated(dict.fromkeys(_what(*one) for one in shared))
    return Hit(
        about=(maker["id"] if maker else arn, events[0]),
        time=first["time"],
        severity=severity,
        why=f"{named(maker) if maker else short(arn or None)} shared {what}, first at {at(first['time'])}; the case "
        "has no evidence of whoever can copy it now.",
        subject=maker["n"] if maker else None,
        places=(maker["n"],) if maker else (),
        events=events,
        count=len(events),
        principals=(arn,) if arn else (),
        accounts=tuple(sorted({row["in_account"] for row, _ in shared if row["in_account"]})),
        thresholds=("habit_after",),
    )


RULE = Rule(
    id="shared-outside",
    title="A snapshot, an image or a key was shared with a stranger",
    severity="high",
    attack=("T1537",),
    why="A disk or a database that is shared is copied within AWS, by another account, where this log ends; a key "
    "that is shared opens what it encrypts.",
    false_alarm="Images are shared with further accounts of one's own, and with customers: look the account up, "
    "and ingest its trail or allow it. With whom something was shared on an earlier day is left out.",
    references=(
        "Amazon EC2 API Reference, 'ModifySnapshotAttribute' and 'ModifyImageAttribute'",
        "Amazon RDS API Reference, 'ModifyDBSnapshotAttribute'",
        "Amazon Redshift API Reference, 'AuthorizeSnapshotAccess'",
        "AWS KMS API Reference, 'PutKeyPolicy' and 'CreateGrant'",
        "Stratus Red Team, aws.exfiltration.ec2-share-ami, ec2-share-ebs-snapshot, rds-share-snapshot",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES),
    late=True,
    prefilter=frozenset(_NAMES),
    thresholds=("habit_after",),
)
