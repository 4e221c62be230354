"""
What the written evidence truly says of each credential: the answer that a reader of the records must find.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tokentrail.testing.names import Identity, iso

Kind = Literal[
    "long_term_key", "api_key", "session_token", "federation_token", "assumed_role", "assumed_role_saml",
    "assumed_role_web_identity", "service_role", "root_session", "console_session", "identity_center",
    "oauth_login", "scoped", "delegated", "forwarded", "unknown",
]  # fmt: skip
Link = Literal["recorded", "shared_event", "matched", "created"]
Origin = Literal[
    "long_term", "service", "identity_provider", "console_sign_in", "forwarded_call", "not_in_evidence"
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueCredential:
    """One credential that the evidence shows, issued or used."""

    id: str
    """The key id that the issuing event names; else `PRINCIPALID@CREATIONDATE` or the key id used."""
    access_key_ids: tuple[str, ...]
    kind: Kind
    account: str
    principal: str
    parent: str | None
    link: Link | None
    origin: Origin | None
    root: str
    depth: int
    issued_at: datetime | None
    """A session's `creationDate`; when a long-term key was made, where the evidence shows it."""
    expires_at: datetime | None
    """The end that the issuing event names."""


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """A credential as the builder knows it, and marks of what the evidence shows of it so far."""

    identity: Identity
    kind: Kind
    kind_from_uses: Kind
    """The kind that its uses alone prove, for when the trail lost the issuing event."""
    key: str | None
    """The key id that its calls show; none where each call shows a fresh one, or none at all."""
    fresh_keys: bool = False
    """Whether each call shows a key id of its own, as the console's do."""
    console_share: float = 0.0
    """The share of its calls that carry `sessionCredentialFromConsole`."""
    issued_key: str | None = None
    """The key id that the issuing event names."""
    parent: Entry | None = None
    link: Link | None = None
    origin: Origin | None = None
    expires_at: datetime | None = None
    made_at: datetime | None = None
    """When a long-term key was made; a session has its identity's creation date instead."""
    issuance_shown: bool = False
    used: bool = False
    used_directly: bool = False
    """Whether some call was its own, and not forwarded by a service."""
    used_keys: set[str] = field(default_factory=set)
    by_date: bool = False
    """Whether principal id and creation date name it when no issuing event names a key."""

    @property
    def shown(self) -> bool:
        """Whether the evidence shows this credential at all."""
        return self.used or (self.issuance_shown and (self.issued_key is not None or self.by_date))

    @property
    def id(self) -> str:
        """The id by the rule for the credential's `id`."""
        if self.issuance_shown and self.issued_key is not None:
            return self.issued_key
        if self.identity.created is not None and (self.by_date or not self.used_directly):
            return f"{self.identity.principal_id}@{iso(self.identity.created)}"
        return str(self.key)

    @property
    def known_parent(self) -> Entry | None:
        """The parent, if the issuing event is in the evidence and names one."""
        return self.parent if self.issuance_shown else None

    def show(self) -> TrueCredential:
        """State what the evidence says."""
        parent, root, depth = self.known_parent, self, 0
        while (above := root.known_parent) is not None:
            root, depth = above, depth + 1
        issued = {self.issued_key} if self.issuance_shown and self.issued_key else set()
        return TrueCredential(
            id=self.id,
            access_key_ids=tuple(sorted(issued | self.used_keys)),
            kind=self._kind(),
            account=self.identity.account,
            principal=self.identity.arn,
            parent=parent.id if parent else None,
            link=self._link() if parent else None,
            origin=None if parent else self._origin(),
            root=root.id,
            depth=depth,
            issued_at=self.identity.created or (self.made_at if self.issuance_shown else None),
            expires_at=self.expires_at if self.issuance_shown else None,
        )

    def mark_use(self, key: str | None, *, directly: bool) -> None:
        """Note that the evidence holds a call of this credential."""
        self.used = True
        self.used_directly |= directly
        if key is not None:
            self.used_keys.add(key)

    def _kind(self) -> Kind:
        if self.issuance_shown or self.kind in ("long_term_key", "api_key"):
            return self.kind
        return self.kind_from_uses if self.used_directly else "forwarded"

    def _link(self) -> Link | None:
        matched = self.used and self.issued_key not in self.used_keys
        return "matched" if matched and self.link == "recorded" else self.link

    def _origin(self) -> Origin:
        if self.kind in ("long_term_key", "api_key"):
            return "long_term"
        if self._kind() == "forwarded":
            return "forwarded_call"
        return (self.origin or "not_in_evidence") if self.issuance_shown else "not_in_evidence"


def true_credentials(entries: Iterable[Entry]) -> list[TrueCredential]:
    """List what the evidence shows, by time of issue, then id; those without a time first."""
    shown = [entry.show() for entry in entries if entry.shown]
    return sorted(
        shown,
        key=lambda one: (one.issued_at is not None, iso(one.issued_at) if one.issued_at else "", one.id),
    )
