"""
What a call acts on: how to read what is there, what the call makes of it, and what puts it back.

Each thing states these once; `apply`, `verify` and `undo` do the same with all of them.
A state is a small JSON object, so that the journal can hold it.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote

from tokentrail.containment.cloud import CallFailed, Cloud
from tokentrail.containment.model import Call

State = dict[str, Any]
_ROOT = re.compile(r"arn:[a-z0-9-]+:iam::([0-9]{12}):root")


class Irreversible(Exception):
    """What was there can't be put back; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing(ABC):
    """Something in an account that a call changes."""

    compared: ClassVar[tuple[str, ...]]
    """The members of its state that tell whether it is as somebody left it."""
    slow: ClassVar[bool] = False
    """Whether it may take its time to become what was wanted of it, though nobody undoes that."""
    account: str
    region: str | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is and what it is called, for the journal and for people; no two things share one."""

    @property
    def key(self) -> str:
        """Its name, the world over."""
        return f"{self.account}{'/' + self.region if self.region else ''} {self.name}"

    @abstractmethod
    def read(self, cloud: Cloud) -> State:
        """
        Read its present state.

        Raises:
            CallFailed: it can't be read, which is not the same as that it is not there.
        """

    @abstractmethod
    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """
        The calls that put back what was there.

        Raises:
            Irreversible: none do.
        """

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say what is no more, the thing itself or what it belongs to, so that no call is needed or possible."""
        return None

    def lost(self, present: State, original: State) -> str | None:
        """Say what a change that was broken off took for good, where the thing itself is there as before."""
        return None

    def same(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
        """Whether two states are the same, however a policy document is laid out and spelled."""
        return all(_comparable(one.get(name)) == _comparable(other.get(name)) for name in self.compared)

    def _call(self, service: str, operation: str, **parameters: Any) -> Call:
        return Call(
            account=self.account, service=service, operation=operation, parameters=parameters, region=self.region
        )  # fmt: skip

    def _ask(self, cloud: Cloud, service: str, operation: str, **parameters: Any) -> Mapping[str, Any] | None:
        """Ask for something; `None` where it is not there."""
        try:
            return cloud.send(self._call(service, operation, **parameters)).body
        except CallFailed as failure:
            if failure.kind == "missing":
                return None
            raise

    def _list(
        self, cloud: Cloud, service: str, operation: str, member: str, **parameters: Any
    ) -> Sequence[Any]:
        """List something; empty where what it belongs to is not there."""
        try:
            return cloud.listed(self._call(service, operation, **parameters), member)
        except CallFailed as failure:
            if failure.kind == "missing":
                return ()
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingChange:
    """A call, and what it makes of its thing."""

    call: Call
    thing: Thing
    wanted: State
    """The state that it leaves behind; only what the thing compares."""
    settled: Callable[[State], bool] | None = None
    """Whether a state is as good as wanted, where sameness is not all."""
    sending: Callable[[State, bool], tuple[Call, ...]] | None = None
    """The calls that it takes from a state, if not itself alone; told whether what is there is of our own making."""
    answer: Callable[[State], Mapping[str, Any]] | None = None
    """What the call would have answered, for those that refer to it, once its effect stands."""
    keeps: bool = True
    """Whether what it answers is written down: settings of the owner's, which may hold secrets, are not."""

    def stands(self, state: State) -> bool:
        """Whether nothing is left to do: what is gone is as good as what was wanted of it."""
        if self.thing.gone(state) is not None:
            return True
        if self.settled is not None and self.settled(state):
            return True
        return self.thing.same(state, self.wanted)

    def calls(self, state: State, *, ours: bool) -> tuple[Call, ...]:
        """The calls to send, one after the other."""
        return self.sending(state, ours) if self.sending else (self.call,)


def document_text(value: Any) -> str | None:
    """A policy document as it was written; IAM gives it percent-encoded (IAM API Reference, 'GetUserPolicy')."""
    if value is None or isinstance(value, str):
        return None if value is None else unquote(value)
    return json.dumps(value, separators=(",", ":"))


def _comparable(value: Any) -> Any:
    """A state's value for comparing: what is JSON text is compared by what it says."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        return _canonical(json.loads(value))
    except (ValueError, RecursionError):
        return value


def _canonical(value: Any, *, principal: bool = False) -> Any:
    """
    What a policy says, however it is spelled: a list is a set, one name is a list of it, an account is its root's ARN.

    IAM keeps the principals of a trust policy by unique id and tells them in an order and spelling of its own.
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
