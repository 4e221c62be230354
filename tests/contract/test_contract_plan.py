"""The plan as JSON keeps what CONTRACT promises to those who script against it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from contract_cases import ROOT, blocks, ran

from evidence import AWAY, START, held
from tokentrail import Case
from tokentrail.containment.catalogue import CATALOGUE
from tokentrail.containment.model import (
    AttackerMove,
    Call,
    Collateral,
    NotSpared,
    Plan,
    Proof,
    Replay,
    Step,
    Survivor,
)
from tokentrail.present.document import document
from tokentrail.testing import World
from tokentrail.testing.story import story

Json = dict[str, Any]
PLAN = {
    "version", "case_id", "as_of", "subjects", "strategy", "tainted", "steps", "proof", "residual_risks",
}  # fmt: skip
STEP = {
    "n", "action", "account", "principal", "calls", "ends", "alive_after", "collateral", "undo", "safe_to_undo_after",
    "reversible", "why",
}  # fmt: skip
CALL = {"account", "service", "operation", "parameters"}
PROOF = {"complete", "scope", "survivors", "counterexample", "holds_if"}
ACTIONS = [
    "deactivate-key", "delete-key", "deny-user", "revoke-user-sessions", "revoke-role-sessions", "deny-sessions",
    "deny-role", "freeze-role", "delete-user", "remove-login-profile", "revert-trust", "delete-created-key",
    "delete-created-user", "isolate-instance", "scp-deny", "revoke-sign-in-sessions",
    "disable-identity-center-user", "edit-trust", "attach-quarantine", "deactivate-api-key",
]  # fmt: skip
"""As CONTRACT lists them."""


def world() -> tuple[World, str]:
    """A theft with something of everything: two accounts, made things, a person, an instance."""
    found = World(START)
    key = found.user("support")
    key.gets_session_token(duration=129600).calls("s3:ListBuckets")
    admin = key.assumes("Admin", "x")
    admin.assumes("Deploy", "x", account=AWAY).calls("s3:ListBuckets")
    admin.creates_access_key(admin.creates_user("helper")).calls("s3:ListBuckets")
    admin.creates_access_key(found.user("grace").user).calls("s3:ListBuckets")
    found.user("ada").calls("s3:ListBuckets")
    admin.iam("CreateLoginProfile", userName="ada")
    admin.creates_role("backdoor", {"AWS": "arn:aws:iam::999999999999:root"})
    admin.runs_instance("WebServer").calls("s3:ListBuckets")
    found.identity_center("ria@example.com", "Admin", directory_account=AWAY).assumes("Admin", "ria").calls(
        "s3:ListBuckets"
    )
    return found, key.id


@pytest.fixture(name="plans", scope="module")
def _plans() -> Iterator[list[Json]]:
    evidence, key = world()
    with held(evidence) as case:
        yield [document(one) for one in asked(case, key)]


def asked(case: Case, key: str) -> Iterator[Any]:
    for strategy in ("standard", "surgical", "scorched"):
        yield case.contain([key], strategy=strategy)  # type: ignore[arg-type]
    yield case.contain([key], delete_created=True)
    yield case.contain([key], without_access=[AWAY], management_account="555566667777")
    yield case.contain([key], what_if=[f"deactivate-key:{key}"])


def steps(plans: list[Json]) -> Iterator[Json]:
    for plan in plans:
        yield from plan["steps"]


def calls(plans: list[Json]) -> Iterator[Json]:
    for step in steps(plans):
        yield from (*step["calls"], *step["undo"])


def test_plan_step_call_and_proof_have_the_promised_fields(plans: list[Json]) -> None:
    """Every field of CONTRACT is there, whatever else is."""
    for plan in plans:
        assert PLAN <= set(plan) and PROOF <= set(plan["proof"])
        assert all({"credential", "until", "why"} <= set(one) for one in plan["proof"]["survivors"])
    assert all(STEP <= set(one) for one in steps(plans))
    assert all(CALL <= set(one) for one in calls(plans))
    assert all({"credential", "principal"} == set(one) for step in steps(plans) for one in step["collateral"])


def test_values_are_of_the_promised_sort(plans: list[Json]) -> None:
    """Version 1, times to the second in UTC, ids sorted, steps numbered from 1, absent values null."""
    clock = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
    for plan in plans:
        assert plan["version"] == 1 and clock.fullmatch(plan["as_of"])
        assert plan["strategy"] in ("standard", "surgical", "scorched", None)
        assert plan["proof"]["scope"] in ("observed-edges", "trust-policies")
        assert plan["tainted"] == sorted(plan["tainted"])
        assert [one["n"] for one in plan["steps"]] == list(range(1, len(plan["steps"]) + 1))
    for step in steps(plans):
        assert step["ends"] == sorted(step["ends"]) and step["alive_after"] == sorted(step["alive_after"])
        assert step["safe_to_undo_after"] is None or clock.fullmatch(step["safe_to_undo_after"])
        assert isinstance(step["reversible"], bool) and step["why"]


def test_a_step_on_several_principals_lists_them(plans: list[Json]) -> None:
    """`principal` is then null and `principals` holds them; `account` is null where they lie in several."""
    for step in steps(plans):
        if len(step["principals"]) > 1:
            assert step["principal"] is None
        elif step["principals"]:
            assert [step["principal"]] == step["principals"]
        accounts = {call["account"] for call in step["calls"]}
        assert step["account"] is None or accounts <= {step["account"]}
    assert any(step["account"] is None for step in steps(plans))


def test_actions_are_those_of_the_contract(plans: list[Json]) -> None:
    """No other names, and each is in the catalogue; those for --what-if alone are in no plan of ours."""
    assert set(ACTIONS) == set(CATALOGUE)
    assert {one["action"] for one in steps(plans)} <= set(ACTIONS)
    assert not {"edit-trust", "attach-quarantine"} & {one["action"] for one in steps(plans)}


def test_calls_are_spelled_as_aws_spells_them(plans: list[Json]) -> None:
    """botocore's own models know each operation and take its parameters; documents are JSON texts."""
    models = botocore.session.get_session()
    checked = set()
    for call in calls(plans):
        model = models.get_service_model(call["service"]).operation_model(call["operation"])
        report = ParamValidator().validate(call["parameters"], model.input_shape)
        assert not report.has_errors(), report.generate_report()
        for name in {"PolicyDocument", "Content"} & set(call["parameters"]):
            assert json.loads(call["parameters"][name])["Version"] == "2012-10-17"
        checked.add(call["operation"])
    assert {"UpdateAccessKey", "PutRolePolicy", "DeleteRolePolicy", "DeleteUser", "AttachPolicy"} <= checked


def test_our_policies_are_named_ours(plans: list[Json]) -> None:
    """So that they replace nobody's, and everybody knows whose they are."""
    named = [
        call["parameters"].get("PolicyName") or call["parameters"].get("Name")
        for call in calls(plans)
        if call["operation"] in ("PutUserPolicy", "PutRolePolicy", "CreatePolicy")
    ]
    assert named and all(one.startswith("TokenTrail-") for one in named)


def test_a_what_if_has_no_strategy(plans: list[Json]) -> None:
    """It was asked about, not planned; and it is not complete here."""
    assert plans[-1]["strategy"] is None and not plans[-1]["proof"]["complete"]
    assert plans[-1]["proof"]["counterexample"] and plans[-1]["proof"]["survivors"]
    assert all(plan["proof"]["complete"] for plan in plans[:-1])


def test_the_docs_name_every_action() -> None:
    """A reader of docs/containment.md finds each action that a plan may hold."""
    text = (ROOT / "docs" / "containment.md").read_text()

    assert [one for one in ACTIONS if f"`{one}`" not in text] == []


SHOWN = [
    (page, block)
    for page in (ROOT / "README.md", ROOT / "docs" / "containment.md")
    for block in blocks(page, "console")
]


@pytest.fixture(name="demo", scope="module")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `demo` is the demo's case."""
    folder = tmp_path_factory.mktemp("demo")
    with Case.open(folder / "demo") as case:
        evidence = folder / "evidence"
        story().world.write(evidence)
        case.ingest([str(evidence)])
    return folder


@pytest.mark.parametrize(
    ("page", "block"), SHOWN, ids=[f"{page.name}-{n}" for n, (page, _) in enumerate(SHOWN)]
)
def test_plans_in_the_docs_are_what_is_printed(page: Path, block: str, demo: Path) -> None:
    """Each plan that the README and docs/containment.md show is the command's output, line by line; … leaves some out."""
    command, *shown = [line.rstrip() for line in block.splitlines() if line.strip()]
    arguments = shlex.split(command.removeprefix("$ tokentrail "))
    code, out, err = ran(*arguments, folder=demo)
    printed = iter(out.splitlines())

    assert code in (0, 1), err
    assert [line for line in shown if line != "…" and line not in printed] == []


def test_every_field_of_a_plan_is_documented() -> None:
    """docs/output.md names each."""
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "output.md").read_text()))
    names = {
        one.name
        for kind in (Plan, Step, Proof, Call, Survivor, Collateral, NotSpared, Replay, AttackerMove)
        for one in fields(kind)
    }

    assert names <= documented
