"""
Judge whether the steps of a plan have held, by the steps, credentials and events. Pure.

A credential is refuted to have ended if it made a successful call, or minted a session, after its step took effect
("bit"). It is proven to have ended by a refusal by a policy of the type that the step wrote. Silence proves nothing,
since an attacker may wait. Which success shows that a credential still works: `policy.history.survival`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tokentrail.containment.execution.outcome import CredentialVerdict, StepVerdict, Verdict
from tokentrail.containment.model import Action
from tokentrail.formatting import instant
from tokentrail.policy.history.survival import Ended, outlives

KEY_ACTIONS: frozenset[Action] = frozenset(
    {"deactivate-key", "deactivate-api-key", "delete-key", "delete-created-key"}
)
"""Actions after which the key can't sign requests, so that the log never shows a deny."""
USER_ACTIONS: frozenset[Action] = frozenset({"delete-user", "delete-created-user"})
"""Actions that delete a user with its keys (IAM User Guide, 'Remove or deactivate an IAM user')."""

Denier = Literal["identity-based policy", "service control policy"]
"""A type of policy that a step may write, in the words of AWS's error messages."""
_WRITES: Mapping[Action, Denier] = {
    "revoke-user-sessions": "identity-based policy", "deny-user": "identity-based policy",
    "revoke-role-sessions": "identity-based policy", "deny-sessions": "identity-based policy",
    "deny-role": "identity-based policy", "freeze-role": "identity-based policy",
    "attach-quarantine": "identity-based policy", "scp-deny": "service control policy",
}  # fmt: skip
"""The type of policy by which each action denies; a refusal by another type proves nothing about the step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEffect:
    """A step of the plan, and when it took effect ("bit"), if it did."""

    n: int
    action: Action
    ends: frozenset[str]
    at: datetime | None
    """When it took effect at the latest; `None` if it is not done."""
    reads_back: bool | None
    """Whether its changes are still there; `None` if they could not be read."""
    changed: str | None = None
    """A thing that is no longer as the step left it."""
    shown: str | None = None
    """How the log proves that a person did it and that it still holds; `None` if it does not."""
    keys_off: frozenset[str] = frozenset()
    """The long-term keys that it makes inactive or deletes, whatever its action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackerCredential:
    """A credential of the attacker's, as the evidence shows it now."""

    id: str
    planned: bool
    """Whether the plan knew of it."""
    issued_at: datetime | None
    issued_in: str | None
    """The event that issued it."""
    expires: datetime | None
    """When it expires, at the latest; `None` for a long-term key."""
    parent: str | None
    issued_with: str | None = None
    """The call that issued it."""
    long_term: bool = False
    """Whether it is known to be a user's access key, which never expires."""
    survives: bool = False
    """Whether the plan itself says that no step ends it."""
    active: bool = False
    """Whether the evidence shows it to work, apart from the plan's steps."""
    forwarded: bool = False
    """Whether it is a session with which a service calls in its parent's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCall:
    """One call of a credential."""

    time: datetime
    event_id: str
    credential: str
    call: str
    """Such as `s3:GetObject`."""
    denied: bool
    failed: bool
    forwarded: bool = False
    """Whether a service made it in the credential's name."""
    denied_by: Denier | None = None
    """The type of policy whose explicit deny the error message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Everything that the verdicts rest on."""

    effects: Sequence[StepEffect]
    credentials: Sequence[AttackerCredential]
    events: Sequence[ObservedCall]
    newest: datetime | None
    """The time of the newest evidence; `None` if there is none."""
    lag: timedelta
    now: datetime
    whole: bool = True
    """Whether there is evidence of each account of the plan."""


def judge(
    observations: Observations,
) -> tuple[tuple[StepVerdict, ...], tuple[CredentialVerdict, ...], Verdict]:
    """
    Judge each step, each credential, and the whole.

    The whole is proven only if the evidence reaches past the time when the last step took effect, by the log's lag:
    before, sessions that were minted until then may not be in the log yet.
    """
    credentials = tuple(_Credentials(observations).verdicts())
    steps = tuple(_step(effect, credentials) for effect in observations.effects)
    verdicts = {*(one.verdict for one in steps), *(one.verdict for one in credentials)}
    if not observations.effects or not reaches_past_all_steps(observations):
        verdicts.add("not-yet-proven")
    return steps, credentials, _worst(verdicts)


def reaches_past_all_steps(observations: Observations) -> bool:
    """Whether the evidence reaches past the time when the last step took effect, by the lag of the log at least."""
    effects = [effect.at for effect in observations.effects if effect.at is not None]
    return (
        observations.whole
        and bool(effects)
        and observations.newest is not None
        and observations.newest >= max(effects) + observations.lag
    )


class _Credentials:
    def __init__(self, observations: Observations) -> None:
        self._observations = observations
        self._by_credential: dict[str, list[ObservedCall]] = {}
        for event in sorted(observations.events, key=lambda one: (one.time, one.event_id)):
            self._by_credential.setdefault(event.credential, []).append(event)
        self._children: dict[str, list[AttackerCredential]] = {}
        for one in observations.credentials:
            if one.parent:
                self._children.setdefault(one.parent, []).append(one)
        self._last = max(observations.effects, key=lambda effect: effect.n, default=None)

    def verdicts(self) -> Iterator[CredentialVerdict]:
        return (self._verdict(one) for one in self._observations.credentials)

    def _verdict(self, one: AttackerCredential) -> CredentialVerdict:
        effect = next((step for step in self._observations.effects if one.id in step.ends), None)
        step = effect or self._last
        if step is None or step.at is None:
            why = f"step {step.n} is not done" if step else "the plan has no step"
            if step and not effect:
                why = f"no step ends it by itself, and the last, step {step.n}, is not done"
            return self._verdict_of(one, effect, "not-yet-proven", why)
        return (
            self._refuted(one, effect, step.at)
            or self._proven(one, effect, step)
            or self._silent(one, effect, step.at)
        )

    def _refuted(
        self, one: AttackerCredential, effect: StepEffect | None, at: datetime
    ) -> CredentialVerdict | None:
        ended = [Ended(effective_at=at, unusable=_ends_key(one, effect))]
        for event in self._events(one):
            if outlives(ended, event.time, event.call, failed=event.failed, forwarded=event.forwarded):
                why = f"it succeeded with {event.call} at {instant(event.time)}, after {_its_step(effect)} took effect"
                return self._verdict_of(one, effect, "refuted", why, event.event_id)
        for child in self._children.get(one.id, ()):
            call = f"sts:{child.issued_with}"
            if child.issued_at and outlives(ended, child.issued_at, call, forwarded=child.forwarded):
                when = instant(child.issued_at)
                why = f"{child.id} was minted with it at {when}, after {_its_step(effect)} took effect"
                return self._verdict_of(one, effect, "refuted", why, child.issued_in)
        if effect is None and one.planned and one.active and not one.survives and not self._expired(one):
            why = "it had ended before the plan was made, and works again by what the evidence shows: plan again"
            return self._verdict_of(one, effect, "refuted", why)
        if effect is not None and effect.reads_back is False and not self._expired(one):
            return self._verdict_of(
                one, effect, "refuted", f"step {effect.n} no longer stands: {effect.changed}"
            )
        return None

    def _proven(
        self, one: AttackerCredential, effect: StepEffect | None, step: StepEffect
    ) -> CredentialVerdict | None:
        at = step.at
        assert at is not None
        if self._expired(one) and one.expires:
            return self._verdict_of(
                one, effect, "proven", f"it expired by itself at {instant(one.expires)} at the latest"
            )
        if one.survives:
            return None
        fitting = {
            _WRITES.get(one.action) for one in ((effect,) if effect else self._observations.effects)
        } - {None}
        earlier = {event.call for event in self._events(one) if event.denied and event.time < at}
        for event in self._after(one, at):
            if event.denied_by in fitting and event.call not in earlier:
                what = f"{event.call} was refused with an explicit deny in {_an(event.denied_by)}"
                why = f"{what} at {instant(event.time)}"
                return self._verdict_of(one, effect, "proven", why, event.event_id)
        if (
            effect is not None
            and self._read_back_proves(one, effect)
            and self._covered(at)
            and not self._after(one, at)
        ):
            gone = (
                "its user reads back as gone"
                if effect.action in USER_ACTIONS
                else "the key reads back as no longer active"
            )
            return self._verdict_of(
                one, effect, "proven", f"{gone}, and the evidence shows no use of it since"
            )
        if effect is None and one.planned:
            return self._verdict_of(
                one, effect, "proven", "it had ended before the plan was made, and nothing says otherwise"
            )
        return None

    def _read_back_proves(self, one: AttackerCredential, effect: StepEffect) -> bool:
        """Whether a step is still in place that leaves a key unable to sign, so that the log can show only silence."""
        return _ends_key(one, effect) and effect.reads_back is True

    def _silent(self, one: AttackerCredential, effect: StepEffect | None, at: datetime) -> CredentialVerdict:
        newest = self._observations.newest
        if one.survives:
            why = "the plan itself does not end it"
        elif newest is None:
            why = "there is no evidence to look at"
        elif newest < at:
            why = f"the evidence ends at {instant(newest)}, before {_its_step(effect)} took effect at {instant(at)}"
        elif heard := self._after(one, at):
            why = (
                f"what was heard of it last, {heard[-1].call} at {instant(heard[-1].time)}, "
                f"is no refusal that only {_its_step(effect)} explains"
            )
        else:
            why = f"nothing was heard of it after {instant(at)}: silence is no proof"
        return self._verdict_of(one, effect, "not-yet-proven", why)

    def _events(self, one: AttackerCredential) -> Sequence[ObservedCall]:
        return self._by_credential.get(one.id, ())

    def _after(self, one: AttackerCredential, at: datetime) -> list[ObservedCall]:
        return [event for event in self._events(one) if event.time >= at]

    def _expired(self, one: AttackerCredential) -> bool:
        return one.expires is not None and one.expires <= self._observations.now

    def _covered(self, at: datetime) -> bool:
        """Whether the evidence reaches past a time by the log's lag, so that it has all that happened until then."""
        return (
            self._observations.newest is not None and self._observations.newest >= at + self._observations.lag
        )

    def _verdict_of(
        self,
        one: AttackerCredential,
        effect: StepEffect | None,
        verdict: Verdict,
        why: str,
        event_id: str | None = None,
    ) -> CredentialVerdict:
        return CredentialVerdict(
            credential=one.id, step=effect.n if effect else None, verdict=verdict, event_id=event_id, why=why
        )


def _ends_key(one: AttackerCredential, effect: StepEffect | None) -> bool:
    """Whether a step leaves a key unable to sign, so that none of its calls can succeed."""
    return effect is not None and (
        ends_key(effect.action, long_term=one.long_term) or one.id in effect.keys_off
    )


def ends_key(action: Action, *, long_term: bool) -> bool:
    """Whether an action leaves a credential unable to sign; `long_term`: whether that is a user's access key."""
    return action in KEY_ACTIONS or (action in USER_ACTIONS and long_term)


def _step(effect: StepEffect, credentials: Sequence[CredentialVerdict]) -> StepVerdict:
    own = [one for one in credentials if one.step == effect.n]
    if effect.at is None:
        verdict, why = _worst({"not-yet-proven", *(one.verdict for one in own)}), "it is not done"
    elif effect.reads_back is False:
        verdict, why = "refuted", f"it no longer stands: {effect.changed}"
    else:
        verdict = _worst({one.verdict for one in own}) if own else _unattended(effect)
        why = _counted(own) if own else effect.shown or "it ends no credential that was seen"
        if effect.reads_back is None and not effect.shown:
            why += "; nobody could look whether it still stands"
    return StepVerdict(
        n=effect.n,
        action=effect.action,
        verdict=verdict,
        reads_back=effect.reads_back,
        bites_at=effect.at,
        why=why,
    )


def _unattended(effect: StepEffect) -> Verdict:
    """The verdict on a step that ends no known credential: proven if it is still in place, or the log proves it."""
    return "proven" if effect.reads_back or effect.shown else "not-yet-proven"


def _counted(own: Sequence[CredentialVerdict]) -> str:
    counts: Mapping[Verdict, int] = {
        verdict: sum(1 for one in own if one.verdict == verdict)
        for verdict in ("refuted", "proven", "not-yet-proven")
    }
    words = {"refuted": "refuted", "proven": "proven", "not-yet-proven": "not yet proven"}
    told = ", ".join(f"{count} {words[verdict]}" for verdict, count in counts.items() if count)
    return f"of the {len(own)} it ends: {told}"


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    found = set(verdicts)
    return "refuted" if "refuted" in found else "not-yet-proven" if "not-yet-proven" in found else "proven"


def _its_step(effect: StepEffect | None) -> str:
    return f"step {effect.n}" if effect else "the last step"


def _an(policy: str | None) -> str:
    return f"an {policy}" if policy == "identity-based policy" else f"a {policy}"
