"""A token that does what such tokens can't."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import calls, named
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import CREDENTIAL_DETAILS, IDENTITY_CREDENTIALS
from tokentrail.formatting import at, counted
from tokentrail.lineage.rows import Row

_HELD = """
    SELECT a.segment, a.identity, a.n, k.kind, k.mfa_serial IS NULL AND NOT coalesce(k.mfa, FALSE) AS plain
    FROM credential_details k JOIN identity_credentials a ON a.n = k.n
    WHERE NOT a.forwarded AND ((k.kind = 'session_token' AND k.api = 'GetSessionToken')
                               OR (k.kind = 'federation_token' AND k.api = 'GetFederationToken'))"""
_BEYOND = """
    SELECT h.n, d.source, d.name, d.time, d.event_id, d.event_id_text
    FROM facts d JOIN such_tokens h ON h.segment = d.segment AND h.identity = d.identity
    WHERE d.error IS NULL AND NOT coalesce(d.console, FALSE) AND (
      (h.kind = 'session_token' AND h.plain AND d.source = 'iam.amazonaws.com')
      OR (h.kind = 'session_token' AND d.source = 'sts.amazonaws.com'
          AND d.name NOT IN ('AssumeRole', 'GetCallerIdentity', 'GetScopedCredentials', 'GetWebIdentityToken',
                             'GetDelegatedAccessToken', 'GetAccessKeyInfo', 'DecodeAuthorizationMessage',
                             'GetServiceBearerToken'))
      OR (h.kind = 'federation_token' AND d.source = 'iam.amazonaws.com'))
    ORDER BY h.n, d.time, d.event_id"""
"""A service asks for its bearer token in its caller's name (IAM User Guide, 'Service bearer tokens')."""
_IN_CONSOLE = """
    SELECT DISTINCT h.n FROM facts d JOIN such_tokens h ON h.segment = d.segment AND h.identity = d.identity
    WHERE h.n IN (SELECT n FROM suspected_tokens)
      AND (d.console OR (d.source = 'signin.amazonaws.com' AND d.name IN ('GetSigninToken', 'ConsoleLogin')
                         AND d.error IS NULL))"""
"""Tokens that are a browser's session too: flagged in any call of theirs, or carried there. A call that lacks the flag
may be the browser's all the same, since by far not all bear it; and since when a token is in a browser, the log need
not tell."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """
    Look for successes that AWS documents as impossible.

    A session of the console may call IAM though it rests on a token that may not (STS API Reference,
    'GetFederationToken': the limit is on calls by CLI and API). `sessionCredentialFromConsole` is in some of its
    records alone (CloudTrail User Guide, 'CloudTrail record contents'; Invictus data), so the whole session is looked
    at, by its flagged calls, GetSigninToken and ConsoleLogin.
    """
    if not context.table("such_tokens", _HELD):
        return
    by_token: dict[int, list[Row]] = {}
    for row in context.rows(_BEYOND):
        by_token.setdefault(row["n"], []).append(row)
    if not by_token:
        return
    known = context.credentials(by_token)
    context.add_credentials("suspected_tokens", by_token)
    for row in context.rows(_IN_CONSOLE):
        del by_token[row["n"]]
    for n, found in sorted(by_token.items()):
        yield Hit(
            about=(known[n]["id"],),
            time=found[0]["time"],
            severity="high",
            why=f"{named(known[n])} called {calls(found)} with success, "
            f"{counted(len(found), 'time')}, first at {at(found[0]['time'])}; AWS documents that such a token can't.",
            subject=n,
            places=(n,),
            events=tuple(event_of(row) for row in found),
            count=len(found),
        )


RULE = Rule(
    id="beyond-its-power",
    title="A token does what AWS documents as impossible for it",
    severity="high",
    attack=("T1550.001",),
    why="Either the record is not what it seems, or AWS has changed, or the token is another than the log says. All "
    "three are worth knowing.",
    false_alarm="A token minted with a second factor may call IAM; where its minting is not in the evidence, "
    "nothing is said.",
    references=("AWS STS API Reference, 'GetSessionToken' and 'GetFederationToken': Permissions",),
    find=find,
    reads=(CREDENTIAL_DETAILS, IDENTITY_CREDENTIALS),
    prefilter=frozenset({"session_token", "federation_token"}),
)
