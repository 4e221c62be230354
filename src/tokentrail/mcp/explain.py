"""
What the words of answers mean, for `explain`: from the catalogues that answers are made by, and a few sentences here.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any

from tokentrail.containment.catalogue import CATALOGUE as ACTIONS
from tokentrail.detection.catalogue import CATALOGUE as RULES
from tokentrail.detection.leads.theft_signals import SIGNALS
from tokentrail.errors import UsageError
from tokentrail.formatting import joined
from tokentrail.lineage.model import KINDS
from tokentrail.present.document import Document, document
from tokentrail.present.text.findings_text import entry

LINKS = {
    "recorded": "The issuing event names both keys.",
    "shared_event": "A cross-account assumption was logged on both sides; the records share one sharedEventID, and one "
    "of them names the caller's key.",
    "matched": "The issuing event shows no key; principal id and creation date equal those of later calls, or an id "
    "does that AWS documents as the join.",
    "inferred": "Of all that spoke for the caller when it was minted, only one credential can have called; "
    "`origin_detail` or `why` is the sentence that it rests on.",
    "created": "It acts through something that its parent made, started or set: a key, user, password, role, trust, "
    "function, instance and the like.",
}
ORIGINS = {
    "long_term": "It has no parent: a long-term key.",
    "service": "It has no parent: an AWS service handed it out by itself.",
    "identity_provider": "It has no parent: whoever it speaks for came through an identity provider.",
    "console_sign_in": "It has no parent: it began with a sign-in.",
    "forwarded_call": "It has no parent: a service made calls on behalf of a session that the evidence does not show.",
    "not_in_evidence": "The event that issued it is not in the evidence, so that its parent is not known.",
}
STATES = {
    "active": "It works at that moment, as far as the evidence goes.",
    "expired": "Its time was up.",
    "ended": "A change in the log ended it before its time: `ended_by` is the event, `state_reason` the sentence.",
    "unknown": "Its end is not in the evidence; `expires_bound` is the latest possible one.",
}
SCOPES = {
    "observed-edges": "The proof plays over what was seen in the log: without an IAM snapshot nobody knows which roles "
    "could be assumed besides.",
    "trust-policies": "The proof plays over what the trust policies and permissions of the IAM snapshots allow.",
}
WORDS = {
    "as_of": "The moment for which an answer is given; later evidence is not looked at.",
    "blind window": "The time in which credentials may have been minted that no log shows yet.",
    "collateral": "Credentials of others that a step ends, too.",
    "complete": "Said of a plan after whose last step nothing of the attacker's works or can be minted.",
    "counterexample": "How an attacker gets past a plan that is not complete, with times.",
    "cutoff": "The moment in a policy before which issued tokens are denied.",
    "gaps": "Evidence that the answer lacks, by account, region and hours.",
    "persons": "Where a person is the subject: the first call of each session that names them (`onBehalfOf`).",
    "handed": "What a host, portal or sign-in behind the attacker's credentials handed out since; a plan counts it.",
    "holds_if": "What must be true for a plan's proof to hold, a sentence each.",
    "lag": "How late the log may be, in seconds.",
    "margin": "How far ahead of its sending a cutoff lies, in seconds, to cover the time that IAM takes.",
    "residual_risks": "What no step of a plan ends or undoes.",
    "root": "The topmost known ancestor of a credential. AWS's root user is always called root user.",
    "subject": "What an investigation starts from.",
    "survivors": "What still works after a plan's last step, or can be minted then.",
    "tainted": "Counted as the attacker's: the subject and what descends from it, unless the question narrows it.",
}
_SENTENCES: dict[str, dict[Any, str]] = {
    "a way in which a parent is known": LINKS,
    "a reason why there is no parent": ORIGINS,
    "a state of a credential": STATES,
    "a scope of a proof": SCOPES,
    "a kind of credential": KINDS,
    "a word": WORDS,
    "a signal of leads": {one.id: one.says for one in SIGNALS},
}


@cache
def vocabulary() -> tuple[Document, ...]:
    """Every word that can be explained, with what it is and means; a rule or an action has its whole entry."""
    return tuple(_entries())


def _entries() -> Iterator[Document]:
    for what, words in _SENTENCES.items():
        for word, means in words.items():
            yield {"word": word, "is": what, "means": means}
    for rule in RULES:
        yield {"word": rule.id, "is": "a rule", "means": rule.why, "rule": document(entry(rule))}
    for action, facts in ACTIONS.items():
        means = f"It ends {facts.ends}; it leaves {facts.leaves}."
        yield {"word": action, "is": "an action of a plan", "means": means, "action": document(facts)}


def explain(word: str) -> tuple[Document, ...]:
    """
    What a word means; without one, all the words and what each is.

    Raises:
        UsageError: nothing is called so.
    """
    every = vocabulary()
    if not word:
        return tuple({"word": one["word"], "is": one["is"]} for one in every)
    wanted = word.strip().lower()
    found = tuple(one for one in every if wanted in (one["word"].lower(), one["word"].replace("_", " ")))
    if not found:
        near = get_close_matches(wanted, [one["word"] for one in every], n=3)
        meant = f" Did you mean {joined(near, 'or')}?" if near else ""
        raise UsageError(
            f"{word[:80]!r} is no word of these answers.{meant} `explain` without a word lists them."
        )
    return found
