"""The credential of an instance, task, function or pod, used off its host."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.tables import began
from tokentrail.detection.wording import at, listed, named
from tokentrail.lineage.addresses import is_public
from tokentrail.lineage.rows import Row, event_id

_HOSTED = """
    SELECT n, person, host,
           (ec2_delivery IS NOT NULL OR coalesce(caller_service, '') LIKE 'ec2.%' OR on_instance) AS instance
    FROM (
      SELECT k.*, coalesce(k.session_name, split_part(k.principal_id, ':', -1), '') AS host,
             regexp_matches(host, '^i-[0-9a-fA-F]{8,17}$') AS on_instance
      FROM known k WHERE coalesce(k.issuer_arn, k.role_arn, '') NOT LIKE '%:role/aws-service-role/%'
    ) WHERE kind = 'service_role' OR (kind = 'assumed_role' AND on_instance)
       OR (kind = 'assumed_role_web_identity' AND subject LIKE 'system:serviceaccount:%')"""
"""The second case: an instance's session whose delivery the evidence does not show. The third: a Kubernetes pod's."""
_VISITS = """
    SELECT n, ip, agent, count(*) AS events, min(time) AS first FROM (
      SELECT d.n, d.ip, d.agent, d.time FROM some_deeds d JOIN hosted h ON h.n = d.n
      WHERE NOT d.forwarded AND d.ip IS NOT NULL AND d.ip NOT LIKE '%amazonaws%' AND d.ip NOT LIKE 'AWS Internal%'
    ) GROUP BY n, ip, agent"""
_VISITS_IN_ALL = """
    SELECT n, ip, agent, CAST(sum(events) AS BIGINT) AS events, min(first) AS first
    FROM {parts} GROUP BY n, ip, agent"""
_ALL_GUESTS = """
    SELECT g.*, k.root_n, t.kind FROM (
      SELECT DISTINCT d.n, d.ip, d.agent FROM deeds d
      JOIN (SELECT v.ip FROM visits v JOIN hosted h ON h.n = v.n GROUP BY v.ip HAVING count(DISTINCT h.person) = 1) v
        ON v.ip = d.ip
      WHERE NOT d.forwarded AND NOT EXISTS (SELECT 1 FROM hosted h WHERE h.n = d.n)
    ) g JOIN known k ON k.n = g.n JOIN known t ON t.n = k.root_n"""
_GUESTS = f"""
    SELECT DISTINCT ip, agent FROM ({began(_ALL_GUESTS)})
    WHERE began = root_n AND kind NOT IN ('service_role', 'assumed_role_web_identity', 'forwarded')
      AND (kind <> 'identity_center' OR ip NOT IN (
        SELECT d.ip FROM deeds d JOIN hosted h ON h.n = d.n
        WHERE d.name = 'CreateTokenWithIAM' AND d.error IS NULL AND d.ip IS NOT NULL))"""
"""
Addresses and tools of people and keys, and of nothing that a workload minted, where one role's workloads are seen too;
those of several are gateways. Where a workload asks for people's tokens, it acts for them itself: an application that
Identity Center trusts (IAM Identity Center OIDC API Reference, 'CreateTokenWithIAM').
"""
_ABROAD = """
    WITH firsts AS (SELECT n, ip, first FROM (
            SELECT *, row_number() OVER (PARTITION BY n ORDER BY first, ip, agent) AS place FROM visits
          ) WHERE place = 1),
    theirs AS (SELECT person, ip FROM (
            SELECT p.person, o.ip, o.ip = f.ip AS own,
                   row_number() OVER (PARTITION BY p.person, o.ip ORDER BY o.first, o.n, o.agent) AS place
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
    SELECT v.*, h.instance, h.person, (g.ip IS NOT NULL) AS shared,
           (f.first < v.first AND f.ip <> v.ip AND (coalesce(t.places, 1) = 1 OR NOT s.theirs)) AS strange,
           f.ip AS home, s.hosts = 1 AS alone, (s.roles = 1 AND (s.widest = 1 OR NOT s.theirs)) AS apart
    FROM visits v JOIN hosted h ON h.n = v.n JOIN firsts f ON f.n = v.n JOIN about s ON s.ip = v.ip
    LEFT JOIN tools t ON t.person = h.person AND t.agent = v.agent
    LEFT JOIN guests g ON g.ip = v.ip AND g.agent = v.agent
    ORDER BY v.n, v.first, v.ip, v.agent"""
"""
Counts, and no comparison of each with each: one role may have tens of thousands of sessions and addresses.

A thief in a host gets its next sessions too, and uses these from the same address, and who reaches the hosts behind a
load balancer those of each. Where several hosts are seen it may be their way out: surely if they use a tool there that
they have elsewhere, too, or if hosts of another role are seen. But a thief who changes his address has his tools
elsewhere, too: what is used nowhere where a session of the role began its work is none of the host's (`theirs`), unless
several hosts use it, each where no other does: such are given an address of their own once they run.
"""
_FIRST = """
    SELECT n, ip, event_id, event_id_text FROM (
      SELECT d.n, d.ip, d.event_id, d.event_id_text,
             row_number() OVER (PARTITION BY d.n, d.ip ORDER BY d.time, d.event_id) AS place
      FROM deeds d JOIN sought s ON s.n = d.n
    ) WHERE place = 1"""


def find(scene: Scene) -> Iterator[Hit]:
    """Look at each address and tool that a workload's credential was used from; one finding a role and address."""
    if not (scene.table("hosted", _HOSTED) and scene.table("visits", _VISITS, _VISITS_IN_ALL)):
        return
    scene.table("guests", _GUESTS)
    visits = list(scene.rows(_ABROAD))
    inside = _inside(scene, visits)
    strange = _strange(visits)
    found: dict[tuple[str, str], list[Row]] = {}
    for row in visits:
        outside = _outside(scene, row, inside)
        odd = _odd(row) and (row["person"] or "", row["ip"]) in strange
        if outside or row["shared"] or odd:
            judged = {**row, "outside": outside, "strange": odd}
            found.setdefault((row["person"] or "", row["ip"]), []).append(judged)
    known = scene.known(row["n"] for visits in found.values() for row in visits)
    if not found:
        return
    first = {
        (row["n"], row["ip"]): event_id(row["event_id"], row["event_id_text"]) or ""
        for row in scene.rows(_FIRST)
    }
    for _, told in sorted(found.items()):
        told.sort(key=lambda row: (row["first"], row["n"]))
        yield _hit(scene, known, told, list(dict.fromkeys(first[row["n"], row["ip"]] for row in told)))


def _odd(row: Row) -> bool:
    """Whether an instance's credential was used where a thief may be: where only it was, or others of its kind were."""
    alike = row["alone"] or (row["apart"] and _comparable(row))
    return bool(row["strange"] and row["instance"] and alike)


def _strange(visits: list[Row]) -> set[tuple[str, str]]:
    """By role, addresses that were strange from the first on: to a session that a thief had first, its host's is."""
    first: dict[tuple[str, str], Row] = {}
    for row in visits:
        place = row["person"] or "", row["ip"]
        if place not in first or (row["first"], row["n"]) < (first[place]["first"], first[place]["n"]):
            first[place] = row
    return {place for place, row in first.items() if _odd(row)}


def _outside(scene: Scene, row: Row, inside: dict[str, int]) -> bool:
    """Whether a call came from outside AWS, where its role had not called from before."""
    return scene.addresses.outside_aws(row["ip"]) and row["first"] > inside.get(
        row["person"] or "", row["first"]
    )


def _inside(scene: Scene, visits: list[Row]) -> dict[str, int]:
    """By role: since when it is known to be used from inside AWS."""
    since: dict[str, int] = {}
    for row in visits if scene.addresses.knows_aws else ():
        if not scene.addresses.outside_aws(row["ip"]):
            person = row["person"] or ""
            since[person] = min(row["first"], since.get(person, row["first"]))
    return since


def _hit(scene: Scene, known: dict[int, Row], visits: list[Row], events: list[str]) -> Hit:
    shared = any(row["shared"] for row in visits)
    strange = [row for row in visits if row["strange"]]
    outside = any(row["outside"] for row in visits)
    sure = outside or any(row["alone"] and _comparable(row) for row in strange)
    severity: Severity = "high" if sure else "medium"
    reasons = []
    if outside:
        reasons.append("that is outside AWS, where its role had been used until then")
    if strange:
        reasons.append(
            f"it had been used from {scene.addresses.in_words(strange[0]['home'])} until then; its role knew neither "
            "this address nor this tool"
        )
    if shared:
        reasons.append("somebody who is no workload used the same tool from the same address")
    places = tuple(dict.fromkeys(row["n"] for row in visits))
    return Hit(
        about=(known[places[0]]["id"], visits[0]["ip"]),
        time=visits[0]["first"],
        severity=severity,
        why=f"{listed(named(known[n]) for n in places)} {'was' if len(places) == 1 else 'were'} used from "
        f"{scene.addresses.in_words(visits[0]['ip'])} at {at(visits[0]['first'])}: {'; and '.join(reasons)}.",
        subject=places[0],
        places=places,
        events=tuple(events),
        count=sum(row["events"] for row in visits),
        thresholds=("same_hole",),
        hole=visits[0]["person"],
    )


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
    false_alarm="Look at whose address it is. A host behind a new NAT address keeps its tools, and is left out. Told "
    "at medium severity are a host that goes out by a VPC endpoint too, or by IPv4 and IPv6, each with its own "
    "tools, and several hosts at one address with a tool that they have nowhere else, which may be their proxy. "
    "Not left out is a person on the host with credentials of their own and the same tool. With --aws-ranges, "
    "whatever calls from outside AWS where its role had not is told, also by the gateway of your own network.",
    references=(
        "Amazon GuardDuty, 'InstanceCredentialExfiltration.OutsideAWS'",
        "Netflix, 'Netflix cloud security: detecting credential compromise in AWS'",
        "Elastic, web identity of a Kubernetes service account from a network that is not Amazon's",
        "Stratus Red Team, aws.credential-access.ec2-steal-instance-credentials",
    ),
    find=find,
    thresholds=("same_hole",),
)
