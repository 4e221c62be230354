"""
Deny by service control policy what no IAM call of ours reaches: root, Identity Center's roles, accounts without access.

A cutoff is enough where nothing can be minted after it. Where a key, another principal or a source that we can't close
may go on minting, the deny has none, so that it holds whatever comes, and in whatever order the steps are sent.
Source: AWS Organizations User Guide, 'Service control policies (SCPs)'; a federated user is none of the user behind it
to `aws:PrincipalArn` (IAM User Guide, 'AWS global condition context keys').
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tokentrail.containment import documents, moves
from tokentrail.containment.documents import Statement
from tokentrail.containment.move import Move
from tokentrail.containment.principal import Principal
from tokentrail.containment.scene import Held, Scene


def controls(
    scene: Scene, account: str, principals: Sequence[Principal], live: Sequence[Held]
) -> Iterator[Move]:
    """
    Deny principals of an account, in as many policies as their length takes.

    Args:
        scene: What it is about.
        account: The account that the policies are attached to.
        principals: Whom to deny.
        live: The credentials that live when nothing is done.
    """
    standing = {one for one in principals if _goes_on(scene, one, live)}
    batch: list[Principal] = []
    for principal in principals:
        whole = documents.text(statements(scene, [*batch, principal], standing))
        if len(whole) > documents.control_room(scene.arn(principal)):
            yield _control(scene, account, batch, standing)
            batch = []
        batch.append(principal)
    yield _control(scene, account, batch, standing)


def statements(scene: Scene, on: Sequence[Principal], standing: set[Principal]) -> list[Statement]:
    """What a policy says: a deny for good of some, of the others' older tokens, and of their federated users' ones."""
    by_person = [one for one in on if one in scene.persons]
    for_good = [scene.arn(one) for one in on if one in standing and one not in scene.persons]
    for_older = [scene.arn(one) for one in on if one not in standing and one not in scene.persons]
    for one in on:
        if scene.federates(one):
            partition = scene.arn(one).split(":")[1]
            guests = [
                f"arn:{partition}:{service}::{one.account}:federated-user/*" for service in ("sts", "iam")
            ]
            for_older += [guest for guest in guests if guest not in for_older]
    found = [
        documents.control([scene.arn(one)], None if one in standing else scene.cutoff, scene.persons[one])
        for one in by_person
    ]  # a directory's user and no colleague (IAM Identity Center User Guide, 'Revoke active IAM role sessions')
    found += [documents.control(for_good, None)] if for_good else []
    return found + ([documents.control(for_older, scene.cutoff)] if for_older else [])


def _goes_on(scene: Scene, principal: Principal, live: Sequence[Held]) -> bool:
    """Whether more of it may be minted when its tokens have been cut."""
    return (
        any(one.principal == principal and one.kind == "long_term_key" for one in live)
        or any(edge.into == principal for edge in scene.edges)
        or any(
            one.mints == principal and one.account in scene.without_access and one.until is None
            for one in scene.sources
        )
    )


def _control(scene: Scene, account: str, on: Sequence[Principal], standing: set[Principal]) -> Move:
    move = moves.control(
        scene, account, statements(scene, on, standing), on,
        f"{moves.says(on, scene)}: no IAM call of yours can end these sessions. " + _of_root(on),
    )  # fmt: skip
    return replace(
        move, closes=frozenset(one.name for one in scene.sources if one.mints in standing.intersection(on))
    )


def _of_root(on: Sequence[Principal]) -> str:
    """What ends sessions of AssumeRoot besides."""
    if not any(one.is_root for one in on):
        return ""
    return (
        "Sessions of AssumeRoot end by themselves within 15 minutes; in the management account `aws iam "
        "disable-organizations-root-sessions` lets nobody open another in any member account. "
    )
