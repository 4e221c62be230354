"""
Guard a containment plan that was carried out: find at once what shows that it did not hold, and say when it is over.

Findings are: a successful call of a tainted credential after its step took effect; a credential that descends from a
tainted one and that the plan does not know of; what sources of the attacker's credentials hand out afterwards; and a
call that takes back what a step did.

Which success shows that a credential still works: `policy.history.survival`. What GetSessionToken mints is a new child.
A call counts as taking back a step from the moment when the step was sent, and not only when it took effect: an
attacker who may write IAM acts in the seconds between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from tokentrail.case.views import View
from tokentrail.containment import planfile
from tokentrail.containment.execution.history import History, history
from tokentrail.containment.execution.journal import journal_path, read
from tokentrail.containment.execution.preflight import planning_command
from tokentrail.containment.execution.undone_steps import REWRITES, StepChange, step_changes, undone_by
from tokentrail.containment.incident.taint import subjects_by_now, used_from
from tokentrail.containment.model import Plan
from tokentrail.containment.verification.judge import ends_key
from tokentrail.containment.verification.verify import reaches
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import Finding, Severity
from tokentrail.detection.run import identity
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CREDENTIAL_EVENTS
from tokentrail.errors import SubjectNotFound
from tokentrail.formatting import counted, instant
from tokentrail.lineage.entries import change
from tokentrail.lineage.model import Trace, TracedCredential
from tokentrail.lineage.rows import Row, event_id, moment
from tokentrail.lineage.trace import Narrowing, family, networks
from tokentrail.policy.history.survival import Ended, called, outlives
from tokentrail.store.folder import write_atomically

PREFIX = "guard-"
"""What the names of a guard's rules begin with."""
_LISTED = 50
"""Events that a finding lists, at most."""
_CHANGES = """
    SELECT c.*, e.ip, e.agent FROM attributed_changes c
    LEFT JOIN events e ON e.segment = c.segment AND e.object = c.object AND e.ordinal = c.ordinal
    WHERE c.time > ? ORDER BY c.time, c.event_id"""
_CALLS = """
    SELECT d.n, d.time, d.source, d.name, d.ip, d.event_id, d.event_id_text
    FROM credential_events d JOIN guarded g ON g.n = d.n AND d.time >= g.since
    WHERE d.error IS NULL AND NOT d.forwarded ORDER BY d.time, d.event_id"""


@dataclass(frozen=True, slots=True)
class _SentSteps:
    """When the steps of the plan were sent and took effect, and what they did."""

    steps: dict[int, datetime]
    """By the number of a step that was carried out: when it took effect."""
    sent: dict[int, datetime]
    """By the number of a step: when it was sent, from which moment on it may be taken back."""
    changes: tuple[StepChange, ...]
    """What the steps did, as far as a call can undo it."""
    runs: frozenset[str]
    """The ids of the runs of `tokentrail apply` and `undo` that carried the plan out, or took it back."""


class Guard:
    """
    Guards one plan.

    Args:
        path: The plan file; its journal lies beside it.
        contained_at: When it was carried out, if not by `tokentrail apply`.
        assumed: Whether nobody said so, and `contained_at` is the time of this start; see `begun_in`.

    Raises:
        UsageError: it is no plan file.
        ActionRefused: from `told` and `findings`: its journal is damaged.
    """

    def __init__(self, path: Path, contained_at: datetime, *, assumed: bool = False) -> None:
        self._path, self._contained_at, self._assumed = path, contained_at, assumed
        self._plan = planfile.load(path)
        self._digest = planfile.digest(self._plan)

    def begun_in(self, folder: Path) -> None:
        """
        If nobody said when the plan was carried out, assume the first start with this folder, which is noted there.

        If each start assumed its own time, calls from before a restart whose records come after it would not be found.
        """
        note = folder / f"guarded-{self._digest}"
        if not self._assumed:
            return
        try:
            self._contained_at = datetime.fromisoformat(note.read_text("ascii"))
        except (OSError, ValueError):
            with suppress(OSError):  # then the next start is taken for the first
                write_atomically(note, self._contained_at.isoformat().encode("ascii"))

    def told(self) -> list[str]:
        """What a person should know at the start: an assumed time, or steps that are not guarded; in sentences."""
        sent_steps = self._sent_steps()
        if not self._journalled():
            when = instant(self._contained_at)
            first = ", when it was first guarded here" if self._assumed else ""
            return [
                f"{self._path.name} has no journal of `tokentrail apply`: it is taken as carried out by {when}{first}. "
                "--contained-at names another moment."
            ]
        missing = [str(step.n) for step in self._plan.steps if step.n not in sent_steps.steps]
        if missing:
            return [f"{self._path.name}: not carried out yet, so not guarded: step {', '.join(missing)}."]
        return []

    def findings(self, view: View, context: DetectionContext, now: datetime) -> Iterator[Finding]:
        """Yield what the evidence shows against the plan, and whether it is over by `now`."""
        sent_steps = self._sent_steps()
        if not sent_steps.steps:
            return
        found = self._found(view)
        held = found.credentials if found else ()
        tainted = [one for one in held if one.tainted or one.id in self._plan.tainted]
        yield from self._successes(view, context, tainted, sent_steps)
        yield from self._children(tainted)
        if found is not None:
            yield from self._reopened(view, context, found, sent_steps)
        attackers = {row["n"] for row in view.forest(None).named([one.id for one in tainted])}
        yield from self._undone(context, sent_steps, attackers)
        yield from self._over(tainted, self._told_until(view, now))

    def _journalled(self) -> bool:
        return bool(read(journal_path(self._path), plan=self._digest))

    def _sent_steps(self) -> _SentSteps:
        lines = read(journal_path(self._path), plan=self._digest)
        if not lines:
            at = {step.n: self._contained_at for step in self._plan.steps}
            return _SentSteps(at, at, step_changes(self._plan, History()), frozenset())
        journal = history(lines)
        runs = frozenset(str(one["run"]) for one in lines if "run" in one)
        sent_steps = {n: record.bites_at for n, record in journal.steps.items()}
        sent = {n: record.sent_at for n, record in journal.steps.items()}
        return _SentSteps(sent_steps, sent, step_changes(self._plan, journal), runs)

    @property
    def _narrowing(self) -> Narrowing:
        given = self._plan.narrowing
        return Narrowing(
            given.get("since"), networks(given.get("source_ips", ())), networks(given.get("trusted_ips", ()))
        )

    def _found(self, view: View) -> Trace | None:
        """The family of the plan's credentials; `None` if the evidence has none of them."""
        known = []
        for subject in dict.fromkeys((*self._plan.subjects, *self._plan.tainted)):
            try:
                view.forest(None).resolve(subject)
            except SubjectNotFound:
                continue
            known.append(subject)
        return family(view.forest(None), known, narrowing=self._narrowing, gaps=()) if known else None

    def _endings(self, one: TracedCredential, sent_steps: _SentSteps) -> list[Ended]:
        """
        What should have ended a credential; none if the steps that end it were not carried out.

        Tainted ones that no step ends were over before the first step; others, which the plan does not know of, should
        end with the last step.
        """
        ending = [step for step in self._plan.steps if one.id in step.ends]
        if ending:
            long_term = one.kind == "long_term_key"
            return [
                Ended(
                    effective_at=sent_steps.steps[step.n],
                    unusable=one.id in step.keys_off or ends_key(step.action, long_term=long_term),
                )
                for step in ending if step.n in sent_steps.steps
            ]  # fmt: skip
        at = min(sent_steps.steps.values()) if one.id in self._plan.tainted else self._last(sent_steps)
        return [Ended(effective_at=at)] if at is not None else []

    def _last(self, sent_steps: _SentSteps) -> datetime | None:
        return sent_steps.steps.get(max(one.n for one in self._plan.steps))

    def _successes(
        self,
        view: View,
        context: DetectionContext,
        tainted: Sequence[TracedCredential],
        sent_steps: _SentSteps,
    ) -> Iterator[Finding]:
        known = {one.id: one for one in tainted}
        places = {row["n"]: known[row["id"]] for row in view.forest(None).named([*known])}
        endings = {n: found for n, one in places.items() if (found := self._endings(one, sent_steps))}
        calls = _calls_after(context, endings)
        survivors = {one.credential for one in self._plan.proof.survivors}
        for n, made in sorted(calls.items()):
            one, ended_at = places[n], instant(min(each.effective_at for each in endings[n]))
            ended = f"after the plan had ended it at {ended_at}"
            if one.id in survivors:
                ended = f"after the plan, which does not end it, was carried out at {ended_at}"
            yield self._success(one, made, ended)

    def _success(self, one: TracedCredential, made: Sequence[Row], ended: str) -> Finding:
        row = made[0]
        return self._finding(
            "success", (one.id,), "critical", row["time"],
            title="A tainted credential still works after containment",
            why=f"{one.id} called {row['source']}:{row['name']} with success at {_at(row['time'])} from "
            f"{row['ip'] or 'an unknown address'}, {ended}; {counted(len(made), 'such call')} so far.",
            credential=one,
            events=[_event(each) for each in made],
        )  # fmt: skip

    def _children(self, tainted: Sequence[TracedCredential]) -> Iterator[Finding]:
        for one in tainted:
            if one.id in self._plan.tainted:
                continue
            when = one.issued_at or one.first_used or self._plan.as_of
            by = (
                f"{one.issued_by.api} from {one.issued_by.source_ip}"
                if one.issued_by
                else "a call not in evidence"
            )
            yield self._finding(
                "new-child", (one.id,), "critical", int(when.timestamp()),
                title="A tainted credential has a child that the plan does not know of",
                why=f"{one.id} ({one.principal or one.kind}) descends from {one.parent or 'the subject'}: minted at "
                f"{instant(when)} by {by}; the plan of {instant(self._plan.as_of)} does not end it.",
                credential=one,
                events=[one.issued_by.event_id] if one.issued_by else [],
            )  # fmt: skip

    def _reopened(
        self, view: View, context: DetectionContext, found: Trace, sent_steps: _SentSteps
    ) -> Iterator[Finding]:
        """Find credentials that `_sources` hand out: those that should be over and still work, and new ones."""
        last = self._last(sent_steps)
        handing = _sources(view, self._plan, self._narrowing, found) if last else []
        ids = {
            row["n"]: row["id"]
            for row in view.forest(None).named([one for each in handing for one in each.handed])
        }
        if last is None or not ids:
            return
        endings = {n: (Ended(effective_at=last),) for n in ids}
        calls = {ids[n]: made for n, made in _calls_after(context, endings).items()}
        ended = f"after the last step of the plan, which does not know of it, took effect at {instant(last)}"
        for source in handing:
            for one in source.before(last):
                if one.id in calls:
                    yield self._success(one, calls[one.id], ended)
            for one in source.since(last)[:1]:
                began = one.issued_at or one.first_used or last
                yield self._finding(
                    "source-open", (source.name,), "high", int(began.timestamp()),
                    title="What handed out the attacker's credentials hands out others",
                    why=f"{source.name} was given {one.id} at {instant(began)}, {ended}: what gives it credentials is "
                    "not shut, or it was opened again. If you did that, and nothing of the attacker's is left on it, "
                    "this is its own. It is told once.",
                    credential=one, events=[one.issued_by.event_id] if one.issued_by else [],
                )  # fmt: skip
            for address, (one, row) in source.used_at(_seen_at(self._plan, found), last, calls).items():
                yield self._finding(
                    "source-open", (source.name, address), "critical", row["time"],
                    title="Handed out after containment, and used where the attacker was",
                    why=f"{one.id}, which {source.name} was given or minted, called {row['source']}:{row['name']} with "
                    f"success at {_at(row['time'])} from {address}, where credentials of the plan were used, {ended}. "
                    f"If {address} is its own, and you opened it again, this is the owner. It is told once for each "
                    "address.",
                    credential=one, events=[_event(row)],
                )  # fmt: skip

    def _undone(
        self, context: DetectionContext, sent_steps: _SentSteps, attackers: Set[int]
    ) -> Iterator[Finding]:
        """
        Find calls that take back a step; those of our own `undo` are of severity `info`.

        Its run id in the user agent is no proof of that, since whoever reads the log can copy it: of an attacker's
        credential it does not count.
        """
        first = min(sent_steps.sent.values())
        changes = [one for one in sent_steps.changes if one.step in sent_steps.sent]
        context.prepare((ATTRIBUTED_CHANGES,))
        for row in list(context.rows(_CHANGES, (int(first.timestamp()),))):
            logged = change({**row, "account": row["in_account"], "caller_user": None}, _event(row))
            undone = undone_by([one for one in changes if _after(row, sent_steps, one)], logged)
            own = row["n"] not in attackers and any(
                f"run/{run}" in (row["agent"] or "") for run in sent_steps.runs
            )
            if undone is None or (own and row["name"] in {undone.operation, *REWRITES}):
                continue
            who = row["by_arn"] or row["by_service"] or "somebody"
            yield self._finding(
                "step-undone", (_event(row),), "info" if own else "critical", row["time"],
                title="A step of containment was taken back",
                why=f"{who} called {row['name']} on {undone.what} at {_at(row['time'])} from "
                f"{row['ip'] or 'an unknown address'}: that takes back step {undone.step} of the plan"
                + (", in a run of `tokentrail undo`." if own else "."),
                credential=None, principals=(who,), accounts=(row["in_account"],) if row["in_account"] else (),
                events=[_event(row)],
            )  # fmt: skip

    def _told_until(self, view: View, now: datetime) -> datetime | None:
        """
        Until when the logs of the plan's accounts tell, but no later than now.

        A watch that is behind, or whose source is out of reach, knows nothing of what was minted since.
        """
        until, _ = reaches(self._plan, view.covered())
        return until and min(until, now)

    def _over(self, tainted: Sequence[TracedCredential], told_until: datetime | None) -> Iterator[Finding]:
        """Say when nothing is left that a step holds down, and the evidence has had time to tell otherwise."""
        ends = [one.expires_at or one.expires_bound for one in tainted if one.kind != "long_term_key"]
        if not ends or None in ends:
            return
        last = max(one for one in ends if one is not None)
        if told_until is None or told_until < last + timedelta(seconds=self._plan.lag):
            return
        safe = [one for one in self._plan.steps if one.safe_to_undo_after is not None]
        if any(one.safe_to_undo_after > told_until for one in safe if one.safe_to_undo_after is not None):
            return
        never = [str(one.n) for one in self._plan.steps if one.safe_to_undo_after is None and one.reversible]
        undo = ", ".join(str(one.n) for one in safe) or "none"
        kept = f" Step {', '.join(never)} holds down what never expires: leave it." if never else ""
        yield self._finding(
            "over", ("over",), "info", int(last.timestamp()),
            title="The last tainted credential has expired: the plan may be undone",
            why=f"The last of {len(tainted)} tainted credentials expired at {instant(last)}, and the log has had time "
            f"to tell. Steps that may be taken back: {undo}.{kept}",
            credential=None, events=[], advice=f"tokentrail undo {self._path.name}",
        )  # fmt: skip

    def _finding(
        self, rule: str, about: Sequence[str], severity: Severity, time: int, *, title: str, why: str,
        credential: TracedCredential | None, events: Sequence[str], principals: Sequence[str] = (),
        accounts: Sequence[str] = (), advice: str | None = None,
    ) -> Finding:  # fmt: skip
        return Finding(
            id=identity(PREFIX + rule, (self._digest, *about)),
            rule=PREFIX + rule,
            title=title,
            severity=severity,
            time=moment(time) or datetime.fromtimestamp(0, UTC),
            subject=credential.id if credential else None,
            credentials=(credential.id,) if credential else (),
            principals=tuple(principals)
            or ((credential.principal,) if credential and credential.principal else ()),
            accounts=tuple(accounts) or ((credential.account,) if credential and credential.account else ()),
            events=tuple(events[:_LISTED]),
            count=len(events),
            why=why,
            false_alarm="The plan's collateral is not tainted and raises nothing; a step that was carried out by hand, "
            "and later than --contained-at says, does.",
            attack=(),
            next=advice or planning_command(self._plan),
            thresholds=(),
        )


def _after(row: Row, sent_steps: _SentSteps, change: StepChange) -> bool:
    return bool(row["time"] > int(sent_steps.sent[change.step].timestamp()))


def _event(row: Row) -> str:
    return event_id(row["event_id"], row["event_id_text"]) or ""


def _at(seconds: int) -> str:
    when = moment(seconds)
    return instant(when) if when else "an unknown time"


def _calls_after(context: DetectionContext, endings: Mapping[int, Sequence[Ended]]) -> dict[int, list[Row]]:
    """
    The calls that show that credentials still worked after they should have ended.

    Args:
        context: The evidence.
        endings: By place in the forest: what should have ended the credential, at least one for each.

    Returns:
        The calls by place, oldest first.
    """
    since = [int(min(one.effective_at for one in some).timestamp()) for some in endings.values()]
    context.add_table(
        "guarded", {"n": pa.array([*endings], pa.int64()), "since": pa.array(since, pa.int64())}
    )
    context.prepare((CREDENTIAL_EVENTS,))
    calls: dict[int, list[Row]] = {}
    for row in context.rows(_CALLS):
        time = datetime.fromtimestamp(row["time"], UTC)
        if outlives(endings[row["n"]], time, called(row["source"], row["name"])):
            calls.setdefault(row["n"], []).append(row)
    return calls


@dataclass(frozen=True, slots=True)
class _Source:
    """A host, portal or sign-in that hands out credentials, and those from it that the plan does not know of."""

    name: str
    """The principal of the first credential that it handed out, or that one's id."""
    handed: dict[str, TracedCredential] = field(default_factory=dict)
    """By id: what it handed out, and all that was minted with it; the oldest first."""

    def before(self, moment: datetime) -> list[TracedCredential]:
        """Those that began before a moment or at an unknown time: the plan's steps should have ended them."""
        return [one for one in self.handed.values() if (began := _began(one)) is None or began < moment]

    def since(self, moment: datetime) -> list[TracedCredential]:
        """Those that began at a moment or later."""
        return [one for one in self.handed.values() if (began := _began(one)) and began >= moment]

    def used_at(
        self, addresses: Set[str], moment: datetime, calls: Mapping[str, Sequence[Row]]
    ) -> dict[str, tuple[TracedCredential, Row]]:
        """
        The first call from each of some addresses, with the credential that made it, of those since a moment.

        Args:
            addresses: The addresses.
            moment: The moment.
            calls: The calls of credentials, by id.
        """
        made = [(row, one) for one in self.since(moment) for row in calls.get(one.id, ())]
        found = dict[str, tuple[TracedCredential, Row]]()
        for row, one in sorted(made, key=lambda each: each[0]["time"]):
            if row["ip"] in addresses:
                found.setdefault(row["ip"], (one, row))
        return found


def _sources(view: View, plan: Plan, narrowing: Narrowing, found: Trace) -> list[_Source]:
    """
    The hosts, portals and sign-ins of the attacker's that have handed out credentials that a plan does not know of.

    These descend from no subject of the plan. A host that is still open gives the thief its next session; one that was
    cleaned and opened again gives it to the owner, and the log looks the same. So each source is reported once, and
    once more for each address from which credentials of the plan were used, however many credentials it hands out.

    Args:
        view: The evidence.
        plan: The plan.
        narrowing: Which calls of its subjects count as the attacker's.
        found: The family of all credentials that the plan knows of.
    """
    covered, since = view.covered(), plan.as_of.timestamp()
    subjects = subjects_by_now(view.forest(None), found, covered, plan.lag, narrowing, plan.tainted, since)
    known = {one.id for one in found.credentials if one.tainted} | {*plan.tainted}
    if known.issuperset(subjects):
        return []
    now = family(view.forest(None), subjects, narrowing=narrowing, gaps=()).credentials
    more = {one.id: one for one in now if one.tainted and one.id not in known}
    named = dict[str, _Source]()
    for one in more.values():
        first = _topmost(one, more)
        name = first.principal or first.id
        named.setdefault(name, _Source(name)).handed[one.id] = one
    return [*named.values()]


def _seen_at(plan: Plan, found: Trace) -> frozenset[str]:
    """The addresses from which the tainted credentials of a plan were used."""
    return frozenset(used_from(one for one in found.credentials if one.id in plan.tainted))


def _topmost(one: TracedCredential, more: Mapping[str, TracedCredential]) -> TracedCredential:
    """The topmost ancestor of a credential among some; forged evidence may make a ring of parents."""
    passed = {one.id}
    while one.parent and one.parent in more and one.parent not in passed:
        one = more[one.parent]
        passed.add(one.id)
    return one


def _began(one: TracedCredential) -> datetime | None:
    return one.issued_at or one.first_used
