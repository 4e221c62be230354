"""The ARN and the unique id by which each principal is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from tokentrail.aws.principals import KnownPrincipal, Principal, arn_of, partition_in, principal_of_arn
from tokentrail.containment.incident.incident_model import HeldCredential
from tokentrail.lineage.rows import Row
from tokentrail.policy.history.ledger import NameBindings


def identified(
    some: Iterable[tuple[Row, HeldCredential]], reached: Iterable[Principal], names: NameBindings
) -> dict[Principal, KnownPrincipal]:
    """What is known of the principals that are reached, and of those that some credentials act as."""
    return _renewed(dict(_known(some, reached)), names)


def _known(
    some: Iterable[tuple[Row, HeldCredential]], reached: Iterable[Principal]
) -> Iterator[tuple[Principal, KnownPrincipal]]:
    """The fullest ARN and the unique id by which each principal is known."""
    arns: dict[Principal, set[str]] = {one: set() for one in reached}
    ids: dict[Principal, tuple[int, str]] = {}
    told_paths = set[Principal]()
    for row, one in some:
        caller, principal = one.caller, one.principal
        own = caller.role if principal.kind == "role" else caller.principal
        if principal_of_arn(own) == principal and own is not None:
            arns.setdefault(principal, set()).add(own)
            # A role's ARN that no record tells was made of its session's.
            if principal.kind != "role" or row["issuer_type"] or row["role_arn"]:
                told_paths.add(principal)
        unique = (caller.principal_id or "").partition(":")[0]
        if unique.startswith(("AROA", "AIDA")):
            seen = (
                row["last"] or row["issued_at"] or 0,
                unique,
            )  # of one made anew, the id that was seen last
            ids[principal] = max(ids.get(principal, seen), seen)
    seen_arns = [arn for known in arns.values() for arn in known]
    partitions = {account: partition_in(seen_arns, account) for account in {one.account for one in arns}}
    for principal, known in arns.items():
        partition = partitions[principal.account]
        told = {f"arn:{partition}:{arn.split(':', 2)[2]}" for arn in known} or {arn_of(principal, partition)}
        arn = max(told, key=lambda one: (one.count("/"), one))
        unique_id = ids[principal][1] if principal in ids else None
        yield (
            principal,
            KnownPrincipal(
                principal=principal, arn=arn, unique_id=unique_id, path_told=principal in told_paths
            ),
        )


def _renewed(
    known: Mapping[Principal, KnownPrincipal], names: NameBindings
) -> dict[Principal, KnownPrincipal]:
    """The same, with unique ids from the calls that created users and roles: the last, if one was created again."""
    return {
        principal: replace(seen, unique_id=names.unique_id(principal) or seen.unique_id)
        for principal, seen in known.items()
    }
