"""What the attacker wrote stays data in text, Terraform, CloudFormation and file names."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tokentrail.present.formats.guardrail_files import cloudformation, files, terraform
from tokentrail.present.text.guard_text import guard_rows, write_guard
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.prevention.model import AttackerCall, AuditFinding, Backtest, Broken, Guard, Guardrail

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)
EVIL = 'x"${file("/etc/passwd")}%{ if true }\n  POLICY\n\x1b[2J\u202e}../../y'


def guardrail(**changes: Any) -> Guardrail:
    """One for a role whose name an attacker chose."""
    broken = (
        Broken(principal=EVIL, action=EVIL, calls=3, first=NINE, last=NINE, outcome="undecided", why=EVIL),
    )
    call = AttackerCall(credential=EVIL, action=EVIL, calls=1, first=NINE, last=NINE, outcome="refused")
    values: dict[str, Any] = {
        "id": f"trust-named-callers:{EVIL}", "rule": "trust-named-callers", "title": EVIL, "kind": "trust-policy",
        "account": "111122223333", "target": f"arn:aws:iam::111122223333:role/{EVIL}",
        "policy": {"Version": "2012-10-17", "Statement": [{"Sid": "A", "Effect": "Deny", "Action": "*", "Resource": EVIL}]},
        "setting": None, "prevents": EVIL, "limits": EVIL, "stage": 1, "attach": EVIL,
        "backtest": Backtest(
            events=9, attacker_events=4, attacker_blocked=2, attacker_refused=1, attacker_undecided=1, ordinary_events=5,
            ordinary_blocked=3, ordinary_refused=2, ordinary_undecided=1, undecided=2, story_ends_at=NINE, broken=broken,
            undecided_by=broken, attacker_calls=(call,),
        ),
    }  # fmt: skip
    return Guardrail(**(values | changes))


KINDS = (
    guardrail(), guardrail(kind="scp", target=None), guardrail(kind="rcp", target=None), guardrail(kind="identity-policy"),
    guardrail(kind="identity-policy", target=f"arn:aws:iam::111122223333:user/{EVIL}"),
    guardrail(kind="setting", policy=None, setting={"service": "iam", "operation": "UpdateRole", "parameters": {"RoleName": EVIL}}),
)  # fmt: skip


def guard() -> Guard:
    """An answer full of such names."""
    finding = AuditFinding(
        id="1", rule="trusts-strangers", title=EVIL, severity="high", account=EVIL, principal=EVIL, why=EVIL, attack=EVIL,
        whence=(EVIL,), whither=(EVIL,), lives=3600, fix=EVIL,
    )  # fmt: skip
    return Guard(
        as_of=NINE, subjects=(EVIL,), attackers=(EVIL,), assumed=EVIL, findings=(finding,) * 9, guardrails=KINDS,
        cannot=(EVIL,), unmade=(EVIL,),
    )  # fmt: skip


def test_text_is_inert_and_fits_the_page() -> None:
    """No line is longer than 100 columns but a policy's, which can be copied whole; no control character moves anything."""
    for whole in (False, True):
        stream = io.StringIO()
        write_guard(guard(), TextWriter(stream), whole=whole)

        policies = re.findall(r"^ {14}\{\n.*?^ {14}\}\n", stream.getvalue(), re.MULTILINE | re.DOTALL)
        assert KINDS[0].policy in [json.loads(one) for one in policies]
        shown = (
            stream.getvalue()
            if not policies
            else re.sub("|".join(map(re.escape, policies)), "", stream.getvalue())
        )
        assert max(map(len, shown.splitlines())) <= 100
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", stream.getvalue())


def test_of_hundreds_of_roles_the_table_names_a_few() -> None:
    """An attacker who made three hundred roles drowns no other guardrail; all are listed where that is asked for."""
    many = replace(guard(), guardrails=tuple(guardrail(id=f"trust:role-{n}") for n in range(300)))
    short, whole = io.StringIO(), io.StringIO()
    write_guard(many, TextWriter(short), whole=False)
    write_guard(many, TextWriter(whole), whole=True)

    assert "… and 288 more; --history lists them\n" in short.getvalue()
    assert "trust:role-299 " not in short.getvalue() and "trust:role-299 " in whole.getvalue()


def test_rows_of_one_role_s_name_in_many_accounts_stay_apart() -> None:
    """Accounts stand at the end of a long id: cut there, the rows of an organisation's role would all read alike."""
    ids = [f"trust-named-callers:OrganizationAccountAccessRole@{n:012}" for n in range(9)]
    stream = io.StringIO()
    write_guard(
        replace(guard(), guardrails=tuple(guardrail(id=one) for one in ids)), TextWriter(stream), whole=False
    )

    rows = re.findall("^  1      (trust.{32})", stream.getvalue(), re.MULTILINE)
    assert len(rows) == len({*rows}) == 9


def test_terraform_has_no_template_of_the_attacker_s() -> None:
    """Every `${` and `%{` is escaped, each here-document ends where ours does, names are plain."""
    text = terraform(KINDS)
    code = "\n".join(line for line in text.splitlines() if not line.startswith(("#", "    #")))

    assert not re.search(r"(?<!\$)\$\{|(?<!%)%\{", code)
    assert text.count("<<-POLICY") == len(re.findall(r"^\s*POLICY$", text, re.MULTILINE)) == 5
    assert re.findall(r'^(?:resource|data) "\w+" "([^"]*)"', text, re.MULTILINE)
    assert all(
        re.fullmatch(r"[a-z0-9_]+", one)
        for one in re.findall(r'^(?:resource|data) "\w+" "(.*?)" \{', text, re.MULTILINE)
    )
    assert "\x1b" not in text and "\u202e" not in text


def test_documents_survive_terraform_unchanged() -> None:
    """What stands in a here-document is the policy, once Terraform has unescaped it."""
    body = terraform(KINDS[1:2]).partition("<<-POLICY\n")[2].partition("\n  POLICY")[0]

    assert json.loads(body.replace("$${", "${").replace("%%{", "%{")) == KINDS[1].policy


def test_what_fits_without_spaces_alone_has_none() -> None:
    """AWS Organizations counts the spaces and line ends of a policy, of which it takes 10,240 characters."""
    networks = [f"198.51.100.{number}/32" for number in range(400)]
    condition = {"NotIpAddressIfExists": {"aws:SourceIp": networks}}
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Resource": "*", "Condition": condition}],
    }
    body = (
        terraform([guardrail(kind="scp", policy=policy)])
        .partition("<<-POLICY\n")[2]
        .partition("\n  POLICY")[0]
    )

    assert len(json.dumps(policy, indent=2)) > 10_240 > len(body)
    assert json.loads(body) == policy


def test_cloudformation_is_one_template_with_plain_names() -> None:
    """What no resource can add is in its Metadata; roles whose names differ by a hyphen stay apart."""
    alike = json.loads(cloudformation([guardrail(id="trust:Deploy-1"), guardrail(id="trust:Deploy1")]))
    assert 2 == len(alike["Metadata"]["ByHand"])

    template = json.loads(cloudformation(KINDS))

    assert 4 == len(template["Resources"]) and 2 == len(template["Metadata"]["ByHand"])
    assert all(name.isalnum() for name in (*template["Resources"], *template["Metadata"]["ByHand"]))


def test_files_stay_in_their_folder(tmp_path: Path) -> None:
    """Names are made of plain letters; each guardrail has one of its own."""
    names = files(KINDS)

    assert len(names) == len(KINDS) + 2
    assert all((tmp_path / name).parent == tmp_path and re.fullmatch(r"[a-z0-9.-]+", name) for name in names)


def test_rows_hold_the_policy_as_json() -> None:
    """One row a guardrail, with the numbers of its back-test."""
    rows = guard_rows(KINDS)

    assert json.loads(rows[0]["policy"]) == KINDS[0].policy
    assert rows[-1]["policy"] is None
    assert 3 == rows[0]["ordinary_blocked"]
