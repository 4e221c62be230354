"""
Policy documents, parsed into statements: identity policies, boundaries, SCPs, trust and resource policies.

A record has the text as the caller sent it: JSON, sometimes URL-encoded, sometimes written by an attacker. What IAM
would not have stored, or what can't be read with certainty, becomes a `Malformed` with the reason; nothing raises.
Sources: IAM User Guide, 'Grammar of the IAM JSON policy language', 'AWS JSON policy elements: Principal' and
'AWS JSON policy elements: NotPrincipal'.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal
from urllib.parse import unquote

from tokentrail.aws.principals import Principal, account_of, is_account, principal_of_arn
from tokentrail.formatting import quoted
from tokentrail.policy.language.conditions import Condition
from tokentrail.policy.language.truth import Truth
from tokentrail.policy.language.wildcard import covers, may_overlap

LONGEST_TEXT = 1_048_576
"""Characters; CloudTrail records hold less, and IAM's own limits are far below."""
CURRENT_VERSION = "2012-10-17"
"""The version of the policy language that has policy variables."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The actions or resources that a statement names: those that match, or (`inverted`) all but those."""

    patterns: tuple[str, ...]
    inverted: bool = False


EVERYTHING = Selection(patterns=("*",))
EVERY = "*"
"""All actions, or all resources."""
UNDENIABLE = frozenset({"sts:getcalleridentity", "sts:getsessiontoken"})
"""
Calls that no policy can deny, so that a policy that denies everything need not name them.

GetCallerIdentity needs no permission and succeeds even under a deny (AWS STS API Reference, 'GetCallerIdentity').
GetSessionToken needs none either; its token is subject to the same denials as the user who requested it (IAM User
Guide, 'Controlling permissions for GetSessionToken').
"""
_UNIQUE_ID = re.compile(r"[A-Z]{4}[A-Z0-9]{12,124}")
_TYPES = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principals:
    """The (Not)Principal of a statement."""

    anyone: bool = False
    accounts: frozenset[str] = frozenset()
    identities: frozenset[Principal] = frozenset()
    """Users and roles by name."""
    sessions: frozenset[tuple[Principal, str]] = frozenset()
    """Sessions of roles, with their names."""
    unique_ids: frozenset[str] = frozenset()
    """IAM shows the unique id of a user or role that was deleted; another of the same name is not meant."""
    services: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    aws: frozenset[str] = frozenset()
    """Accounts, users, roles and sessions, as the document spells them."""
    inverted: bool = False
    """NotPrincipal, which IAM does not accept in trust policies: undecided for everybody."""
    unclear: bool = False
    """Whether something, such as an ARN with wildcards, is no known way to name a principal: it may be anybody."""

    @property
    def texts(self) -> frozenset[str]:
        """All of them, as the document spells them."""
        return self.aws | self.services | self.providers


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One statement of a policy document."""

    effect: Literal["Allow", "Deny"]
    actions: Selection
    """In lower case, since IAM ignores the case of actions."""
    resources: Selection
    conditions: tuple[Condition, ...] = ()
    principals: Principals | None = None
    """Its (Not)Principal, as trust and resource policies have it; `None` if it has none."""

    @cached_property
    def names_all_actions(self) -> bool:
        """Whether it surely names every action, except those that can't be denied anyway."""
        return names_action(self.actions, EVERY) is Truth.YES

    @cached_property
    def names_all_resources(self) -> bool:
        """Whether it surely names every resource."""
        return not self.resources.inverted and any(map(only_stars, self.resources.patterns))

    @cached_property
    def issued_between(self) -> tuple[float, float]:
        """The seconds since 1970 between which a token must have been issued for the conditions to hold, inclusive."""
        spans = [condition.issued_between for condition in self.conditions]
        return max([-math.inf, *(low for low, _ in spans)]), min([math.inf, *(high for _, high in spans)])

    @property
    def is_total(self) -> bool:
        """Whether it names every action on every resource, whoever calls: only its conditions may spare a call."""
        return self.principals is None and self.names_all_actions and self.names_all_resources


@dataclass(frozen=True, kw_only=True)
class Document:
    """A policy document that could be read."""

    statements: tuple[Statement, ...]
    variables: bool = True
    """Whether its version has policy variables."""

    @cached_property
    def denials(self) -> tuple[Statement, ...]:
        """The statements that deny."""
        return tuple(statement for statement in self.statements if statement.effect == "Deny")

    @cached_property
    def denial_keys(self) -> frozenset[str]:
        """The condition keys, in lower case, on which it depends what they deny."""
        return frozenset(condition.key for statement in self.denials for condition in statement.conditions)

    @cached_property
    def total_denials(self) -> tuple[Statement, ...]:
        """Those that deny everything where their conditions hold, the fewest conditions first."""
        total = (statement for statement in self.denials if statement.is_total)
        return tuple(sorted(total, key=lambda statement: len(statement.conditions)))

    @property
    def allows(self) -> bool:
        """Whether any statement allows anything."""
        return any(statement.effect == "Allow" for statement in self.statements)


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A policy document that could not be read, or is not in the evidence."""

    reason: str


def names_action(selection: Selection, action: str) -> Truth:
    """
    Whether a statement names an action, given in lower case.

    For an action with wildcards: `YES` if it names all that match, `UNDECIDED` if it may name some.
    """
    if not ("*" in action or "?" in action):
        return Truth.of(any(covers(pattern, action) for pattern in selection.patterns) != selection.inverted)
    patterns = selection.patterns
    if selection.inverted:  # what can't be denied or need not be allowed makes no difference
        patterns = tuple(pattern for pattern in patterns if pattern not in UNDENIABLE)
    if any(_any_action(pattern) or covers(pattern, action) for pattern in patterns):
        found = Truth.YES
    elif any(may_overlap(pattern, action) for pattern in patterns):
        found = Truth.UNDECIDED
    else:
        found = Truth.NO
    return found.opposite if selection.inverted else found


def only_stars(pattern: str) -> bool:
    """Whether a pattern consists of `*` alone."""
    return bool(pattern) and not pattern.strip("*")


def _any_action(pattern: str) -> bool:
    service, colon, name = pattern.partition(":")
    return only_stars(service) and (not colon or only_stars(name))


class _Unreadable(Exception):
    """Raised while a document is parsed; the message is the reason."""


def parse(text: object) -> Document | Malformed:
    """Read a policy document out of a request parameter, whatever it may hold."""
    try:
        return _document(_decoded(text))
    except _Unreadable as error:
        return Malformed(reason=str(error))
    except RecursionError:
        return Malformed(reason="it is nested too deeply to be a policy")


def _decoded(text: object) -> Mapping[str, object]:
    if isinstance(text, Mapping):
        return text
    if not isinstance(text, str):
        raise _Unreadable("the record holds no document")
    if len(text) > LONGEST_TEXT:
        raise _Unreadable("it is longer than any policy that IAM stores")
    stripped = text.strip().removeprefix("\ufeff")
    value = _json(stripped if stripped.startswith("{") else unquote(stripped))
    if not isinstance(value, dict):
        raise _Unreadable("it is not a JSON object")
    return value


def _json(text: str) -> object:
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_int=str, parse_float=str, parse_constant=_refused
        )
    except ValueError as error:
        raise _Unreadable("it is not JSON") from error


def _refused(constant: str) -> object:
    raise _Unreadable(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """IAM does not document which of two equal keys counts, so a document that has them is not read."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Unreadable("a key stands twice in one object, and IAM does not say which counts")
    return found


def _document(value: Mapping[str, object]) -> Document:
    version = value.get("Version", "2008-10-17")
    statements = value.get("Statement")
    listed = statements if isinstance(statements, list) else [statements]
    return Document(
        statements=tuple(_statement(statement) for statement in listed),
        variables=version == CURRENT_VERSION,
    )


def _statement(value: object) -> Statement:
    if not isinstance(value, Mapping):
        raise _Unreadable("a statement is not an object")
    effect = value.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise _Unreadable("a statement's Effect is neither Allow nor Deny")
    actions = _selection(value, "Action", lower=True)
    if actions is None:
        raise _Unreadable("a statement names no action")
    return Statement(
        effect=effect,
        actions=actions,
        resources=_selection(value, "Resource") or EVERYTHING,
        conditions=_conditions(value.get("Condition", {})),
        principals=_principals(value),
    )


def _selection(statement: Mapping[str, object], element: str, *, lower: bool = False) -> Selection | None:
    present = [name for name in (element, f"Not{element}") if name in statement]
    if len(present) > 1:
        raise _Unreadable(f"a statement has both {element} and Not{element}")
    if not present:
        return None
    texts = _texts(statement[present[0]], present[0])
    return Selection(
        patterns=tuple(text.lower() for text in texts) if lower else texts, inverted=present[0] != element
    )


def _texts(value: object, where: str) -> tuple[str, ...]:
    """Read a text or a list of texts; a JSON boolean counts as its name, as IAM takes it."""
    listed = value if isinstance(value, list) else [value]
    texts = tuple(str(item).lower() if isinstance(item, bool) else item for item in listed)
    if not all(isinstance(text, str) for text in texts):
        raise _Unreadable(f"{quoted(where)} holds something that is no text")
    return tuple(str(text) for text in texts)


def _conditions(value: object) -> tuple[Condition, ...]:
    if not isinstance(value, Mapping):
        raise _Unreadable("a Condition is not an object")
    found = []
    for operator, keys in value.items():
        if not isinstance(keys, Mapping):
            raise _Unreadable(f"the condition {quoted(str(operator))} is not an object")
        for key, values in keys.items():
            name = str(key).casefold()
            found.append(Condition(operator=str(operator), key=name, values=_texts(values, name)))
    return tuple(found)


def _principals(statement: Mapping[str, object]) -> Principals | None:
    present = [element for element in ("Principal", "NotPrincipal") if element in statement]
    if not present:
        return None
    if len(present) > 1:
        return Principals(unclear=True)
    inverted = present[0] == "NotPrincipal"
    value = statement[present[0]]
    if value == "*":
        return Principals(anyone=True, inverted=inverted, aws=frozenset({"*"}))
    if not isinstance(value, Mapping):
        return Principals(unclear=True, inverted=inverted)
    texts = {kind: _only_texts(names) for kind, names in value.items()}
    aws = texts.get("AWS") or ()
    return Principals(
        anyone="*" in aws,
        accounts=frozenset(filter(None, map(_account, aws))),
        identities=frozenset(filter(None, map(_identity, aws))),
        sessions=frozenset(filter(None, map(_session, aws))),
        unique_ids=frozenset(text for text in aws if _UNIQUE_ID.fullmatch(text)),
        services=frozenset(texts.get("Service") or ()),
        providers=frozenset(texts.get("Federated") or ()),
        aws=frozenset(aws),
        inverted=inverted,
        unclear=not texts.keys() <= _TYPES or None in texts.values() or any(map(_strange, aws)),
    )


def _only_texts(value: object) -> tuple[str, ...] | None:
    items: list[object] = value if isinstance(value, list) else [value]
    texts = tuple(item for item in items if isinstance(item, str))
    return texts if len(texts) == len(items) else None


def _account(text: str) -> str | None:
    if is_account(text):
        return text
    identity = principal_of_arn(text)
    return identity.account if identity is not None and identity.kind == "root" else None


def _identity(text: str) -> Principal | None:
    identity = principal_of_arn(text)
    if identity is None or identity.kind == "root" or ":assumed-role/" in text or _pattern(text):
        return None
    return identity


def _session(text: str) -> tuple[Principal, str] | None:
    identity = principal_of_arn(text)
    if identity is None or ":assumed-role/" not in text or _pattern(text):
        return None
    return identity, text.rpartition("/")[2]


def _pattern(text: str) -> bool:
    return text != "*" and ("*" in text or "?" in text)


def _strange(text: str) -> bool:
    """Whether a text names a principal in no known way; federated users are known, but can't assume roles."""
    if text == "*" or _UNIQUE_ID.fullmatch(text) or is_account(text):
        return False
    if _pattern(text):
        return True
    if account_of(text) is None:
        return True
    return principal_of_arn(text) is None and ":federated-user/" not in text
