"""A session token that mints, or a chain of roles that nobody walked before."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, counted, listed, named, short
from tokentrail.lineage.rows import Row, event_id

_MINTING = """
    SELECT n, kind FROM known
    WHERE (kind = 'session_token' AND mfa_serial IS NULL AND NOT coalesce(mfa, FALSE))
       OR kind IN ('scoped', 'federation_token')"""
_MINTED = """
    SELECT k.* FROM minting p JOIN known k ON k.parent_n = p.n
    WHERE k.parent_link <> 'created' AND (p.kind <> 'federation_token' OR k.kind <> 'console_session')
    ORDER BY k.parent_n, k.issued_time, k.n"""
_CHAINS = """
    SELECT p.person AS maker, k.into_role, min(k.n) AS n, min(k.issued_time) AS first
    FROM known k JOIN known p ON p.n = k.parent_n
    WHERE k.api = 'AssumeRole' AND k.parent_link <> 'created'
      AND p.kind IN ('assumed_role', 'assumed_role_saml', 'assumed_role_web_identity', 'service_role')
    GROUP BY p.person, k.into_role HAVING min(k.issued_time) >= {since} AND p.person <> k.into_role"""
_CHAINED = """
    SELECT k.*, f.maker AS parent_person FROM chains f JOIN known k ON k.n = f.n ORDER BY k.issued_time, k.n"""


def find(scene: Scene) -> Iterator[Hit]:
    """Look at tokens that mint, and at role chains that are new to the case."""
    if scene.table("minting", _MINTING):
        yield from _from_tokens(scene)
    yield from _new_chains(scene)


def _from_tokens(scene: Scene) -> Iterator[Hit]:
    by_parent: dict[int, list[Row]] = {}
    for row in scene.rows(_MINTED):
        by_parent.setdefault(row["parent_n"], []).append(row)
    parents = scene.known(by_parent)
    for n, minted in sorted(by_parent.items()):
        yield _from_token(parents[n], minted)


def _from_token(parent: Row, minted: list[Row]) -> Hit:
    severity: Severity = "high" if len(minted) > 1 else "medium"
    roles = sorted({short(row["into_role"]) for row in minted if row["into_role"]})
    into = f" in {listed(roles)}" if roles else ""
    return Hit(
        about=(parent["id"], event_id(minted[0]["issue_event"], minted[0]["issue_text"]) or ""),
        time=minted[0]["issued_time"] or minted[0]["first"] or 0,
        severity=severity,
        why=f"{named(parent)}, itself minted without a second factor, minted "
        f"{counted(len(minted), 'credential')}{into}: "
        f"{listed(row['id'] for row in minted)}, first at {at(minted[0]['issued_time'] or minted[0]['first'] or 0)}.",
        subject=parent["root_n"],
        places=(parent["n"], *(row["n"] for row in minted)),
        events=tuple(event_id(row["issue_event"], row["issue_text"]) or "" for row in minted),
        count=len(minted),
    )


def _new_chains(scene: Scene) -> Iterator[Hit]:
    first, _ = scene.history()
    known_since = first + int(86400 * scene.thresholds["habit_days"])
    if not scene.table("chains", _CHAINS.format(since=known_since)):
        return
    rows = list(scene.rows(_CHAINED))
    parents = scene.known(row["parent_n"] for row in rows)
    for row in rows:
        parent = parents[row["parent_n"]]
        event = event_id(row["issue_event"], row["issue_text"]) or ""
        yield Hit(
            about=(row["parent_person"] or "", row["into_role"] or "", event),
            time=row["issued_time"],
            severity="low",
            why=f"{named(parent)} took up {short(row['into_role'])} at {at(row['issued_time'])}: no session of "
            f"{short(row['parent_person'])} had done so in the days that the case holds before.",
            subject=row["parent_n"],
            places=(row["parent_n"], row["n"]),
            events=(event,),
            count=1,
            thresholds=("habit_days",),
        )


RULE = Rule(
    id="token-mints-tokens",
    title="A token mints tokens",
    severity="high",
    attack=("T1550.001", "T1548.005"),
    why="Each hop gives a later issue time and another name, so that cutoffs and denials set for the first no "
    "longer fit. "
    "A session token of GetSessionToken can mint for 36 hours.",
    false_alarm="Chains are designed too: a pipeline that hops from a build account, a tool that asks for a "
    "second factor "
    "first. Those with a second factor are left out, and role chains count only where the case holds days before.",
    references=(
        "IAM User Guide, 'Roles terms and concepts': role chaining",
        "Elastic, 'AWS STS Role Chaining' (new terms over ten days)",
    ),
    find=find,
    thresholds=("habit_days",),
)
