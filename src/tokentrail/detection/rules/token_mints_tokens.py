"""A session token that mints, or a chain of roles that nobody walked before."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS, WORKLOAD_STARTS, with_lineage_start
from tokentrail.formatting import at, counted, enumerated
from tokentrail.lineage.rows import Row

_MINTING = """
    SELECT n, kind, coalesce(person, id) AS person FROM credential_details
    WHERE (kind = 'session_token' AND mfa_serial IS NULL AND NOT coalesce(mfa, FALSE))
       OR kind IN ('scoped', 'federation_token')
       OR (kind = 'unknown' AND NOT coalesce(mfa, TRUE) AND contains(coalesce(arn, ''), ':user/'))"""
"""The last: a user's temporary credential whose minting was not seen, and that is no console's. It has no second factor
if it says so."""
_MINTED = (
    with_lineage_start("""
    SELECT k.*, p.person AS minter, coalesce(k.issued_time, k.first) AS minted
    FROM minting p JOIN credential_details k ON k.parent_n = p.n
    WHERE k.parent_link <> 'created' AND (p.kind <> 'federation_token' OR k.kind <> 'console_session')
    QUALIFY coalesce(min(minted) OVER (PARTITION BY k.parent_n)
                     < min(minted) OVER (PARTITION BY p.person) + {settled}, TRUE)""")
    + " ORDER BY minted, issue_event, k.id"
)
"""Without the tokens that mint when their principal's tokens have done so for days: credential tools do it daily."""
_CHAINS = """
    SELECT p.person AS maker, min({{'time': k.issued_time, 'id': k.id, 'n': k.n}}).n AS n
    FROM credential_details k JOIN credential_details p ON p.n = k.parent_n
    WHERE k.api = 'AssumeRole' AND k.parent_link <> 'created'
      AND p.kind IN ('assumed_role', 'assumed_role_saml', 'assumed_role_web_identity', 'service_role')
    GROUP BY p.person, k.into_role HAVING min(k.issued_time) >= {since} AND p.person <> k.into_role"""
_CHAINED = """
    SELECT k.*, f.maker AS parent_person FROM chains f JOIN credential_details k ON k.n = f.n
    ORDER BY k.issued_time, k.id"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look at tokens that mint, and at role chains that are new to the case."""
    if context.table("minting", _MINTING):
        yield from _from_tokens(context)
    yield from _new_chains(context)


def _from_tokens(context: DetectionContext) -> Iterator[Hit]:
    """One finding a principal and lineage, however many tokens mint until that is a habit."""
    stories: dict[tuple[int, str], dict[int, list[Row]]] = {}
    settled = int(86_400 * context.thresholds["habit_days"])
    for row in context.rows(_MINTED.format(settled=settled)):
        stories.setdefault((row["lineage_start"], row["minter"]), {}).setdefault(row["parent_n"], []).append(
            row
        )
    parents = context.credentials(n for by_token in stories.values() for n in by_token)
    for _, by_token in sorted(stories.items()):
        yield _from_token([parents[n] for n in by_token], list(by_token.values()))


def _from_token(tokens: list[Row], minted: list[list[Row]]) -> Hit:
    """The hit for the first token that minted; later ones change neither the finding's id nor its severity."""
    first, started = minted[0], minted[0][0]
    every = [row for rows in minted for row in rows]
    severity: Severity = "high" if len(first) > 1 else "medium"
    roles = sorted({short(row["into_role"]) for row in first if row["into_role"]})
    into = f" in {enumerated(roles)}" if roles else ""
    more = f"; {counted(len(tokens) - 1, 'more token')} of its principal did so until that was a habit"
    in_all = f", and {counted(len(every), 'credential')} were minted in all"
    return Hit(
        about=(tokens[0]["id"], issuance_of(started)),
        time=started["minted"] or 0,
        severity=severity,
        why=f"{named(tokens[0])}, itself minted without a second factor, minted "
        f"{counted(len(first), 'credential')}{into}: {enumerated(row['id'] for row in first)}, first at "
        f"{at(started['minted'] or 0)}{more + in_all if len(tokens) > 1 else ''}.",
        subject=started["lineage_start"],
        places=(*(token["n"] for token in tokens), *(row["n"] for row in every)),
        events=tuple(issuance_of(row) for row in every),
        count=len(every),
        thresholds=("habit_days",),
    )


def _new_chains(context: DetectionContext) -> Iterator[Hit]:
    first, _ = context.history()
    known_since = first + int(86_400 * context.thresholds["habit_days"])
    if not context.table("chains", _CHAINS.format(since=known_since)):
        return
    rows = list(context.rows(_CHAINED))
    parents = context.credentials(row["parent_n"] for row in rows)
    for row in rows:
        parent = parents[row["parent_n"]]
        event = issuance_of(row)
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
    why="Each hop gives a later issue time and another name, so that cutoffs and denials set for the first no longer "
    "fit. A session token of GetSessionToken can mint for 36 hours.",
    false_alarm="Chains are designed too: a pipeline that hops from a build account, a tool that asks for a "
    "second factor first, "
    "a tool that mints a token and a role by it, every day. Tokens with a second factor are left out, and so are those "
    "of a principal whose tokens minted days before; role chains count only where the case holds days before.",
    references=(
        "IAM User Guide, 'Roles terms and concepts': role chaining",
        "Elastic, 'AWS STS Role Chaining' (new terms over ten days)",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, WORKLOAD_STARTS),
    thresholds=("habit_days",),
)
