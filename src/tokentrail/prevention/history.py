"""
The calls of a case, grouped by what policies can tell apart, so that each distinct group is judged once.

Only calls that got through count: one that was refused then would be refused now too. If the case has both records of
a cross-account assumption, the one in the caller's account counts.

Queries here have fixed aliases: `e` for facts, `i` for identities, `w` for callers, `s` for issuances.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tokentrail.lineage.link import SERVICE
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trees import Integers
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.calls import Calls, add_table
from tokentrail.prevention.change_points import ChangePoints, period_start
from tokentrail.prevention.lots import (
    HEAVY,
    CallGroups,
    Grouping,
    Lot,
    alias_of,
    columns_of,
    grouping,
    groups_for,
    mints,
    table_of,
)
from tokentrail.prevention.proposal import GuardrailProposal
from tokentrail.prevention.request_context import ALWAYS, IDENTITY, filled
from tokentrail.store.interface import Engine

OUTSIDERS = ("WebIdentityUser", "SAMLUser", "AWSAccount")
"""The identity types of whoever comes in by a web identity, a SAML assertion or from another account (AWS CloudTrail
User Guide, 'CloudTrail userIdentity element')."""
_ARRIVALS = f"""
    CREATE OR REPLACE TEMP TABLE arrivals AS
    SELECT f.segment, f.object, f.ordinal, a.n, a.place, f.parent_n IS NULL AS first, s.event_id, s.event_id_text
    FROM credentials f JOIN attackers a ON a.n = f.n
    JOIN issuances s ON s.segment = f.segment AND s.object = f.object AND s.ordinal = f.ordinal
    JOIN identities i ON i.segment = s.segment AND i.identity = s.identity
    LEFT JOIN starts t ON t.n = f.n
    LEFT JOIN owners o ON o.n = f.n AND o.ip = coalesce(s.ip, '')
    WHERE i.type IN {OUTSIDERS!r} AND (t.since IS NULL OR coalesce(s.time >= t.since, FALSE) AND o.n IS NULL)"""
"""
Makes `arrivals` of `attackers`, `starts` and `owners`: the calls by which the attacker came in from outside.

No credential of the case made such a call. It counts as the attacker's if what it minted is: otherwise a trust policy
that is made from ordinary callers would let the attacker in by name. What narrows the calls of a stolen session narrows
the call that minted it too: that was the owner's, if it was earlier.
"""
_BORN_SO = """
      UNION ALL
      SELECT event_id, event_id_text, place FROM arrivals WHERE first"""
"""Adds arrivals to the events that created a credential, but for credentials that descend from another."""
_SEGMENTS = "SELECT DISTINCT segment FROM arrivals"
"""The segments of all arrivals."""
REFUSED = "(?i)(access.?denied|unauthori[sz]ed|not.?authori[sz]ed|forbidden|explicit.?deny)"
"""What services call a refusal: `AccessDenied`, `Client.UnauthorizedOperation`, `NotAuthorizedException`, ..."""
WHYS = "\n"
"""Separates the condition keys that leave a verdict open."""
_BASE = (*ALWAYS, "principal", "home", "source", "name", "event", "account")
"""The columns by which calls are always grouped."""
LINKED = "coalesce(i.issuer_arn LIKE '%:role/aws-service-role/%', FALSE)"
"""Whether a service-linked role called."""
PRINCIPAL = """
    CASE WHEN i.type IN ('AssumedRole', 'Role') AND i.issuer_arn IS NOT NULL THEN i.issuer_arn
         WHEN i.arn LIKE 'arn:%:sts::%:assumed-role/%/%'
           THEN split_part(i.arn, '/', 1) || '/' || split_part(i.arn, '/', 2)
         ELSE i.arn END"""
"""The principal that called: of a session its role, by the session's ARN if the record lacks the role's."""
_SQL = {
    "kind": "w.kind", "type": "i.type", "home": "i.account", "user_name": "i.user_name", "source": "e.source",
    "principal": PRINCIPAL,
    "forwarded": f"{SERVICE} IS NOT NULL", "name": "e.name", "account": "coalesce(e.account, i.account)", "ip": "e.ip",
    "region": "e.region", "agent": "e.agent", "endpoint": "e.endpoint", "time": "e.time", "resource": "e.resource",
    "created": "i.created", "mfa": "i.mfa", "linked": LINKED,
    "principal_id": "i.principal_id", "source_identity": "i.source_identity", "sign_in_session": "i.sign_in_session",
    "federated_provider": "i.federated_provider", "ec2_delivery": "i.ec2_delivery",
    "origin_subject": "i.origin_subject", "origin_issuer": "i.origin_issuer", "role_arn": "s.role_arn",
    "session_name": "s.session_name", "asked_identity": "s.source_identity", "duration": "s.duration",
    "by_service": f"{SERVICE} IS NOT NULL AND coalesce(w.kind = 'service_role', FALSE) AND i.ec2_delivery IS NULL",
    "event": "CASE WHEN e.source = 'sts.amazonaws.com' AND e.name IN ('GetSessionToken', 'GetCallerIdentity') THEN "
    "'undeniable' WHEN e.source = 'signin.amazonaws.com' AND e.name NOT LIKE '%OAuth2%' THEN 'signin' ELSE 'any' END",
    "mfa_serial": "s.mfa_serial", "issued": "s.api IS NOT NULL", "subject": "s.subject", "issuer": "i.issuer_arn",
    "api_key_service": "k.service", "api_key_days": "k.days",
}  # fmt: skip
_ISSUING = frozenset(
    {"role_arn", "session_name", "asked_identity", "duration", "mfa_serial", "issued", "subject"}
)
_MAKING_KEYS = frozenset({"api_key_service", "api_key_days"})
_MADE_KEYS = """
    CREATE OR REPLACE TEMP TABLE made_api_keys AS
    SELECT segment, object, ordinal, regexp_extract(request, '"serviceName":"([^"]+)"', 1) AS service,
           nullif(regexp_extract(request, '"credentialAgeDays":"?([0-9]{1,5})[^0-9]', 1), '') AS days
    FROM changes WHERE source = 'iam.amazonaws.com' AND name = 'CreateServiceSpecificCredential'"""
"""The calls that made API keys, with the service and the days that they asked for."""
_SIDES = """
    SELECT s.segment, s.object, s.ordinal, s.shared_id, i.type = 'AWSAccount' AS outside FROM some_issuances s
    JOIN some_identities i ON i.segment = s.segment AND i.identity = s.identity
    WHERE s.shared_id IS NOT NULL"""
_TWINS = """
    CREATE OR REPLACE TEMP TABLE twins AS SELECT DISTINCT segment, object, ordinal FROM sides
    WHERE outside AND shared_id IN (SELECT shared_id FROM sides WHERE NOT outside)"""
_CALLERS = """
    SELECT w.segment, w.identity, w.n, f.kind, a.place, s.since FROM credential_identities w
    JOIN credentials f ON f.n = w.n LEFT JOIN attackers a ON a.n = w.n LEFT JOIN starts s ON s.n = w.n"""
"""For each identity: its credential, its place among the attacker's, and since when its calls may be the attacker's."""
WHOSE = """
    LEFT JOIN some_callers w ON w.segment = {0}.segment AND w.identity = {0}.identity
    LEFT JOIN owners o ON o.n = w.n AND o.ip = coalesce({0}.ip, '')
    LEFT JOIN arrivals r ON r.segment = {0}.segment AND r.object = {0}.object AND r.ordinal = {0}.ordinal"""
"""Joins to calls, whose alias is put in, what `THEIRS` needs."""
THEIRS = (
    "(r.place IS NOT NULL OR "
    "w.place IS NOT NULL AND (w.since IS NULL OR coalesce({0}.time >= w.since, FALSE) AND o.n IS NULL))"
)
"""Whether a call, whose alias is put in, is the attacker's."""
_DESCENTS = """
    CREATE OR REPLACE TEMP TABLE descents AS
    SELECT a.place AS child, p.place AS parent, f.n, f.parent_n, f.parent_link = 'created' AS made, f.segment,
           f.object, f.ordinal
    FROM credentials f JOIN attackers a ON a.n = f.n JOIN attackers p ON p.n = f.parent_n"""
"""The attacker's credentials with a parent among them: one that minted them, or made the key, user or role behind."""
_RECORDED = f"""
    CREATE OR REPLACE TEMP TABLE recorded AS
    SELECT event_id, child FROM (
      SELECT s.event_id, s.event_id_text, d.child FROM descents d
      JOIN issuances s ON s.segment = d.segment AND s.object = d.object AND s.ordinal = d.ordinal
      WHERE d.made IS NOT TRUE{_BORN_SO}
      UNION ALL
      SELECT t.created_event, t.created_text, d.child FROM descents d JOIN credentials t ON t.n = d.n WHERE d.made
      UNION ALL
      SELECT l.event_id, l.event_id_text, d.child FROM descents d
      JOIN links l ON l.child = d.n AND l.parent = d.parent_n)
    WHERE event_id IS NOT NULL AND event_id_text IS DISTINCT FROM ''"""
_BORN = """
    CREATE OR REPLACE TEMP TABLE born AS
    SELECT event_id, list(DISTINCT child) AS children FROM (
      SELECT event_id, child FROM recorded
      UNION
      SELECT o.event_id, r.child FROM recorded r JOIN issuances s ON s.event_id = r.event_id
      JOIN issuances o ON o.shared_id = s.shared_id)
    GROUP BY event_id"""
"""By event: the credentials that it created; both events of a cross-account assumption count."""
_BIRTHS = """
    CREATE OR REPLACE TEMP TABLE births AS
    SELECT e.segment, e.object, e.ordinal, b.children FROM ({facts}) e JOIN born b ON b.event_id = e.event_id
    ORDER BY e.segment"""
"""The calls of these events, which are looked up once, since an event may be in any segment."""
_MAY_GIVE_BIRTH = """
    e.event_id IS NOT NULL AND (e.source, e.name) IN (SELECT (source, name) FROM refused_actions)
    AND (s.api IS NOT NULL OR e.event_id IN (
      SELECT created_event FROM credentials WHERE parent_link = 'created' UNION ALL SELECT event_id FROM links))"""
"""Whether a call may be one of `refused_actions` that issued a credential or created what one acts through."""
_UNBORN = """
    CREATE OR REPLACE TEMP TABLE unborn AS
    WITH RECURSIVE refused AS (
      SELECT nth, event_id FROM refused_events
      UNION
      SELECT r.nth, o.event_id FROM issuances o JOIN (
        SELECT e.nth, i.shared_id FROM issuances i JOIN refused_events e ON e.event_id = i.event_id
      ) r ON r.shared_id = o.shared_id WHERE o.event_id IS NOT NULL),
    births AS (
      SELECT f.n, s.event_id FROM issuances s JOIN credentials f
      ON s.segment = f.segment AND s.object = f.object AND s.ordinal = f.ordinal
      WHERE f.parent_link IS DISTINCT FROM 'created'
      UNION
      SELECT n, created_event FROM credentials WHERE parent_link = 'created'
      UNION
      SELECT child, event_id FROM links),
    born AS (SELECT r.nth, b.n FROM births b JOIN refused r ON b.event_id = r.event_id),
    unborn(nth, n) AS (
      SELECT DISTINCT o.nth, o.n FROM born o WHERE NOT EXISTS (
        SELECT 1 FROM births b WHERE b.n = o.n
        AND NOT EXISTS (SELECT 1 FROM refused r WHERE r.nth = o.nth AND r.event_id = b.event_id))
      UNION
      SELECT u.nth, f.n FROM credentials f JOIN unborn u ON f.parent_n = u.n)
    SELECT nth, n FROM unborn WHERE n NOT IN (SELECT n FROM attackers)"""
"""
By proposal of a lot: the credentials that `refused_events` would not have let come to be, and their descendants.

Both events of a cross-account assumption count as one.
"""
_ON = "{0}.segment = e.segment AND {0}.object = e.object AND {0}.ordinal = e.ordinal"
_BIRTH = f"LEFT JOIN some_births b ON {_ON.format('b')}"
_THEIRS = THEIRS.format("e")
_NONE: ChangePoints = {}
_AT_ONCE = 8_192
"""Groups of calls that are judged at a time."""
_ALIKE = "SELECT * EXCLUDE (calls), CAST(sum(calls) AS BIGINT) AS calls FROM {parts} GROUP BY ALL"
_ALIKE_BY_TIME = """
    SELECT * EXCLUDE (calls, first, last), CAST(sum(calls) AS BIGINT) AS calls, min(first) AS first, max(last) AS last
    FROM {parts} GROUP BY ALL"""
"""Combine the groups of several batches of segments; see `Calls.keep`."""


class NeverMade(NamedTuple):
    """Ordinary calls that would never have been made, by proposal of a lot (`nth`), caller and call."""

    calls: Sequence[Row]
    """All of them."""
    judged: Sequence[Row]
    """Those of them that the proposal also refuses, or may refuse, by `verdict`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A credential that both its owner and the attacker may use, and what tells their calls apart."""

    n: int
    """Its place in the forest."""
    since: int
    """Calls before this second are the owner's."""
    owners: frozenset[str]
    """Addresses whose calls are the owner's."""


class History:
    """The calls of one case at one moment, the attacker's and everybody else's."""

    def __init__(
        self, engine: Engine, attackers: Integers, starts: Sequence[Start], scratch: Path | None = None
    ) -> None:
        """Tell the calls of some credentials, given by place, from all others; `scratch` is made for large tables."""
        self._engine = engine
        self._calls = Calls(engine, scratch)
        self._their = ("", "")
        """The table of the groups of the attacker's calls, and the condition that joins it with `their_calls`."""
        try:
            self._calls.open()
            self._register_attackers(attackers, starts)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop all tables that were made."""
        self._calls.close()

    def totals(self) -> tuple[int, int]:
        """How many calls of the attacker's, and of all others, got through."""
        counted = f"SELECT {_THEIRS} AS theirs, count(*) AS calls {_from(frozenset())} GROUP BY ALL"
        found = {row["theirs"]: row["calls"] for row in self.over_batches(counted, _ALIKE)}
        return found.get(True, 0), found.get(False, 0)

    def over_batches(self, sql: str, whole: str) -> Iterator[Row]:
        """The rows of a query over batches of segments (`Calls.keep`), to be read before the next call of this."""
        self._calls.keep("told", sql, whole)
        return self.query("SELECT * FROM told")

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a query, read in batches."""
        for batch in self._engine.batches(sql, parameters):
            yield from batch.to_pylist()

    def ways(self, columns: frozenset[str], where: str = "TRUE") -> Iterator[Row]:
        """All calls, grouped by some columns, by caller and call, and by whether they are the attacker's (`theirs`)."""
        grouped = f"SELECT {_selected(columns)}, {_THEIRS} AS theirs, count(*) AS calls {_from(columns)} GROUP BY ALL"
        return self.over_batches(f"SELECT * FROM ({grouped}) WHERE {where}", _ALIKE)

    def prepare(self, proposals: Sequence[GuardrailProposal]) -> None:
        """Group the calls once for all proposals that can share a grouping; see `lots.grouping`."""
        light = [one for one in proposals if grouping(one) is None]
        for name, some in (
            ("asked", [one for one in light if not mints(one)]),
            ("mintings", [*filter(mints, light)]),
        ):
            self._group(name, frozenset().union(*(one.needs for one in some)))
        columns = frozenset().union(*(one.needs for one in light))
        self._group_theirs("their_asked", columns)
        minting = "role_arn IS NOT NULL" if "role_arn" in columns else "FALSE"
        self._engine.run(
            f"CREATE OR REPLACE TEMP TABLE their_mintings AS SELECT * FROM their_asked WHERE {minting}"
        )

    def narrow(self, asked: Grouping) -> None:
        """Group the calls anew for proposals that need a grouping of their own."""
        self._group("narrowed", *asked)
        self._group_theirs("their_narrowed", *asked)

    def theirs(self) -> Iterator[pa.RecordBatch]:
        """
        The attacker's calls as they were grouped last, some groups at a time, in any order; they can be read only once.

        Each row has the number `k` of a group, which may come several times, its `calls`, each with the `place` of its
        credential among the attacker's and its `moment`, and the `children`: places of credentials that they created.
        """
        table, same = self._their
        self._engine.release()
        yield from self._engine.batches(
            f"SELECT a.k, c.calls, c.children FROM their_calls c JOIN {table} a ON {same}"
        )
        self._calls.forget("their_calls")

    def their_groups(self) -> pa.Table:
        """The `source`, `name` and identity `type` of the caller in each group of the attacker's calls, by number."""
        return self._engine.table(f"SELECT source, name, type FROM {self._their[0]} ORDER BY k")

    def descents(self) -> pa.Table:
        """The places of the attacker's credentials that have a parent among them (`child`), and of that (`parent`)."""
        return self._engine.table("SELECT parent, child FROM descents")

    def _group(
        self,
        table: str,
        columns: frozenset[str],
        extra: str | None = None,
        change_points: ChangePoints = _NONE,
    ) -> None:
        minting = " AND s.role_arn IS NOT NULL" if table == "mintings" else ""
        selected = _selected(columns, *([extra] if extra else []), change_points=change_points)
        self._calls.keep(
            table,
            f"SELECT {selected}, count(*) AS calls, min(e.time) AS first, max(e.time) AS last "
            f"{_from(columns | {'role_arn'} if minting else columns)} AND NOT {_THEIRS}{minting} GROUP BY ALL",
            None
            if (columns - change_points.keys()) & HEAVY
            else _ALIKE_BY_TIME,  # where hardly any two are alike
        )

    def _group_theirs(
        self,
        table: str,
        columns: frozenset[str],
        extra: str | None = None,
        change_points: ChangePoints = _NONE,
    ) -> None:
        selected = _selected(columns, *([extra] if extra else []), change_points=change_points)
        self._calls.keep_theirs(
            "their_calls",
            f"SELECT {selected}, list({{'place': coalesce(w.place, r.place), 'moment': e.time}}) AS calls, "
            f"flatten(list(b.children) FILTER (WHERE b.children IS NOT NULL)) AS children "
            f"{_from(columns, _BIRTH)} AND {_THEIRS} GROUP BY ALL",
        )
        self._engine.run(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT row_number() OVER () - 1 AS k, * FROM ("
            f"SELECT DISTINCT * EXCLUDE (calls, children) FROM their_calls)"
        )
        self._their = table, _same([*_named(columns), *([alias_of(extra)] if extra else [])], "c")

    def ordinary(self, lot: Lot) -> Iterator[Row]:
        """
        The calls of others than the attacker that proposals of a lot refuse, or may refuse.

        They are grouped by proposal (`nth`), caller, call, `verdict` and reason (`why`). Each distinct group of columns
        is judged once; the caller's columns are judged first, which rules out most.
        """
        groups, dims = groups_for(lot, table_of(lot[0])), columns_of(lot[0])
        if not self._verdicts(lot, groups, dims):
            return iter(())
        return self.query(
            "SELECT nth, principal, type, source, name, verdict, why, CAST(sum(calls) AS BIGINT) AS calls, min(first) "
            "AS first, max(last) AS last FROM (SELECT a.nth, a.principal, a.type, a.source, a.name, a.calls, a.first, "
            f"a.last, d.verdict, d.why FROM {groups.sql} a JOIN verdicts d ON {_same(dims, 'd')}) "
            "GROUP BY nth, principal, type, source, name, verdict, why",
            groups.parameters,
        )

    def never_made(self, lot: Lot) -> NeverMade:
        """
        The ordinary calls that nobody would have made, since what makes them would not have come to be.

        To be asked after `ordinary`, of the same lot. A credential would not have come to be if each call that issued
        it, or created what it acts through, is surely refused, or if that holds of its parent.
        """
        same = _same(columns_of(lot[0]), "d")
        self._surely("refused_actions", "source, name", groups_for(lot, table_of(lot[0])), same)
        columns, extra, change_points = grouping(lot[0]) or (lot[0].needs, None, _NONE)
        selected = _selected(columns, *([extra] if extra else []), change_points=change_points)
        self._calls.keep(
            "refused_calls",
            f"SELECT {selected}, e.event_id {_from(columns | {'issued'})} AND NOT {_THEIRS} AND {_MAY_GIVE_BIRTH}",
        )
        self._surely("refused_events", "nth, event_id", groups_for(lot, "refused_calls"), same)
        if not self._engine.made(_UNBORN):
            return NeverMade([], [])
        self._calls.keep(
            "unborn_calls",
            f"SELECT {selected}, w.n AS n, count(*) AS calls, min(e.time) AS first, max(e.time) AS last "
            f"{_from(columns, 'JOIN (SELECT DISTINCT n FROM unborn) u ON u.n = w.n')} AND NOT {_THEIRS} GROUP BY ALL",
        )
        groups, by = groups_for(lot, "unborn_calls"), "a.principal, a.type, a.source, a.name"
        many = "CAST(sum(a.calls) AS BIGINT) AS calls"
        return NeverMade(
            self._engine.rows(
                f"SELECT u.nth, {by}, {many}, min(a.first) AS first, max(a.last) AS last "
                f"FROM unborn_calls a JOIN unborn u ON u.n = a.n GROUP BY u.nth, {by}"
            ),
            self._engine.rows(
                f"SELECT a.nth, {by}, d.verdict, {many} FROM {groups.sql} a JOIN verdicts d ON {same} "
                f"JOIN unborn u ON u.n = a.n AND u.nth = a.nth GROUP BY a.nth, {by}, d.verdict",
                groups.parameters,
            ),
        )

    def _surely(self, name: str, columns: str, groups: CallGroups, same: str) -> None:
        """Make a table of what `verdicts` refuses for sure."""
        told = f"SELECT DISTINCT {columns} FROM (SELECT a.* FROM {groups.sql} a JOIN verdicts d ON {same} "
        self._engine.register(
            name, self._engine.table(f"{told} AND d.verdict = '{Truth.YES.name}')", groups.parameters)
        )

    def _verdicts(self, lot: Lot, groups: CallGroups, dims: Sequence[str]) -> bool:
        """Make `verdicts` of the groups of calls that a lot refuses or may refuse; whether there is any."""
        whom = sorted(("nth", *(IDENTITY & set(dims))))
        joined = ""
        if lot[0].kind in ("scp", "identity-policy") and whom != dims:
            if not self._judged("possible", whom, groups, joined, lot):
                return False
            joined = f" JOIN possible p ON {_same(whom, 'p')}"
        return self._judged("verdicts", dims, groups, joined, lot)

    def _judged(self, name: str, dims: Sequence[str], groups: CallGroups, joined: str, lot: Lot) -> bool:
        """Judge each distinct set of columns, and make a table of those not let through; whether there is any."""
        columns = ", ".join(f"a.{column}" for column in dims)
        found = self._engine.table(
            f"SELECT DISTINCT {columns} FROM {groups.sql} a{joined}", groups.parameters
        )
        kept = [_kept(batch, lot) for batch in found.to_batches(_AT_ONCE)]
        self._engine.register(f"given_{name}", pa.Table.from_batches(kept, _with_verdict(found.schema)))
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_{name}")
        return any(batch.num_rows for batch in kept)

    def refused(self, lot: Lot) -> pa.Table:
        """The groups `k` of the attacker's calls that proposals `nth` of a lot refuse or may refuse, by `verdict`."""
        groups, dims = groups_for(lot, f"their_{table_of(lot[0])}"), columns_of(lot[0])
        if not self._verdicts(lot, groups, dims):
            return pa.table({
                "nth": pa.array([], pa.int64()), "k": pa.array([], pa.int64()), "verdict": pa.array([], pa.string()),
            })  # fmt: skip
        return self._engine.table(
            f"SELECT a.nth, a.k, d.verdict FROM {groups.sql} a JOIN verdicts d ON {_same(dims, 'd')}",
            groups.parameters,
        )

    def _register_attackers(self, attackers: Integers, starts: Sequence[Start]) -> None:
        since = {one.n: one.since for one in starts}
        self.add_table(
            "attackers",
            n=pa.array(attackers, pa.int64()),
            place=pa.array(np.arange(len(attackers)), pa.int32()),
        )
        self.add_table(
            "starts", n=pa.array(list(since), pa.int64()), since=pa.array(list(since.values()), pa.int64())
        )
        pairs = sorted((one.n, ip) for one in starts for ip in one.owners)
        self.add_table(
            "owners",
            n=pa.array([n for n, _ in pairs], pa.int64()),
            ip=pa.array([ip for _, ip in pairs], pa.string()),
        )
        self._engine.run(_ARRIVALS)
        self._engine.run(_MADE_KEYS)
        self._calls.register_callers(_CALLERS, _SEGMENTS)
        self._calls.keep("sides", _SIDES)
        for sql in (_TWINS, _DESCENTS, _RECORDED, _BORN, _BIRTHS.format(facts=self._calls.facts_of_theirs())):
            self._engine.run(sql)
        for name in ("sides", "recorded", "born"):  # of many attackers' credentials they are large
            self._engine.run(f"DROP TABLE {name}")

    def add_table(self, name: str, **columns: pa.Array[Any]) -> None:
        """Make a table of some columns."""
        add_table(self._engine, name, columns)


def _selected(columns: Iterable[str], *extras: str, change_points: ChangePoints = _NONE) -> str:
    told = _SQL | {name: period_start(_SQL[name], at) for name, at in change_points.items()}
    return ", ".join([*(f"{told[name]} AS {name}" for name in _named(columns)), *extras])


def _named(columns: Iterable[str]) -> Iterable[str]:
    """The columns by which calls are grouped if some are needed: these and `_BASE`, each once."""
    return dict.fromkeys((*_BASE, *sorted(columns)))


def _same(columns: Iterable[str], other: str) -> str:
    return " AND ".join(f"a.{name} IS NOT DISTINCT FROM {other}.{name}" for name in columns)


def _kept(groups: pa.RecordBatch, lot: Lot) -> pa.RecordBatch:
    """The groups that a lot refuses or may refuse, with `verdict` and `why`."""
    judged = [lot[row["nth"]].judge(filled(row)) for row in groups.to_pylist()]
    mask = [truth is not Truth.NO for truth, _ in judged]
    left = [verdict for verdict, keep in zip(judged, mask, strict=True) if keep]
    columns = [
        *groups.filter(pa.array(mask, pa.bool_())).columns,
        pa.array([truth.name for truth, _ in left], pa.string()),
        pa.array([WHYS.join(why) or None for _, why in left], pa.string()),
    ]
    return pa.record_batch(columns, schema=_with_verdict(groups.schema))


def _with_verdict(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("verdict", pa.string())).append(pa.field("why", pa.string()))


def _from(columns: frozenset[str], more: str = "") -> str:
    issuing = f"LEFT JOIN some_issuances s ON {_ON.format('s')}" if columns & _ISSUING else ""
    making = f"LEFT JOIN made_api_keys k ON {_ON.format('k')}" if columns & _MAKING_KEYS else ""
    return f"""
        FROM some_facts e
        JOIN some_identities i ON i.segment = e.segment AND i.identity = e.identity
        {WHOSE.format("e")}
        LEFT JOIN some_twins d ON {_ON.format("d")}
        {issuing}
        {making}
        {more}
        WHERE (e.error IS NULL OR NOT regexp_matches(e.error, '{REFUSED}'))
          AND d.segment IS NULL"""
