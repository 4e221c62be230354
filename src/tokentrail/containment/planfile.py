"""
Plan files: a plan as JSON on disk, checked when it is read.

A plan file says what to change in an account, so that a damaged, contradictory or other-version file is refused as a
whole, with the place of the first fault.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tokentrail.containment.cutoff import names_moment
from tokentrail.containment.execution.journal import holds_other_plan, journal_path
from tokentrail.containment.incident.workloads import REGION
from tokentrail.containment.model import PLAN_VERSION, Call, Plan, Step
from tokentrail.errors import UsageError
from tokentrail.formatting import instant
from tokentrail.store.path_safety import check_path

LARGEST = 256 * 1024 * 1024
"""The most bytes of a plan file; a plan of ten thousand credentials over fifty roles has a few hundred thousand."""
_LONGEST = 7 * 24 * 3600
"""The longest margin, lag or time until a step takes effect, in seconds: a week."""
_ACCOUNT = re.compile(r"\d{12}")
_SERVICE = re.compile(r"[a-z][a-z0-9-]{1,40}")
_EVERYWHERE = frozenset({"iam", "organizations"})
"""Services that are the same in all regions of a partition."""
_OPERATION = re.compile(r"[A-Z][A-Za-z0-9]{2,80}")
_EARLIEST, _LATEST = datetime(2006, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def load(path: Path) -> Plan:
    """
    Read a plan file.

    Raises:
        UsageError: there is no such file, or it is no plan of this version, or it contradicts itself.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}. {_MAKE_ONE}") from error
    if len(content) > LARGEST:
        raise UsageError(f"{path}: longer than {LARGEST:,} bytes, so no plan. {_MAKE_ONE}")
    plan = _decoded(path, content)
    for fault in _faults(plan):
        raise UsageError(f"{path}: {fault}. {_MAKE_ANEW}")
    return plan


def save(plan: Plan, path: Path) -> None:
    """
    Write a plan file, whole or not at all, readable by its owner only.

    Raises:
        UsageError: it can't be written, or it would replace a plan that was applied and can still be undone.
    """
    if holds_other_plan(journal_path(path), digest(plan)):
        raise UsageError(
            f"{path}: a plan lies there that was applied, and `tokentrail undo` needs it. Name another file with -o."
        )
    check_path(path, UsageError)
    text = json.dumps(asdict(plan), default=_spelled, indent=2, ensure_ascii=True) + "\n"
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made 0600
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UsageError(
            f"{path}: the plan can't be written: {error.strerror or error}. Name another file with -o."
        ) from error


def digest(plan: Plan) -> str:
    """The SHA-256 of a plan's content, whatever the layout of the file; its journal names the plan by it."""
    content = asdict(plan)
    if not plan.proof.may_be_stolen:  # plans that were applied before there was this member keep their digest
        del content["proof"]["may_be_stolen"]
    canonical = json.dumps(content, default=_spelled, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


_MAKE_ONE = "Make a plan with `tokentrail contain SUBJECT -o PLAN.json`."
_MAKE_ANEW = "Make the plan anew with `tokentrail contain SUBJECT -o PLAN.json` instead of mending it."


def _spelled(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    return dict(value)


class _Versioned(msgspec.Struct):
    version: int


def _decoded(path: Path, content: bytes) -> Plan:
    try:
        version = msgspec.json.decode(content, type=_Versioned).version
        if version != PLAN_VERSION:
            raise UsageError(
                f"{path}: a plan of version {version}, and this TokenTrail reads version {PLAN_VERSION}. "
                "Use the TokenTrail that made it, or make the plan anew with `tokentrail contain`."
            )
        plan = msgspec.json.decode(content, type=Plan)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: no plan file: {error}. {_MAKE_ONE}") from error
    return _narrowing_typed(path, plan)


def _narrowing_typed(path: Path, plan: Plan) -> Plan:
    """The plan with the values of `narrowing` in their Python types, since the file's schema leaves them open."""
    given = plan.narrowing
    try:
        typed = {
            "since": msgspec.convert(given.get("since"), datetime | None),
            "source_ips": msgspec.convert(given.get("source_ips") or (), tuple[str, ...]),
            "trusted_ips": msgspec.convert(given.get("trusted_ips") or (), tuple[str, ...]),
        }
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: no plan file: {error} in `$.narrowing`. {_MAKE_ONE}") from error
    return replace(plan, narrowing={**given, **typed})


def _faults(plan: Plan) -> Iterator[str]:
    """The faults of a plan, in order."""
    for name, seconds in (("margin", plan.margin), ("lag", plan.lag)):
        if not 0 <= seconds <= _LONGEST:
            yield f"`{name}` is {seconds}, and must lie between 0 and {_LONGEST:,} seconds"
    numbers = [step.n for step in plan.steps]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the steps are numbered {numbers[:9]}, and must be numbered from 1 on, in order"
    yield from _untimely("as_of", plan.as_of)
    yield from _untimely("narrowing.since", plan.narrowing["since"])
    for step in plan.steps:
        yield from (f"step {step.n}: {fault}" for fault in _faults_of(step))


def _faults_of(step: Step) -> Iterator[str]:
    if not 0 <= step.bites_within <= _LONGEST:
        yield f"`bites_within` is {step.bites_within}, and must lie between 0 and {_LONGEST:,} seconds"
    by_nobody = step.account == "" and not (step.calls or step.undo)  # a person finds out whose it is
    if step.account is not None and not by_nobody and not _ACCOUNT.fullmatch(step.account):
        yield f"`account` is {step.account!r}, and must have 12 digits"
    yield from _untimely("cutoff", step.cutoff)
    yield from _untimely("safe_to_undo_after", step.safe_to_undo_after)
    yield from _untimely("safe_but_for_sign_ins", step.safe_but_for_sign_ins)
    for call in (*step.calls, *step.undo):
        yield from _faults_of_call(call)
    if step.cutoff and step.calls and not any(names_moment(call, step.cutoff) for call in step.calls):
        yield f"`cutoff` is {_spelled(step.cutoff)}, and no policy document of the step names that time"


def _faults_of_call(call: Call) -> Iterator[str]:
    for name, value, form in (
        ("account", call.account, _ACCOUNT),
        ("service", call.service, _SERVICE),
        ("operation", call.operation, _OPERATION),
    ):  # fmt: skip
        if not form.fullmatch(value):
            yield f"the call {call.service}:{call.operation}: {value!r} is no {name}"
    if (call.region is None) != (call.service in _EVERYWHERE):
        must = "must not name a region" if call.region else "must name its region"
        yield f"the call {call.service}:{call.operation} {must}"
    elif call.region is not None and not REGION.fullmatch(call.region):
        yield f"the call {call.service}:{call.operation}: {call.region!r} is no region"
    for name in ("PolicyDocument", "Content"):
        text = call.parameters.get(name)
        if text is not None and not _is_document(text):
            yield f"the call {call.service}:{call.operation}: `{name}` is not a policy document as JSON text"


def _is_document(text: Any) -> bool:
    try:
        return isinstance(text, str) and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _untimely(name: str, moment: datetime | None) -> Iterator[str]:
    if moment is None:
        return
    if moment.tzinfo is None:
        yield f"`{name}` has no time zone"
    elif not _EARLIEST <= moment <= _LATEST:
        yield f"`{name}` is {moment.isoformat()}, which is no time of AWS"
