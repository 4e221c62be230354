"""A person signed in at one place, and a tool at another was given the person's token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.record_access import place_of
from tokentrail.detection.views import CREDENTIAL_DETAILS, CREDENTIAL_IPS, is_address, network_of
from tokentrail.formatting import at, joined, lasting
from tokentrail.lineage.addresses import is_public
from tokentrail.lineage.rows import Row

_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
_COMMAND_LINE = ":devtools/"
"""What clients of `aws login` are called; servers of AI agents, too, redeem codes elsewhere (AWS MCP Server)."""
_PORTAL_SIGN_INS = {
    "signin.amazonaws.com": ("UserAuthentication", "CredentialVerification"),
    "sso.amazonaws.com": ("Authenticate", "ListApplications"),
}
"""What a browser leaves that signs in to the access portal, or opens it: command lines call none of it."""
_SIGNED_IN = " OR ".join(
    f"(e.source = '{source}' AND e.name IN {names!r})" for source, names in _PORTAL_SIGN_INS.items()
)
_PERSON = (
    "coalesce(i.on_behalf_of, CASE WHEN i.type IN ('IdentityCenterUser', 'Unknown') THEN i.user_name END)"
)
"""Records of before 2025 name the person of a directory by user name alone."""
_GRANTS = f"""
    SELECT e.segment, e.object, e.ordinal, e.time, e.event_id, e.event_id_text, e.ip, e.agent, e.account,
           e.name = 'CreateToken' AS portal,
           CASE WHEN e.name = 'CreateToken' THEN {_PERSON} ELSE i.principal_id END AS person,
           i.arn,
           {network_of("e.ip")} AS network
    FROM some_facts e JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity
    WHERE ((e.source = 'sso.amazonaws.com' AND e.name = 'CreateToken')
           OR (e.source = 'signin.amazonaws.com' AND e.name = 'CreateOAuth2Token'))
      AND e.error IS NULL AND {is_address("e.ip")}"""
_THEIR_CALLS = f"""
    SELECT g.portal, g.person, i.user_name, e.ip, {network_of("e.ip")} AS network, e.time,
           CASE WHEN g.portal THEN {_SIGNED_IN}
                ELSE e.source = 'signin.amazonaws.com' AND e.name = 'AuthorizeOAuth2Access' END AS signed_in
    FROM (SELECT DISTINCT portal, person FROM token_grants WHERE person IS NOT NULL) g
    JOIN some_identities i ON g.person = CASE WHEN g.portal THEN {_PERSON} ELSE i.principal_id END
    JOIN some_facts e ON e.segment = i.segment AND e.identity = i.identity
    WHERE e.error IS NULL AND {is_address("e.ip")}"""
_THEIR_PLACES = f"""
    SELECT portal, person, user_name, ip, network, time, signed_in FROM ({_THEIR_CALLS}) WHERE signed_in
    UNION ALL
    SELECT portal, person, min(user_name), ip, min(network), min(time), FALSE
    FROM ({_THEIR_CALLS}) GROUP BY portal, person, ip"""
_ELSEWHERE = """
    SELECT g.*, list(DISTINCT s.ip ORDER BY s.ip) AS homes, max(s.time) AS agreed,
           min(s.user_name) AS user_name
    FROM token_grants g JOIN their_places s
      ON s.portal = g.portal AND s.person = g.person AND s.signed_in AND s.time BETWEEN g.time - $1 AND g.time
     AND contains(s.ip, ':') = contains(g.ip, ':')
    WHERE NOT EXISTS (
      SELECT 1 FROM their_places o WHERE o.portal = g.portal AND o.person = g.person AND o.network = g.network
       AND (o.time < g.time - $1 OR (o.signed_in AND o.time <= g.time)))
    GROUP BY ALL ORDER BY g.time, g.event_id"""
"""Tokens that were fetched from a network at which the person neither signed in nor had ever been."""
_EARLIER = "SELECT DISTINCT ip FROM their_places WHERE portal = ? AND person = ? AND time < ?"
_PORTAL_SESSIONS = f"""
    SELECT k.n FROM credential_details k JOIN credential_ips s ON s.n = k.n
    WHERE k.kind = 'identity_center' AND k.on_behalf_of = ? AND s.first >= ? AND {network_of("s.ip")} = ?
    GROUP BY k.n ORDER BY min(s.first), k.n"""
_LOGINS = """
    SELECT n FROM credential_details
    WHERE kind = 'oauth_login' AND issue_event = ? AND issue_text IS NOT DISTINCT FROM ?"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for a token that went to a network at which its person neither signed in nor had ever been."""
    within = context.thresholds.whole("agreed_within")
    if not context.batched_table("token_grants", _GRANTS):
        return
    context.batched_table("their_places", _THEIR_PLACES)
    rows = [row for row in context.rows(_ELSEWHERE, (within,)) if is_public(row["ip"])]
    rows = rows[: context.thresholds.whole("most_records")]
    read = dict(context.read([place_of(row) for row in rows])) if rows else {}
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if _opens_elsewhere(row, read.get(place_of(row))) and not _familiar(context, row):
            found.setdefault((row["person"], row["network"]), []).append(row)
    for grants in found.values():
        yield _hit(context, grants)


def _opens_elsewhere(row: Row, record: Any) -> bool:
    """Whether the record says that somebody agreed by a browser to what a tool elsewhere had asked for."""
    asked, added = (_member(record, name) for name in ("requestParameters", "additionalEventData"))
    if row["portal"]:
        return asked.get("grantType") == _DEVICE_CODE
    by_code = added.get("grant_type") == "authorization_code"
    return by_code and _COMMAND_LINE in str(asked.get("client_id") or "")


def _member(record: Any, name: str) -> dict[str, Any]:
    """An object in a record; an empty one where there is none."""
    found = record.get(name) if isinstance(record, dict) else None
    return found if isinstance(found, dict) else {}


def _familiar(context: DetectionContext, row: Row) -> bool:
    """Whether the tool's network is one that the person had used, by the owners of addresses."""
    if not context.addresses.knows_owners:
        return False
    earlier = context.rows(_EARLIER, (row["portal"], row["person"], row["time"]))
    return any(context.addresses.same_owner(row["ip"], each["ip"]) for each in earlier)


def _hit(context: DetectionContext, grants: list[Row]) -> Hit:
    """One finding for each person and network."""
    first = grants[0]
    if first["portal"]:
        sessions = context.rows(_PORTAL_SESSIONS, (first["person"], first["time"], first["network"]))
    else:
        sessions = context.rows(_LOGINS, (first["event_id"], first["event_id_text"]))
    places = [row["n"] for row in sessions]
    known = context.credentials(places)
    severity: Severity = "medium" if context.addresses.outside_aws(first["ip"]) else "low"
    return Hit(
        about=(first["person"], event_of(first)),
        time=first["time"],
        severity=severity,
        why=_why(context, first, known[places[0]] if places else None),
        subject=places[0] if places else None,
        places=tuple(places),
        events=tuple(event_of(row) for row in grants),
        count=len(grants),
        principals=(first["person"],),
        accounts=(first["account"],) if first["account"] else (),
        thresholds=("agreed_within", "most_records"),
    )


def _why(context: DetectionContext, first: Row, session: Row | None) -> str:
    person = first["person"]
    if not first["portal"]:
        who = short(first["arn"])
    else:
        who = f"{first['user_name']} ({person})" if first["user_name"] not in (None, person) else person
    homes = joined([context.addresses.in_words(ip) for ip in first["homes"]])
    what = (
        "a token of the access portal by a device code" if first["portal"] else "credentials by `aws login`"
    )
    used = f"; it was used for {named(session)}" if session is not None and first["portal"] else ""
    return (
        f"{who} signed in at {homes}, and within {lasting(max(first['time'] - first['agreed'], 1))}, at "
        f"{at(first['time'])}, a tool at {context.addresses.in_words(first['ip'])}, from where nobody had called in "
        f"that person's name, was given {what}{used}."
    )


RULE = Rule(
    id="device-code-phishing",
    title="A person signed in at one place, and a tool elsewhere got the token",
    severity="medium",
    attack=("T1528", "T1566.002", "T1550.001"),
    why="Whoever starts a device authorization, or `aws login --remote`, needs no password: a person who follows the "
    "link that was sent signs in at AWS's own page, with MFA, and so gives the sender the person's token. A portal's "
    "token opens all accounts and permission sets of that person, for as long as the portal's session lives.",
    false_alarm="That is how people sign in a tool on a host without a browser: a build machine, a cloud desktop. Ask "
    "the person who started it, and whose address the tool has. It is told once for each person and network, and at "
    "low severity where the tool's address is AWS's. Who signs in through a proxy or VPN that the tool does not use "
    "looks so, too.",
    references=(
        "IAM Identity Center User Guide, 'IAM Identity Center information in CloudTrail' (of a device authorization "
        "CreateToken alone is logged: where it was started, no log tells)",
        "IAM Identity Center User Guide, 'Understanding IAM Identity Center sign-in events'",
        "IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail': CreateOAuth2Token",
        "C. Tafani-Dereeper, 'Phishing for AWS credentials via AWS SSO device code authentication'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_IPS),
    thresholds=("agreed_within", "most_records"),
    prefilter=frozenset({"CreateToken", "CreateOAuth2Token"}),
)
