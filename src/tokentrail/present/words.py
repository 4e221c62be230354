"""
The words for what results hold: kinds, states, links, principals, numbers.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tokentrail import formatting
from tokentrail.formatting import counted, duration, joined, listed, verb, without_ids
from tokentrail.lineage.model import KINDS, Credential, Gap, HandedOut, NamedPerson, State, Trace, why_each
from tokentrail.present.document import timestamp

if TYPE_CHECKING:
    from tokentrail.containment.model import Action, Plan, Scope, Step
    from tokentrail.results import AttackerActivity

STYLES: dict[State, str] = {"active": "bold red", "unknown": "yellow", "ended": "green", "expired": "dim"}
SIGNS: dict[State, str] = {"active": "●", "unknown": "?", "ended": "✕", "expired": "○"}
STATES: dict[State, str] = {
    "active": "still works", "unknown": "may still work", "ended": "ended", "expired": "expired",
}  # fmt: skip
"""States as a page says them, each with a sign before it."""
ALIVE = ("active", "unknown")
"""States in which a credential works, or may."""
_OF_ACCOUNT = re.compile(r"(\d{12}): (.+)")
_ALIKE = 3
_PERMISSION_SET = re.compile(
    r"(?:aws-reserved/sso\.amazonaws\.com/(?:[^/]+/)?)?AWSReservedSSO_(.+)_[0-9a-f]{16}"
)
"""How IAM Identity Center names a role (User Guide, 'Referencing permission sets in resource policies')."""
TAINTED = "! tainted"
"""The sign and the word for what counts as the attacker's."""


ACTIONS: dict[Action, str] = {
    "deactivate-key": "Deactivate the key", "deactivate-api-key": "Deactivate the API key",
    "delete-key": "Delete the key", "deny-user": "Deny everything to the user",
    "revoke-user-sessions": "Revoke the tokens of the user", "revoke-role-sessions": "Revoke the sessions of the role",
    "deny-sessions": "Deny these sessions and no others", "deny-role": "Deny everything to the role",
    "freeze-role": "Freeze the role, so that its sessions mint nothing", "delete-user": "Delete the user",
    "remove-login-profile": "Remove the password", "revert-trust": "Take back the change of trust",
    "delete-created-key": "Delete the key that the attacker made",
    "delete-created-user": "Delete the user that the attacker made", "isolate-instance": "Stop the host",
    "scp-deny": "Deny by a service control policy", "revoke-sign-in-sessions": "Revoke sign-in sessions",
    "disable-identity-center-user": "Disable the Identity Center user", "edit-trust": "Edit the trust policy",
    "attach-quarantine": "Attach AWS's quarantine policy",
}  # fmt: skip

NOTHING_TO_DO = "Nothing to do: no tainted credential is alive, and none can be minted."
NO_STEP = "No step is known that ends it: what survives stands below, and why under what is not covered."
NOTHING_WORKS = (
    "After the last step no credential of the attacker's works, nor any minted meanwhile, provided that"
)
NOTHING_ELSE = "Apart from these, nothing works after the last step, provided that"
"""Introduces what is assumed besides by a plan that is not complete."""


def kind(one: Credential) -> str:
    """Name a credential's kind for a reader."""
    return KINDS.get(one.kind, one.kind)


def kinds(count: int, one: Credential) -> str:
    """Count credentials of a kind: `1 role session`, `7,987 role sessions (SAML)`."""
    name = kind(one)
    if name.startswith("service's "):
        return counted(count, name, name.replace("'s", "s'") + "s")
    noun, *more = re.split(r"(?= \(| of )", name, maxsplit=1)
    return counted(count, name, "".join([noun, "s", *more]))


def hand(one: Credential) -> str:
    """The word between a credential and its parent: what the parent made or started was handed it by a service."""
    made = one.parent_link == "created" and not (one.issued_by and one.issued_by.api.startswith("Create"))
    return "through" if made else "by"


def narrowed(since: datetime | None, source_ips: Sequence[str], trusted_ips: Sequence[str]) -> str | None:
    """Say what narrowed what counts as the attacker's."""
    only = [
        f"at or after {timestamp(since)}" if since else "",
        f"from {listed(source_ips, 6)}" if source_ips else "",
    ]
    clauses = [
        f"only credentials minted from the subject {', '.join(filter(None, only))} count as the attacker's"
        if any(only)
        else "",
        f"credentials minted from {listed(trusted_ips, 6)} do not count as the attacker's"
        if trusted_ips
        else "",
    ]
    if not any(clauses):
        return None
    told = " and ".join(filter(None, clauses))
    return f"{told[:1].upper()}{told[1:]}; their descendants go with them."


def principal(arn: str | None) -> str:
    """Shorten an ARN to the name: `user/support`, `MyBucketRole/support`, `root`."""
    if arn is None:
        return "-"
    return formatting.short(arn).removeprefix("assumed-role/")


def part(arn: str | None) -> str:
    """Name a role or user where there is little room: of a role of the access portal, its permission set."""
    named = principal(arn).removeprefix("user/").removeprefix("role/")
    found = _PERMISSION_SET.fullmatch(named)
    return found[1] if found else named


def person(one: Credential) -> str | None:
    """Whoever came through the access portal, which names the session after them."""
    return one.session_name if one.kind == "identity_center" else None


def who(one: Credential, *, account: bool = True) -> str:
    """Name whom a credential speaks for, with the account if asked, and the person behind it if known."""
    named = principal(one.principal or one.principal_id)
    where = f" in {one.account}" if one.account and account else ""
    behind = f", {one.identity}" if one.identity and one.identity not in named else ""
    return f"{named}{where}{behind}"


def state(one: Credential, *, event: bool = True) -> str:
    """Say in a sentence what state a credential is in, and why; by which event, if asked."""
    if one.state == "expired":
        return one.state_reason
    return f"{one.state}{' since' if one.state == 'ended' and one.ended_at else ':'} {why(one, event=event)}"


def why(one: Credential, *, event: bool = True) -> str:
    """Say why a credential is in its state; for one that was ended, when, and by which event if asked."""
    if one.state != "ended" or one.ended_at is None:
        return one.state_reason
    by = f" (event {one.ended_by})" if one.ended_by and event else ""
    return f"{timestamp(one.ended_at)}: {one.state_reason}{by}"


def span(first: datetime, last: datetime) -> str:
    """Spell a span of time, the day only once."""
    begin, end = timestamp(first), timestamp(last)
    if begin == end:
        return begin
    return f"{begin} to {end[11:] if begin[:10] == end[:10] else end}"


def until(one: Credential) -> str:
    """Say when a credential ends or ended, `<=` before a bound."""
    if one.state == "ended" and one.ended_at:
        return f"  {timestamp(one.ended_at)}"
    if one.expires_at:
        return f"  {timestamp(one.expires_at)}"
    return f"<={timestamp(one.expires_bound)}" if one.expires_bound else "  -"


def still_work(credentials: Iterable[Credential | HandedOut]) -> str:
    """Count those that work, and those that may: `3 still work and 1 may`."""
    states = [one.state for one in credentials]
    sure, unsure = states.count("active"), states.count("unknown")
    text = f"{sure:,} still {verb(sure, 'works', 'work')}" if sure else "none is known to work"
    if unsure:
        return f"{text}, {unsure:,} may"
    return text if sure else "none still works"


def verdict(tainted: Sequence[Credential]) -> str:
    """Say in one sentence how many of the attacker's credentials work."""
    sure = sum(one.state == "active" for one in tainted)
    maybe = sum(one.state == "unknown" for one in tainted)
    count = len(tainted)
    if not sure and not maybe:
        return (
            "Nothing of the attacker's works any more" if count else "Nothing here counts as the attacker's"
        )
    if count == 1:
        return "The attacker's credential still works" if sure else "The attacker's credential may still work"
    text = f"{sure:,} of the attacker's {count:,} credentials still {verb(sure, 'works', 'work')}"
    if not sure:
        return f"{maybe:,} of the attacker's {count:,} credentials may still work"
    return f"{text}, and {maybe:,} may" if maybe else text


def handed(trace: Trace) -> list[str]:
    """Say what sources behind a trace handed out since, and whether it is traced with it."""
    if not trace.handed:
        return []
    here = {one.id for one in trace.credentials}
    listed_here = all(one.credential in here for one in trace.handed)
    count = len(trace.handed)
    of = f"{counted(count, 'credential')} more {verb(count, 'counts', 'count')} as the attacker's"
    told = why_each(((one.credential, one.why) for one in trace.handed), 3)
    end = "" if listed_here else " A plan ends those that work; here they are named, and not traced."
    return [f"{of}, {still_work(trace.handed)}: {told}.{end}"]


def named_persons(trace: Trace) -> list[str]:
    """Say by which calls each person of the subject is tied to the sessions, and who vouches for the name."""
    by_person: dict[str, list[NamedPerson]] = {}
    for one in trace.persons:
        by_person.setdefault(one.person, []).append(one)
    sentences = []
    for name, found in by_person.items():
        issuers = sorted({one.issuer for one in found if one.issuer})
        vouched = f", vouched for by {listed(issuers, 3)}" if issuers else ""
        each = dict.fromkeys(f"{one.credential} (event {one.event_id})" for one in found)
        doubt = " These may be different people of one name." if len(issuers) > 1 else ""
        sentences.append(f"{name} is named by onBehalfOf{vouched} in calls of {listed([*each], 3)}.{doubt}")
    return sentences


def where(step: Step) -> str:
    """Say in which account a step acts."""
    if step.account is None:
        return "several accounts"
    return f"account {step.account}" if step.account else "in an account that is not known"


def action(step: Step) -> str:
    """What a step does, in words, and on what."""
    named = dict.fromkeys(
        f"permission set {part(one)}" if "/AWSReservedSSO_" in one else principal(one) for one in step.targets
    )
    accounts = {one.split(":")[4] for one in step.targets if one.count(":") > 4}
    where = f" in {len(accounts):,} accounts" if len(named) < len(step.targets) and len(accounts) > 1 else ""
    return f"{ACTIONS.get(step.action, step.action)}: {listed(named, 3)}{where}"


def undo(step: Step) -> str:
    """Say with which calls a step is undone, and from when that is safe."""
    if not step.reversible:
        return "can't be undone by a call" if step.calls else "by hand"
    names = ", ".join(dict.fromkeys(call.operation for call in step.undo))
    if step.safe_to_undo_after is None:
        stolen = "a stolen key" if step.keys_off else "what the attacker has"
        return f"{names}, which would reactivate {stolen}: don't"
    return f"{names}; safe after {timestamp(step.safe_to_undo_after)}"


SCOPES: dict[Scope, str] = {
    "observed-edges": "Proof, from logged activity", "trust-policies": "Proof, from trust policies and permissions",
}  # fmt: skip
"""The heading of a proof, by what it rests on."""
NOT_COVERED = "Not covered by this plan"
PRECAUTION = "precaution against sessions not yet logged"
STOPS_NEW = "no session at once; it prevents new ones"


def dwell(used: AttackerActivity) -> str:
    """Say from when to when the attacker was about, and with which call that began."""
    if used.first is None or used.last is None:
        return "no call"
    return f"{span(used.first, used.last)} ({lasted(used)}), {counted(used.calls, 'call')}, the first {used.first_call}"


def lasted(used: AttackerActivity) -> str:
    """Spell the dwell time."""
    return duration(used.last - used.first if used.first and used.last else timedelta())


def whence(used: AttackerActivity, most: int = 3) -> str:
    """Say from which addresses and with which tools the attacker's calls came."""
    addresses = (
        listed([f"{one.name} ({one.calls:,})" for one in used.addresses], most) or "no address in the log"
    )
    named = listed(tools(used), most)
    return addresses + (f"; with {named}" if named else "")


def tools(used: AttackerActivity) -> list[str]:
    """Name the tools of the attacker's calls, without the services that call for them."""
    services = {one.name for one in used.addresses}
    return list(dict.fromkeys(tool(one.name) for one in used.tools if one.name not in services))


def shared(used: AttackerActivity) -> str:
    """Say that a subject was used from several addresses, and since when from each."""
    since = [f"{one.name} since {timestamp(one.first)}" for one in used.shared_from]
    return f"Used from several addresses: {listed(since, 3)}."


_OF_ONE_RUN = re.compile(r"_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_TOKEN = re.compile(r"[^\s/\[\]]+(?:/[^\s\]]+)?")
_LONGEST_TOOL = 40
_WRAPPERS = ("APN/", "HashiCorp/", "Mozilla/", "exec-env/")


def tool(agent: str) -> str:
    """Name a tool by its user agent's first telling part: `Terraform/1.1.2`, `aws-cli/2.31.4`."""
    parts = _TOKEN.findall(agent)
    telling = next((one for one in parts if not one.startswith(_WRAPPERS)), agent)
    if agent.startswith("Mozilla/"):
        telling = "a browser"
    telling = _OF_ONE_RUN.sub("", telling)
    return telling if len(telling) <= _LONGEST_TOOL else f"{telling[: _LONGEST_TOOL - 1]}…"


Ending = Literal["good", "doubt", "bad"]
ENDINGS: dict[Ending, str] = {"good": "bold green", "doubt": "bold yellow", "bad": "bold red"}
"""How the verdict on a plan is coloured."""


def plan_verdict(plan: Plan) -> tuple[str, Ending]:
    """Say whether a plan ends all: not at all, only if others' credentials were not stolen as well, or surely."""
    if not plan.proof.complete:
        return "NOT COMPLETE", "bad"
    if not (others := plan.proof.may_be_stolen):
        return "COMPLETE", "good"
    return (
        f"Complete only if {these(others)} {verb(len(others), 'was', 'were')} not stolen",
        "doubt",
    )


def these(credentials: Sequence[str]) -> str:
    """Count credentials that are named close by: `these 5 keys`."""
    keys = all(one.startswith(("AKIA", "ASIA")) and "@" not in one for one in credentials)
    count = len(credentials)
    noun = "key" if keys else "credential"
    return f"this {noun}" if count == 1 else f"these {counted(count, noun)}"


def service(event_source: str | None) -> str:
    """Shorten an event source: `s3`."""
    return (event_source or "?").removesuffix(".amazonaws.com")


def call(event_source: str | None, event_name: str | None) -> str:
    """Name a call: `s3:GetObject`."""
    return f"{service(event_source)}:{event_name or '?'}"


def some_of_each(sentences: Iterable[str]) -> list[str]:
    """Sentences, of those that differ in ids and times alone the first few, and how many more say so."""
    found: dict[str, list[str]] = {}
    for one in sentences:
        found.setdefault(without_ids(one), []).append(one)
    told: list[str] = []
    for same in found.values():
        few = len(same) if len(same) <= _ALIKE + 1 else _ALIKE
        told += same[:few]
        if len(same) > few:
            told.append(
                f"and {len(same) - few:,} more that say the same of others: -o and --format json list all"
            )
    return told


def alike(sentences: Iterable[str]) -> list[str]:
    """Sentences of which many say the same of one account each: of more than three such, one that names three."""
    told: dict[str, list[str]] = {}
    for one in sentences:
        found = _OF_ACCOUNT.fullmatch(one)
        told.setdefault(found[2] if found else one, []).append(found[1] if found else "")
    each = []
    for said, accounts in told.items():
        if len(accounts) > _ALIKE:
            each.append(f"{len(accounts):,} accounts ({listed(accounts, _ALIKE)}): {said}")
        else:
            each += [f"{account}: {said}" if account else said for account in accounts]
    return each


def gaps(found: Sequence[Gap], most: int) -> list[str]:
    """Say what evidence is missing, where and when; of more than `most`, a region's silent hours are one sentence."""
    silent: dict[tuple[str | None, str | None], list[Gap]] = {}
    for one in found if len(found) > most else ():
        if one.kind == "silent_hours":
            silent.setdefault((one.account, one.region), []).append(one)
    told = []
    for one in found:
        alike = silent.get((one.account, one.region), []) if one.kind == "silent_hours" else []
        if len(alike) < 2:
            told.append(_gap(one, one.why))
        elif one is alike[0]:  # the longest, as they come
            told.append(_gap(one, f"{one.why}, the longest of {len(alike):,} such stretches"))
    return told


def _gap(one: Gap, why: str) -> str:
    where = "/".join(part for part in (one.account, one.region) if part)
    span = " to ".join(timestamp(moment) for moment in (one.start, one.end) if moment)
    return ", ".join(part for part in (where, span) if part) + (": " if where or span else "") + why


def pasted(command: str, case: Path | str | None) -> str:
    """A command as it can be pasted: with the case, where it must be named."""
    return command if case is None else f"{command} --case {shlex.quote(str(case))}"


def not_spared(plan: Plan) -> list[str]:
    """What a plan can't spare though asked to, each reason once."""
    found: dict[str, list[str]] = {}
    for one in plan.not_spared:
        found.setdefault(one.why, []).append(one.credential)
    return [f"can't spare {joined(names)}: {why}" for why, names in found.items()]
