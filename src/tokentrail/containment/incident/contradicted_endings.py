"""
Changes that ended credentials of the attacker's by the log, and that another record of the log contradicts.

Whoever calls with success after a deny or a deactivation took effect has found it lifted, whether or not the evidence
has the record that lifted it. Such a change ends nothing: the proof leaves it out. Which success shows that a
credential still works: `policy.history.survival`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.incident_model import HeldCredential
from tokentrail.formatting import instant
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential
from tokentrail.lineage.rows import Row
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effective_policies import Ending
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.history.survival import Ended, called, from_service, outlives

_LIFTS = frozenset({
    "UpdateAccessKey", "UpdateServiceSpecificCredential", "DeleteUserPolicy", "DeleteRolePolicy", "DeleteGroupPolicy",
    "DetachUserPolicy",
    "DetachRolePolicy", "DetachGroupPolicy", "PutUserPolicy", "PutRolePolicy", "PutGroupPolicy", "CreatePolicyVersion",
    "SetDefaultPolicyVersion", "DeletePolicy", "RemoveUserFromGroup", "DeleteUserPermissionsBoundary",
    "DeleteRolePermissionsBoundary", "PutUserPermissionsBoundary", "PutRolePermissionsBoundary",
})  # fmt: skip
"""Calls that may make a key active again or lift a denial (IAM API Reference)."""
_SUCCESSES = (
    "SELECT n, time, source, name, ip FROM acts WHERE coalesce(error, '') = '' ORDER BY time, event_id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContradictedEnding:
    """A change that should have ended a credential, and the credential's first success after the change took effect."""

    credential: str
    ending: Ending
    success: datetime
    call: str

    @property
    def risk(self) -> Assumption:
        """That somebody undid the change whom no record shows."""
        return Assumption.of(
            "contradicted_ending", self.credential, ending=self.ending.sentence, done=self.ending.done_at,
            call=self.call, success=self.success,
        )  # fmt: skip


def contradicted_endings(
    forest: Forest, pairs: Iterable[tuple[Row, Credential, HeldCredential]], margin: int
) -> tuple[ContradictedEnding, ...]:
    """
    Find the changes by which credentials had ended, according to the log, when they called with success.

    Args:
        forest: The forest.
        pairs: The tainted credentials and others of their principals: row, credential, and the form that proofs use.
        margin: Seconds that a change takes until it holds everywhere.

    Returns:
        One for each change, in the order of time. The changes that stand once it is left out are looked at, too.
    """
    grace = timedelta(seconds=margin)
    late = {
        row["n"]: held
        for row, credential, held in pairs
        if credential.state == "ended" and credential.ended_at is not None and credential.last_used is not None
        and credential.last_used > credential.ended_at + grace
    }  # fmt: skip
    calls = _successes(forest, late)
    changes = list(forest.changes({held.principal.account for n, held in late.items() if n in calls}))
    found: dict[str, ContradictedEnding] = {}
    while calls:
        effects = Effects(change for change in changes if change.event_id not in found)
        new = [
            contradicted
            for n, successes in calls.items()
            if (contradicted := _contradicted(late[n], effects, successes, grace, forest.as_of))
        ]
        if not new:
            break
        for one in new:
            found.setdefault(one.ending.by, one)
    return tuple(sorted(found.values(), key=lambda one: (one.ending.done_at, one.ending.by)))


def _successes(forest: Forest, late: Mapping[int, HeldCredential]) -> dict[int, list[tuple[datetime, str]]]:
    """By place: times and names of the credential's own successful calls."""
    found: dict[int, list[tuple[datetime, str]]] = {}
    for row in forest.done_by(late, _SUCCESSES) if late else ():
        time = datetime.fromtimestamp(row["time"], UTC)
        if time <= forest.as_of and not from_service(row["ip"]):
            found.setdefault(row["n"], []).append((time, called(row["source"], row["name"])))
    return found


def _contradicted(
    held: HeldCredential,
    effects: Effects,
    successes: Sequence[tuple[datetime, str]],
    grace: timedelta,
    as_of: datetime,
) -> ContradictedEnding | None:
    """The ending of a credential, if one of its calls succeeded after the ending took effect."""
    ending = effects.ended(held.caller, held.key_id, as_of)
    if ending is None:
        return None
    ended = [Ended(effective_at=max(ending.at, ending.done_at) + grace, unusable=ending.unusable)]
    for time, call in successes:
        if outlives(ended, time, call):
            return ContradictedEnding(credential=held.id, ending=ending, success=time, call=call)
    return None


def unnamed_liftings(
    credentials: Iterable[Credential], changes: Iterable[Change], margin: int
) -> Iterator[Assumption]:
    """
    The proof's assumptions that calls whose records lack the request lifted nothing that had ended a credential.

    A carrier may leave requests out, and CloudTrail does so where they are too long (CloudTrail User Guide, 'CloudTrail
    record contents').
    """
    ended: dict[str, list[Credential]] = {}
    for credential in credentials:
        if credential.state == "ended" and credential.ended_at is not None and credential.account:
            ended.setdefault(credential.account, []).append(credential)
    liftings = [change for change in changes if not change.request and change.event_name in _LIFTS]
    for account, there in sorted(ended.items()):
        since = min(one.ended_at for one in there if one.ended_at) - timedelta(seconds=margin)
        later = [
            f"{change.event_name} at {instant(change.time)} (event {change.event_id})"
            for change in liftings if change.account == account and change.time >= since
        ]  # fmt: skip
        if later:
            yield Assumption.of(
                "unnamed_lifting",
                calls=tuple(later),
                credentials=tuple(one.id for one in there),
                account=account,
            )


def without(changes: Iterable[Change], contradicted: Iterable[ContradictedEnding]) -> tuple[Change, ...]:
    """The changes but for those that another record contradicts."""
    gone = {one.ending.by for one in contradicted}
    return tuple(change for change in changes if change.event_id not in gone)
