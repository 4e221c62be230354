"""A browser session that an access key was turned into."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import event_of, issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import (
    CREDENTIAL_DETAILS,
    IDENTITY_CREDENTIALS,
    WORKLOAD_STARTS,
    with_lineage_start,
)
from tokentrail.formatting import at, counted
from tokentrail.lineage.rows import Row

_PORTABLE = (
    "federation_token",
    "session_token",
    "service_role",
    "long_term_key",
    "assumed_role_web_identity",
    "unknown",
)
"""What is no person's sign-in: keys and their tokens, of which one whose minting was not seen is unknown, and the
credentials of workloads, pods and pipelines among them."""
_INSTANCE = (
    "regexp_matches(coalesce({0}.session_name, split_part({0}.principal_id, ':', -1), ''), "
    "'^i-[0-9a-fA-F]{{8,17}}$')"
)
"""An instance's session, though the evidence does not show its delivery: it is named as the instance."""
_SIGNED_IN = with_lineage_start(f"""
    SELECT k.*, p.kind AS parent_kind, t.kind AS root_kind, {_INSTANCE.format("p")} AS on_instance,
           coalesce(e.first < k.issued_time - ?, FALSE) AS before
    FROM credential_details k JOIN credential_details p ON p.n = k.parent_n JOIN credential_details t ON t.n = k.root_n
    LEFT JOIN (SELECT q.person, min(e.issued_time) AS first
               FROM credential_details e JOIN credential_details q ON q.n = e.parent_n
               WHERE e.api = 'GetSigninToken' GROUP BY q.person) e ON e.person = p.person
    WHERE k.api = 'GetSigninToken'""")
_SIGN_INS = f"""
    SELECT * FROM ({_SIGNED_IN})
    WHERE parent_kind IN {_PORTABLE!r}
       OR (parent_kind IN ('assumed_role', 'scoped')
           AND (root_kind IN {_PORTABLE!r} OR lineage_start <> root_n OR on_instance))
    ORDER BY parent_n, issued_time, n"""
_TAKEN_ALONG = with_lineage_start(f"""
    SELECT k.n, k.root_n, k.person, k.kind, t.kind AS root_kind, {_INSTANCE.format("k")} AS on_instance,
           d.time, d.event_id, d.event_id_text
    FROM (SELECT segment, identity, time, event_id, event_id_text FROM facts
          WHERE source = 'signin.amazonaws.com' AND name = 'GetSigninToken' AND error IS NULL) d
    JOIN identity_credentials a ON a.segment = d.segment AND a.identity = d.identity
    JOIN credential_details k ON k.n = a.n JOIN credential_details t ON t.n = k.root_n
    WHERE NOT a.forwarded
      AND NOT EXISTS (SELECT 1 FROM credential_details c WHERE c.parent_n = k.n AND c.api = 'GetSigninToken')""")
_CARRIED = f"""
    SELECT * FROM ({_TAKEN_ALONG})
    WHERE kind IN {_PORTABLE!r}
       OR (kind IN ('assumed_role', 'scoped')
           AND (root_kind IN {_PORTABLE!r} OR lineage_start <> root_n OR on_instance))
    ORDER BY time, event_id"""
"""
Sign-ins that are no sessions of their own.

Where GetSigninToken is given no duration, which a federated user can't give, its session bears the key that it was
given (CloudTrail User Guide, 'AWS Management Console sign-in events'; IAM User Guide, 'Enabling custom identity broker
access to the AWS console'): in the log it is the credential itself, gone into a browser.
"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look at sign-in tokens whose lineage is that of a key or a workload."""
    yield from _of_their_own(context)
    first: dict[int | str, int] = {}
    by_token: dict[int, list[Row]] = {}
    for row in context.rows(_CARRIED):
        whose = (
            row["lineage_start"],
            row["person"] or "",
        )  # a broker's users differ, and so do a host's sessions
        since = min(first.setdefault(one, row["time"]) for one in whose)
        if since >= row["time"] - context.thresholds.whole("habit_after"):
            by_token.setdefault(row["n"], []).append(row)
    tokens = context.credentials(by_token) if by_token else {}
    for n, found in sorted(by_token.items()):
        events = tuple(event_of(row) for row in found)
        yield Hit(
            about=(tokens[n]["id"], events[0]),
            time=found[0]["time"],
            severity=_severity(tokens[n]),
            why=f"{named(tokens[n])} was taken into {counted(len(found), 'browser session')} with GetSigninToken, "
            f"first at {at(found[0]['time'])}{_beyond(tokens[n])}",
            subject=found[0]["lineage_start"],
            places=(n,),
            events=events,
            count=len(found),
            thresholds=("habit_after",),
        )


def _severity(carried: Row) -> Severity:
    return "medium" if carried["kind"] in ("assumed_role", "scoped") else "high"


def _beyond(token: Row) -> str:
    if token["kind"] != "federation_token":
        return "."
    return "; in the console a federated user may call IAM, which its token alone may not."


def _of_their_own(context: DetectionContext) -> Iterator[Hit]:
    by_parent: dict[int, list[Row]] = {}
    for row in context.rows(_SIGN_INS, (context.thresholds.whole("habit_after"),)):
        if not row["before"]:
            by_parent.setdefault(row["parent_n"], []).append(row)
    parents = context.credentials(by_parent)
    for n, found in sorted(by_parent.items()):
        parent, when = parents[n], found[0]["issued_time"] or found[0]["first"] or 0
        yield Hit(
            about=(parent["id"], issuance_of(found[0])),
            time=when,
            severity=_severity(parent),
            why=f"{named(parent)} was turned into {counted(len(found), 'browser session')} with GetSigninToken, "
            f"first at {at(when)}"
            f": {found[0]['id']}{_beyond(parent)}",
            subject=found[0]["lineage_start"],
            places=(n, *(row["n"] for row in found)),
            events=tuple(issuance_of(row) for row in found),
            count=len(found),
            thresholds=("habit_after",),
        )


RULE = Rule(
    id="console-from-key",
    title="An access key was turned into a console session",
    severity="high",
    attack=("T1550.001", "T1021.007", "T1078.004"),
    why="GetFederationToken and GetSigninToken make a browser session of a stolen key. It lasts for up to 36 "
    "hours, outlives "
    "the key, and may do in the browser what the token may not do by API.",
    false_alarm="aws-vault, Leapp, granted and home-made brokers do this for their users every day; a principal "
    "that did it on "
    "earlier days is left out.",
    references=(
        "CrowdStrike, 'How adversaries can persist with AWS user federation'",
        "Elastic, 'AWS sign-in token created'; Sigma, aws_console_getsignintoken",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, IDENTITY_CREDENTIALS, WORKLOAD_STARTS),
    prefilter=frozenset({"GetSigninToken"}),
    thresholds=("habit_after",),
)
