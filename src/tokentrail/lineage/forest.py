"""
Questions to a forest: which credentials a name means, what is above and below them, what they did, and their states.

It reads the tables that `link` derived, through the store's engine, and no more of them than a question needs. A
credential is named here by its number in the derived database (`n`).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.errors import CaseError
from tokentrail.events.values import uuid_bytes
from tokentrail.lineage import api_keys
from tokentrail.lineage.candidates import batches, by_text, earliest, places_in
from tokentrail.lineage.entries import entries
from tokentrail.lineage.keyless_calls import KeylessCalls, Requests
from tokentrail.lineage.link import facts_of
from tokentrail.lineage.model import Candidate, Credential, Kind, Overview, State
from tokentrail.lineage.naming import Naming
from tokentrail.lineage.rollups import RollUp
from tokentrail.lineage.rows import Row, caller, credential, lasting_key
from tokentrail.lineage.state import JUDGED_APART, Judge, Judges
from tokentrail.lineage.subtree_query import LOOKED_UP, Part
from tokentrail.lineage.unlisted_credentials import UnlistedCredentials
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import accounts
from tokentrail.store.interface import Engine

_REMOVALS = """
SELECT c.*, CASE WHEN i.type = 'IAMUser' THEN i.user_name END AS caller_user,
       coalesce(c.account, i.account) AS in_account
FROM changes c LEFT JOIN identities i ON i.segment = c.segment AND i.identity = c.identity
WHERE c.source NOT IN ('iam.amazonaws.com', 'organizations.amazonaws.com')
  AND regexp_matches(c.name, '^(Delete|Terminate|Stop|Disable|Remove|Revoke|Deregister|Deauthorize|Detach|Reset|Cancel)'
    || '|^Modify(Image|Snapshot|DBSnapshot|DBClusterSnapshot)Attribute$|^ModifyDocumentPermission$|FromRecycleBin$'
    || '|^Disassociate|^Enable(TrustAnchor|Profile)$')
  AND NOT EXISTS (SELECT 1 FROM duplicates l
                  WHERE l.segment = c.segment AND l.object = c.object AND l.ordinal = c.ordinal)
"""
"""The calls outside IAM that may delete, stop, disable or unshare something, or restore or enable it again."""

_MINTS = "SELECT by_arn, into_arn, api, time, event, text FROM mints ORDER BY by_arn, into_arn, api"
_DATA_ACCESS = "lakeformation:GetDataAccess"
_ASSUMED = (
    "SELECT by_arn, into_arn, api, min(first) AS first FROM assumed_roles GROUP BY by_arn, into_arn, api"
)
_UNNAMED_CALLERS = """
SELECT n, parent_n FROM credentials WHERE parent_link = 'inferred'
UNION
SELECT f.n, f.parent_n FROM credentials f
JOIN issuances i ON i.segment = f.segment AND i.object = f.object AND i.ordinal = f.ordinal
WHERE f.parent_n IS NOT NULL AND i.session_name LIKE 'AWSLF-%' ORDER BY n"""
"""Sessions whose issuing record does not name the caller: of other accounts, and those that Lake Formation gave."""
_ASKED_FOR = frozenset({"matched", "inferred"})
"""How the parent of a session is known that Lake Formation gave."""
_CANDIDATES: tuple[Kind, ...] = ("long_term_key", "session_token")
"""The kinds of credentials from which an investigation might start."""
_MINTERS = """
SELECT f.n, coalesce(m.minted, 0) AS minted FROM credentials f
LEFT JOIN (SELECT parent_n, count(*) AS minted FROM credentials GROUP BY 1) m ON m.parent_n = f.n
WHERE f.kind IN (SELECT unnest(?)) ORDER BY 2 DESC, coalesce(f.events, 0) DESC, f.id LIMIT 15"""
"""The credentials of some kinds that minted most, then called most."""
_AGE = (
    "coalesce(issued_at, CASE WHEN created_what IN ('access_key', 'api_key') AND created_api LIKE 'Create%' "
    "THEN created_time END, first, 0)"
)
_AT_ONCE, _BATCH, _REMEMBERED, _ACCOUNTS = 50_000, 8_192, 100_000, 64
_CLIMBED = 64
"""Generations of ancestors that are read one after another, before whole trees are read instead."""
_SEARCHED = (
    "id", "arn", "child_arn", "caller_arn", "role_arn", "issuer_arn", "session_name", "principal_id", "issue_ip",
    "array_to_string(keys, ' ')", "array_to_string(ips, ' ')",
)  # fmt: skip


class _Links:
    """The links of a forest: rows with `parent` and `child`, by place, and what was made, by which call and when."""

    def __init__(self, engine: Engine) -> None:
        """Take an engine that knows the forest."""
        self._engine = engine
        self._any: bool | None = None

    def below(self, places: Collection[int]) -> Sequence[Row]:
        """Those from some credentials to what acts through things that they made or changed."""
        return self._with("parent", places)

    def above(self, places: Collection[int]) -> Sequence[Row]:
        """Those to some credentials from whoever made or changed what they act through."""
        return self._with("child", places)

    def _with(self, end: str, places: Collection[int]) -> Sequence[Row]:
        if self._any is None:
            self._any = bool(self._engine.rows("SELECT 1 AS one FROM links LIMIT 1"))
        if not self._any:
            return []
        self._engine.register("added", pa.table({"n": pa.array(sorted(places), pa.int64())}))
        return self._engine.table(
            f"SELECT l.* FROM links l JOIN added s ON s.n = l.{end} ORDER BY l.child, l.time, l.parent, l.what"
        ).to_pylist()


class _Mints:
    """
    Pairs of principals and the call by which one gets sessions of the other, each with the first event that shows it.

    Between equals in time, the event with the lower id counts.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, str], tuple[int, bytes, str | None]] = {}

    def look(self, engine: Engine) -> None:
        """Look through all roles that were assumed."""
        for row in engine.rows(_ASSUMED):
            first = row["first"]
            self.add(row["by_arn"], row["into_arn"], row["api"], first["time"], first["event"], first["text"])

    def add(self, by: Any, into: Any, api: str, time: Any, event: Any, text: Any) -> None:
        """Add what an event shows, if it tells both."""
        if by is not None and into is not None:
            told, pair = (time or 0, bytes(event or b""), text), (by, into, api)
            self._first[pair] = min(self._first.get(pair, told), told, key=lambda one: one[:2])

    def infer(self, row: Row, parent: Row, api: str) -> None:
        """Add a session whose issuing record does not name its caller; a sign-in's caller is who signed in."""
        own = () if parent["kind"] == "federation_token" else ("arn", "role_arn", "child_arn")
        by = next((parent[one] for one in ("issuer_arn", *own, "caller_arn") if parent[one]), None)
        into = row["issuer_arn"] or row["role_arn"]
        self.add(by, into, api, row["issued_time"], row["issue_event"], row["issue_text"])

    def table(self) -> pa.Table:
        """The pairs, with their first events."""
        firsts = self._first.values()
        return pa.table({
            "by_arn": pa.array([by for by, _, _ in self._first], pa.string()),
            "into_arn": pa.array([into for _, into, _ in self._first], pa.string()),
            "api": pa.array([api for _, _, api in self._first], pa.string()),
            "time": pa.array([time for time, _, _ in firsts], pa.int64()),
            "event": pa.array([event for _, event, _ in firsts], pa.binary()),
            "text": pa.array([text for _, _, text in firsts], pa.string()),
        })  # fmt: skip


class Forest(Naming):
    """The forest of one case as of one moment."""

    def __init__(
        self, engine: Engine, as_of: datetime, folder: Path, spans: tuple[datetime, datetime] | None = None
    ) -> None:
        """
        Open a forest.

        Args:
            engine: Knows the evidence and the derived tables.
            as_of: The moment.
            folder: The derived folder; tables that are derived only when asked for are kept there too.
            spans: When the first and the last event of the case is, where later ones than `as_of` are left out.
        """
        self._engine = engine
        self._folder = folder
        self.as_of, self.spans = as_of, spans
        self._judge: Judge | None = None
        self._judges: dict[frozenset[str], Judge] = {}
        self._near: OrderedDict[frozenset[str], Judges] = OrderedDict()
        self._part = Part(engine, folder)
        self.links = _Links(engine)
        self.keyless = KeylessCalls(engine)
        self.unlisted = UnlistedCredentials(engine)
        self.requests = Requests(engine)
        self._told: dict[int, Credential] = {}
        self._listed: tuple[frozenset[int], Sequence[Row]] = (frozenset(), ())

    def judge(self) -> Judge:
        """The judge of states of any credential as of this moment; made when first needed."""
        if self._judge is None:
            self._judge = Judge(self.changes(), self.as_of)
        return self._judge

    def judge_of(self, found: Iterable[Row]) -> Judge:
        """A judge of the states of some credentials, who knows the changes in their accounts and to SCPs."""
        if self._judge is not None:
            return self._judge
        concerned = frozenset(account for row in found if (account := caller(row).account))
        if concerned not in self._judges:
            self._judges[concerned] = Judge(self.changes(concerned), self.as_of)
        return self._judges[concerned]

    def _judge_for(self, found: Sequence[Row]) -> Callable[[Row], Judge]:
        """Choose the judge of each credential: for a few, one that knows only the changes that bear on it."""
        if self._judge is None and len(found) <= JUDGED_APART:
            return self._near_judge
        judge = self.judge_of(found)
        return lambda _: judge

    def _near_judge(self, row: Row) -> Judge:
        who = caller(row)
        concerned = accounts([who]) or frozenset()
        if concerned not in self._near:
            self._near[concerned] = Judges(self._changes_of(concerned), _seconds(self.as_of), self.as_of)
        self._near.move_to_end(concerned)
        if len(self._near) > _ACCOUNTS:
            self._near.popitem(last=False)
        return self._near[concerned].judge(who, lasting_key(row))

    def changes(self, concerned: Set[str] | None = None) -> Iterator[Change]:
        """The IAM and Organizations changes up to this moment: all, or those that bear on some accounts."""
        if concerned is None:
            return self._entered(f"SELECT * FROM account_changes WHERE time <= {_seconds(self.as_of)}")
        return entries(self._changes_of(concerned), _seconds(self.as_of))

    def _changes_of(self, concerned: Set[str]) -> pa.Table:
        """The changes that bear on some accounts, later ones too."""
        # Of values that a subquery lists, DuckDB reads only the parts of the table that may hold them.
        sql = "SELECT * FROM account_changes WHERE part IN (SELECT unnest(?)) ORDER BY part, time"
        return self._engine.table(sql, (sorted({"", *concerned}),))

    def removals(self) -> Iterator[Change]:
        """The calls up to this moment that take away, stop or shut what is not IAM's."""
        return self._entered(f"{_REMOVALS}  AND c.time <= {_seconds(self.as_of)}")

    def _entered(self, sql: str) -> Iterator[Change]:
        for batch in self._engine.batches(sql):
            yield from entries(batch)

    def rows(self, among: str, parameters: Sequence[Any] = ()) -> Sequence[Row]:
        """The described rows of credentials that meet a condition on the `credentials` table, by place."""
        found = self._engine.table(f"SELECT n FROM credentials WHERE {among}", parameters)
        return self.chosen_rows(places_in(found))

    def inventory(
        self, kind: str | None = None, search: str | None = None, *, running: bool = False
    ) -> Iterator[Row]:
        """The described rows of all credentials, by time, then id; read some thousands at a time."""
        where, parameters = ("f.kind = ?", (kind,)) if kind else ("TRUE", ())
        if running:
            where = f"{where} AND NOT {self._run_out()}"
        if search:
            candidates = by_text(self._engine, search, where, parameters)
            holding = self._part.matching(candidates, *_holding(search), addresses=True)
            self._engine.register("searched", pa.table({"n": pa.array(sorted(holding), pa.int64())}))
            where, parameters = "f.n IN (SELECT n FROM searched)", ()
        sql = f"SELECT n FROM credentials f WHERE {where} ORDER BY {_AGE}, id"
        ordered = self._engine.table(sql, parameters)["n"]
        for start in range(0, len(ordered), _AT_ONCE):
            found = self._part.inventory(ordered.slice(start, _AT_ONCE).to_numpy().tolist(), f"{_AGE}, id")
            for batch in found.to_batches(_BATCH):
                yield from self._with_api_keys(batch.to_pylist())

    def overview(self) -> Overview:
        """How many credentials of which kind are in which state, and which an investigation might start from."""
        counts: Counter[tuple[Kind, State]] = Counter()
        sql = f"SELECT f.kind, count(*) AS many FROM credentials f WHERE {self._run_out()} GROUP BY 1"
        for gone in self._engine.rows(sql):  # one that an action ended before counts as expired, too
            counts[gone["kind"], "expired"] += gone["many"]
        judge = self.judge()
        for row in self.inventory(running=True):  # which of years of evidence is little
            one = credential(row, judge)
            counts[one.kind, one.state] += 1
        minted = {made["n"]: made["minted"] for made in self._engine.rows(_MINTERS, (list(_CANDIDATES),))}
        chosen = self.chosen_rows(list(minted))
        candidates = [
            Candidate(
                id=one.id, kind=one.kind, account=one.account, principal=one.principal, state=one.state,
                minted=minted[row["n"]], events=one.events,
            )
            for row, one in zip(chosen, self.credentials(chosen), strict=True)
        ]  # fmt: skip
        return Overview(
            credentials=counts.total(),
            counts=tuple((kind, state, count) for (kind, state), count in sorted(counts.items())),
            candidates=tuple(sorted(candidates, key=lambda one: (-one.minted, -one.events, one.id))),
        )

    def _run_out(self) -> str:
        """The condition that a credential has expired, as `Judge.judge` decides it."""
        return (
            "(f.kind <> 'long_term_key' AND coalesce(coalesce(f.expires_at, f.expires_bound) "
            f"BETWEEN 0 AND {_seconds(self.as_of)}, FALSE))"
        )

    def places_of(self, events: Iterable[str]) -> Sequence[Row]:
        """The segment, object and ordinal of some events, sorted by event id."""
        plain = {one: raw for one in events if (raw := uuid_bytes(one))}
        other = sorted({one for one in events if one not in plain})
        self._engine.register("named_events", pa.table({
            "event_id": pa.array(list(plain.values()), pa.binary(16)), "id": pa.array(list(plain), pa.string()),
        }))  # fmt: skip
        self._engine.register("oddly_named_events", pa.table({"id": pa.array(other, pa.string())}))
        spelled = """
            UNION SELECT s.id, e.segment, e.object, e.ordinal FROM facts e
            JOIN oddly_named_events s ON s.id = e.event_id_text"""
        return self._engine.table(f"""
            SELECT s.id, e.segment, e.object, e.ordinal FROM {self._with(plain.values())} e
            JOIN named_events s ON s.event_id = e.event_id {spelled if other else ""}
            ORDER BY 1, 2, 3, 4""").to_pylist()

    def ancestors(self, places: Iterable[int]) -> set[int]:
        """The places of all ancestors of some credentials."""
        found = self._part.above(places)
        if len(found) > LOOKED_UP:
            return self._part.chains(found)
        ancestors, fresh = set[int](), found
        for _ in range(_CLIMBED):
            ups = {one.parent for one in fresh.values() if one.parent is not None} - ancestors
            if not ups:
                return ancestors
            ancestors |= ups
            fresh = self._part.above(ups)
        return self._part.chains(found)

    def descendants(self, places: Iterable[int]) -> tuple[set[int], list[Row]]:
        """
        The places of some credentials and all that descends from them.

        Also followed, and returned, are `links` other than to a parent: to what acts through a thing that one made.
        """
        reached: set[int] = set()
        extra: list[Row] = []
        fresh = set(places)
        while fresh:
            added = self._part.trees(fresh) - reached
            reached |= added
            links = self.links.below(added)
            extra += links
            fresh = {link["child"] for link in links} - reached
        return reached, extra

    def chosen_rows(self, places: Iterable[int]) -> Sequence[Row]:
        """The described rows of some credentials, by place; the last are remembered for the next question."""
        wanted = frozenset(places)
        if wanted == self._listed[0]:
            return self._listed[1]
        found = self._part.rows(wanted)
        if len(found) <= _REMEMBERED:
            self._listed = (wanted, found)
        return found

    def named(self, ids: Sequence[str]) -> Sequence[Row]:
        """The described rows of the credentials with some ids, by place."""
        return self.chosen_rows(self.places_of_ids(ids)) if ids else []

    def places_of_ids(self, ids: Sequence[str]) -> set[int]:
        """The places of the credentials with some ids."""
        sql = "SELECT n FROM names WHERE own AND name IN (SELECT unnest(?))"
        return places_in(self._engine.table(sql, (list(ids),))) if ids else set()

    def earliest(self, places: Collection[int], most: int) -> list[int]:
        """The places of those of some credentials that began first, as far as the evidence tells."""
        return earliest(self._engine, places, most)

    def credentials(self, found: Sequence[Row]) -> list[Credential]:
        """Make credentials, with their states, of described rows; some are remembered for the next question."""
        new = [row for row in found if row["n"] not in self._told]
        judge, told = self._judge_for(new), []
        known = {row["n"]: row for row in self._with_api_keys(new)}
        for row in found:
            one = self._told.get(row["n"])
            if one is None:
                one = credential(known[row["n"]], judge(row))
                if len(self._told) < _REMEMBERED:
                    self._told[row["n"]] = one
            told.append(one)
        return told

    def _with_api_keys(self, found: Sequence[Row]) -> Sequence[Row]:
        """Rows, those of calls with API keys whose records show no id with the keys that may have made them."""
        keyless = [row for row in found if api_keys.is_keyless(row)]
        if not keyless:
            return found
        homes = {home for row in keyless for home in (row["seen_account"], row["key_account"]) if home}
        table = self._changes_of(homes)
        of_keys = pc.is_in(table["name"], pa.array(sorted(api_keys.CHANGES), pa.string()))
        changes = entries(table.filter(of_keys), _seconds(self.as_of))
        told = {row["n"]: row for row in api_keys.with_candidates(keyless, changes)}
        return [told.get(row["n"], row) for row in found]

    def ids(self, places: Iterable[int]) -> dict[int, str]:
        """The ids of some credentials whose calls are wanted, by place."""
        return self._part.ids(places)

    def rolled_up(self, places: Iterable[int], roll_up: RollUp) -> pa.Table:
        """What the calls of each of some credentials come to."""
        return self._part.rolled_up(places, roll_up)

    def set_aside(self, places: Iterable[int], name: str, select: str) -> None:
        """Keep the rows of such a query as a temporary table, until the next of that name."""
        self._part.set_aside(places, name, select)

    def done_by(self, places: Iterable[int], select: str) -> Sequence[Row]:
        """The rows of a query over what some credentials did: it reads `acts`, whole facts with `n`."""
        return self._part.deeds(places, select)

    def changed_by(self, places: Iterable[int], operations: Set[str] | None = None) -> Sequence[Row]:
        """The changes, all or those of some operations, that some credentials made, by time, then event id."""
        return self._part.changes(places, operations)

    def mints(self) -> Sequence[Row]:
        """Which principals were seen to assume which roles, each pair once, with the first event that shows it."""
        path = self._folder / "mints.parquet"
        with suppress(CaseError):  # damaged, and worked out anew
            if path.exists():
                self._engine.view("mints", path)
                return self._engine.table(_MINTS).to_pylist()
        path.unlink(missing_ok=True)
        self._engine.register("minted", self._minted().table())
        self._engine.keep("mints", "SELECT * FROM minted", path)
        return self._engine.table(_MINTS).to_pylist()

    def _minted(self) -> _Mints:
        found = _Mints()
        found.look(self._engine)
        pairs = self._engine.rows(_UNNAMED_CALLERS)
        for some in batches(pairs, _AT_ONCE):
            told = {row["n"]: row for row in self.chosen_rows({n for pair in some for n in pair.values()})}
            for row, parent in ((told[pair["n"]], told[pair["parent_n"]]) for pair in some):
                if row["parent_link"] in _ASKED_FOR and (row["session_name"] or "").startswith("AWSLF-"):
                    found.infer(row, parent, _DATA_ACCESS)
                elif row["api"] == "AssumeRole" and row["parent_link"] == "inferred":
                    found.infer(row, parent, "AssumeRole")
        return found

    def callers_of(self, names: Collection[str], told: Collection[str]) -> set[str]:
        """The ids of the credentials that made a change of some names whose request tells any of some texts, quoted."""
        found = self._engine.table(
            """
            SELECT DISTINCT r.id FROM changes c
            JOIN credential_identities w ON w.segment = c.segment AND w.identity = c.identity
            JOIN credentials r ON r.n = w.n
            WHERE c.name IN (SELECT unnest(?)) AND list_has_any(string_split(c.request, '"')[2:-2], ?) AND NOT EXISTS (
              SELECT 1 FROM duplicates l
              WHERE l.segment = c.segment AND l.object = c.object AND l.ordinal = c.ordinal)""",
            (sorted(names), sorted(told)),
        )
        return {row["id"] for row in found.to_pylist()}

    def _with(self, events: Iterable[bytes]) -> str:
        """The facts of the segments that may hold some events."""
        return f"({facts_of(self._engine, self._engine.holding(events=set(events))['some_events'])})"

    def addresses(self, events: Iterable[bytes]) -> dict[bytes, str | None]:
        """The source address of some events."""
        return self._of_events(events, "ip")

    def regions(self, events: Iterable[bytes]) -> dict[bytes, str | None]:
        """The region of some events."""
        return self._of_events(events, "region")

    def _of_events(self, events: Iterable[bytes], column: str) -> dict[bytes, str | None]:
        events = set(events)
        wanted = pa.table({"event_id": pa.array(sorted(events), pa.binary(16))})
        if not wanted.num_rows:
            return {}
        self._engine.register("wanted", wanted)
        found = self._engine.table(
            f"SELECT e.event_id, min(e.{column}) AS found FROM {self._with(events)} e "
            "JOIN wanted w ON w.event_id = e.event_id GROUP BY e.event_id"
        )
        return {row["event_id"]: row["found"] for row in found.to_pylist()}


def _holding(search: str) -> tuple[str, tuple[str, ...]]:
    """The condition that a described row contains a text, and its parameters."""
    held = " OR ".join(f"contains(lower({one}), lower(?))" for one in _SEARCHED)
    return held, (search,) * len(_SEARCHED)


def _seconds(when: datetime) -> int:
    return int(when.astimezone(UTC).timestamp())
