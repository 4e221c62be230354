"""A token that does what such tokens can't."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, calls, counted, named
from tokentrail.lineage.rows import Row, event_id

_BEYOND = """
    SELECT d.n, d.source, d.name, d.time, d.event_id, d.event_id_text FROM deeds d JOIN known k ON k.n = d.n
    WHERE d.error IS NULL AND NOT d.forwarded AND NOT coalesce(d.console, FALSE) AND (
      (k.kind = 'session_token' AND k.api = 'GetSessionToken' AND k.mfa_serial IS NULL AND NOT coalesce(k.mfa, FALSE)
       AND d.source = 'iam.amazonaws.com')
      OR (k.kind = 'session_token' AND k.api = 'GetSessionToken' AND d.source = 'sts.amazonaws.com'
          AND d.name NOT IN ('AssumeRole', 'GetCallerIdentity', 'GetScopedCredentials', 'GetWebIdentityToken',
                             'GetDelegatedAccessToken', 'GetAccessKeyInfo', 'DecodeAuthorizationMessage'))
      OR (k.kind = 'federation_token' AND k.api = 'GetFederationToken' AND d.source = 'iam.amazonaws.com'))
    ORDER BY d.n, d.time, d.event_id"""


def find(scene: Scene) -> Iterator[Hit]:
    """Look for successes that AWS documents as impossible."""
    by_token: dict[int, list[Row]] = {}
    for row in scene.rows(_BEYOND):
        by_token.setdefault(row["n"], []).append(row)
    known = scene.known(by_token)
    for n, found in sorted(by_token.items()):
        yield Hit(
            about=(known[n]["id"],),
            time=found[0]["time"],
            severity="high",
            why=f"{named(known[n])} called {calls(found)} with success, "
            f"{counted(len(found), 'time')}, first at {at(found[0]['time'])}; AWS documents that such a token can't.",
            subject=n,
            places=(n,),
            events=tuple(event_id(row["event_id"], row["event_id_text"]) or "" for row in found),
            count=len(found),
        )


RULE = Rule(
    id="beyond-its-power",
    title="A token does what AWS documents as impossible for it",
    severity="high",
    attack=("T1550.001",),
    why="Either the record is not what it seems, or AWS has changed, or the token is another than the log says. "
    "All three "
    "are worth knowing.",
    false_alarm="A token minted with a second factor may call IAM; where its minting is not in the evidence, "
    "nothing is said.",
    references=("AWS STS API Reference, 'GetSessionToken' and 'GetFederationToken': Permissions",),
    find=find,
    marks=frozenset({"session_token", "federation_token"}),
)
