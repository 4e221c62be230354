"""
Decide what to look up for leaked keys, as answers come in: their uses, their descendants', and who issued them. Pure.

LookupEvents finds the uses of an access key, but not the call that issued it. So children are followed by the key ids
in the answers of issuing calls; parents are searched for among the issuing calls around the second at which a session
was issued; and changes to users, roles and keys, by anybody, are searched for by the names of the calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokentrail.aws.principals import IAM_REGIONS
from tokentrail.errors import UsageError
from tokentrail.events.kernel import Segment
from tokentrail.events.values import session_of
from tokentrail.events.vocabulary import IAM_CHANGES
from tokentrail.sources.spans import Span
from tokentrail.spelling import counted, joined, listed

AROUND = 60
"""Seconds before and after the issue of a session within which its issuing call is looked for."""
LONGEST = 36 * 3600
"""Seconds a session lasts, at most (STS API Reference, 'GetSessionToken'): console sessions are followed as long."""
_ISSUERS = {
    "AssumedRole": ("AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"),
    "Root": ("AssumeRoot", "GetSessionToken"),
    "IAMUser": ("GetSessionToken",),
    "FederatedUser": ("GetFederationToken",),
}
_CHANGING = (
    "Update",
    "Delete",
    "Put",
    "Attach",
    "Detach",
    "Add",
    "Remove",
    "SetDefault",
    "CreatePolicyVersion",
    "Deactivate",
)
_STATE = tuple(sorted(one for one in IAM_CHANGES if one.startswith(_CHANGING)))
"""Calls of IAM that may end a credential, or undo what ended it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to look up in each account and region."""

    attribute: str
    """The key of a lookup attribute; empty for all events."""
    value: str
    """The value of the attribute."""
    window: Span
    """The seconds of the events."""
    regions: frozenset[str] = frozenset()
    """The regions to look in; none for all."""


class Following:
    """Follows some access keys: learns from pages of answers, and says what to ask next."""

    def __init__(self, subjects: Sequence[str], window: Span, state: Mapping[str, Any] | None = None) -> None:
        """
        Start, or continue an earlier run.

        Args:
            subjects: Access key ids.
            window: The seconds that can be looked up.
            state: What an earlier run had learned (`state`).

        Raises:
            UsageError: a subject is no access key id.
        """
        for one in subjects:
            if not (one.isalnum() and one.isascii() and 16 <= len(one) <= 128):
                raise UsageError(
                    f"{one}: lookup-events: follows access keys. Give the id of one (AKIA… or ASIA…), or leave "
                    "--subject out to fetch all."
                )
        self.subjects = tuple(sorted(set(subjects)))
        self._window = window
        told = state or {}
        self._keys: dict[str, int] = dict.fromkeys(self.subjects, window[0]) | told.get("keys", {})
        """By access key whose uses are looked up: from which second on."""
        self._users: dict[str, int] = dict(told.get("users", {}))
        """By user name of a console session of a followed credential: from which second on it is looked up."""
        self._principals: dict[str, int] = dict(told.get("principals", {}))
        """By principal id of such a session: from which second on its calls are followed."""
        self._sessions: dict[str, list[Any]] = dict(told.get("sessions", {}))
        """By access key of a session whose issuing call is searched for: when it was issued, and its identity type."""
        self._first: int | None = told.get("first")
        """The second of the first known use of a subject."""
        self._asked: set[tuple[str, str, Span]] = set()

    @property
    def name(self) -> str:
        """The name under which its state is stored."""
        return " ".join(self.subjects)

    def state(self) -> dict[str, Any]:
        """What has been learned, for the next run."""
        return {
            "keys": self._keys, "users": self._users, "principals": self._principals, "sessions": self._sessions,
            "first": self._first,
        }  # fmt: skip

    def questions(self) -> list[Question]:
        """New questions: uses first, then issuing calls, and changes only once there is nothing else to follow."""
        for some in (self._uses(), self._issues(), self._changes()):
            fresh = [one for one in some if (one.attribute, one.value, one.window) not in self._asked]
            if fresh:
                self._asked.update((one.attribute, one.value, one.window) for one in fresh)
                return fresh
        return []

    def _uses(self) -> Iterator[Question]:
        for key, since in sorted(self._keys.items()):
            yield Question("AccessKeyId", key, (max(since, self._window[0]), self._window[1]))
        for user, since in sorted(self._users.items()):
            yield Question("Username", user, (since, min(since + LONGEST, self._window[1])))

    def _issues(self) -> Iterator[Question]:
        for _, (created, kind) in sorted(self._sessions.items()):
            window = (max(created - AROUND, self._window[0]), min(created + AROUND, self._window[1]))
            if window[0] <= window[1]:
                for name in _ISSUERS.get(kind, ()):
                    yield Question("EventName", name, window)

    def _changes(self) -> Iterator[Question]:
        if self._first is not None:
            for name in _STATE:
                yield Question(
                    "EventName", name, (max(self._first, self._window[0]), self._window[1]), IAM_REGIONS
                )

    def learn(self, pages: Iterable[bytes]) -> None:
        """Learn from pages of answers."""
        segment = Segment(0)
        for page in pages:
            segment.add(page)
        tables = segment.tables()
        identities = {one["identity"]: one for one in tables["identities"].to_pylist()}
        for event in tables["events"].select(["time", "identity"]).to_pylist():
            self._seen(identities[event["identity"]], event["time"])
        for issued in tables["issuances"].to_pylist():
            self._issued(issued, identities[issued["identity"]])
        for change in tables["changes"].select(["time", "identity", "name", "response"]).to_pylist():
            self._changed(change, identities[change["identity"]])

    def _seen(self, who: Mapping[str, Any], when: int) -> None:
        """Learn from a call: if a subject made it, it shows when that was issued, and so when its issuing call was."""
        if who["key_id"] not in self.subjects:
            return
        self._first = when if self._first is None else min(self._first, when)
        self._look_up(who)

    def _look_up(self, who: Mapping[str, Any]) -> None:
        """Have the call that issued a session searched for."""
        key = who["key_id"]
        if key and not key.startswith("AKIA") and who["created"] is not None:
            self._sessions.setdefault(key, [who["created"], who["type"]])

    def _issued(self, issued: Mapping[str, Any], who: Mapping[str, Any]) -> None:
        child, when = issued["key_id"], issued["time"]
        if child in self._sessions:
            self._look_up(who)  # the parent, which may be a session itself
        if not self._follows(who, when):
            return
        if child:
            self._follow(child, when)
            return
        name = who["user_name"] if who["type"] == "IAMUser" else session_of(who["principal_id"])
        if name:
            self._users[name] = min(when, self._users.get(name, when))
        if who["principal_id"]:
            principal = who["principal_id"]
            self._principals[principal] = min(when, self._principals.get(principal, when))

    def _changed(self, change: Mapping[str, Any], who: Mapping[str, Any]) -> None:
        if change["name"] != "CreateAccessKey" or not self._follows(who, change["time"]):
            return
        made = json.loads(change["response"] or "{}").get("accessKey") or {}
        if isinstance(made, dict) and isinstance(made.get("accessKeyId"), str):
            self._follow(made["accessKeyId"], change["time"])

    def _follows(self, who: Mapping[str, Any], when: int) -> bool:
        since = self._keys.get(who["key_id"] or "", self._principals.get(who["principal_id"] or ""))
        return since is not None and when >= since - AROUND

    def _follow(self, key: str, when: int) -> None:
        if key.isalnum() and key.isascii() and len(key) <= 128:
            self._keys[key] = min(when, self._keys.get(key, when))

    def said(self) -> list[str]:
        """Sentences about what was looked up, and what was not."""
        keys = sorted(self._keys)
        shown = joined(keys) if len(keys) <= 5 else listed(keys, 5)
        found = [f"Asked by access key: {shown}."]
        if self._first is None:
            found.append(
                "No use of the subject is in what LookupEvents keeps: look in a trail's logs for older ones."
            )
        if self._users:
            found.append(f"Asked by user name, for console sessions: {joined(sorted(self._users))}.")
        if self._sessions:
            many = counted(len(self._sessions), "session")
            found.append(f"Asked for issuing calls within {AROUND} seconds of the issue of {many}.")
        if self._first is not None:
            found.append(
                f"Asked for {len(_STATE)} calls of IAM that end credentials or undo that, by anybody."
            )
        found.append(
            "Not asked: what else the users and roles behind these keys did, calls that services made for a session "
            "(they show other key ids), and service control policies."
        )
        return found
