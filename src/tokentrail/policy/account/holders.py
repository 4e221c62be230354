"""
The users and roles of an account's snapshot, with their policies.

Source: IAM API Reference, 'UserDetail', 'RoleDetail', 'GroupDetail'; IAM User Guide, 'IAM and AWS STS quotas'
(sizes are counted without white space).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from tokentrail.aws.principals import Principal
from tokentrail.policy.account.permissions import Policy
from tokentrail.policy.account.trust import Trust
from tokentrail.policy.language.documents import Document, Malformed


def size_of(text: str) -> int:
    """The length of a document as IAM counts it: without white space."""
    return len("".join(text.split()))


@dataclass(frozen=True, kw_only=True)
class Inline:
    """An inline policy."""

    name: str
    text: str
    """The document as JSON."""
    document: Document | Malformed

    @cached_property
    def size(self) -> int:
        """Its characters as IAM counts them."""
        return size_of(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Managed:
    """A managed policy that is attached, or set as a boundary."""

    arn: str
    name: str
    document: Document | Malformed
    """Its default version's; `Malformed` if the snapshot does not have it and it is not known otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group of users."""

    name: str
    inline: tuple[Inline, ...] = ()
    managed: tuple[Managed, ...] = ()
    missing: str | None = None
    """Why its policies are not known, if they are not."""

    def policies(self) -> Iterator[Policy]:
        """Its policies, each with its name."""
        where = f"group {self.name}"
        if self.missing is not None:
            yield Policy(label=where, document=Malformed(reason=self.missing))
        yield from _policies(self.inline, self.managed, where)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A user or a role."""

    arn: str
    name: str
    path: str
    unique_id: str
    identity: Principal
    inline: tuple[Inline, ...] = ()
    managed: tuple[Managed, ...] = ()
    groups: tuple[Group, ...] = ()
    """A user's; empty for a role."""
    boundary: Managed | None = None
    changed: str | None = None
    """Why its policies may be others than a snapshot shows, so that they count as unknown."""

    @property
    def title(self) -> str:
        """How sentences name it."""
        return f"{self.identity.kind} {self.name}"

    @cached_property
    def policies(self) -> tuple[Policy, ...]:
        """Every identity policy that applies to it, including those of its groups."""
        if self.changed is not None:
            return (Policy(label=f"the policies of {self.title}", document=Malformed(reason=self.changed)),)
        own = _policies(self.inline, self.managed, self.title)
        return (*own, *(policy for group in self.groups for policy in group.policies()))

    @cached_property
    def bound(self) -> Policy | None:
        """Its permissions boundary."""
        if self.boundary is None or self.changed is not None:
            return None
        label = f"permissions boundary {self.boundary.name} of {self.title}"
        return Policy(label=label, document=self.boundary.document)

    @property
    def denials(self) -> tuple[Policy, ...]:
        """Those of its policies, boundary included, that deny anything, or that could not be read."""
        standing = (*self.policies, *((self.bound,) if self.bound else ()))
        return tuple(
            policy for policy in standing if isinstance(policy.document, Malformed) or policy.document.denials
        )

    @property
    def inline_size(self) -> int:
        """The characters of all its inline policies, which IAM's quota counts together."""
        return sum(policy.size for policy in self.inline)


@dataclass(frozen=True, kw_only=True)
class User(Holder):
    """An IAM user."""


@dataclass(frozen=True, kw_only=True)
class Role(Holder):
    """A role."""

    trust: Trust | Malformed
    longest: int | None = None
    """MaxSessionDuration in seconds, if the snapshot has it; `aws iam list-roles` prints it."""
    last_used: datetime | None = None
    """As IAM tracks it for 400 days; `None` if never used, or if the snapshot does not say."""
    use_tracked: bool = False
    """Whether the snapshot has the last use of roles."""

    @property
    def service_linked(self) -> bool:
        """
        Whether a service manages it, so that nobody else can edit its policies, and SCPs do not bind it.

        Source: IAM User Guide, 'Create a service-linked role'.
        """
        return self.path.startswith("/aws-service-role/")


def _policies(inline: tuple[Inline, ...], managed: tuple[Managed, ...], where: str) -> Iterator[Policy]:
    for own in inline:
        yield Policy(label=f"inline policy {own.name} of {where}", document=own.document)
    for attached in managed:
        yield Policy(label=f"managed policy {attached.name} of {where}", document=attached.document)
