"""
The AWS resources that calls change: how to read one's state, which state a call leaves, and which calls restore it.

Each kind of thing says so once, and `apply`, `verify` and `undo` use it.
A state is a small JSON object, so that it can be written to the journal.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote

from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.model import Call

State = dict[str, Any]
_ROOT = re.compile(r"arn:[a-z0-9-]+:iam::([0-9]{12}):root")


class Irreversible(Exception):
    """The original state can't be restored; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource(ABC):
    """Something in an account that a call changes."""

    compared: ClassVar[tuple[str, ...]]
    """The members of its state in which two equal states must agree."""
    slow: ClassVar[bool] = False
    """Whether it may reach the wanted state only after a while, without anybody having interfered."""
    account: str
    region: str | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is and what it is called, for the journal and for people; unique in its account and region."""

    @property
    def key(self) -> str:
        """Its name with account and region, which is unique among all things."""
        return f"{self.account}{'/' + self.region if self.region else ''} {self.name}"

    @abstractmethod
    def read(self, cloud: Cloud) -> State:
        """
        Read its present state.

        Raises:
            CallFailed: the state can't be read; a thing that does not exist has a state of its own.
        """

    @abstractmethod
    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """
        The calls that bring it from its present state back to the original one.

        Raises:
            Irreversible: no calls can.
        """

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say what no longer exists, the thing or its owner, so that no call is needed or possible; else `None`."""
        return None

    def lost(self, present: State, original: State) -> str | None:
        """Say what was lost for good by a change that was broken off, though the thing itself exists as before."""
        return None

    def same(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether two states are equal; policy documents are compared by what they say, not by their layout."""
        return all(_comparable(one.get(name)) == _comparable(other.get(name)) for name in self.compared)

    def _call(self, service: str, operation: str, **parameters: Any) -> Call:
        return Call(
            account=self.account, service=service, operation=operation, parameters=parameters, region=self.region
        )  # fmt: skip

    def _ask(self, cloud: Cloud, service: str, operation: str, **parameters: Any) -> Mapping[str, Any] | None:
        """AWS's answer to a call; `None` if what it names does not exist."""
        try:
            return cloud.send(self._call(service, operation, **parameters)).body
        except CallFailed as failure:
            if failure.kind == "missing":
                return None
            raise

    def _list(
        self, cloud: Cloud, service: str, operation: str, member: str, **parameters: Any
    ) -> Sequence[Any]:
        """What a listing call gives; empty if what it names does not exist."""
        try:
            return cloud.listed(self._call(service, operation, **parameters), member)
        except CallFailed as failure:
            if failure.kind == "missing":
                return ()
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """A call of a plan, the thing that it changes, and the state in which it leaves that."""

    call: Call
    thing: Resource
    wanted: State
    """The state that it leaves; only the members that the thing compares."""
    settled: Callable[[State], bool] | None = None
    """Whether another state is as good as the wanted one."""
    sending: Callable[[State, bool], tuple[Call, ...]] | None = None
    """The calls that lead from a state to the wanted one, if not just `call`; told whether we made what is there."""
    answer: Callable[[State], Mapping[str, Any]] | None = None
    """What the call would have answered, for calls that refer to it, by the state if its effect is there already."""
    keeps: bool = True
    """Whether AWS's answer is journaled; one with the owner's settings, which may hold secrets, is not."""

    def stands(self, state: State) -> bool:
        """Whether nothing is left to do: the state is as wanted, or the thing no longer exists."""
        if self.thing.gone(state) is not None:
            return True
        if self.settled is not None and self.settled(state):
            return True
        return self.thing.same(state, self.wanted)

    def calls(self, state: State, *, ours: bool) -> tuple[Call, ...]:
        """The calls to send, one after the other; `ours` says whether we made what is there."""
        return self.sending(state, ours) if self.sending else (self.call,)


def document_text(value: Any) -> str | None:
    """A policy document as text; IAM returns it percent-encoded (IAM API Reference, 'GetUserPolicy')."""
    if value is None or isinstance(value, str):
        return None if value is None else unquote(value)
    return json.dumps(value, separators=(",", ":"))


def _comparable(value: Any) -> Any:
    """A state's value in a form that can be compared: JSON text by its meaning."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return _canonical(json.loads(value))
    except (ValueError, RecursionError):
        return value


def _canonical(value: Any, *, principal: bool = False) -> Any:
    """
    A policy in one spelling for all that mean the same: a list is a set, a single value is a list of one, and an
    account's id is its root's ARN.

    IAM stores the principals of a trust policy by unique id, and returns them in its own order and spelling.
    Sources: IAM User Guide, 'IAM JSON policy elements: Principal' and 'IAM JSON policy elements: Grammar';
    github.com/hashicorp/terraform-provider-aws, issue 20665 (the order).
    """
    if isinstance(value, dict):
        named = ("Principal", "NotPrincipal")
        return {name: _canonical(one, principal=principal or name in named) for name, one in value.items()}
    if isinstance(value, list):
        items = [_canonical(one, principal=principal) for one in value]
        if not all(isinstance(one, str) for one in items):
            return items[0] if len(items) == 1 else items
        return items[0] if len(set(items)) == 1 else sorted(set(items))
    if principal and isinstance(value, str) and (root := _ROOT.fullmatch(value)):
        return root[1]
    return value
