"""One credential reads many secrets for the first time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import CREDENTIAL_DETAILS, CREDENTIAL_EVENTS
from tokentrail.events.vocabulary import HANDED_OUT
from tokentrail.formatting import at, counted, enumerated, lasting
from tokentrail.lineage.rows import Row

_READ = f"""d.secret AND d.error IS NULL AND NOT d.forwarded
      AND d.name NOT IN ({", ".join(f"'{name}'" for name in sorted(HANDED_OUT))})
      AND d.name NOT LIKE 'GetFunction%'"""
_COUNTS = f"""
    SELECT d.n, sum(len(string_split(coalesce(d.resource, ''), chr(10)))) AS secrets
    FROM some_credential_events d WHERE {_READ} GROUP BY d.n"""
_COUNTS_IN_ALL = "SELECT n, sum(secrets) AS secrets FROM {parts} GROUP BY n"
_READERS = """
    SELECT n, person, kind = 'service_role' OR coalesce(subject, '') LIKE 'system:serviceaccount:%' AS hosted
    FROM credential_details WHERE person IN (
      SELECT k.person FROM secret_counts c JOIN credential_details k ON k.n = c.n WHERE c.secrets >= {many})"""
"""All credentials of principals of which one read many: most cases have none. A workload, a Kubernetes pod by web
identity among them, reads all of its settings when it starts: what of it is new, only a case with days before tells."""
_READS = f"""
    SELECT d.n, r.person, r.hosted, d.time, d.name, d.event_id, d.event_id_text,
           coalesce(d.resource, '') <> '' AS listed,
           unnest(string_split(coalesce(d.resource, ''), chr(10))) AS secret
    FROM some_credential_events d JOIN secret_readers r ON r.n = d.n WHERE {_READ}"""
"""
Reads that name no secret are one together, as all may be of the same. Not with the whole of what a call names beside
each part of it: one forged record would fill memory.
"""
_SWEPT = """
    SELECT r.n, r.time, r.name, r.event_id, r.event_id_text, r.listed, r.secret FROM (
      SELECT s.*, row_number() OVER (PARTITION BY n, secret ORDER BY time, event_id) AS place FROM secret_reads s
    ) r
    JOIN (SELECT person, secret, min(time) AS first FROM secret_reads GROUP BY person, secret) f
      ON f.person = r.person AND f.secret = r.secret AND f.first = r.time
    WHERE r.place = 1 AND (NOT r.hosted OR r.time >= ?)
    QUALIFY count(*) OVER (PARTITION BY r.n) >= ?
    ORDER BY r.n, r.time, r.event_id, r.secret"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Count, within a short time, secrets that their reader's principal had not read before."""
    many, within = context.thresholds.whole("many_secrets"), context.thresholds.whole("swept_within")
    context.batched_table("secret_counts", _COUNTS, _COUNTS_IN_ALL)
    if not context.table("secret_readers", _READERS.format(many=many)):
        return
    context.batched_table("secret_reads", _READS)
    first, _ = context.history()
    settled = first + int(86_400 * context.thresholds["habit_days"])
    by_reader = groupby(context.rows(_SWEPT, (settled, many)), itemgetter("n"))
    swept = {n: run for n, found in by_reader if (run := _run(list(found), many, within))}
    known = context.credentials(swept)
    for n, run in sorted(swept.items()):
        severity: Severity = "high" if known[n]["kind"] in ("service_role", "session_token") else "medium"
        yield Hit(
            about=(known[n]["id"], event_of(run[0])),
            time=run[many - 1]["time"],
            severity=severity,
            why=f"{named(known[n])} read {counted(len(run), 'secret')} within {lasting(within)} from "
            f"{at(run[0]['time'])} that its principal had not read before: "
            f"{enumerated(row['secret'].rpartition(':')[2] if row['listed'] else row['name'] or '?' for row in run)}.",
            subject=n,
            places=(n,),
            events=tuple(event_of(row) for row in run),
            count=len(run),
            thresholds=("many_secrets", "swept_within", "habit_days"),
        )


def _run(found: list[Row], many: int, within: int) -> list[Row]:
    """The reads of the first stretch of this length that holds so many."""
    for start, row in enumerate(found):
        run = [one for one in found[start:] if one["time"] < row["time"] + within]
        if len(run) >= many:
            return run
        if len(found) - start < many:
            break
    return []


RULE = Rule(
    id="secrets-swept",
    title="A credential reads many secrets for the first time",
    severity="high",
    attack=("T1555.006", "T1552"),
    why="Each secret that was read is a way in that no revocation closes; all of them must be changed.",
    false_alarm="A new release of a service may read all of its settings at once. Ask whether there was one.",
    references=(
        "Stratus Red Team, aws.credential-access.secretsmanager-retrieve-secrets and "
        "ssm-retrieve-securestring-parameters",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS),
    thresholds=("many_secrets", "swept_within", "habit_days"),
)
