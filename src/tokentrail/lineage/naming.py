"""
Find credentials by what people call them: a key, an ARN, an address, an instance, a person, an event, the beginning of
an id.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from tokentrail.aws.leaked_strings import secret_given
from tokentrail.errors import SubjectNotFound, UsageError
from tokentrail.events.masked_ids import is_masked, is_stand_in
from tokentrail.events.values import uuid_bytes
from tokentrail.formatting import instant
from tokentrail.lineage import callers
from tokentrail.lineage.addresses import parse_address
from tokentrail.lineage.candidates import EVERYWHERE, batches, by_names, places_in, register_recorded
from tokentrail.lineage.keyless_calls import KeylessCalls
from tokentrail.lineage.rows import Row
from tokentrail.lineage.subtree_query import Part
from tokentrail.lineage.suggestion import suggestion
from tokentrail.store.interface import Engine

_FORMS = (
    "A subject is an access key id, a credential id or a unique prefix of one, the ARN of a user, role or session, "
    "a principal id, an IP address, an instance id, a person as `onBehalfOf` names them (the user id in Identity "
    "Center's directory, or the subject, such as an address), or an event id; `tokentrail credentials` lists what "
    "there is."
)
_STRANGER = (
    "records of calls name this principal and no key, as logs do of whoever calls from another account, so that no "
    "credential can be told. It is of account {}: ingest the log of that, which names its keys."
)
_KEYLESS = (
    "the event is in the case, but no credential is known that made it: its record names none, as of calls from "
    "another account or by a service, and of switches of role in the console."
)
_BEGUN = 4
"""Letters of an id from which on it is looked for by its beginning."""
_MASKED = (
    "this is no id but what stands in place of one that is masked in the evidence, and many credentials may share it. "
    "Name whoever held the key instead: by ARN, by principal id, or by a credential id that `tokentrail credentials` "
    "lists."
)
_SPEAKERS = r"""
SELECT DISTINCT a.principal, c.said.rank AS rank, c.n FROM (
  SELECT n, unnest([
    {'rank': 1, 'name': arn}, {'rank': 1, 'name': child_arn},
    {'rank': 1, 'name': CASE WHEN arn IS NULL AND api IN ('GetSessionToken', 'ConsoleLogin') THEN caller_arn END},
    {'rank': 1, 'name': CASE WHEN arn IS NULL AND created_what IN ('access_key', 'api_key')
                             THEN 'user ' || key_account || '/' || created_owner END},
    {'rank': 1, 'name': CASE WHEN arn IS NULL AND child_arn IS NULL
                             THEN regexp_replace(coalesce(issuer_arn, role_arn),
                                                 '^arn:[^:]+:iam::(\d{12}):role/(.*/)?([^/]+)$', 'session \1/\3/')
                                  || session_name END},
    {'rank': 2, 'name': issuer_arn}, {'rank': 2, 'name': role_arn},
    {'rank': 2, 'name': CASE WHEN kind = 'federation_token' THEN caller_arn END},
    {'rank': 3, 'name': regexp_replace(coalesce(issuer_arn, role_arn),
                                       '^arn:[^:]+:iam::(\d{12}):role/(.*/)?([^/]+)$', 'role \1/\3')}
  ]) AS said FROM ({described})
) c JOIN asked_for a ON a.name = c.said.name"""
"""The same meanings of ARNs as `_meanings` has, for many at once, with how exact each is."""
_OWNED = "SELECT n FROM credentials WHERE created_owner = ?"
_FOR_THEMSELVES = """
SELECT c.segment, c.object, c.ordinal, c.key_id, c.time AS created FROM {} c
JOIN named_identities i ON i.segment = c.segment AND i.identity = c.identity WHERE c.api NOT LIKE 'AssumeRole%'"""
"""Issued for the caller itself: a role that it assumed speaks for the role."""
_LAST = "\U0010ffff"
"""Sorts behind whatever a name may go on with."""
_AT_ONCE = 20_000
_SESSION = re.compile(r"arn:[^:]+:sts::(\d{12}):assumed-role/([^/]+)/([^/]+)")
_OF_ACCOUNT = re.compile(r"arn:[^:]+:(?:iam|sts)::(\d{12}):")
_DELIVERED = """
arn IS NULL AND child_arn IS NULL AND session_name = ? AND regexp_matches(coalesce(issuer_arn, role_arn), ?)"""
"""A session whose ARN no record tells: where a service took it up, the answer may not name it, and none has used it."""
_NAMED = "SELECT n FROM names WHERE name BETWEEN ? AND ? AND (name = ? OR (own AND name >= ?))"
"""By the range of a sorted column: a choice of conditions alone would read the whole column."""
_OF_ROLE = "split_part(i.arn, ':', 5) = ? AND starts_with(split_part(i.arn, ':assumed-role/', 2), ? || '/')"
"""Whether a session's own ARN is of an account's role of some name."""
_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")


class Naming:
    """The part of a forest that finds credentials by name."""

    _engine: Engine
    _part: Part
    as_of: datetime
    spans: tuple[datetime, datetime] | None
    keyless: KeylessCalls

    def resolve(self, subject: str) -> set[int]:
        """
        The credentials that a subject names.

        Raises:
            SubjectNotFound: nothing answers to it.
            UsageError: a prefix fits several, or there is nothing of it.
        """
        if not subject:
            raise UsageError(f"an empty subject names no credential. {_FORMS}")
        if not _is_text(subject):
            raise UsageError(f"{subject!r}: is no text in UTF-8, which all names of evidence are. {_FORMS}")
        found = self._named(subject)
        if found:
            return found
        ways = [self.speaking_for, self._acting_for, self._by_event, self._by_prefix]
        if uuid_bytes(subject):  # which is an event's id more often than a person's, and sooner looked up
            ways[:3] = [self._by_event, self.speaking_for, self._acting_for]
        return next(filter(None, (way(subject) for way in ways)))

    def _unknown(self, subject: str) -> str:
        """Explain why a subject names no credential: there may be records of it, though without a key."""
        if self.spans and self.as_of < self.spans[0]:
            first, last = map(instant, self.spans)
            return f"as of {instant(self.as_of)} there is no evidence yet: it spans {first} to {last}."
        homes = self.keyless.homes(subject)
        if homes:
            return _STRANGER.format(" and ".join(one or "an account that is not told" for one in homes))
        raw = uuid_bytes(subject)
        some = self._engine.holding(events=(raw,))["some_events"] if raw else ""
        if raw and self._engine.rows(f"SELECT 1 AS one FROM {some} WHERE event_id = ? LIMIT 1", (raw,)):
            return _KEYLESS
        meaning = suggestion(self._engine, subject) or _FORMS
        return f"nothing in the case answers to that as of {instant(self.as_of)}. {meaning}"

    def speaking_for_any(self, principals: Sequence[str], among: str = "TRUE") -> set[int]:
        """The credentials that speak for any of some ARNs of roles, users and sessions; `among` as in `called`."""
        asked = [(one, name) for one in principals for name in _aliases(one)]
        self._engine.register("asked_for", pa.table({
            "principal": pa.array([one for one, _ in asked], pa.string()),
            "name": pa.array([name for _, name in asked], pa.string()),
        }))  # fmt: skip
        names = sorted({one.rpartition("/")[2] for one in principals})
        accounts = {told[1] if (told := _OF_ACCOUNT.match(one)) else "" for one in principals}
        candidates = by_names(self._engine, names, among, () if "" in accounts else accounts)
        best: dict[str, tuple[int, set[int]]] = {}
        for row in self._part.asked(_SPEAKERS, candidates):
            rank, found = best.get(row["principal"], (row["rank"], set()))
            if row["rank"] < rank:
                rank, found = row["rank"], set()
            if row["rank"] == rank:
                found.add(row["n"])
            best[row["principal"]] = rank, found
        return set[int]().union(*(found for _, found in best.values()))

    def first_from(
        self, addresses: Sequence[str], most: int, besides: Collection[int]
    ) -> dict[str, dict[int, int]]:
        """As `callers.first_from`."""
        return callers.first_from(self._engine, addresses, most, besides)

    def known(self, among: str) -> Iterator[Sequence[Row]]:
        """
        The described rows of credentials that meet a condition on the `credentials` table, without their addresses.

        They come by place, some thousands at a time; addresses would take longest, since all their calls must be read.
        """
        places = sorted(places_in(self._engine.table(f"SELECT n FROM credentials WHERE {among}")))
        for some in batches(places, _AT_ONCE):
            yield list(self._part.asked("SELECT * FROM ({described}) ORDER BY n", some))

    def called(
        self,
        names: Sequence[str],
        where: str,
        parameters: Sequence[Any],
        among: str = "TRUE",
        accounts: Collection[str] = (),
    ) -> set[int]:
        """
        The credentials that meet a condition, found by names first, so that not all must be read.

        Args:
            names: The last parts of ARNs, one of which a credential or its issuer has wherever the condition holds.
            where: A condition on described rows.
            parameters: The values of its question marks.
            among: A condition on the `credentials` table, known as `f`, that all of them meet.
            accounts: The accounts of these ARNs; any where none is given.
        """
        return self._part.matching(by_names(self._engine, names, among, accounts), where, parameters)

    def called_rows(
        self,
        names: Sequence[str],
        where: str,
        parameters: Sequence[Any],
        among: str = "TRUE",
        accounts: Collection[str] = (),
    ) -> Sequence[Row]:
        """The described rows of the same, by place, without their addresses; no `Credential` is to be made of them."""
        return self._part.rows_matching(by_names(self._engine, names, among, accounts), where, parameters)

    def speaking_for(self, principal: str) -> set[int]:
        """The credentials that speak for a role, user or session; none where nothing answers to it."""
        if parse_address(principal):
            some = self._engine.holding(names=(principal,))
            found = callers.callers(self._engine, some, "e.ip = ?", principal)
            if found:
                return found
        for meaning in _meanings(principal):
            found = self._part.matching(list(self._candidates(meaning)), meaning.where, meaning.parameters)
            if found:
                return found
        return set()

    def acting_for(self, persons: Sequence[str]) -> list[callers.ActingFor]:
        """As `callers.acting_for`."""
        return callers.acting_for(self._engine, persons)

    def _acting_for(self, person: str) -> set[int]:
        return {one.n for one in self.acting_for([person])}

    def _candidates(self, meaning: Meaning) -> set[int]:
        """Candidates for a meaning: all that it fits are among them."""
        some = self._engine.holding(names=(meaning.name,))
        said, calls = register_recorded(
            self._engine, meaning.seen, meaning.issued, meaning.names_seen, meaning.names_issued, some
        )
        found = callers.seen_as(self._engine, said) | callers.issued_by(self._engine, calls)
        if meaning.owner is not None:
            found |= places_in(self._engine.table(_OWNED, (meaning.owner,)))
        if said.num_rows:
            segments = {row["segment"] for row in said.select(["segment"]).to_pylist()}
            minted = self._engine.table(
                _FOR_THEMSELVES.format(self._engine.narrow(segments)["some_issuances"])
            )
            self._engine.register("named_calls", minted)
            found |= callers.issued_by(self._engine, minted)
        return found

    def _named(self, name: str) -> set[int]:
        """The credentials of an id or key id; those that share a key id have ids with an `@` behind it."""
        found = self._engine.rows(_NAMED, (name, f"{name}@{_LAST}", name, f"{name}@"))
        return {row["n"] for row in found}

    def _by_prefix(self, subject: str) -> set[int]:
        """The credential whose id begins so, or is shortened so (`ASIA…7890`), as timelines print it."""
        begins, shortened, ends = subject.partition("…")
        if shortened and len(begins) >= _BEGUN and ends.isalnum():
            return self._one_beginning(subject, begins, ends)
        if is_masked(subject) and not is_stand_in(subject):
            raise SubjectNotFound(f"{subject!r}: {_MASKED}")
        if len(subject) < _BEGUN:
            raise UsageError(
                f"{subject!r}: too short to name a credential. {suggestion(self._engine, subject) or _FORMS}"
            )
        return self._one_beginning(subject, subject, "")

    def _one_beginning(self, subject: str, begins: str, ends: str) -> set[int]:
        found = self._engine.table(
            "SELECT n, name AS id FROM names WHERE own AND name >= ? AND name < ? AND ends_with(name, ?) "
            "ORDER BY name LIMIT 6",
            (begins, f"{begins}{_LAST}", ends),
        ).to_pylist()
        if not found:
            if why := secret_given(subject):
                raise SubjectNotFound(f"the subject is not repeated here, as it {why}.")
            raise SubjectNotFound(f"{subject!r}: {self._unknown(subject)}")
        if len(found) > 1:
            some = ", ".join(row["id"] for row in found[:5])
            more = ", …" if len(found) > 5 else ""
            alike = "begin and end so" if ends else "begin so"
            raise UsageError(f"{subject!r}: several credentials {alike} ({some}{more}). Give more of it.")
        return {row["n"] for row in found}

    def _by_event(self, subject: str) -> set[int]:
        raw = uuid_bytes(subject)
        test, value = ("event_id = ?", raw) if raw else ("event_id_text = ?", subject)
        some = self._engine.holding(events=(raw,)) if raw else EVERYWHERE
        found = callers.callers(self._engine, some, f"e.{test}", value)
        if found:
            return found
        register_recorded(self._engine, "FALSE", f"c.{test}", (), (value,), some)
        return callers.issued_by_all(self._engine)


class Meaning(NamedTuple):
    """
    One meaning that a name may have, as conditions.

    `where` decides whether a credential is meant. So that not all credentials need be described, candidates are found
    first: wherever `where` holds, `seen` or `issued` holds of some record, or `owner` had the key made.
    """

    where: str
    """On the described row of a credential."""
    parameters: tuple[Any, ...]
    seen: str
    """On an identity `i`: the credential's own, or that of the caller who had it issued."""
    names_seen: tuple[str, ...]
    """The parameters of `seen`."""
    issued: str
    """On the call `c` that issued it."""
    names_issued: tuple[str, ...]
    """The parameters of `issued`."""
    name: str
    """What is looked up in the marks of segments to find those records (`candidates.HASHED`)."""
    owner: str | None = None
    """The user whose access key it may be, where nobody has used it."""


def _meanings(subject: str) -> Iterator[Meaning]:
    """What a subject may mean, the most exact first."""
    if subject.startswith("arn:"):
        last = subject.rpartition("/")[2]
        unused = "arn IS NULL AND api IN ('GetSessionToken', 'ConsoleLogin') AND caller_arn = ?"
        owner = re.fullmatch(r"arn:[^:]+:iam::(\d{12}):user/(?:.*/)?([^/]+)", subject)
        made = "arn IS NULL AND created_what IN ('access_key', 'api_key') AND key_account = ? AND created_owner = ?"
        session = _SESSION.fullmatch(subject)
        name = session[3] if session else subject
        yield Meaning(
            f"arn = ? OR child_arn = ? OR ({unused}) OR ({made}) OR ({_DELIVERED})",
            (*(subject,) * 3, *(owner.groups() if owner else (None, None)), name, _role(session) if session else "^$"),
            "i.arn = ?", (subject,), "c.child_arn = ? OR c.session_name = ?", (subject, name), last,
            owner[2] if owner else None,
        )  # fmt: skip
        yield Meaning(
            "issuer_arn = ? OR role_arn = ? OR (kind = 'federation_token' AND caller_arn = ?)",
            (subject,) * 3,
            "i.issuer_arn = ? OR i.arn = ?", (subject,) * 2, "c.role_arn = ?", (subject,), last,
        )  # fmt: skip
        role = re.fullmatch(r"arn:[^:]+:iam::(\d{12}):role/(?:.*/)?([^/]+)", subject)
        if role:  # a role named without its path, or the other way round
            ending = (_role(role),)
            yield Meaning(
                "regexp_matches(coalesce(issuer_arn, role_arn), ?)", ending,
                f"regexp_matches(i.issuer_arn, ?) OR (i.issuer_arn IS NULL AND {_OF_ROLE})", (*ending, *role.groups()),
                "regexp_matches(c.role_arn, ?)", ending, last,
            )  # fmt: skip
    if _INSTANCE.fullmatch(subject):
        yield Meaning(
            "session_name = ? OR split_part(principal_id, ':', -1) = ?", (subject,) * 2,
            "contains(i.principal_id, ?)", (subject,), "c.session_name = ? OR contains(c.child_id, ?)", (subject,) * 2,
            subject,
        )  # fmt: skip
    yield Meaning(
        "principal_id = ? OR child = ? OR starts_with(principal_id, ? || ':') OR starts_with(child, ? || ':')",
        (subject,) * 4,
        "starts_with(i.principal_id, ?)", (subject,),
        "starts_with(c.child_id, ?) OR starts_with(c.target, ?)", (subject,) * 2, subject.partition(":")[0],
    )  # fmt: skip


def _role(named: re.Match[str]) -> str:
    """A pattern for the ARN of a role of some account and name, with any path."""
    return f"^arn:[^:]+:iam::{named[1]}:role/(.*/)?{re.escape(named[2])}$"


def _aliases(principal: str) -> Iterator[str]:
    """
    What a principal may be found by.

    Its ARN, what is left of a user's or role's without its path, and of a session's that was not used yet.
    """
    yield principal
    session = _SESSION.fullmatch(principal)
    if session:
        yield f"session {session[1]}/{session[2]}/{session[3]}"
    pathless = re.fullmatch(r"arn:[^:]+:iam::(\d{12}):(user|role)/(?:.*/)?([^/]+)", principal)
    if pathless:
        yield f"{pathless[2]} {pathless[1]}/{pathless[3]}"


def _is_text(text: str) -> bool:
    """Whether evidence may hold a text: bytes of a command line that are no UTF-8 arrive as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
