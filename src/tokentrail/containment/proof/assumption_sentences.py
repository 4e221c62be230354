"""
The sentences of a proof's assumptions (`holds_if`) and of the risks that stay (`residual_risks`): one for each kind.

A plan holds sentences, since its file and its JSON do. They are made of `Assumption`s here and nowhere else.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from string import Formatter
from typing import Any

from tokentrail.aws.principals import short_apart
from tokentrail.containment.catalogue import OUTLIVES
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.persistence_kinds import ENTERED
from tokentrail.containment.proof.assumptions import GOT_IN
from tokentrail.formatting import counted, instant, listed, more, short

_MOST, _MANY, _MOST_CALLS = 6, 50, 12
"""How many of a kind have a sentence of their own, how many are named at all, and how many calls a sentence names."""
_MADE = (
    "whose {api} made or set the {what} {thing} that led to a subject and which may still work, is not the attacker's, "
    "else it does so again ({contain} ends it and all below it)"
)
_LET_IN = "the identity provider behind the federated sessions lets the attacker in no more"


def sentences(assumptions: Iterable[Assumption]) -> tuple[str, ...]:
    """Spell assumptions, in their order; of many that say the same of others, the first few and how many more."""
    return tuple(_each(assumptions))


def _each(assumptions: Iterable[Assumption]) -> Iterator[str]:
    for group, members in groupby(assumptions, key=lambda one: _GROUPS.get(one.kind, "")):
        alike = list(members)
        most = _MOST if group else len(alike)
        yield from map(sentence, alike[:most])
        if len(alike) > most:
            names = [one.subject for one in alike[most:_MANY]]
            rest = ", ".join(names) + (", …" if len(alike) > _MANY else "")
            yield _RESTS[group].format(count=len(alike) - most, rest=rest)


def sentence(one: Assumption) -> str:
    """Spell an assumption."""
    template = _SENTENCES[one.kind]
    if callable(template):
        return template(one)
    contain = f"`tokentrail contain {shlex.quote(one.remedy)}`" if one.remedy else ""
    return _SPELLING.format(template, subject=one.subject, contain=contain, **dict(one.facts))


class _Spelling(Formatter):
    """
    Format fields by what they are: times to the second, tuples as lists.

    A list's format is how many are named: `3`; or `;3` with semicolons between them. `one|many` chooses a word by how
    many there are. `calls` and `trace` say where those that are left out are listed; `short` and `shell` spell names.
    """

    def format_field(self, value: Any, format_spec: str) -> Any:
        """Spell a field."""
        if isinstance(value, datetime):
            return instant(value)
        if "|" in format_spec:
            count = len(value) if isinstance(value, tuple) else value
            return format_spec.split("|")[count != 1]
        if isinstance(value, tuple):
            return _listed(value, format_spec)
        if format_spec in _NAMES:
            return _NAMES[format_spec](value)
        return super().format_field(value, format_spec)


_SPELLING = _Spelling()
_NAMES: Mapping[str, Callable[[str], str]] = {"short": short, "shell": shlex.quote}
_ELSEWHERE = {
    "calls": ", and {:,} more that `tokentrail trace` lists under `apis`",
    "trace": ", and {:,} more that `tokentrail trace` lists",
}


def _listed(items: tuple[str, ...], form: str) -> str:
    if form in _ELSEWHERE:
        left = len(items) - _MOST_CALLS
        return ", ".join(items[:_MOST_CALLS]) + (_ELSEWHERE[form].format(left) if left > 0 else "")
    if form.startswith(";"):
        most = int(form[1:] or len(items))
        return "; ".join(items[:most]) + more(len(items) - most)
    return listed(items, int(form))


def _entered(one: Assumption) -> str:
    return (
        f"{one.subject} took no credentials of the role behind it where {ENTERED[one['how']]}, else they go on: stop "
        f"or replace it, and plan for its role too (`tokentrail contain ROLE-ARN`): {listed(one['calls'], 3)}"
    )


_ENTRY_POINTS = {
    "portal": ("through the access portal nobody took up, as {}", "GetRoleCredentials and Federate in the log of the "
               "directory's account name each"),
    "certificate": ("by the certificate {} nobody took up", "CreateSession in each account's log names each"),
    "saml": ("through the identity provider nobody took up, as {}", "AssumeRoleWithSAML in each account's log names "
             "each"),
}  # fmt: skip


def _entry_point(one: Assumption) -> str:
    said, where = _ENTRY_POINTS[one["way"]]
    seen = f" (it was seen to open {listed(one['opened'], 3)})" if one["opened"] else ""
    when = f" since {instant(one['since'])}" if one["since"] else ""
    names = said.format(listed(one["names"], _MOST))
    return f"{names}, unseen{when}, a role that no step cuts{seen}: {where}"


def _let_in(one: Assumption) -> str:
    others, roles = one["others"], listed(short_apart(one["roles"]))
    also = f" and the same of {counted(others, 'other account')}" if others else ""
    person = one.subject or "nobody knows whom"
    how = _SPELLING.format(_SHUT_OUT[one["how"]], person=one.subject)
    return f"{_LET_IN}: {one['provider']}{also}, as {person}, into {roles} ({how})"


_SHUT_OUT = {
    "service_account": "the service account's token opens the role until it expires, though the pod be gone, so take "
    "the account out of the role's trust policy for as long",
    "identity_pool": "delete the identity (`aws cognito-identity delete-identities --identity-ids-to-delete="
    "{person:shell}`); where the pool lets guests in, anybody is given another",
    "web_identity": "a token of sts:GetWebIdentityToken opens the role for an hour at most after its holder was ended: "
    "revoke the role's sessions again then, or take the provider out of the role's trust policy now",
    "provider": "shut that out there; a trust policy that leaves it out shuts one role of perhaps several",
}
"""By kind of identity provider: how a person is shut out of it."""


def _spared_seconds(one: Assumption) -> str:
    seconds = ", ".join(f"{moment:%H:%M:%S}" for moment in one["seconds"][:3])
    left = ", …" if len(one["seconds"]) > 3 else ""
    return f"nobody minted unseen under a spared session's name in the very second of its issue ({seconds}{left})"


_CONDITIONS: Mapping[str, str | Callable[[Assumption], str]] = {
    # Whose credentials are the attacker's.
    "minter": "{subject}, which a subject descends from and which may still work, is not the attacker's, else it mints "
    "again ({contain} ends it and all below it)",
    "maker": "{subject}, " + _MADE,
    "above_maker": "{subject}, from which {maker} descends, " + _MADE,
    "left_out": "what descends from a subject and --attacker-since, --source-ip or --trusted-ip leaves out is not the "
    "attacker's: no step ends {credentials:6}",
    "stranger": "whoever minted {subject} mints no more, as no step ends that: {why}",
    "doubt": "{subject} is the rightful owner's, though {why}: it was not used from where the attacker was seen, and "
    "no step ends it ({contain} does)",
    "possible": "{subject} is not the attacker's, though {why}, and no record tells which credential asked for it: no "
    "step ends it ({contain} does)",
    "api_key": "the calls of {keys:its|their} user that show no key id were made with {keys:6}, and with no API key "
    "from before the evidence: `aws iam list-service-specific-credentials` tells which exist",
    "neighbour": "{subject} was not stolen as well, though it was used from {address}, where nobody was before {by}: "
    "no step ends it ({contain} does)",
    "carried_off": "{subject} was not carried off from the function {function}, which held it when the attacker gave "
    "it other code: no step ends it ({contain} does)",
    "silent_sessions": "of {names:4}, sessions of Identity Center whose calls do not show whose they are belong to "
    "whom others of that name show",
    "propagated_person": "each session that an identity provider opens for {persons:4} acts for that person "
    "(`aws:OriginIdentity/Subject`), as those in the log do",
    # What the attacker was given, or gave away.
    "data_access": "no session works that Lake Formation gave the attacker and whose use is not in the evidence "
    "({names:6}): each lasts twelve hours at most. S3's data events show the name behind the role's id in "
    "`principalId`: plan for that role, too (`tokentrail contain ROLE-ARN`)",
    "token": "no role was assumed with the attacker's web identity tokens whose use is not in the evidence "
    "({names:6}): a token works for an hour at most, and the role's session longer. AssumeRoleWithWebIdentity in the "
    "log of an account in another partition of AWS shows the id as `webIdentityTokenId`: ingest that log, and plan "
    "anew",
    "delegation": "no partner acts any more by the delegations that the attacker approved ({names:6}): until twelve "
    "hours after the token was sent, each lets its partner act as {role}, with new credentials. Revoke them by hand in "
    "the IAM console",
    "role_credentials": "nothing works any more that the attacker was given by calls that hand out credentials of "
    "another role, as no log tells which those are: {calls:calls}. The service's own AssumeRole in that second names "
    "the role: plan for it too (`tokentrail contain ROLE-ARN`)",
    "task_credentials": "nothing works any more of what the attacker may have been sent as the agent of a container "
    "instance, the credentials of all tasks that ran there: {calls:calls}. Plan for the roles of these tasks too "
    "(`tokentrail contain ROLE-ARN`)",
    "person_token": "no token works any more that the attacker was given of people in IAM Identity Center: "
    "{calls:calls}. With it sessions are opened in every account of theirs; the portal's GetRoleCredentials that bear "
    "the `identitycenter:CredentialId` of the call as their `credentialId` name account and role: plan for these too",
    # Where the attacker got in.
    "entered": _entered,
    "certificate": "no trust anchor of IAM Roles Anywhere takes a certificate that {subject} had issued, else its "
    "holder is given a session at any time: put its serial number on the list of its authority (`aws acm-pca "
    "revoke-certificate`, then `aws rolesanywhere import-crl`), or disable the anchor: {calls:3}",
    "entry_point": _entry_point,
    "let_in": _let_in,
    "unseen_source": "nobody comes in unseen, as whichever role, before the step that closes it, through {sources:;3}",
    "unseen_shut_source": "nobody came in unseen, as whichever role, before it was shut, through {sources:;3}",
    "access_token": "nobody acts by an agent's access token in the hour after its session is revoked: what it is given "
    "is newer than any cutoff. A deny where `aws:SignInSessionArn` is {subject} ends that at once",
    "command_line_login": "the attacker did not sign the command line in with the password (`aws login`): list and "
    "revoke sign-ins",
    # What others did to keys, passwords and policies.
    "reactivated": "whoever made {subject} active again at {time} is not the attacker, by another credential "
    "({contain} ends that one)",
    "namesake": "nothing of the attacker's was left on the user {subject} (account {account}), who was called {old} "
    "before another got that name: look at {subject} by hand",
    "unnamed_lifting": "{calls:3}, whose record does not tell what it was done to, did not lift what had ended "
    "{credentials:3}: look at the keys and policies of account {account} by hand",
    "password_reset": "whoever called {call} at {time} (event {event}) set another password of {subject}: with "
    "PasswordResetRequired alone it sets none, and whoever knows the attacker's signs in and chooses the next (`aws "
    "iam delete-login-profile` is sure)",
    "signed_out": "{credentials:3} lasted no longer than twelve hours, or than the log tells: a setting made before "
    "the evidence begins may allow whoever signs in as a user or role up to ninety days (MaxSigninSessionDuration, "
    "as `aws iam get-login-profile` and `aws iam get-role` tell it)",
    # When steps take effect, and what they reach.
    "takes_effect": "each change takes effect within {seconds} seconds of being sent (a longer --margin allows more)",
    "lingering": "each task that is stopped (step {step}) has ended {seconds:.0f} seconds later: Fargate allows a "
    "container 120 (`stopTimeout`), on instances more may be set (ECS_CONTAINER_STOP_TIMEOUT too). Until then it may "
    "be handed another session, which the steps after it cut; apply reads back that it has ended",
    "by_hand": "step {step} is carried out by hand before step {next}",
    "last_by_hand": "step {step} is carried out by hand",
    "member_account": "{subject} is a member account of the organisation, not its management account",
    "member_accounts": "{accounts:4} are member accounts of the organisation, none its management account",
    "spared_seconds": _spared_seconds,
    # What the attacker may do beyond what the log shows.
    "observed_roles": "the attacker assumes no role that its principals were not seen to assume: give --iam SNAPSHOT "
    "for a proof over trust policies and permissions",
    "no_snapshot": "in accounts without a snapshot ({accounts:6}) no role is assumed that was not seen assumed",
    "as_in_snapshots": "IAM is as in the snapshots and as the log shows it to have changed, and no change that neither "
    "shows lets the attacker into more",
    "no_organization_change": "{subject:short} never changes the organisation or leaves it, though it may "
    "({actions:1})",
    "no_takeover": "{subject:short} never takes over a workload that runs with another role, though it may "
    "({actions:1})",
    "no_other_account": "{subject:short} never takes up, unseen, a role in an account other than those of the "
    "snapshots, though it may ({actions:1})",
    "denied_role": "no session of {roles:50} is the attacker's, though policies let it in: policies of before the plan "
    "deny what was issued to it since the log may lack sessions, or it is gone",
    "unreached_role": "no session of {roles:50} is the attacker's, though policies let it in: the way there leads "
    "through {through:6}, as which it has nothing that could assume a role",
    "gone_before": "no session of {roles:50} is the attacker's, though policies let it in: it was gone before the log "
    "may lack sessions",
    "logged_until": "no session of {roles:50} is the attacker's, though policies let it in: the last that could assume "
    "it ended at {last}; what it issued until then the log shows, which may lack sessions since {since} alone",
    "nothing_made": "until step 1 took effect nothing was made that no log shows yet: no new key, user, role, password "
    "or trust, and nothing new that runs with a role. {subject}, which {how}, may create until then: ingest newer "
    "logs, and plan again if they show any",
    "read_back": "a read-back after the last step finds every step in place, no new key, user, role, password or "
    "trust, and nothing new that runs with a role: {subject}, which {how}, may undo and create until it is ended; "
    "apply reads back and repeats, and what it finds new needs a new plan",
    # What the evidence lacks.
    "contradicting_copies": "of events that came in copies which contradict each other, those count that AWS wrote",
    "masked_ids": "no credential descends from the subjects that only ids would tie to them which the evidence masks "
    "(sessions are linked by principal and time of issue instead)",
    "unused_credentials": "nobody uses what no step may reach: {why}",
    "silent_hours": "nothing was minted in the {gaps:,} {gaps:gap|gaps} of the evidence that `trace` lists",
}
"""By kind of assumption of a proof: its sentence."""

_RISKS: Mapping[str, str] = {
    # What the attacker left.
    "left_behind": "{subject} left {what} behind, which no step takes back; look at it by hand: {calls:3}",
    "idle": "what has a role that the attacker made is handed nothing that works once that is denied, but is there, "
    "and may run on: stop or delete it by hand, {things:trace}",
    "orphaned": "{why}; its role is gone, so that it is handed no session, but it may run on",
    "kept_as_evidence": "what the attacker made stays as evidence, inactive or denied everything: {things:6}. Whoever "
    "may write IAM can put it back into use: delete it after the investigation (--delete-created plans that)",
    "protection": "{subject} took away {what}, which no step gives back; look at it by hand: {calls:3}",
    "log": "{subject} turned off the log or what watches it, or changed what it holds, and no step turns it on again: "
    "what happens there may be in no evidence, of `verify` neither; look at it first: {calls:3}",
    "contradicted_ending": "{ending}, at {done}, and yet {subject} called {call} with success at {success}: it was "
    "undone, and no record here shows by whom. The plan takes it for undone",
    # Calls that a person must look at.
    "unknown_call": "of some of the attacker's calls it is not known here whether they let somebody in, or run "
    "something with a role: look at each by hand: {calls:calls}",
    "given_token": "tokens, passwords or signed links that services made for the attacker work until they run out, and "
    "no step takes them back; look at what each opens: {calls:calls}",
    "deleted_later": "what deletes data by itself in the days to come, whoever is ended until then; take it back "
    "before that: {calls:;}",
    "not_kept": "what keeps data that is deleted or overwritten may be off since; look at it before more is lost: "
    "{calls:;}",
    "blinded": "what tells of an attacker or watches for one, and was turned off, deleted or told to pass something "
    "over; no step turns it on again, look at each by hand: {calls:calls}",
    "foreign_token": "tokens that prove a principal of yours to others than AWS, for an hour at most, and that nothing "
    "takes back: {calls:calls}; tell whoever accepts them",
    # What no step reaches.
    "nameless_guest": "as whom {credentials:6} acts is not in the evidence, so that no step ends it: its own calls "
    "tell that, or the AssumeRoleWithWebIdentity that Amazon Cognito called in that second; the roles that it may be "
    "given, `aws cognito-identity get-identity-pool-roles`",
    "nameless": "as whom {credentials:6} acts is not in the evidence, so that no step ends it: `aws sts "
    "get-access-key-info` tells the account of a key",
    "no_room": "by the log, account{accounts:|s} {accounts:6} can't have another service control policy, so that none "
    "keeps whoever may change IAM there from undoing the steps: detach one and plan again",
    "instance_identity": "{subject:short} is an instance identity role, which no policy binds: its sessions can't be "
    "revoked, and end by themselves; while the instance runs it is given more, with an instance profile or without. "
    "With one, a thief tells who the instance is, may change the host keys that EC2 Instance Connect knows, and is "
    "given the role of Default Host Management where Systems Manager has one",
    "service_linked": "{subject:short} is a service-linked role, which AWS's service alone acts as: its sessions can't "
    "be revoked; remove what the service acts for, then the role (`aws iam delete-service-linked-role "
    "--role-name={name:shell}`)",
    "root": "no IAM policy binds root of {accounts:6}: a service control policy does in a member account, and nothing "
    "does in the management account, where its session tokens end by themselves within the hour",
    "no_access": "account{accounts:|s} {accounts:6}: without access, only the owner or the organisation can end what "
    "lives there",
    "no_account": "what the evidence puts into {accounts:6}, which no account is called: no call can be made there, so "
    "that no step ends it. Find out whose it is by the raw records",
    "outlives_deny": f"what a deny does not end: {', '.join(OUTLIVES)}",
}
"""By kind of risk that stays: its sentence."""
_SENTENCES = {**_CONDITIONS, **_RISKS}
KINDS = frozenset(_SENTENCES)
"""All kinds of assumptions and risks."""

_SAME = "the same is so of {count:,} more: {rest}"
_RESTS = {
    "led": "nor are {count:,} more that led to subjects: {rest}",
    "stranger": _SAME, "doubt": _SAME, "possible": _SAME, "neighbour": _SAME,
    "got_in": "nor where it got in otherwise: {count:,} more (see `created` of `tokentrail trace`)",
    "beyond": "and {count:,} more of the kind, from other principals",
    "access_token": "the same is so of {count:,} more sign-in sessions",
    "let_in": _LET_IN + " in {count:,} more ways (`tokentrail trace` lists the sessions)",
}  # fmt: skip
"""By group: what is said instead of the sentences beyond the first few."""
_GROUPS = {
    "minter": "led", "maker": "led", "above_maker": "led",
    **dict.fromkeys(GOT_IN, "got_in"),
    **dict.fromkeys(("no_organization_change", "no_takeover", "no_other_account"), "beyond"),
    **{kind: kind for kind in ("stranger", "doubt", "possible", "neighbour", "access_token", "let_in")},
}  # fmt: skip
"""By kind of which there may be many: the group of kinds that share what is said of the rest."""
