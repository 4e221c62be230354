"""
A containment plan as text: the verdict first, then each step with what it ends and costs, then the proof.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TextIO

from tokentrail.aws.principals import short_apart
from tokentrail.containment.model import Call, Plan, Step
from tokentrail.formatting import counted, listed, short
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.safe import safe
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.present.views.plan import PlanView, StepView, plan_view

_MOST = 4
_MOST_CALLS = 6
_MOST_NAMED = 20
_LABEL = 13
_LONGEST = 900
"""Characters of a parameter that the text shows."""
_LONGEST_SCRIPT = 240_000
"""Characters of a script that a page has room for."""
_LOADS = re.compile(r"(file|fileb|https?)://", re.IGNORECASE)
_SECONDS, _SECONDS_ONCE = 2, 10
"""Seconds that the aws-cli may take for a call, and where the call can't be sent again."""
_DENY_NAME = "TokenTrail-DenyAll"
_DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
_MADE = re.compile(r"\$\{step\.call\[([0-9]+)\]\.Policy\.PolicySummary\.Id\}")
"""How a call names the policy that an earlier call of its step makes."""


def write_plan(plan: Plan, writer: TextWriter) -> None:
    """Write a plan and its proof."""
    shown = plan_view(plan)
    count = counted(len(shown.steps), "step")
    writer.line(
        (f"{shown.verdict}: ", words.ENDINGS[shown.ending]),
        f"{shown.kind}, {count}, as of {timestamp(shown.as_of)}",
    )
    write_unstolen(shown, writer, _MOST_NAMED)
    _list(writer, "subjects", shown.subjects)
    _list(writer, "tainted", shown.tainted)
    if shown.narrowed is not None:
        writer.wrapped(shown.narrowed, first=_label("narrowed"))
    for sentence in shown.counterexample:
        writer.wrapped(sentence, first="  - ", style="red")
    if not shown.steps:
        writer.line()
        writer.wrapped(shown.no_step)
    for step in shown.steps:
        _write_step(step, writer)
    _write_proof(shown, writer)


def write_unstolen(plan: PlanView, writer: TextWriter, most: int) -> None:
    """Name the credentials that must not have been stolen, if the plan is to be complete."""
    for one in plan.unstolen[:most]:
        writer.wrapped(f"{one}  (`tokentrail contain {shlex.quote(one)}` ends it)", first="  not stolen?  ")
    writer.and_more(len(plan.unstolen), most, " (--format json has all)", lead="  and")


def _write_step(step: StepView, writer: TextWriter) -> None:
    by_hand = "" if step.calls else ", by hand"
    writer.heading(f"Step {step.n}  {step.action}  ({step.where}{by_hand})")
    _list(writer, "on", short_apart(step.on))
    _list(writer, "ends", step.ends, none=step.ends_none)
    _list(writer, "still alive", step.alive_after, none="none of the attacker's")
    hit = [f"{one.credential} ({short(one.principal or '?')})" for one in step.collateral]
    _list(writer, "collateral", hit, none="none seen")
    _write_calls(step.calls, writer)
    writer.wrapped(step.undo, first=_label("undo"))
    lead = "why"
    for part in step.why:
        if part.policy_length:
            for line in part.text.splitlines():
                writer.command(line, first=_label(""))
        else:
            writer.wrapped(part.text, first=_label(lead))
        lead = ""


def _write_calls(calls: Sequence[Call], writer: TextWriter) -> None:
    """Write calls, of those that differ in their target alone the first."""
    alike: dict[tuple[str, ...], list[Call]] = {}
    for call in calls:
        same = (call.operation, call.region or "", str(call.parameters.get("PolicyDocument")))
        alike.setdefault(same, []).append(call)
    lead = f"{len(calls):,}: " if len(calls) > 1 else ""
    for place, same_calls in enumerate(list(alike.values())[:_MOST_CALLS]):
        more = f"  (and the same for {len(same_calls) - 1:,} more)" if len(same_calls) > 1 else ""
        writer.wrapped(lead + _call(same_calls[0]) + more, first=_label("" if place else "calls"))
        lead = ""
    writer.and_more(len(alike), _MOST_CALLS, " kinds", lead=f"{_label('')}and")


def _write_proof(plan: PlanView, writer: TextWriter) -> None:
    writer.heading(plan.scope)
    for one in plan.survivors[: 2 * _MOST]:
        writer.wrapped(one, first="  - ")
    writer.and_more(len(plan.survivors), 2 * _MOST, " survive", lead="  and")
    if plan.holds_if:
        writer.wrapped(plan.lead, first="  ")
    for sentence in plan.holds_if:
        writer.wrapped(sentence, first="  - ")
    for sentence in plan.not_spared:
        writer.wrapped(sentence, first="  ! ")
    if plan.not_covered:
        writer.heading(words.NOT_COVERED)
        for sentence in plan.not_covered[: 5 * _MOST]:
            writer.wrapped(sentence, first="  - ")
        writer.and_more(len(plan.not_covered), 5 * _MOST, lead="  and")


def _call(call: Call) -> str:
    shown = ", ".join(f"{name}={_shown(value)}" for name, value in call.parameters.items())
    where = f" in {call.region}" if call.region else ""
    return f"{call.service}:{call.operation}{where} {shown}"


def _shown(value: object) -> str:
    """A parameter as text, a long document cut short: hundreds of session names tell a reader nothing."""
    text = _value(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}… ({len(text):,} characters; --script, --format json and -o have all of it)"


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _list(writer: TextWriter, label: str, items: Sequence[str], none: str = "-") -> None:
    shown = listed(items, _MOST)
    if len(items) > _MOST:
        shown = f"{len(items):,}: {shown}"
    writer.wrapped(shown or none, first=_label(label))


def _label(text: str) -> str:
    return f"  {text:{_LABEL}}"


# ---------------------------------------------------------------- the plan as a script of aws-cli calls


def write_script(plan: Plan, stream: TextIO) -> None:
    """Write a plan as a shell script of aws-cli calls; steps for a person become comments, and a pause."""
    for line in _script(plan):
        stream.write(line + "\n")


def script_of(plan: Plan) -> str | None:
    """A plan as a script; empty where it has no step, `None` where it is too long for a page."""
    if not plan.steps:
        return ""
    stream = io.StringIO()
    write_script(plan, stream)
    text = stream.getvalue()
    return None if len(text) > _LONGEST_SCRIPT else text.rstrip("\n")


def _script(plan: Plan) -> Iterator[str]:
    verdict = (
        "complete" if plan.proof.complete else "NOT COMPLETE: it leaves credentials of the attacker alive"
    )
    yield "#!/usr/bin/env bash"
    yield _comment(f"Containment plan of case {plan.case_id} as of {timestamp(plan.as_of)}: {verdict}.")
    yield "# Its cutoffs are set when it runs, so that sessions minted until then are covered."
    yield "# For each account use credentials of that account: the profile is named ACCOUNT-<id> below; change it."
    yield "set -euo pipefail"
    yield "export AWS_PAGER= # else a long answer waits for a key"
    yield from _clockwork(plan.margin)
    for step in plan.steps:
        yield ""
        yield _comment(f"Step {step.n}: {step.action}. {step.why}")
        if not step.calls:
            yield f'read -r -p "Step {step.n} is done by hand, see above. Press Enter when it is done. " _'
            continue
        commands = [line for place, call in enumerate(step.calls) for line in _command(step, place, call)]
        yield from _in_time(step, commands) if step.cutoff else commands
        if step.n < len(plan.steps):
            yield f"sleep {step.bites_within}"


def _clockwork(margin: int) -> Iterator[str]:
    """
    The functions that give the cutoff of each call as it is sent, by GNU's `date` or by BSD's.

    The calls of a step are given the same cutoff, which lies ahead by the margin and the time that sending all of them
    may take: with different ones, a session of a role that is denied last could mint one that outlives the cutoff of a
    role that was denied first. A call that is sent later than that gets a later cutoff, and the step is sent again.
    """
    form = "+%Y-%m-%dT%H:%M:%SZ"
    yield f"now() {{ echo $(($(date +%s) + {margin})); }} # and the margin"
    yield "begin() { CUTOFF=$(($(now) + $1)); } # how many seconds the calls of a step may take"
    yield "late() { (($(now) > CUTOFF)); }"
    yield "cutoff() {"
    yield "  local at=$CUTOFF"
    yield "  if late; then at=$(now); fi"
    yield f'  date -u -d "@$at" {form} 2>/dev/null || date -u -r "$at" {form}'
    yield "}"


def _in_time(step: Step, commands: Sequence[str]) -> Iterator[str]:
    """The commands of a step with a cutoff: sent again with a later one if they took longer than was allowed for."""
    again = not any(
        call.operation == "CreatePolicy" for call in step.calls
    )  # which AWS refuses the second time
    allowed = len(step.calls) * (_SECONDS if again else _SECONDS_ONCE)
    if not again:
        yield f"begin {allowed}"
        yield from commands
        yield (
            f'if late; then echo "Step {step.n} took so long that what was minted meanwhile may live on. '
            'Make the plan anew, and carry it out with tokentrail apply." >&2; exit 1; fi'
        )
        return
    yield f"allowed={allowed}"
    yield "while begin $allowed; do"
    yield "began=$(now)"
    yield from commands
    yield "if ! late; then break; fi"
    yield "allowed=$((2 * ($(now) - began)))"
    yield f'echo "Step {step.n} took longer than expected: it is sent again with a later cutoff." >&2'
    yield "done"


def _command(step: Step, place: int, call: Call) -> Iterator[str]:
    if call.operation == "DeleteUser":
        yield "# A user can be deleted only once all that it has is gone, which `tokentrail apply` sees to. Until then:"
        denied = {
            "UserName": call.parameters["UserName"],
            "PolicyName": _DENY_NAME,
            "PolicyDocument": _DENY_ALL,
        }
        call = replace(call, operation="PutUserPolicy", parameters=denied)
    if any(isinstance(value, str) and _LOADS.match(value) for value in call.parameters.values()):
        yield "# Left out: a name in it would make the aws-cli read a file. No user or role is really called so."
        return
    parts = ["aws", "--profile", f"ACCOUNT-{call.account}", call.service, _kebab(call.operation)]
    parts += [f"--region={call.region}"] if call.region else []
    shown = " ".join(shlex.quote(safe(part)) for part in parts)
    for name, value in call.parameters.items():
        shown += f" --{_kebab(name)}={_argument(step, value)}"
    made = call.operation == "CreatePolicy" and call.service == "organizations"
    if call.operation in _PERHAPS_OVER:
        shown += ' || read -r -p "If it has ended already, press Enter; else stop here (Ctrl-C) and look. " _'
    yield f'POLICY_{place}="$({shown} --query Policy.PolicySummary.Id --output text)"' if made else shown


def _argument(step: Step, value: object) -> str:
    """
    A parameter's value as it stands after `=`: without that, a name such as `--debug` would be an option.

    Source: IAM API Reference, 'CreateUser': a name holds letters, digits and any of `_+=,.@-`, in any order.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = safe(_value(value))
    if made := _MADE.fullmatch(text):
        return f'"$POLICY_{made[1]}"'
    if step.cutoff and timestamp(step.cutoff) in text:
        pieces = (shlex.quote(piece) if piece else "" for piece in text.split(timestamp(step.cutoff)))
        return '"$(cutoff)"'.join(pieces)
    return shlex.quote(text)


def _comment(text: str) -> str:
    return "# " + safe(text).replace("\n", " ")


def _kebab(name: str) -> str:
    """`PutRolePolicy` as the aws-cli spells it."""
    spelled = "".join(f"-{one.lower()}" if one.isupper() else one for one in name).lstrip("-")
    return _RUNS.get(name, spelled)


_PERHAPS_OVER = frozenset({"StopTask", "StopBuild"})
"""What ends by itself, and is refused for what AWS has forgotten by then, though nothing is left to do."""
_RUNS = {
    "SAMLProviderArn": "saml-provider-arn", "DeleteSAMLProvider": "delete-saml-provider",
    "OpenIDConnectProviderArn": "open-id-connect-provider-arn",
    "DeleteOpenIDConnectProvider": "delete-open-id-connect-provider",
}  # fmt: skip
