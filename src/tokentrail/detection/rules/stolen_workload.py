"""The credential of an instance, task, function or pod, used off its host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from tokentrail.detection.call_kinds import ATTACK_TOOLS, BY_HAND, DESKTOP, WINDOWS
from tokentrail.detection.cited_events import first_events
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import (
    CREDENTIAL_DETAILS,
    CREDENTIAL_EVENTS,
    WORKLOAD_STARTS,
    with_lineage_start,
)
from tokentrail.detection.workloads import INSTANCE, RUNTIME, SIGNED_THERE, WORKLOADS
from tokentrail.formatting import at, enumerated, quoted
from tokentrail.lineage.addresses import is_public
from tokentrail.lineage.rows import Row

_ADDRESSED = (
    "NOT c.forwarded AND c.ip IS NOT NULL AND c.ip NOT LIKE '%amazonaws%' AND c.ip NOT LIKE 'AWS Internal%'"
)
_RUNNING = f"""
    SELECT c.n, c.ip, bool_or(contains(c.agent, 'AWS_Lambda_')) AS in_lambda FROM some_credential_events c
    WHERE contains(c.agent, 'exec-env/AWS_') AND regexp_matches(c.agent, '{RUNTIME}') AND {_ADDRESSED}
    GROUP BY c.n, c.ip"""
_RUNNING_IN_ALL = "SELECT n, ip, bool_or(in_lambda) AS in_lambda FROM {parts} GROUP BY n, ip"
_NAMED = f"""
    SELECT *, coalesce(session_name, split_part(principal_id, ':', -1), '') AS host FROM credential_details
    WHERE kind = 'assumed_role' AND api IS NULL AND NOT regexp_matches(host, '^$|@|{INSTANCE}')
      AND coalesce(issuer_arn, '') NOT LIKE '%/AWSReservedSSO_%'"""
_HOSTED = f"""
    {WORKLOADS}
    UNION ALL
    SELECT k.n, k.kind, k.person, k.host, r.platform FROM ({_NAMED}) k JOIN (
      SELECT s.person, s.host, CASE WHEN bool_or(r.in_lambda) THEN 'lambda' ELSE 'ecs' END AS platform
      FROM ({_NAMED}) s JOIN running r ON r.n = s.n JOIN places p ON p.ip = r.ip AND p.aws GROUP BY s.person, s.host
    ) r ON r.person = k.person AND r.host = k.host"""
"""
The second part: sessions whose delivery the evidence does not show, named as one that a runtime's own user agent used
from an address of AWS. At home, developers run functions under their own sessions with that user agent, too (AWS SAM,
'sam local invoke').
"""
_VISITS = f"""
    SELECT n, ip, agent, count(*) AS events, min(time) AS first FROM (
      SELECT c.n, c.ip, trim(c.agent, '[]') AS agent, c.time FROM some_credential_events c JOIN hosted h ON h.n = c.n
      WHERE {_ADDRESSED} AND {SIGNED_THERE}
    ) GROUP BY n, ip, agent"""
"""S3 writes some user agents in brackets."""
_VISITS_IN_ALL = """
    SELECT n, ip, agent, CAST(sum(events) AS BIGINT) AS events, min(first) AS first
    FROM {parts} GROUP BY n, ip, agent"""
_ALL_GUESTS = """
    SELECT g.*, k.root_n, t.kind FROM (
      SELECT DISTINCT d.n, d.ip, d.agent FROM credential_events d
      JOIN (SELECT v.ip FROM visits v JOIN hosted h ON h.n = v.n GROUP BY v.ip HAVING count(DISTINCT h.person) = 1) v
        ON v.ip = d.ip
      WHERE NOT d.forwarded AND NOT EXISTS (SELECT 1 FROM hosted h WHERE h.n = d.n)
    ) g JOIN credential_details k ON k.n = g.n JOIN credential_details t ON t.n = k.root_n"""
_GUESTS = f"""
    SELECT ip, trim(agent, '[]') AS agent,
           bool_or(kind IN ('console_session', 'identity_center') OR regexp_matches(agent, '{DESKTOP}')
                   OR regexp_matches(agent, '{BY_HAND}') OR regexp_matches(agent, '{ATTACK_TOOLS}')) AS by_hand
    FROM ({with_lineage_start(_ALL_GUESTS)})
    WHERE lineage_start = root_n AND kind NOT IN ('service_role', 'assumed_role_web_identity', 'forwarded')
      AND (kind <> 'identity_center' OR ip NOT IN (
        SELECT d.ip FROM credential_events d JOIN hosted h ON h.n = d.n
        WHERE d.name = 'CreateTokenWithIAM' AND d.error IS NULL AND d.ip IS NOT NULL))
    GROUP BY ip, trim(agent, '[]')"""
"""
Addresses and tools of people and keys, and of nothing that a workload minted, where one role's workloads are seen too;
those of several are gateways. Where a workload asks for people's tokens, it acts for them itself: an application that
Identity Center trusts (IAM Identity Center OIDC API Reference, 'CreateTokenWithIAM').
"""
_ABROAD = f"""
    WITH firsts AS (SELECT n, ip, first FROM (
            SELECT *, row_number() OVER (PARTITION BY n ORDER BY first, ip, agent) AS place FROM visits
          ) WHERE place = 1),
    theirs AS (SELECT person, ip FROM (
            SELECT p.person, o.ip, o.ip = f.ip AS own,
                   row_number() OVER (PARTITION BY p.person, o.ip ORDER BY o.first, o.ip = f.ip DESC) AS place
            FROM visits o JOIN hosted p ON p.n = o.n JOIN firsts f ON f.n = o.n
          ) WHERE place = 1 AND own),
    tools AS (SELECT p.person, o.agent, count(DISTINCT o.ip) AS places,
                     bool_or(a.ip IS NOT NULL) OR (count(DISTINCT p.host) > 1
                       AND count(DISTINCT o.ip) = count(DISTINCT concat(p.host, ' ', o.ip))) AS theirs
              FROM visits o JOIN hosted p ON p.n = o.n LEFT JOIN theirs a ON a.person = p.person AND a.ip = o.ip
              GROUP BY p.person, o.agent),
    about AS (SELECT o.ip, count(DISTINCT concat(p.host, ' ', p.person)) AS hosts, count(DISTINCT p.person) AS roles,
                     max(coalesce(w.places, 1)) AS widest, bool_or(coalesce(w.theirs, FALSE)) AS theirs
              FROM visits o JOIN hosted p ON p.n = o.n LEFT JOIN tools w ON w.person = p.person AND w.agent = o.agent
              GROUP BY o.ip)
    SELECT v.*, h.platform, h.person, h.host, (g.ip IS NOT NULL) AS shared, (b.ip IS NOT NULL) AS worked,
           (f.first < v.first AND f.ip <> v.ip AND (coalesce(t.places, 1) = 1 OR NOT s.theirs)) AS strange,
           f.ip AS home, s.hosts = 1 AS alone, (s.roles = 1 AND (s.widest = 1 OR NOT s.theirs)) AS apart,
           coalesce(t.places, 1) = 1 AS only_here,
           regexp_matches(v.agent, '{DESKTOP}') AS desktop, starts_with(lower(v.agent), 'mozilla/') AS browser,
           regexp_matches(v.agent, '{WINDOWS}') AS windows, regexp_matches(v.agent, '{ATTACK_TOOLS}') AS attack,
           regexp_matches(v.agent, '{RUNTIME}') AS runtime,
           regexp_matches(v.agent, '{BY_HAND}') AS by_hand,
           starts_with(v.agent, 'aws-cli/') AND NOT contains(v.agent, 'exec-env/') AS bare_cli
    FROM visits v JOIN hosted h ON h.n = v.n JOIN firsts f ON f.n = v.n JOIN about s ON s.ip = v.ip
    LEFT JOIN tools t ON t.person = h.person AND t.agent = v.agent
    LEFT JOIN guests g ON g.ip = v.ip AND g.agent = v.agent
    LEFT JOIN (SELECT DISTINCT ip FROM guests WHERE by_hand) b ON b.ip = v.ip
    ORDER BY v.n, v.first, v.ip, v.agent"""
"""
Counts, and no comparison of each with each: one role may have tens of thousands of sessions and addresses.

A thief in a host gets its next sessions too, and uses these from the same address, and who reaches the hosts behind a
load balancer those of each. Where several hosts are seen it may be their way out: surely if they use a tool there that
they have elsewhere, too, or if hosts of another role are seen. But a thief who changes his address has his tools
elsewhere, too: what is used nowhere where a session of the role began its work is none of the host's (`theirs`), unless
several hosts use it, each where no other does: such are given an address of their own once they run.
"""


_About = Literal["place", "tool", "company"]
_Weight = Literal["high", "medium", "weak"]
_AWAY_FROM_AWS = frozenset({"cluster", "device"})
"""Platforms that may be anywhere."""
_FUNCTIONS_AND_TASKS = frozenset({"lambda", "ecs"})
_CONTAINED = frozenset({"lambda", "ecs", "eks"})
"""Platforms in which nobody sits at a screen."""
_MANY_ROLES = 5
"""Roles whose workloads call from outside AWS alone: a thief rarely has the credentials of so many."""
_LOWER: Mapping[_Weight, _Weight] = {"high": "medium", "medium": "weak", "weak": "weak"}
_TEXT_MOST = 80
"""Characters of a user agent, or of what stands for an address, that a finding repeats: a caller chooses them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sign:
    """One thing that speaks for use off the host."""

    about: _About
    """What it is about: signs about the same are one, as they may have the same harmless reason."""
    weight: _Weight
    reason: str


@dataclass(slots=True, kw_only=True)
class _Role:
    """From where, and with which tools, a role's workloads call."""

    inside: int | None = None
    """Since when it is known to be used from inside AWS."""
    tools_inside: set[str | None] = field(default_factory=set)
    runtime_ips: set[str] = field(default_factory=set)
    """Addresses from which a runtime's own user agent called."""
    unix_ips: set[str] = field(default_factory=set)
    """Addresses from which something else than Windows called."""
    homes: dict[str, int] = field(default_factory=dict)
    """Addresses from which sessions called first, and since when."""
    host_homes: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    """The same by host."""

    def add(self, row: Row, inside: bool) -> None:
        """Take in a visit."""
        ip, first, agent = row["ip"], row["first"], row["agent"]
        if inside:
            self.inside = first if self.inside is None else min(self.inside, first)
            self.tools_inside.add(agent)
        if row["runtime"]:
            self.runtime_ips.add(ip)
        if agent is not None and not row["windows"]:
            self.unix_ips.add(ip)
        if ip == row["home"]:
            for homes in (self.homes, self.host_homes[row["host"]]):
                homes[ip] = min(first, homes.get(ip, first))


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look at each address and tool that a workload's credential was used from; one finding a role and address."""
    _add_running(context)
    if not (context.table("hosted", _HOSTED) and context.batched_table("visits", _VISITS, _VISITS_IN_ALL)):
        return
    context.table("guests", _GUESTS)
    visits = list(context.rows(_ABROAD))
    roles = _roles(context, visits)
    outside_tells = not _usually_outside(context, visits)
    strange = _strange(visits)
    found: dict[tuple[str, str], list[tuple[Row, Sequence[_Sign]]]] = {}
    for row in visits:
        place = row["person"] or "", row["ip"]
        odd = _odd(row) and place in strange
        outside = _outside(context, row, roles[place[0]]) if outside_tells else ()
        if signs := [*outside, *_signs(context, row, roles[place[0]], odd)]:
            found.setdefault(place, []).append((row, signs))
    judged = {place: (seen, severity) for place, seen in found.items() if (severity := _severity(seen))}
    if not judged:
        return
    known = context.credentials(row["n"] for seen, _ in judged.values() for row, _ in seen)
    first = first_events(context, known, by="ip")
    for _, (seen, severity) in sorted(judged.items()):
        seen.sort(key=lambda one: (one[0]["first"], known[one[0]["n"]]["id"]))
        events = list(dict.fromkeys(first[row["n"], row["ip"]][0] for row, _ in seen))
        yield _hit(context, known, seen, severity, events)


def _add_running(context: DetectionContext) -> None:
    """Register where user agents of functions and tasks called from, and whether that is AWS's."""
    context.batched_table("running", _RUNNING, _RUNNING_IN_ALL)
    ips = [row["ip"] for row in context.rows("SELECT DISTINCT ip FROM running")]
    are_aws = [context.addresses.of(ip).aws is not None for ip in ips]
    context.add_table("places", {"ip": pa.array(ips, pa.string()), "aws": pa.array(are_aws, pa.bool_())})


def _roles(context: DetectionContext, visits: Sequence[Row]) -> Mapping[str, _Role]:
    """The roles of workloads by name."""
    roles: dict[str, _Role] = defaultdict(_Role)
    for row in visits:
        roles[row["person"] or ""].add(row, context.addresses.inside_aws(row["ip"]))
    return roles


def _usually_outside(context: DetectionContext, visits: Sequence[Row]) -> bool:
    """
    Whether most workloads call from outside AWS from the start, so that being outside tells nothing of one.

    They go out by a network of their owner's, or whoever shared the log has masked its addresses.
    """
    homes = defaultdict[str, set[str]](set)
    for row in visits:
        if row["ip"] == row["home"] and row["platform"] not in _AWAY_FROM_AWS and is_public(row["ip"]):
            homes[row["person"] or ""].add(row["ip"])
    outside = sum(all(map(context.addresses.outside_aws, ips)) for ips in homes.values())
    return outside >= _MANY_ROLES and 2 * outside > len(homes)


def _odd(row: Row) -> bool:
    """Whether a credential was used where a thief may be: where only it was, or others of its kind were."""
    alike = row["alone"] or (row["apart"] and _comparable(row))
    return bool(row["strange"] and alike)


def _strange(visits: Sequence[Row]) -> set[tuple[str, str]]:
    """By role, addresses that were strange from the first on: to a session that a thief had first, its host's is."""
    first: dict[tuple[str, str], Row] = {}
    for row in visits:
        place = row["person"] or "", row["ip"]
        if place not in first or (row["first"], row["n"]) < (first[place]["first"], first[place]["n"]):
            first[place] = row
    return {place for place, row in first.items() if _odd(row)}


def _signs(context: DetectionContext, row: Row, role: _Role, odd: bool) -> Iterator[_Sign]:
    """What speaks for it that a visit was made off the host, besides being outside AWS."""
    astray = [*_astray(context, row, role, odd)]
    yield from astray
    yield from _foreign_tool(context, row, role)
    if row["shared"]:
        reason = "a non-workload identity used the same tool from the same address"
        yield _Sign(about="company", weight="weak", reason=reason)
    elif row["worked"] and astray:
        yield _Sign(about="company", weight="weak", reason="a non-workload identity works from this address")


def _outside(context: DetectionContext, row: Row, role: _Role) -> Iterator[_Sign]:
    """Whether a visit came from outside AWS; of pods and others, where the role had been inside."""
    addresses = context.addresses
    if row["platform"] in _AWAY_FROM_AWS or not addresses.outside_aws(row["ip"]):
        return
    was_inside = role.inside is not None and role.inside < row["first"]
    contained = row["platform"] in _FUNCTIONS_AND_TASKS
    if not contained and not was_inside and row["platform"] != "ec2":
        return
    weight: _Weight = "high" if contained else "medium" if was_inside else "weak"
    if row["agent"] in role.tools_inside or row["ip"] in role.runtime_ips:
        weight = _LOWER[weight]
    reason = "that is outside AWS"
    if day := addresses.ranges.as_of:
        reason += f", by its address ranges of {day}"
    if addresses.are_old(row["first"]):
        weight = _LOWER[weight]
        reason += ", which are more than half a year older"
    if was_inside:
        reason += "; until then its role had been used inside AWS"
    yield _Sign(about="place", weight=weight, reason=reason)
    if weight == "weak" and row["by_hand"] and row["agent"] not in role.tools_inside:
        tool = quoted(row["agent"][:_TEXT_MOST])
        yield _Sign(
            about="tool", weight="weak", reason=f"the tool is one that people work with by hand ({tool})"
        )


def _astray(context: DetectionContext, row: Row, role: _Role, odd: bool) -> Iterator[_Sign]:
    """Whether a visit came from elsewhere than its credential, its host or its role until then, with another tool."""
    if odd:
        weight: _Weight = "weak"
        if row["platform"] == "ec2":
            weight = "high" if row["alone"] and _comparable(row) else "medium"
        yield _Sign(
            about="place", weight=weight,
            reason=f"it had been used from {context.addresses.in_words(row['home'])} until then; new IP and user agent "
            "for this role",
        )  # fmt: skip
    elif row["home"] == row["ip"] and row["only_here"]:
        siblings = role.homes if row["shared"] else role.host_homes[row["host"]]
        since = min(((time, ip) for ip, time in siblings.items() if ip != row["ip"]), default=None)
        if since is not None and since[0] < siblings[row["ip"]]:
            whose = "its role's other sessions" if row["shared"] else "its host's other sessions"
            yield _Sign(
                about="place", weight="weak",
                reason=f"{whose} had been used from {context.addresses.in_words(since[1])}; new IP and user "
                "agent for them",
            )  # fmt: skip


def _foreign_tool(context: DetectionContext, row: Row, role: _Role) -> Iterator[_Sign]:
    """Whether a visit was made with a tool that has no place on its host."""
    platform, ip = row["platform"], row["ip"]
    outside = context.addresses.outside_aws(ip)
    tool = quoted((row["agent"] or "")[:_TEXT_MOST])
    if row["desktop"] or (row["windows"] and _never_windows(row, role)):
        weight: _Weight = "medium" if platform == "cluster" or (platform == "ec2" and outside) else "weak"
        if platform in _CONTAINED and (outside or not row["browser"]):
            weight = "high"
        yield _Sign(about="tool", weight=weight, reason=f"the tool is one of a person's computer ({tool})")
    elif row["bare_cli"] and role.runtime_ips and ip not in role.runtime_ips and is_public(ip):
        reason = (
            "elsewhere, its runtime's own user agent was seen, of which the command line there showed nothing"
        )
        yield _Sign(about="tool", weight="medium", reason=reason)
    elif row["attack"]:
        yield _Sign(about="tool", weight="weak", reason=f"the tool is one that attackers use ({tool})")


def _never_windows(row: Row, role: _Role) -> bool:
    """Whether a workload does not run on Windows: no function does, and of a role's tasks or pods all or none do."""
    return row["platform"] == "lambda" or (
        row["platform"] in _CONTAINED and bool(role.unix_ips - {row["ip"]})
    )


def _severity(seen: Sequence[tuple[Row, Sequence[_Sign]]]) -> Severity | None:
    """How bad visits from one address are: one plain sign, or two that have no common reason, make a finding."""
    weights: dict[_About, set[_Weight]] = defaultdict(set)
    for _, signs in seen:
        for sign in signs:
            weights[sign.about].add(sign.weight)
    medium = sum("medium" in held for held in weights.values())
    if any("high" in held for held in weights.values()) or medium > 1:
        return "high"
    return "medium" if medium or len(weights) > 1 else None


def _hit(
    context: DetectionContext,
    known: Mapping[int, Row],
    seen: Sequence[tuple[Row, Sequence[_Sign]]],
    severity: Severity,
    events: Sequence[str],
) -> Hit:
    visits = [row for row, _ in seen]
    reasons = _reasons([sign for _, signs in seen for sign in signs])
    places = tuple(dict.fromkeys(row["n"] for row in visits))
    return Hit(
        about=(known[places[0]]["id"], visits[0]["ip"]),
        time=visits[0]["first"],
        severity=severity,
        why=f"{enumerated(named(known[n]) for n in places)} {'was' if len(places) == 1 else 'were'} used from "
        f"{quoted(context.addresses.in_words(visits[0]['ip'][:_TEXT_MOST]))} at {at(visits[0]['first'])}: "
        f"{'; and '.join(reasons)}.",
        subject=places[0],
        places=places,
        events=tuple(events),
        count=sum(row["events"] for row in visits),
        thresholds=("same_hole",),
        source_key=visits[0]["person"],
    )


def _reasons(signs: Sequence[_Sign]) -> Sequence[str]:
    """The first sign of each weight in words; weak ones only where they are all that there is about something."""
    plain = {sign.about for sign in signs if sign.weight != "weak"}
    first = {
        (sign.about, sign.weight): sign.reason
        for sign in reversed(signs)
        if sign.weight != "weak" or sign.about not in plain
    }
    return tuple(dict.fromkeys(reversed(first.values())))


def _comparable(row: Row) -> bool:
    """
    Whether an address is of the kind of the one that its credential had before.

    One host has several ways out: to some services by an endpoint of its VPC, with its private address (CloudTrail
    record contents, 'sourceIPAddress'; VPC User Guide, 'Gateway endpoints'), and by IPv4 beside IPv6.
    """
    here, home = str(row["ip"]), str(row["home"])
    return is_public(here) == is_public(home) and (":" in here) == (":" in home)


RULE = Rule(
    id="stolen-workload",
    title="A workload's credential is used off its host",
    severity="high",
    attack=("T1552.005", "T1078.004"),
    why="Credentials that are delivered to an instance, task, function or pod belong nowhere else. Who has them "
    "elsewhere has a hole in the host, and gets the next ones too.",
    false_alarm="Look at whose address it is. Tasks on hosts of your own (ECS Anywhere), and functions and tasks that "
    "go out by your own network or by addresses that you brought to AWS, call from outside AWS, too: list these "
    "addresses with --suppress. Told at medium severity, for being outside AWS, are instances and pods whose role had "
    "been inside until then, with another tool, and instances that were never seen inside, with a command line. A "
    "host behind a new NAT address keeps its tools, and is left out. Told at medium severity are, too, a host that "
    "goes out by a VPC endpoint and otherwise, or by IPv4 and IPv6, each with its own tools, and several hosts at one "
    "address with a tool that they have nowhere else, which may be their proxy.",
    references=(
        "Amazon GuardDuty, 'InstanceCredentialExfiltration.OutsideAWS'",
        "Netflix, 'Netflix cloud security: detecting credential compromise in AWS'",
        "Elastic, web identity of a Kubernetes service account from a network that is not Amazon's",
        "Stratus Red Team, aws.credential-access.ec2-steal-instance-credentials",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, WORKLOAD_STARTS),
    thresholds=("same_hole",),
)
