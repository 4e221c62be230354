"""
What the sender of a request can choose of it, as far as some policies tell requests apart.

The values that are tried come from the policies: each value that they name, one that none of them names, and none at
all. Policies compare a key with what they name only, so that no other value fares differently from all that are tried.

Sources: "AWS global condition context keys" (IAM User Guide), for which keys every request has, and which only requests
through a VPC endpoint; "AssumeRole" (AWS STS API Reference), for what the caller of AssumeRole chooses.
"""

from __future__ import annotations

import ipaddress
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import product

from oracle.credentials import HeldCredential, Tags
from oracle.policy_evaluator import (
    KEYS,
    MULTIVALUED,
    TAGS,
    ConditionTest,
    Context,
    UnknownPolicy,
    Value,
    conditions_of,
    instant,
)

OTHER = "nobody-names-this"
"""A value that no policy names."""
_ALWAYS = frozenset({"aws:requestedregion", "aws:securetransport", "aws:viaawsservice"})
_FLAGS = frozenset({"aws:securetransport", "aws:viaawsservice", "aws:multifactorauthpresent"})
_ADDRESSES = frozenset({"aws:sourceip", "aws:vpcsourceip", "aws:ec2instancesourceprivateipv4"})
_NUMBERS = frozenset({"aws:multifactorauthage", "sts:durationseconds"})
_ENDPOINT = frozenset({"aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip"})
"""Keys that all requests through a VPC endpoint have."""
_OF_ENDPOINTS = frozenset({"aws:sourcevpcarn", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths"})
"""Keys that requests through a VPC endpoint have to some services."""
CLOCK = frozenset({"aws:currenttime", "aws:epochtime"})
"""Keys of the time of a request."""
_OF_MINTING = ("sts:", "aws:requesttag/", "aws:tagkeys")
_FREE_IN_MINTING = frozenset({"sts:externalid", "sts:durationseconds"})
"""What a call of AssumeRole may say without the session being another one."""
_MOST = 20_000
"""How many requests are tried; more would be a fault of the test."""

Mentions = Mapping[str, tuple[str, ...]]
"""By condition key: the values that policies compare it with."""


@lru_cache(maxsize=4096)
def mentions(tests: tuple[ConditionTest, ...]) -> Mentions:
    """Collect the keys of conditions, those of policy variables among them, with the values they are compared with."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for test in tests:
        found[test.key].update(dict.fromkeys(() if test.operator == "Null" else test.values))
        for value in test.values:
            for inside in re.findall(r"\$\{([^}]*)\}", value):
                name, _, default = inside.partition(",")
                if inside not in ("*", "?", "$"):
                    found[name.strip().lower()].update({default.strip().strip("'"): None} if default else {})
    return {key: tuple(values) for key, values in found.items()}


@lru_cache(maxsize=4096)
def mentions_of(documents: frozenset[str], trusts: frozenset[str] = frozenset()) -> Mentions:
    """Collect the keys of some policies' denies, and of some trust policies, with the values they are compared with."""
    tests = [test for document in sorted(documents) for test in conditions_of(document)]
    tests += [test for document in sorted(trusts) for test in conditions_of(document, trust=True)]
    return mentions(tuple(tests))


def named_dates(mentioned: Mentions, keys: Iterable[str]) -> set[datetime]:
    """List the dates that conditions on some keys name."""
    return {date for key in keys for text in mentioned.get(key, ()) if (date := _date(text)) is not None}


def mfa_ages(mentioned: Mentions) -> set[timedelta]:
    """List the ages of MFA that conditions name, and those a second younger and older."""
    ages = [int(text) for text in mentioned.get("aws:multifactorauthage", ()) if text.isdigit()]
    return {timedelta(seconds=age + more) for age in ages for more in (-1, 0, 1)}


def asks_the_clock(mentioned: Mentions) -> bool:
    """Tell whether an answer may be another one a second later."""
    return not (CLOCK | {"aws:multifactorauthage"}).isdisjoint(mentioned)


class Apart:
    """What policies tell credentials apart by: two that are alike in that meet the same answers."""

    def __init__(self, mentioned: Mentions) -> None:
        self._cutoffs = sorted(named_dates(mentioned, ("aws:tokenissuetime",)))
        texts = [text.lower() for values in mentioned.values() for text in values]
        self._to_the_second = any("${aws:tokenissuetime" in text for text in texts)
        self._by_age = "aws:multifactorauthage" in mentioned
        self._by_user = "aws:userid" in mentioned

    def of(self, one: HeldCredential) -> tuple[object, ...]:
        """Give all that these policies ask of a credential; of when it was issued, between which of their dates that is."""
        issued: object = one.issued_at
        if one.issued_at is not None and not self._to_the_second:
            issued = bisect_left(self._cutoffs, one.issued_at), bisect_right(self._cutoffs, one.issued_at)
        return (
            one.kind, one.account, one.principal_arn, one.type, one.username, one.mfa, one.source_identity, one.tags,
            one.sign_in_session, one.provider, one.assumed_root, one.person, one.origin, issued,
            one.mfa_at if self._by_age else None, one.userid if self._by_user else None,
        )  # fmt: skip


@lru_cache(maxsize=4096)
def apart(documents: frozenset[str], trusts: frozenset[str] = frozenset()) -> Apart:
    """Tell what some policies' denies, and some trust policies, tell credentials apart by."""
    return Apart(mentions_of(documents, trusts))


def requests(fixed: Context, mentioned: Mentions, *, minting: bool = False) -> Iterator[Context]:
    """
    List the contexts of requests that somebody can send, so many that every choice that policies tell apart is among them.

    Args:
        fixed: The keys on which there is no choice.
        mentioned: What the policies in force compare.
        minting: Whether the requests are calls of AssumeRole; others carry no keys of it.
    """
    free = [
        key
        for key in mentioned
        if key not in fixed and (not key.startswith(_OF_MINTING) or (minting and key in _FREE_IN_MINTING))
    ]
    for key in free:
        if key not in KEYS and not key.startswith(TAGS):
            raise UnknownPolicy(f"condition key {key}")
    choices = [_choices(key, mentioned[key], fixed) for key in free]
    count = 1
    for values in choices:
        count *= len(values)
    if count > _MOST:
        raise UnknownPolicy(f"{count} requests to try, over {free}")
    for combination in product(*choices):
        chosen = dict(zip(free, combination, strict=True))
        if _possible(chosen):
            yield {**fixed, **chosen}


def _choices(key: str, named: Sequence[str], fixed: Context) -> list[Value | None]:
    """List the values of a key to try; what variables may be compared with is tried too."""
    absent: list[Value | None] = [] if key in _ALWAYS else [None]
    if key in _FLAGS:
        return [*absent, "true", "false"]
    if key in _ADDRESSES:
        return [*absent, *addresses(named)]
    if key in _NUMBERS:
        return [*absent, *numbers(named)]
    own = [
        value for name in ("aws:username", "aws:sourceidentity") if isinstance(value := fixed.get(name), str)
    ]
    texts = [*samples(named), *own, OTHER]
    if key in MULTIVALUED:
        return [*absent, *((text,) for text in texts), tuple(texts)]
    return [*absent, *texts]


def _possible(chosen: Context) -> bool:
    """Tell whether a request can be like that: it has either a public address or an endpoint."""
    through = {chosen[key] is not None for key in _ENDPOINT if key in chosen}
    through |= {True for key in _OF_ENDPOINTS if chosen.get(key) is not None}
    if "aws:sourceip" in chosen:
        through.add(chosen["aws:sourceip"] is None)
    return len(through) < 2


@lru_cache(maxsize=4096)
def _addresses(named: tuple[str, ...]) -> tuple[str, ...]:
    networks = [ipaddress.ip_network(text, strict=False) for text in named]
    tried = [str(network[place]) for network in networks for place in (0, -1)]
    outside = ("198.18.77.1", "100.64.0.1", "10.250.3.4", "2001:db8:ffff::1")
    free = [
        text for text in outside if not any(ipaddress.ip_address(text) in network for network in networks)
    ]
    return tuple(dict.fromkeys([*tried, *free[:1]]))


def addresses(named: Iterable[str]) -> tuple[str, ...]:
    """List addresses of some networks, their first and last, and one that lies in none of them."""
    return _addresses(tuple(named))


def numbers(named: Iterable[str]) -> tuple[str, ...]:
    """List some numbers, and those next to them."""
    return tuple(str(int(float(text)) + more) for text in named for more in (-1, 0, 1)) or ("0",)


def samples(patterns: Iterable[str]) -> tuple[str, ...]:
    """List texts that match some patterns, also two at once, and the same in other case."""
    return _samples(tuple(patterns))


@lru_cache(maxsize=4096)
def _samples(patterns: tuple[str, ...]) -> tuple[str, ...]:
    plain = [pattern for pattern in patterns if "${" not in pattern]
    found = [pattern.replace("*", filling).replace("?", "x") for pattern in plain for filling in ("", "x")]
    wild = [pattern for pattern in plain if "*" in pattern]
    for one in wild:
        for other in wild:
            if one != other:
                inner = other.replace("*", "").replace("?", "x")
                found.append(one.replace("*", inner).replace("?", "x"))
                found.append((one.rstrip("*") + other.lstrip("*")).replace("*", "").replace("?", "x"))
    return tuple(dict.fromkeys(text for text in found if text))


def _date(text: str) -> datetime | None:
    try:
        return instant(text)
    except UnknownPolicy:
        return None


# --------------------------------------------------------------------------------------------------- minting


@dataclass(frozen=True, slots=True, kw_only=True)
class MintChoice:
    """What the caller of AssumeRole chooses besides role and name, and what the session has for good."""

    mfa: bool = False
    source_identity: str | None = None
    """What the call sets; a source identity once set stays, whatever is chosen."""
    tags: Tags = ()
    transitive: bool = False
    """Whether the tags go with the session into further roles."""

    @property
    def actions(self) -> tuple[str, ...]:
        """What else must be permitted ("AssumeRole", AWS STS API Reference: `SourceIdentity`, `Tags`)."""
        return ("sts:SetSourceIdentity",) * bool(self.source_identity) + ("sts:TagSession",) * bool(self.tags)

    def context(self, giver: HeldCredential, name: str) -> dict[str, Value | None]:
        """Give the keys that a call of AssumeRole has on account of the choice, besides the caller's own."""
        chosen = dict(self.tags)
        keys: dict[str, Value | None] = {
            "sts:rolesessionname": name,
            "sts:sourceidentity": self.source_identity,
            "aws:tagkeys": tuple(chosen) or None,
            "sts:transitivetagkeys": tuple(chosen) if chosen and self.transitive else None,
            **{f"aws:requesttag/{tag}": value for tag, value in chosen.items()},
        }
        if self.mfa:
            keys |= {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "0"}
        return keys


def mint_choices(giver: HeldCredential, mentioned: Mentions) -> list[MintChoice]:
    """List the choices of whoever assumes a role that some policies tell apart."""
    flags = (
        (False, True)
        if not {"aws:multifactorauthpresent", "aws:multifactorauthage"}.isdisjoint(mentioned)
        else (False,)
    )
    return [
        MintChoice(mfa=mfa, source_identity=identity, tags=tags, transitive=transitive)
        for mfa in flags
        for identity in _source_identities(giver, mentioned)
        for tags in _tags(giver, mentioned)
        for transitive in ((False, True) if tags and "sts:transitivetagkeys" in mentioned else (False,))
    ]


def _source_identities(giver: HeldCredential, mentioned: Mentions) -> list[str | None]:
    if giver.source_identity is not None:
        return [giver.source_identity]
    keys = [key for key in ("aws:sourceidentity", "sts:sourceidentity") if key in mentioned]
    named = samples(value for key in keys for value in mentioned[key])
    own = [giver.username] if giver.username else []
    return [None, *(dict.fromkeys([*named, *own, OTHER]) if keys else ())]


def _tags(giver: HeldCredential, mentioned: Mentions) -> list[Tags]:
    """List tags to pass; nobody can set one anew that was made to go along."""
    names = [key.removeprefix("aws:requesttag/") for key in mentioned if key.startswith("aws:requesttag/")]
    names += [
        name.lower()
        for key in ("aws:tagkeys", "sts:transitivetagkeys")
        for name in samples(mentioned.get(key, ()))
    ]
    free = [name for name in dict.fromkeys(names) if name not in giver.transitive]
    values = [
        [
            None,
            *samples(mentioned.get(f"aws:requesttag/{name}", ())),
            *samples(mentioned.get(f"aws:principaltag/{name}", ())),
            OTHER,
        ]
        for name in free
    ]
    found = [
        tuple((name, value) for name, value in zip(free, each, strict=True) if value)
        for each in product(*values)
    ]
    return list(dict.fromkeys([(), *found]))


def session_names(mentioned: Mentions, unique: str) -> list[str]:
    """
    List the names of sessions that policies tell apart, of a role by its unique id, or of federated users by account.

    Names hold two to sixty-four of certain characters ("AssumeRole", AWS STS API Reference, `RoleSessionName`).
    """
    texts = [pattern.replace("?", "x") for pattern in mentioned.get("aws:userid", ())]
    patterns = [
        text.partition(":")[2] for text in texts if ":" in text and _begins(text.partition(":")[0], unique)
    ]
    wild = [text for text in texts if ":" not in text and "*" in text]
    found = samples([*patterns, *wild, *mentioned.get("sts:rolesessionname", ())])
    return [name for name in found if re.fullmatch(r"[\w+=,.@-]{2,64}", name, re.ASCII)]


def _begins(pattern: str, unique: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), unique) is not None
