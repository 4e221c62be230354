"""
Look up a few credentials: their rows, and what they did.

For a few credentials, planning one query that joins everything takes longer than one small query for each table of
the evidence. The rows are the same as those of `8_credentials.sql`, which tests compare. What was looked up is
remembered, since one question leads to the next: the same long-term key issued many of the sessions that people ask
about.

Credentials are named by their numbers (`n`), and an identity by its segment and its number there.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.aws.calls.names import operation_of
from tokentrail.lineage.activity_cache import CHANGES, IDENTITIES, SEEN, Busy, Identity
from tokentrail.lineage.link import CONSOLE
from tokentrail.lineage.rollups import ADDRESSES, APIS, DEEDS, DEEDS_OF_FACTS, NOTHING, RollUp
from tokentrail.lineage.rows import Row, listed
from tokentrail.store.interface import Engine

_CALLS, _ROWS = 500_000, 20_000
"""Calls, and rows, that are remembered at most."""
_BUSY = 1_000
"""Calls of a credential from which on their roll-ups are remembered instead of the calls, which may be too many."""
_FEW = 200
"""Calls below which Python rows come quicker than Arrow tables."""
_WHERE = frozenset({"segment", "object", "ordinal", "identity"})
"""The columns that say where the issuing call is; a described row has no need of them."""
_SESSION = re.compile("arn:.*:sts::.*:assumed-role/.*/.*", re.DOTALL)
_NAMES_SEEN = SEEN[SEEN.index("arn") :]
_OF_ONE_PERSON = ("origin_subject", "origin_issuer")
_FROM_ISSUING_CALL = {
    "api": "api", "issue_event": "event_id", "issue_text": "event_id_text", "issue_ip": "ip", "issue_agent": "agent",
    "issue_account": "account",
    "child_arn": "child_arn", "role_arn": "role_arn", "session_name": "session_name", "mfa_serial": "mfa_serial",
    "target": "target", "subject": "subject",
}  # fmt: skip
"""By column of the result, the column of the issuing call that it comes from."""
_BY_CHILD_ID = frozenset({"GetFederationToken", "CreateSession", "GetCredentialsForIdentity"})
"""Calls, besides those that assume a role, whose answer names the principal id."""
_PAIRS = 20
"""Identities from which on a query gets them as (segment, number) pairs; by the numbers alone it would also read the
calls of others that have the same numbers in other segments."""
_SPELLED = 1_000
"""Values that a query lists one by one at most."""
_LEFT_OUT = (
    "NOT EXISTS (SELECT 1 FROM duplicates l WHERE l.segment = {table}.segment AND l.object = {table}.object "
    "AND l.ordinal = {table}.ordinal)"
)
_IDENTITY_COLUMNS = ("segment", "identity", "type", "user_name", "invoked_by", *SEEN)
_ISSUANCE_COLUMNS = (
    "segment",
    "object",
    "ordinal",
    "child_id",
    "source_identity",
    *_FROM_ISSUING_CALL.values(),
)
_FACTS = pa.schema([
    pa.field("segment", pa.int64()), pa.field("identity", pa.int64()), *map(NOTHING.schema.field, DEEDS),
])  # fmt: skip
_Place = tuple[int, int, int]
"""Where a record is: its segment, and its object and its number there."""


class Lookup:
    """Looks up a few credentials, and remembers what it found."""

    def __init__(self, engine: Engine, folder: Path | None = None) -> None:
        self._engine = engine
        self._busy = Busy(engine, folder)
        self._believed: dict[int, bool] = {}
        self._who: dict[int, list[Identity]] = {}
        self._owned = 0
        self._forest_rows: dict[int, Row] = {}
        self._rows: dict[int, Row] = {}
        self._acts: OrderedDict[int, pa.Table] = OrderedDict()
        self._acts_held = 0
        self._sums: dict[tuple[str, int], pa.Table] = {}
        self._summed = 0
        self._changes: dict[int, list[Row]] = {}
        self.questions = Questions(engine)

    def forest_rows(self, places: Iterable[int]) -> dict[int, Row]:
        """The rows of the `credentials` table of some credentials, by place."""
        wanted = set(places)
        missing = wanted.difference(self._forest_rows)  # `-` would go through all that is known
        if missing:
            if len(self._forest_rows) > _ROWS:
                self._forest_rows.clear()
                missing = wanted
            found = self._engine.rows_with("credentials", "n", sorted(missing))
            self._forest_rows |= {row["n"]: row for row in found}
        return {n: self._forest_rows[n] for n in wanted if n in self._forest_rows}

    def fits(self, places: Iterable[int]) -> bool:
        """Whether the calls of some credentials are few enough for memory, but for what was rolled up of them."""
        own = self.forest_rows(places)
        told = sum(self._busy.calls(n) for n in self.with_roll_ups(own))
        return _calls_of(own) - told <= _CALLS

    def calls(self, places: Iterable[int]) -> int:
        """How many calls some credentials made, but for those that have roll-ups, of whom few are to be read."""
        own = self.forest_rows(places)
        told = self.with_roll_ups(own)
        return _calls_of({n: row for n, row in own.items() if n not in told})

    def rows(self, places: Iterable[int]) -> list[Row]:
        """The described rows of some credentials, by place."""
        wanted = sorted(set(places))
        missing = [n for n in wanted if n not in self._rows]
        if missing:
            if len(self._rows) > _ROWS:
                self._rows.clear()
                missing = wanted
            self._rows |= self._described(missing)
        return [self._rows[n] for n in wanted if n in self._rows]

    def rolled_up(self, places: Iterable[int], roll_up: RollUp) -> pa.Table:
        """What the calls of each of some credentials come to; that of busy ones is remembered."""
        own = self.forest_rows(places)
        busy = {n for n, row in own.items() if (row["events"] or 0) > _BUSY} | self.with_roll_ups(own)
        few, sums = roll_up.few(self._acts_of(own.keys() - busy)), list[pa.Table]()
        for group in self._groups(sorted(busy)):
            self._acts_of(n for n in group if (roll_up.name, n) not in self._sums)
            sums += (self._busy_sum(roll_up, n) for n in group)
        return pa.concat_tables([few, *sums])

    def _groups(self, busy: Iterable[int]) -> Iterator[list[int]]:
        """Busy credentials in groups whose calls are few enough to be read at once, which takes one question."""
        group, held = list[int](), 0
        for n in busy:
            calls = self.calls((n,))
            if group and held + calls > _CALLS:
                yield group
                group, held = [], 0
            group.append(n)
            held += calls
        yield group

    def _busy_sum(self, roll_up: RollUp, n: int) -> pa.Table:
        found = self._sums.get((roll_up.name, n))
        if found is None:
            acts = self._acts_of((n,))
            stored = self._busy.rows(roll_up.name, n) if self.with_roll_ups((n,)) else None
            if stored is None:
                found = roll_up.few(acts)
            elif acts.num_rows:
                found = roll_up.together(pa.concat_tables([roll_up.few(acts), stored]))
            else:
                found = stored
            self._summed += found.num_rows
            if self._summed > _CALLS:
                self._sums.clear()
                self._summed = found.num_rows
            self._sums[roll_up.name, n] = found
        return found

    def _acts_of(self, places: Iterable[int]) -> pa.Table:
        """The calls of some credentials that are not kept rolled up, with the columns `DEEDS` and `n`."""
        wanted = sorted(set(places))
        missing = [n for n in wanted if n not in self._acts]
        fresh = self._read(missing, self._to_read(missing)) if missing else {}
        for n in wanted:
            if n in fresh:
                self._acts[n] = fresh[n]
                self._acts_held += fresh[n].num_rows
            else:
                self._acts.move_to_end(n)
        found = pa.concat_tables([self._acts[n] for n in wanted] or [NOTHING])
        while self._acts_held > _CALLS:
            self._acts_held -= self._acts.popitem(last=False)[1].num_rows
        return found

    def with_roll_ups(self, places: Iterable[int]) -> set[int]:
        """Those of some credentials whose calls are in the `activity_cache`, and valid."""
        may = {n for n in places if self._busy.may_tell(n)}
        unsure = may.difference(self._believed)
        if unsure:
            owned: dict[int, list[Identity]] = {n: [] for n in unsure}
            for one, n in self._identities_of(unsure).items():
                owned[n].append(one)
            self._believed |= {n: self._busy.tells(n, mine) for n, mine in owned.items()}
        return {n for n in may if self._believed[n]}

    def _to_read(self, places: Iterable[int]) -> dict[Identity, int]:
        """The identities of some credentials whose records must be read, since they are in no roll-up."""
        wanted = set(places)
        told = self.with_roll_ups(wanted)
        rolled = {n: self._busy.segments(n) for n in told}
        nothing = frozenset[int]()
        return {
            one: n for one, n in self._identities_of(wanted).items() if one[0] not in rolled.get(n, nothing)
        }

    def changes(self, places: Iterable[int], operations: Set[str] | None) -> list[Row]:
        """The changes, all or those of some operations, that some credentials made, by time, then event id."""
        wanted = set(places)
        calling = self._calling(wanted, operations)
        missing = calling.difference(self._changes)
        if missing:
            if sum(map(len, self._changes.values())) > _ROWS:
                self._changes.clear()
                missing = calling
            self._changes |= self._changes_of(missing)
        found = [
            row
            for n in calling
            for row in self._changes[n]
            if operations is None or operation_of(row["name"] or "") in operations
        ]
        return sorted(found, key=lambda row: (row["time"], row["event_id"]))

    def _calling(self, places: Set[int], operations: Set[str] | None) -> set[int]:
        """Those of some credentials that made any call, or one of some operations; the others made no change."""
        called = self.rolled_up(places, APIS)
        told: Any = zip(called["n"].to_pylist(), called["name"].to_pylist(), strict=True)
        return {n for n, name in told if operations is None or operation_of(name or "") in operations}

    def _changes_of(self, places: Set[int]) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {n: [] for n in places}
        for told in self.with_roll_ups(places):
            stored = self._busy.rows(CHANGES, told)
            columns = zip(*map(listed, stored.columns), strict=True)
            found[told] += [dict(zip(stored.column_names, row, strict=True)) for row in columns]
        who = self._to_read(places)
        if who:
            for row in self.questions.changes(who.keys()):
                n = who.get((row["segment"], row["identity"]))
                if n is not None:
                    found[n].append({**row, "n": n})
        return found

    def _described(self, places: Sequence[int]) -> dict[int, Row]:
        own = self.forest_rows(places)
        above = {up for row in own.values() for up in (row["parent_n"], row["root_n"]) if up is not None}
        names = {n: row["id"] for n, row in (own | self.forest_rows(above.difference(own))).items()}
        who = self._to_read(own)
        said, issued = _asked_of(own, who)
        identities, calls = self.questions.identities(said), self.questions.calls(issued)
        ips = _addresses(self.rolled_up(own, ADDRESSES))
        seen: dict[int, list[Row]] = {
            n: list(self._busy.rows(IDENTITIES, n).to_pylist()) for n in self.with_roll_ups(own)
        }
        for one, n in who.items():
            if one in identities:
                seen.setdefault(n, []).append(identities[one])
        return {
            n: {
                **{name: value for name, value in row.items() if name not in _WHERE},
                "parent_id": names.get(row["parent_n"]),
                "root_id": names.get(row["root_n"]),
                **_from_records(
                    _merged(seen.get(n, [])),
                    calls.get((row["segment"], row["object"], row["ordinal"]), {}),
                    identities.get((row["segment"], row["identity"])),
                    issued=row["identity"] is not None,
                ),
                "ips": ips.get(n),
            }
            for n, row in own.items()
        }

    def _identities_of(self, places: Iterable[int]) -> dict[Identity, int]:
        """The identities of some credentials, each with its credential."""
        wanted = set(places)
        missing = wanted.difference(self._who)
        if missing:
            if self._owned > _ROWS:
                self._who.clear()
                self._owned, missing = 0, wanted
            found = self._engine.rows_with("credential_identities", "n", sorted(missing))
            fresh: dict[int, list[Identity]] = {n: [] for n in missing}
            for row in found:
                fresh[row["n"]].append((row["segment"], row["identity"]))
            self._who |= fresh  # all at once: what an error left half done would be taken for the whole
            self._owned += len(missing) + len(found)
        return {one: n for n in sorted(wanted) for one in self._who[n]}

    def _read(self, places: Sequence[int], who: Mapping[Identity, int]) -> dict[int, pa.Table]:
        if not who:
            return dict.fromkeys(places, NOTHING)
        facts = self.questions.events(who.keys(), few=_calls_of(self.forest_rows(places)) < _FEW)
        owners = _owners(facts, who)
        mine = facts.select(DEEDS).add_column(0, "n", pa.array(owners)).filter(pa.array(owners >= 0))
        found = mine.cast(NOTHING.schema).sort_by("n").combine_chunks()
        n = found["n"].to_numpy()
        starts, ends = np.searchsorted(n, places), np.searchsorted(n, places, side="right")
        return {
            one: found.slice(start, end - start)
            for one, start, end in zip(places, starts.tolist(), ends.tolist(), strict=True)
        }


def _calls_of(own: Mapping[int, Row]) -> int:
    return sum(row["events"] or 0 for row in own.values())


def _asked_of(own: Mapping[int, Row], who: Mapping[Identity, int]) -> tuple[set[Identity], set[_Place]]:
    """Of some credentials: the identities that say something of them, and the places of the calls that issued them."""
    issued = [row for row in own.values() if row["segment"] is not None]
    said = {one for one, n in who.items() if n in own} | {(row["segment"], row["identity"]) for row in issued}
    return said, {(row["segment"], row["object"], row["ordinal"]) for row in issued}


def _owners(found: pa.Table, who: Mapping[Identity, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The place of the credential of each call; -1 where it is none of those asked for."""
    segments = np.array(sorted({segment for segment, _ in who}), np.int64)
    row = {segment: place for place, segment in enumerate(segments.tolist())}
    coded = sorted((row[segment] << 32 | identity, n) for (segment, identity), n in who.items())
    codes, owners = (np.array(column, np.int64) for column in zip(*coded, strict=True))
    shown = _numbers(found["segment"])
    at = np.minimum(np.searchsorted(segments, shown), len(segments) - 1)
    at = np.where(segments[at] == shown, at, -1)
    mine = at << 32 | _numbers(found["identity"])
    spot = np.minimum(np.searchsorted(codes, mine), len(codes) - 1)
    return np.where(codes[spot] == mine, owners[spot], -1)


def _numbers(column: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A column's numbers; -1 for null."""
    filled: Any = column.fill_null(-1)
    numbers: np.ndarray[Any, np.dtype[np.int64]] = filled.to_numpy().astype(np.int64)
    return numbers


def _addresses(pairs: pa.Table) -> dict[int, list[str]]:
    found: dict[int, set[str]] = {}
    for n, ip in zip(pairs["n"].to_pylist(), pairs["ip"].to_pylist(), strict=True):
        if n is not None and ip is not None:
            found.setdefault(n, set()).add(ip)
    return {n: sorted(ips) for n, ips in found.items()}


class Questions:
    """Asks the evidence about a few credentials: each question reads only the segments concerned."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._repeated: bool | None = None

    def identities(self, wanted: Set[Identity]) -> dict[Identity, Row]:
        """What some identities say."""
        if not wanted:
            return {}
        rows = self._engine.rows(self._of_identities(wanted))
        return {place: row for row in rows if (place := (row["segment"], row["identity"])) in wanted}

    def calls(self, wanted: Set[_Place]) -> dict[_Place, Row]:
        """The calls that issued credentials, by their places in the evidence."""
        if not wanted:
            return {}
        rows = self._engine.rows(self._of_calls(wanted))
        return {
            place: row for row in rows if (place := (row["segment"], row["object"], row["ordinal"])) in wanted
        }

    def events(self, who: Set[Identity], *, few: bool) -> pa.Table:
        """
        The calls of some identities, and maybe of others: `segment`, `identity` and `DEEDS`.

        Args:
            who: The identities.
            few: Whether that is so few calls that Python rows come quicker than Arrow tables.
        """
        sql = self._of_events(who)
        if not few:
            return self._engine.table(sql)
        return pa.Table.from_pylist(self._engine.rows(sql), _FACTS)

    def changes(self, who: Set[Identity]) -> Sequence[Row]:
        """The changes that some identities made, and maybe others."""
        some = self._engine.narrow({segment for segment, _ in who})["some_changes"]
        return self._engine.rows(f"SELECT c.* FROM {some} c {self._by('c', who)} AND {self.counts('c')}")

    def counts(self, table: str) -> str:
        """A condition that leaves out repeated records (`duplicates`), where there are any."""
        if self._repeated is None:
            self._repeated = bool(self._engine.rows("SELECT 1 AS one FROM duplicates LIMIT 1"))
        return _LEFT_OUT.format(table=table) if self._repeated else "TRUE"

    def _of_identities(self, wanted: Set[Identity]) -> str:
        some = self._engine.narrow({segment for segment, _ in wanted})["some_identities"]
        return f"SELECT {_columns('i', _IDENTITY_COLUMNS)} FROM {some} i {self._by('i', wanted)}"

    def _of_calls(self, wanted: Set[_Place]) -> str:
        some = self._engine.narrow({segment for segment, _, _ in wanted})["some_issuances"]
        listed = f"{_among('object', {one[1] for one in wanted})} AND {_among('ordinal', {one[2] for one in wanted})}"
        return f"SELECT {_columns('s', _ISSUANCE_COLUMNS)} FROM {some} s WHERE {listed}"

    def _of_events(self, who: Set[Identity]) -> str:
        some = self._engine.narrow({segment for segment, _ in who})["some_events"]
        told = f"{_columns('e', ('segment', 'identity'))}, {DEEDS_OF_FACTS}"
        return f"SELECT {told} FROM {some} e {self._by('e', who)} AND {self.counts('e')}"

    def _by(self, table: str, wanted: Set[Identity]) -> str:
        """The end of a query that keeps the rows of some identities, and few others: a join and a condition."""
        where = f"WHERE {_among(f'{table}.identity', {identity for _, identity in wanted})}"
        if len(wanted) <= _PAIRS:
            return where
        segments, identities = zip(*wanted, strict=True)
        self._engine.register("asked_identities", pa.table({
            "segment": pa.array(segments, pa.int64()), "identity": pa.array(identities, pa.int32()),
        }))  # fmt: skip
        same = " AND ".join(f"w.{name} = {table}.{name}" for name in ("segment", "identity"))
        return f"SEMI JOIN asked_identities w ON {same} {where}"


def _columns(table: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in columns)


def _among(column: str, values: Collection[int]) -> str:
    """A condition by which the engine skips rows with other values; `TRUE` where there are too many to list."""
    return f"{column} IN ({', '.join(map(str, sorted(values)))})" if len(values) <= _SPELLED else "TRUE"


def _merged(identities: Sequence[Row]) -> dict[str, Any]:
    """
    Merge what the identities of one credential say: of values that differ, the lowest; MFA if any says so.

    A session whose calls name several persons is no one's.
    """
    mfa = [one["mfa"] for one in identities if one["mfa"] is not None]
    account = min((one["account"] for one in identities if one["account"]), default="")
    return {
        "seen_account": account if identities else None,
        "principal_id": min((one["principal_id"] for one in identities if one["principal_id"]), default=None),
        "mfa": any(mfa) if mfa else None,
        **{
            name: min((one[name] for one in identities if one[name] is not None), default=None)
            for name in _NAMES_SEEN
        },
        **{name: _only({one[name] for one in identities} - {None}) for name in _OF_ONE_PERSON},
    }


def _only(values: set[Any]) -> Any:
    return values.pop() if len(values) == 1 else None


def _from_records(seen: Mapping[str, Any], call: Row, by: Row | None, *, issued: bool) -> dict[str, Any]:
    """
    The columns of a credential that come from records, as `8_credentials.sql` makes them in SQL; tests compare the two.

    Args:
        seen: What its uses say, `_merged`.
        call: The call that issued it; empty where the evidence holds none.
        by: The identity that made that call.
        issued: Whether the evidence names that identity.
    """
    caller: Row = by or {}
    return {
        **seen,
        "issuer_arn": seen["issuer_arn"]
        if call.get("role_arn")
        else seen["issuer_arn"] or _role_of(seen["arn"]),
        "source_identity": next(
            (one for one in _source_identities(seen, call, caller) if one is not None), None
        ),
        **{name: call.get(column) for name, column in _FROM_ISSUING_CALL.items()},
        "child": _child(call, caller),
        "caller_type": caller.get("type") or "" if issued else None,
        "caller_account": caller.get("account") or "" if issued else None,
        "caller_principal": caller.get("principal_id") or "" if issued else None,
        "caller_arn": caller.get("arn"),
        "caller_name": caller.get("user_name"),
        "caller_service": None if caller.get("invoked_by") == CONSOLE else caller.get("invoked_by"),
    }


def _role_of(arn: str | None) -> str | None:
    """The role of a session, by the session's own ARN: it names the role without its path."""
    if arn is None or _SESSION.fullmatch(arn) is None:
        return None
    parts = arn.split(":")
    return f"arn:{parts[1]}:iam::{parts[4]}:role/{arn.split('/')[1]}"


def _source_identities(seen: Mapping[str, Any], call: Row, caller: Row) -> Iterator[str | None]:
    """
    The places where a source identity may stand, the surest first: a chained session has that of the one before.

    Source: IAM User Guide, 'Monitor and control actions taken with assumed roles'.
    """
    yield seen["source_identity"]
    yield call.get("source_identity")
    yield caller.get("source_identity") if call.get("api") == "AssumeRole" else None


def _child(call: Row, caller: Row) -> str | None:
    """The principal id of the issued credential."""
    api = call.get("api")
    if api is None:
        return None
    if api.startswith("AssumeRole") or api in _BY_CHILD_ID:
        return call["child_id"] or ""
    if api == "AssumeRoot":
        return call["target"] or ""
    return call["child_id"] if call["child_id"] is not None else caller.get("principal_id") or ""
