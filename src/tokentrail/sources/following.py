"""
Decide what to ask a source for leaked keys, as answers come in: their uses, their descendants', and who issued them.

All sources that are asked share this. Children are followed by the key ids in the answers of issuing calls, and changes
to users, roles and keys, by anybody, are searched for by the names of the calls.
LookupEvents finds the uses of an access key, but not the call that issued it: there, parents are searched for among
the issuing calls around the second at which a session was issued. A source that can be searched for what an answer
holds (`QUERIES`) is asked for the issuing call by the key's id, which finds both records of a call across accounts.
Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from uuid import UUID

from tokentrail.aws.principals import IAM_REGIONS
from tokentrail.errors import UsageError
from tokentrail.events.kernel import Segment
from tokentrail.events.values import session_of
from tokentrail.events.vocabulary import IAM_CHANGES, POLICY_CHANGES
from tokentrail.formatting import counted, joined, listed
from tokentrail.sources.spans import Span

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
LOOKUPS = frozenset({"AccessKeyId", "Username", "EventName"})
"""What LookupEvents can be searched by (CloudTrail API Reference, 'LookupAttribute')."""
QUERIES = frozenset({"AccessKeyId", "PrincipalId", "EventName", "IssuedKeyId", "SharedEventId"})
"""What a source can be searched by that takes queries. A query costs what it scans, so all is asked together."""
VALUE = re.compile(r"[\w+=,.@:/-]{1,512}", re.ASCII)
"""What ids and names of principals consist of (IAM User Guide, 'IAM and AWS STS quotas'); others are not asked for."""
_EVERY_CHANGE = tuple(sorted(IAM_CHANGES | POLICY_CHANGES))
"""Calls that change what a credential can do, or outlive it; one query has room for all."""


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to look up in each account and region."""

    attribute: str
    """What is searched by: one of `LOOKUPS` or `QUERIES`; empty for all events."""
    value: str
    """The value of the attribute."""
    window: Span
    """The seconds of the events."""
    regions: frozenset[str] = frozenset()
    """The regions to look in; none for all."""


class Following:
    """Follows some access keys: learns from pages of answers, and says what to ask next."""

    def __init__(
        self,
        subjects: Sequence[str],
        window: Span,
        state: Mapping[str, Any] | None = None,
        searches: frozenset[str] = LOOKUPS,
    ) -> None:
        """
        Start, or continue an earlier run.

        Args:
            subjects: Access key ids.
            window: The seconds that can be looked up.
            state: What an earlier run had learned (`state`).
            searches: What the source can be searched by.

        Raises:
            UsageError: a subject is no access key id.
        """
        for one in subjects:
            if not (one.isalnum() and one.isascii() and 16 <= len(one) <= 128):
                raise UsageError(
                    f"{one}: what is asked of AWS follows access keys. Give the id of one (AKIA… or ASIA…)."
                )
        self.subjects = tuple(sorted(set(subjects)))
        self._window, self._searches = window, searches
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
        self._made: dict[str, int] = dict(told.get("made", {}))
        """By name of a user that a followed credential made: from which second on keys made for it are followed."""
        self._shared: dict[str, int] = dict(told.get("shared", {}))
        """By shared event id of a call that issued a followed key: when it was made."""
        self.unasked = 0
        """Values that no id or name consists of, and that are put into no query: evidence is hostile."""
        self._asked: set[tuple[str, str, Span]] = set()

    @property
    def name(self) -> str:
        """The name under which its state is stored."""
        return " ".join(self.subjects)

    def state(self) -> dict[str, Any]:
        """What has been learned, for the next run."""
        return {
            "keys": self._keys, "users": self._users, "principals": self._principals, "sessions": self._sessions,
            "first": self._first, "made": self._made, "shared": self._shared,
        }  # fmt: skip

    def questions(self) -> list[Question]:
        """
        New questions.

        Of `LOOKUPS`, uses first, then issuing calls, and changes only once there is nothing else to follow; else all.
        """
        if "IssuedKeyId" in self._searches:
            return self._fresh([*self._uses(), *self._issued_keys(), *self._changes()])
        return next(filter(None, map(self._fresh, (self._uses(), self._issues(), self._changes()))), [])

    def _fresh(self, questions: Iterable[Question]) -> list[Question]:
        fresh = []
        for one in questions:
            if (asked := (one.attribute, one.value, one.window)) not in self._asked:
                self._asked.add(asked)
                if one.window[0] > one.window[1]:
                    continue
                if VALUE.fullmatch(one.value):
                    fresh.append(one)
                else:
                    self.unasked += 1
        return fresh

    def _uses(self) -> Iterator[Question]:
        for key, since in sorted(self._keys.items()):
            yield Question("AccessKeyId", key, (max(since, self._window[0]), self._window[1]))
        sessions = (
            ("PrincipalId", self._principals)
            if "PrincipalId" in self._searches
            else ("Username", self._users)
        )
        for name, since in sorted(sessions[1].items()):
            start = max(since - AROUND, self._window[0]) if sessions[0] == "PrincipalId" else since
            yield Question(sessions[0], name, (start, min(since + LONGEST, self._window[1])))

    def _issues(self) -> Iterator[Question]:
        for _, (created, kind) in sorted(self._sessions.items()):
            window = (max(created - AROUND, self._window[0]), min(created + AROUND, self._window[1]))
            for name in _ISSUERS.get(kind, ()):
                yield Question("EventName", name, window)

    def _issued_keys(self) -> Iterator[Question]:
        for key in sorted(self._keys.keys() | self._sessions.keys()):
            yield Question("IssuedKeyId", key, self._window)
        for shared, when in sorted(self._shared.items()):
            window = (max(when - AROUND, self._window[0]), min(when + AROUND, self._window[1]))
            yield Question("SharedEventId", shared, window)

    def _changes(self) -> Iterator[Question]:
        if "IssuedKeyId" in self._searches:
            for name in _EVERY_CHANGE:
                yield Question("EventName", name, self._window)
        elif self._first is not None:
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
        changes = tables["changes"].select(["time", "identity", "name", "request", "response"])
        for change in sorted(changes.to_pylist(), key=itemgetter("time")):
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
        follows = self._follows(who, when)
        if issued["shared_id"] and (follows or child in self._sessions or child in self._keys):
            shared = str(UUID(bytes=issued["shared_id"]))
            self._shared[shared] = min(when, self._shared.get(shared, when))
        if not follows:
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
        name, when, follows = change["name"], change["time"], self._follows(who, change["time"])
        if name == "CreateUser" and follows and (user := _text(change["request"], "userName")):
            self._made[user] = min(when, self._made.get(user, when))
        if name == "CreateAccessKey":
            user = _text(change["request"], "userName")
            made = _text(change["response"], "accessKey", "accessKeyId")
            if made in self._keys or made in self._sessions:
                self._look_up(who)
            if made and (follows or when >= self._made.get(user, when + 1)):
                self._follow(made, when)

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
        if self.unasked:
            found.append(
                f"{counted(self.unasked, 'value')} of records can be no id or name, and went into no query."
            )
        if "IssuedKeyId" in self._searches:
            if self._first is None:
                found.append("No use of the subject is in what was asked: look at --since and the source.")
            if self._principals:
                found.append(f"Asked by principal, for console sessions: {joined(sorted(self._principals))}.")
            found.append(
                f"Asked for calls that issued these keys, and for {len(_EVERY_CHANGE)} calls of IAM and Organizations, "
                "by anybody."
            )
            found.append(
                "Not asked: what else the users and roles behind these keys did, sessions of roles that these keys "
                "made or opened, sessions whose issuing call is not logged with their key, calls that services made "
                "for a session (they show other key ids), what machines and functions that they started did, the keys "
                "of callers of other accounts of whom a record names the principal alone, and what else a session "
                "did that created one of these keys, whose id may show there alone."
            )
            return found
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
            "(they show other key ids), the keys of callers of other accounts of whom a record names the principal "
            "alone, and service control policies."
        )
        return found


def _text(told: str | None, *path: str) -> str:
    """A text in what a change tells; empty where there is none, whatever stands there and however deeply nested."""
    try:
        found = json.loads(told or "{}")
    except (ValueError, RecursionError):
        return ""
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""
