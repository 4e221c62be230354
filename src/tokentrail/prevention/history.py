"""
The case's calls, grouped so that each one that policies can tell apart is judged once.

Only what got through counts: a call that was refused then would be refused now.
Of a cross-account assumption, both sides of which are held, the caller's side counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tokentrail.events.ids import digests
from tokentrail.lineage.rows import Row
from tokentrail.policy.truth import Truth
from tokentrail.prevention.circumstances import ALWAYS, IDENTITY, filled
from tokentrail.prevention.proposal import Judge, Proposal
from tokentrail.prevention.turning import Turns, turned
from tokentrail.store.interface import Engine

REFUSED = "(?i)(access.?denied|unauthori[sz]ed|not.?authori[sz]ed|forbidden|explicit.?deny)"
"""What services call a refusal: `AccessDenied`, `Client.UnauthorizedOperation`, `NotAuthorizedException`, ..."""
HEAVY = frozenset({"time", "resource", "agent", "principal_id"})
"""Columns that tell nearly every call from every other, and so are grouped by only where a policy asks for them."""
_BASE = (*ALWAYS, "principal", "home", "source", "name", "event", "account")
"""Columns by which calls are told of, or left out."""
_SQL = {
    "kind": "f.kind", "type": "i.type", "home": "i.account", "user_name": "i.user_name", "source": "e.source",
    "principal": "CASE WHEN i.type IN ('AssumedRole', 'Role') THEN coalesce(i.issuer_arn, i.arn) ELSE i.arn END",
    "forwarded": "i.invoked_by IS NOT NULL", "name": "e.name", "account": "e.account", "ip": "e.ip",
    "region": "e.region", "agent": "e.agent", "endpoint": "e.endpoint", "time": "e.time", "resource": "e.resource",
    "created": "i.created", "mfa": "i.mfa",
    "principal_id": "i.principal_id", "source_identity": "i.source_identity", "sign_in_session": "i.sign_in_session",
    "federated_provider": "i.federated_provider", "ec2_delivery": "i.ec2_delivery", "role_arn": "s.role_arn",
    "session_name": "s.session_name", "asked_identity": "s.source_identity", "duration": "s.duration",
    "linked": "coalesce(i.issuer_arn LIKE '%:role/aws-service-role/%', FALSE)",
    "event": "CASE WHEN e.source = 'sts.amazonaws.com' AND e.name IN ('GetSessionToken', 'GetCallerIdentity') "
    "THEN 'undeniable' WHEN e.source = 'signin.amazonaws.com' AND e.name NOT LIKE '%OAuth2%' THEN 'signin' "
    "ELSE 'any' END",
    "mfa_serial": "s.mfa_serial", "issued": "s.api IS NOT NULL", "subject": "s.subject", "issuer": "i.issuer_arn",
}  # fmt: skip
_ISSUING = frozenset(
    {"role_arn", "session_name", "asked_identity", "duration", "mfa_serial", "issued", "subject"}
)
_TWINS = """
    CREATE OR REPLACE TEMP TABLE twins AS
    SELECT s.segment, s.object, s.ordinal FROM issuances s
    JOIN identities i ON i.segment = s.segment AND i.identity = s.identity
    WHERE i.type = 'AWSAccount' AND s.shared_id IN (
      SELECT o.shared_id FROM issuances o JOIN identities j ON j.segment = o.segment AND j.identity = o.identity
      WHERE j.type <> 'AWSAccount' AND o.shared_id IS NOT NULL)"""
_THEIRS = """
    CREATE OR REPLACE TEMP TABLE theirs AS
    SELECT e.segment, e.object, e.ordinal, a.n FROM facts e
    JOIN who w ON w.segment = e.segment AND w.identity = e.identity
    JOIN attackers a ON a.n = w.n
    WHERE NOT a.narrowed OR (e.time >= a.since AND coalesce(e.ip, '') NOT IN (
      SELECT o.ip FROM owners o WHERE o.n = a.n))"""
_BIRTHS = """
    CREATE OR REPLACE TEMP TABLE births AS
    SELECT event_id, list_sort(list(DISTINCT child)) AS children FROM (
      SELECT event_id, child FROM recorded
      UNION
      SELECT o.event_id, r.child FROM recorded r JOIN issuances s ON s.event_id = r.event_id
      JOIN issuances o ON o.shared_id = s.shared_id)
    GROUP BY event_id"""
"""Of a cross-account assumption, either side's event."""
_NONE: Turns = {}
_ON = "{0}.segment = e.segment AND {0}.object = e.object AND {0}.ordinal = e.ordinal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A credential that may be in two hands: whose calls are the attacker's."""

    n: int
    since: int
    """Earlier calls are the owner's."""
    owners: frozenset[str]
    """Addresses whose calls are the owner's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """A call that brought a tainted credential about."""

    event_id: str
    child: int


class History:
    """The calls of one case at one moment, the attacker's and everybody else's."""

    def __init__(
        self, engine: Engine, attackers: Iterable[int], starts: Sequence[Start], births: Sequence[Birth]
    ) -> None:
        """Tell the attacker's calls from the others."""
        self._engine = engine
        self._narrow(attackers, starts)
        self._bear(births)
        engine.run(_TWINS)
        engine.run(_THEIRS)

    def totals(self) -> tuple[int, int]:
        """How many calls of the attacker's got through, and how many of others."""
        [row] = self.query(
            f"SELECT count(t.n) AS attacker, count(*) - count(t.n) AS ordinary {_from(frozenset())}"
        )
        return row["attacker"], row["ordinary"]

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows of a query, a batch at a time."""
        for batch in self._engine.batches(sql, parameters):
            yield from batch.to_pylist()

    def ways(
        self, columns: frozenset[str], where: str = "TRUE", parameters: Sequence[Any] = ()
    ) -> Iterator[Row]:
        """All calls, grouped by some columns, by whom and what, and by whether they are the attacker's."""
        return self.query(
            f"SELECT * FROM (SELECT {_selected(columns)}, t.n IS NOT NULL AS theirs, count(*) AS calls "
            f"{_from(columns)} GROUP BY ALL) WHERE {where}",
            parameters,
        )

    def prepare(self, proposals: Sequence[Proposal]) -> None:
        """Group the calls once by all that proposals ask for, but for what is heavy."""
        light = [one for one in proposals if not _apart(one)]
        for name, chosen in (
            ("asked", [one for one in light if not _mints(one)]),
            ("minted", [*filter(_mints, light)]),
        ):
            self._group(name, frozenset().union(*(one.needs for one in chosen)))
        extras = sorted({one.extra for one in proposals if one.extra})
        columns = frozenset().union(*(one.needs for one in proposals))
        self._engine.run(
            f"CREATE OR REPLACE TEMP TABLE their_calls AS SELECT row_number() OVER (ORDER BY e.time, "
            f"e.event_id) - 1 AS k, "
            f"{_selected(columns, *extras)}, t.n, b.children, e.time AS moment {_from(columns)} AND t.n IS NOT NULL"
        )

    def theirs(self) -> pa.Table:
        """The attacker's calls, in order: `n` of the credential, the `children` brought about, what and when."""
        return self._engine.table("SELECT k, n, children, source, name, moment FROM their_calls ORDER BY k")

    def _group(
        self, table: str, columns: frozenset[str], extra: str | None = None, turns: Turns = _NONE
    ) -> None:
        minting = " AND s.role_arn IS NOT NULL" if table == "minted" else ""
        selected = _selected(columns, *([extra] if extra else []), turns=turns)
        self._engine.run(
            f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT {selected}, "
            f"count(*) AS calls, min(e.time) AS first, max(e.time) AS last "
            f"{_from(columns | {'role_arn'} if minting else columns)} AND t.n IS NULL{minting} GROUP BY ALL"
        )

    def ordinary(self, one: Proposal) -> Iterator[Row]:
        """
        Everybody else's calls that a proposal refuses, or may: by whom, what and why, with `verdict` and `calls`.

        Each distinct set of what it asks for is judged once; who called is judged first, which rules out most.
        """
        table = "minted" if _mints(one) else "asked"
        if _apart(one):
            table = "narrowed"
            self._group(table, one.needs, one.extra, one.turns)
        dims = sorted({*ALWAYS, *one.needs, *_alias(one)})
        whom = sorted(IDENTITY & set(dims))
        joined, parameters = f"{table} a", one.parameters
        if one.kind in ("scp", "identity-policy") and whom != dims:
            if not self._judged("possible", whom, f"{table} a", one, one.judge):
                return iter(())
            joined = f"{table} a JOIN possible p ON {_same(whom, 'p')}"
        if not self._judged("verdicts", dims, joined, one, one.judge):
            return iter(())
        return self.query(
            f"SELECT principal, type, source, name, verdict, why, CAST(sum(calls) AS BIGINT) AS calls, "
            f"min(first) AS first, max(last) AS last FROM (SELECT a.principal, a.type, a.source, a.name, "
            f"a.calls, a.first, "
            f"a.last, d.verdict, d.why FROM (SELECT * FROM {table} WHERE {one.where}) a JOIN verdicts d ON "
            f"{_same(dims, 'd')}) "
            "GROUP BY principal, type, source, name, verdict, why",
            parameters,
        )

    def _judged(self, name: str, dims: Sequence[str], source: str, one: Proposal, judge: Judge) -> bool:
        """Judge each distinct set of columns, and keep those that are not let through, under a name; whether any is."""
        columns = ", ".join(f"a.{column}" for column in dims)
        table, _, rest = source.partition(" a")
        found = self._engine.table(
            f"SELECT DISTINCT {columns} FROM (SELECT * FROM {table} WHERE {one.where}) a{rest}",
            one.parameters,
        )
        judged = [judge(filled(row)) for row in found.to_pylist()]
        mask = [truth is not Truth.NO for truth, _ in judged]
        kept = found.filter(pa.array(mask, pa.bool_()))
        left = [verdict for verdict, keep in zip(judged, mask, strict=True) if keep]
        kept = kept.append_column("verdict", pa.array([truth.name for truth, _ in left], pa.string()))
        kept = kept.append_column("why", pa.array([", ".join(why) or None for _, why in left], pa.string()))
        self._engine.register(f"given_{name}", kept)
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_{name}")
        return bool(left)

    def refused(self, one: Proposal) -> pa.Table:
        """Which of the attacker's calls, by place, a proposal refuses, or may: `k` and `verdict`."""
        dims = sorted({*ALWAYS, *one.needs, *_alias(one)})
        if not self._judged("verdicts", dims, "their_calls a", one, one.judge):
            return pa.table({"k": pa.array([], pa.int64()), "verdict": pa.array([], pa.string())})
        return self._engine.table(
            f"SELECT a.k, d.verdict FROM (SELECT * FROM their_calls WHERE {one.where}) a "
            f"JOIN verdicts d ON {_same(dims, 'd')}",
            one.parameters,
        )

    def _narrow(self, attackers: Iterable[int], starts: Sequence[Start]) -> None:
        by_n = {one.n: one for one in starts}
        listed = sorted(set(attackers))
        self._give(
            "attackers",
            n=pa.array(listed, pa.int64()),
            narrowed=pa.array([n in by_n for n in listed], pa.bool_()),
            since=pa.array([by_n[n].since if n in by_n else 0 for n in listed], pa.int64()),
        )
        pairs = sorted((one.n, ip) for one in starts for ip in one.owners)
        self._give(
            "owners",
            n=pa.array([n for n, _ in pairs], pa.int64()),
            ip=pa.array([ip for _, ip in pairs], pa.string()),
        )

    def _bear(self, births: Sequence[Birth]) -> None:
        ids = digests(one.event_id for one in births)
        self._give("recorded", event_id=ids, child=pa.array([one.child for one in births], pa.int64()))
        self._engine.run(_BIRTHS)

    def _give(self, name: str, **columns: pa.Array[Any]) -> None:
        self._engine.register(f"given_{name}", pa.table(columns))
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_{name}")


def _selected(columns: Iterable[str], *extras: str, turns: Turns = _NONE) -> str:
    told = _SQL | {name: turned(_SQL[name], at) for name, at in turns.items()}
    named = [f"{told[name]} AS {name}" for name in dict.fromkeys((*_BASE, *sorted(columns)))]
    return ", ".join([*named, *extras])


def _same(columns: Iterable[str], other: str) -> str:
    return " AND ".join(f"a.{name} IS NOT DISTINCT FROM {other}.{name}" for name in columns)


def _alias(one: Proposal) -> tuple[str, ...]:
    """The name of a proposal's own column."""
    return (one.extra.rpartition(" ")[2],) if one.extra else ()


def _apart(one: Proposal) -> bool:
    """Whether calls are grouped for a proposal alone."""
    return one.extra is not None or bool(one.needs & HEAVY) or bool(one.turns)


def _mints(one: Proposal) -> bool:
    """Whether only assumptions of roles matter, of which there are few beside other calls."""
    return one.kind == "trust-policy"


def _from(columns: frozenset[str]) -> str:
    issuing = f"LEFT JOIN issuances s ON {_ON.format('s')}" if columns & _ISSUING else ""
    return f"""
        FROM facts e
        JOIN identities i ON i.segment = e.segment AND i.identity = e.identity
        LEFT JOIN who w ON w.segment = e.segment AND w.identity = e.identity
        LEFT JOIN forest f ON f.n = w.n
        {issuing}
        LEFT JOIN theirs t ON {_ON.format("t")}
        LEFT JOIN births b ON b.event_id = e.event_id
        WHERE (e.error IS NULL OR NOT regexp_matches(e.error, '{REFUSED}'))
          AND NOT (i.type = 'AWSAccount' AND EXISTS (SELECT 1 FROM twins d WHERE {_ON.format("d")}))"""
