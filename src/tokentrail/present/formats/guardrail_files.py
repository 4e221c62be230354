"""
Guardrails as Terraform and CloudFormation, and as one JSON file each.

Whatever stands in a policy is data there: Terraform's `${` and `%{` are escaped, names are made of plain letters.
Sources: Terraform Language, 'Strings and Templates'; Terraform AWS provider, `aws_organizations_policy`,
`aws_iam_role_policy`; AWS CloudFormation, 'AWS::Organizations::Policy', 'AWS::IAM::RolePolicy'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokentrail.aws.principals import reserved
from tokentrail.present.document import document
from tokentrail.present.formats.json_csv import indented
from tokentrail.present.safe import safe
from tokentrail.prevention.model import Guardrail

_TYPES = {"scp": "SERVICE_CONTROL_POLICY", "rcp": "RESOURCE_CONTROL_POLICY"}
_MOST = {"scp": 10_240, "rcp": 5_120}
"""Characters of a policy of AWS Organizations, spaces and all (AWS Organizations User Guide, 'Quotas')."""


def terraform(guardrails: Sequence[Guardrail]) -> str:
    """Guardrails as Terraform, in their order."""
    return "\n".join(_terraform(one, name) for one, name in _named(guardrails))


def cloudformation(guardrails: Sequence[Guardrail]) -> str:
    """Guardrails as one CloudFormation template; what no resource can add is in its Metadata, to be merged by hand."""
    resources: dict[str, Any] = {}
    by_hand: dict[str, Any] = {}
    for one, name in _named(guardrails):
        logical = plain = "TokenTrail" + "".join(part.title() for part in name.split("_"))
        number = 2
        while (
            logical in resources or logical in by_hand
        ):  # `deploy_1` and `deploy1` are one without the line between
            logical, number = f"{plain}N{number}", number + 1
        found = _resource(one, name)
        if found is None:
            by_hand[logical] = {
                "Target": one.target,
                "How": one.attach,
                "Document": one.policy or one.setting,
            }
        else:
            resources[logical] = {**found, "Metadata": {"Title": one.title, "Limits": one.limits}}
    template: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Guardrails made by TokenTrail from the case's own evidence. Organizations policies are created "
        "unattached: attach them after a trial.",
    }
    if by_hand:
        template["Metadata"] = {"ByHand": by_hand}
    return indented(template | {"Resources": resources}) + "\n"


def files(guardrails: Sequence[Guardrail]) -> Mapping[str, str]:
    """Every guardrail as a JSON file that `guard --policy` reads again, and all as Terraform and CloudFormation."""
    found = {
        f"{place:02}-{name.replace('_', '-')}.json": indented(document(one)) + "\n"
        for place, (one, name) in enumerate(_named(guardrails), 1)
    }
    return found | {
        "guardrails.tf": terraform(guardrails), "guardrails.cloudformation.json": cloudformation(guardrails)
    }  # fmt: skip


def _named(guardrails: Iterable[Guardrail]) -> Iterable[tuple[Guardrail, str]]:
    """Give each a name of plain letters, which no other has."""
    taken: set[str] = set()
    for one in guardrails:
        name = plain = re.sub(r"[^A-Za-z0-9]+", "_", one.id).strip("_").lower()
        number = 2
        while name in taken:
            name, number = f"{plain}_{number}", number + 1
        taken.add(name)
        yield one, name


def _terraform(one: Guardrail, name: str) -> str:
    said = "".join(f"# {safe(text)}\n" for text in (one.title + ".", one.limits, one.attach))
    if one.policy is None:
        return f"{said}# {safe(json.dumps(one.setting))}\n"
    content = _heredoc(one.policy, _MOST.get(one.kind))
    if one.kind in _TYPES:
        body = (
            f'  name    = "{_policy_name(name)}"\n  type    = "{_TYPES[one.kind]}"\n  content = {content}\n'
        )
        return f'{said}resource "aws_organizations_policy" "{name}" {{\n{body}}}\n'
    if _by_hand(one):
        there = "trust policy" if one.kind == "trust-policy" else "inline policy of the permission set"
        body = (
            f"  source_policy_documents = [\n    # the present {there} of {safe(one.target or '')}, then:\n"
        )
        return f'{said}data "aws_iam_policy_document" "{name}" {{\n{body}    {content}\n  ]\n}}\n'
    kind = "user" if ":user/" in (one.target or "") else "role"
    holder = _string((one.target or "").rpartition("/")[2])
    body = f'  name   = "{_policy_name(name)}"\n  {kind}   = {holder}\n  policy = {content}\n'
    return f'{said}resource "aws_iam_{kind}_policy" "{name}" {{\n{body}}}\n'


def _by_hand(one: Guardrail) -> bool:
    """Whether it has to be merged into a document that stands there, where no resource can add it."""
    return one.kind == "trust-policy" or (one.kind == "identity-policy" and reserved(one.target or ""))


def _heredoc(policy: Mapping[str, Any], most: int | None) -> str:
    """Write a policy as people read it; in one line where that alone has room, as AWS Organizations counts spaces."""
    text = json.dumps(policy, indent=2, ensure_ascii=True)
    if most is not None and len(text) > most:
        text = json.dumps(policy, separators=(",", ":"), ensure_ascii=True)
    return "<<-POLICY\n" + text.replace("${", "$${").replace("%{", "%%{") + "\n  POLICY"


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=True).replace("${", "$${").replace("%{", "%%{")


def _policy_name(name: str) -> str:
    return f"TokenTrail-{name.replace('_', '-')}"[:128]


def _resource(one: Guardrail, name: str) -> dict[str, Any] | None:
    if one.policy is None or _by_hand(one):
        return None
    if one.kind in _TYPES:
        return {
            "Type": "AWS::Organizations::Policy",
            "Properties": {"Name": _policy_name(name), "Type": _TYPES[one.kind], "Content": one.policy},
        }
    kind = "User" if ":user/" in (one.target or "") else "Role"
    holder = (one.target or "").rpartition("/")[2]
    return {
        "Type": f"AWS::IAM::{kind}Policy",
        "Properties": {f"{kind}Name": holder, "PolicyName": _policy_name(name), "PolicyDocument": one.policy},
    }
