"""
Ask AWS which statements refused the attacker's calls, by the authorization ids in error messages.

An access denied error may end in the id of the evaluation behind it, which AWS keeps for a day at least. A policy that
has an ARN is told by it; an inline one has an opaque name there, so that its document is fetched and compared with what
the plan's steps wrote. The feature is a preview; whether every service's id is in the trail's `errorMessage` is not
documented, nor how a fetched document spells actions that it leaves out.
Sources: IAM User Guide, 'Troubleshoot access denied error messages with authorization ID (Preview)'; IAM Toolbox API
Reference, 'GetRequestAuthorizationDetails', 'GetRequestAuthorizationPolicy'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.execution.history import History
from tokentrail.containment.execution.outcome import Refusal
from tokentrail.containment.execution.sending import together
from tokentrail.containment.model import Call
from tokentrail.containment.verification.judge import Denier
from tokentrail.errors import ActionRefused
from tokentrail.formatting import joined, listed

_ID = re.compile(r"\bauthorization id: (?P<id>[0-9a-z]{1,256})[.\s]{0,9}\Z", re.IGNORECASE)
"""At the end of a message alone: what stands before it may be a name that the attacker chose."""
_OURS = ":policy/TokenTrail-"
_PAGES = 10
_DENIERS: Mapping[str, Denier] = {
    "IDENTITY_BASED_POLICY": "identity-based policy", "SERVICE_CONTROL_POLICY": "service control policy",
}  # fmt: skip
"""The types of policies that steps write, in AWS's words here and in its error messages."""
_Written = Mapping[str, frozenset[tuple[int, str | None]]]
"""
By statement, as text that is the same for statements that say the same: the steps that wrote it, and the user or role
whose policy it is in, if it is in an inline one.
"""


def authorization_id(record: Any) -> str | None:
    """The authorization id in the error message of a raw record."""
    message = record.get("errorMessage") if isinstance(record, dict) else None
    found = _ID.search(message[-400:]) if isinstance(message, str) else None
    return found["id"] if found and found["id"] == found["id"].lower() else None


def explained(refusals: Sequence[Refusal], cloud: Cloud, history: History) -> tuple[Refusal, ...]:
    """
    The same refusals, with what AWS says of each.

    Args:
        refusals: Calls of the attacker's that were refused.
        cloud: The accounts.
        history: What the plan's journal says that was written.
    """
    written = _written(history)
    return tuple(together(lambda one: _explained(one, cloud, written), refusals))


def _explained(refusal: Refusal, cloud: Cloud, written: _Written) -> Refusal:
    try:
        details = list(_details(refusal, cloud))
        denying = dict(_denying(details))
        documents = {uri: _document(refusal, cloud, uri) for uri in denying}
    except (CallFailed, ActionRefused) as error:
        return replace(refusal, why=f"AWS was asked and did not say: {str(error).rstrip('.')}")
    bearers = _bearers(details)
    steps = {
        n
        for uri, document in documents.items()
        for one in _denials(document)
        for n, name in written.get(one, ())
        if name is None or name in bearers.get(uri, {name})
    }
    ours = [uri for uri in denying if _OURS in uri or _wrote(documents[uri], written)]
    return replace(
        refusal, answered=True, ours=bool(ours), steps=tuple(sorted(steps)), policies=tuple(denying),
        by=next((kind for uri in ours if (kind := denying[uri])), None), context=_context(details),
        why=_why(ours, steps, list(denying)),
    )  # fmt: skip


def _why(ours: Sequence[str], steps: Iterable[int], denying: Sequence[str]) -> str:
    """What AWS says of a refusal, in words."""
    if not denying:
        return "AWS names no statement that denies it: nothing allowed it"
    if not ours:
        return f"AWS names {listed(denying, 2)}, of which no step of the plan wrote a statement"
    told = joined([f"step {n}" for n in sorted(steps)])
    return f"AWS says that a statement of {told if told else listed(ours, 2)} refused it"


def _details(refusal: Refusal, cloud: Cloud) -> Iterator[Mapping[str, Any]]:
    """The pages of what AWS says of a refusal."""
    more: dict[str, Any] = {}
    for _ in range(_PAGES):
        body = cloud.send(_call(refusal, "GetRequestAuthorizationDetails", **more)).body
        yield body
        if not body.get("nextToken"):
            return
        more = {"nextToken": body["nextToken"]}


def _document(refusal: Refusal, cloud: Cloud, uri: str) -> Any:
    """The document of a policy as it was when it refused a call."""
    return cloud.send(_call(refusal, "GetRequestAuthorizationPolicy", policyUri=uri)).body.get(
        "policyDocument"
    )


def _call(refusal: Refusal, operation: str, **parameters: Any) -> Call:
    return Call(
        account=refusal.account, region=refusal.region, service="iam-toolbox", operation=operation,
        parameters={"authorizationId": refusal.authorization_id, **parameters},
    )  # fmt: skip


def _denying(details: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Denier | None]]:
    """The policies of which a statement denied a request, each with its type if steps write such."""
    pages = list(details)
    kinds = {
        one.get("uri"): _DENIERS.get(str(one.get("type")))
        for page in pages
        for one in _objects(page, "policies")
    }
    for page in pages:
        for evaluation in _objects(page, "evaluations"):
            for check in _objects(evaluation, "checks"):
                for policy in _objects(check, "matchedPolicies"):
                    statements = _objects(policy, "matchedStatements")
                    uri = policy.get("uri")
                    if isinstance(uri, str) and any(
                        one.get("evaluatedEffect") == "DENY" for one in statements
                    ):
                        yield uri, kinds.get(uri)


def _bearers(details: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """By policy: the names of whom it is attached to, where AWS tells any."""
    return {
        str(one.get("uri")): names
        for page in details
        for one in _objects(page, "policies")
        if (names := {str(each.get("arn")).rpartition("/")[2] for each in _objects(one, "attachedTo")})
    }


def _context(details: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The condition keys of a request, as AWS has them."""
    told = next(iter(details), {}).get("requestContext")
    return {
        str(name): value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        for name, value in sorted(told.items() if isinstance(told, Mapping) else ())
    }


def _written(history: History) -> _Written:
    """The statements that the plan's steps wrote, as their journal says."""
    found: dict[str, frozenset[tuple[int, str | None]]] = {}
    for record in history.things.values():
        bearer = record.call.parameters.get("RoleName") or record.call.parameters.get("UserName")
        for name in ("PolicyDocument", "Content"):
            text = record.call.parameters.get(name)
            for one in _denials(_read(text)) if isinstance(text, str) else ():
                found[one] = found.get(one, frozenset()) | {(n, bearer) for n in record.steps}
    return found


def _wrote(document: Any, written: _Written) -> bool:
    denials = set(_denials(document))
    return bool(denials) and denials <= written.keys()


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _denials(document: Any) -> Iterator[str]:
    """The denials of a policy document, each as text that is the same for statements that say the same."""
    statements = document.get("Statement") if isinstance(document, Mapping) else None
    for one in statements if isinstance(statements, list) else [statements]:
        if isinstance(one, Mapping) and one.get("Effect") == "Deny":
            yield json.dumps(
                _alike({name: value for name, value in one.items() if name != "Sid"}), sort_keys=True
            )


def _alike(value: Any) -> Any:
    """A value in the form that lists of one, and lists in another order, have too."""
    if isinstance(value, Mapping):
        return {str(name): _alike(one) for name, one in value.items()}
    several = value if isinstance(value, list) else [value]
    return sorted(
        json.dumps(_alike(one) if isinstance(one, Mapping) else one, sort_keys=True) for one in several
    )


def _objects(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects in a list within another object; none where it is something else."""
    found = holder.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
