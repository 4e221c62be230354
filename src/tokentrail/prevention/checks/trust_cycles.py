"""Roles that take each other up in a circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tokentrail.aws.principals import account_of
from tokentrail.formatting import listed, short
from tokentrail.prevention.estate import HOUR, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "trust-cycles"


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each set of roles that can go on taking each other up, alone or together."""
    certain = {role.arn: {one for one, sure in estate.assumable[role.arn] if sure} for role in estate.roles}
    possible = {role.arn: {one for one, _ in estate.assumable[role.arn]} for role in estate.roles}
    sure = [*circles(certain)]
    in_sure = {role for circle in sure for role in circle}
    for circle, safe in [(one, True) for one in sure] + [
        (one, False) for one in circles(possible) if not set(one) <= in_sure
    ]:
        names = listed(f"{short(one)} of {account_of(one)}" for one in circle)
        alone = len(circle) == 1
        yield finding(
            _NAME, CHECK.title, "high" if safe else "low", circle[0], about=circle,
            why=f"{names} {'may take itself up' if alone else 'may take each other up'} again and again"
            + ("." if safe else ", if conditions are met or policies allow it that the snapshot does not tell."),
            attack=CHECK.attack, whence=circle, whither=circle, lives=None,
            fix="Take one hop out: no role needs to be trusted by what it is trusted by. Where it must stay, contain "
            "all of the circle in one step.",
        )  # fmt: skip


def circles(edges: Mapping[str, set[str]]) -> Iterator[tuple[str, ...]]:
    """
    List the strongly connected parts of a graph that hold a circle, each sorted, in order.

    After Tarjan, without recursion, since chains of trust may be as long as an account has roles.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[tuple[str, ...]] = []
    for start in sorted(edges):
        if start in index:
            continue
        work: list[tuple[str, Iterator[str]]] = [(start, iter(sorted(edges[start])))]
        while work:
            node, targets = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
                on_stack.add(node)
            step = next(
                (one for one in targets if one in edges and (one not in index or one in on_stack)), None
            )
            if step is None:
                work.pop()
                _close(node, low, index, stack, on_stack, found)
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
            elif step in index:
                low[node] = min(low[node], index[step])
            else:
                work.append((step, iter(sorted(edges[step]))))
    yield from sorted(one for one in found if len(one) > 1 or one[0] in edges[one[0]])


def _close(
    node: str, low: Mapping[str, int], index: Mapping[str, int], stack: list[str], on_stack: set[str],
    found: list[tuple[str, ...]],
) -> None:  # fmt: skip
    if low[node] != index[node]:
        return
    part: Sequence[str] = []
    while not part or part[-1] != node:
        part = [*part, stack.pop()]
    on_stack.difference_update(part)
    found.append(tuple(sorted(part)))


CHECK = Check(
    id=_NAME,
    title="Roles take each other up in a circle",
    severity="high",
    attack=f"Role juggling: a session that lives {HOUR // 3600} hour takes up the next role before it ends, for ever, "
    "without any key; revoking one role's sessions ends nothing.",
    blocked="policies refuse any hop of the circle",
    needs="snapshot",
    references=(
        "hotnops, AWSRoleJuggler",
        "AWS STS API Reference, 'AssumeRole' (role chaining lives an hour at the most)",
    ),
    find=find,
)
