"""Roles that services take up on anybody's behalf."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tokentrail.formatting import counted, listed
from tokentrail.policy.account.trust import principals_of
from tokentrail.policy.language.documents import Malformed
from tokentrail.prevention.estate import Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "service-trusts-open"
_KEYS = frozenset({"aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths"})
_OWN_ACCOUNT = frozenset(
    {"ec2.amazonaws.com", "ssm.amazonaws.com", "spotfleet.amazonaws.com", "edgelambda.amazonaws.com"}
)
"""Services that take up only roles which somebody of the account passed to them, and set no source."""


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each service of each account, with the roles that let it in without asking for whom."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for role in estate.roles:
        if isinstance(role.trust, Malformed):
            continue
        for statement in role.trust.assuming:
            asked = {one.key for one in statement.conditions}
            if statement.effect == "Allow" and not asked & _KEYS:
                for service in principals_of(statement).services - _OWN_ACCOUNT:
                    found[role.identity.account, service].append(role.arn)
    for (account, service), roles in sorted(found.items()):
        open_to_it = sorted(set(roles))
        yield finding(
            _NAME, CHECK.title, "low", open_to_it[0], about=(service,), account=account,
            why=f"{counted(len(open_to_it), 'role')} let {service} in without aws:SourceArn or "
            f"aws:SourceAccount: {listed(one.rpartition('/')[2] for one in open_to_it)}.",
            attack=CHECK.attack, whence=(service,), whither=open_to_it,
            lives=max(estate.session_life(one) for one in open_to_it),
            fix=f"Add StringEquals aws:SourceAccount {account}, and ArnLike aws:SourceArn where the service names one.",
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="A service takes roles up without a source condition",
    severity="low",
    attack="A confused deputy: a customer of the same service names your role in theirs.",
    blocked="the statement asks for a source; services that take up only what is passed within the account are "
    "left out",
    needs="snapshot",
    references=("IAM User Guide, 'The confused deputy problem'",),
    find=find,
)
