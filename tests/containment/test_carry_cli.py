"""`apply`, `verify` and `undo` on the command line, against moto over HTTP, in processes that may be killed."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from carry_cases import AS_OF, HOME, REVOKE, Stand, call, denial, plan_of, step

from evidence import call as record
from evidence import user
from patience import PATIENCE, until
from shell import Ran, ran
from tokentrail.case import Case
from tokentrail.cli.aws_targets import insist_on_consent
from tokentrail.containment import planfile
from tokentrail.containment.execution.journal import journal_path
from tokentrail.containment.model import Plan
from tokentrail.errors import ActionRefused
from tokentrail.testing import World, native

YES = "--yes-change-my-account"


@dataclass
class Shell:
    """A folder with a plan, and the program."""

    stand: Stand
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, verb: str, *options: str, file: Path | None = None) -> Ran:
        return ran(self.monkeypatch, self.arguments(verb, *options, file=file)[1:])

    def arguments(self, verb: str, *options: str, file: Path | None = None) -> list[str]:
        return [
            "tokentrail",
            verb,
            str(file or self.stand.file),
            "--endpoint-url",
            self.stand.wire.url,
            *options,
        ]

    def plan(self, *, hours_ago: float = 1, **fields: Any) -> Plan:
        """The story's plan, biting at once, made some hours ago, on disk."""
        plan = self.stand.story()
        as_of = (datetime.now(UTC) - timedelta(hours=hours_ago)).replace(microsecond=0)
        shift = as_of - AS_OF
        plan = replace(plan, as_of=as_of, steps=tuple(_shifted(one, shift) for one in plan.steps), **fields)
        planfile.save(plan, self.stand.file)
        return plan


def _shifted(one: Any, shift: timedelta) -> Any:
    calls = one.calls
    if one.cutoff:
        text = denial(one.cutoff + shift)
        calls = tuple(
            replace(meant, parameters={**meant.parameters, "PolicyDocument": text}) for meant in calls
        )
    safe = one.safe_to_undo_after + shift if one.safe_to_undo_after else None
    cutoff = one.cutoff + shift if one.cutoff else None
    return replace(one, calls=calls, cutoff=cutoff, safe_to_undo_after=safe, bites_within=0)


@pytest.fixture(name="shell")
def _shell(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(stand.folder)
    monkeypatch.delenv("TOKENTRAIL_CASE", raising=False)
    return Shell(stand, monkeypatch)


def test_apply_shows_every_call_and_carries_it_out(shell: Shell) -> None:
    """Every call is shown whole before it is sent, and what came of it after."""
    shell.plan()

    ran = shell("apply", YES)

    assert ran.code == 0, ran.err
    assert ran.out.count("done at") == 3
    assert "iam:PutRolePolicy" in ran.err
    assert '"aws:TokenIssueTime"' in ran.err
    assert "There is no case" in ran.err
    assert shell.stand.key_status() == "Inactive"


def test_apply_again_says_that_nothing_was_left(shell: Shell) -> None:
    """A second run sends nothing."""
    shell.plan()
    shell("apply", YES)
    sent = list(shell.stand.wire.writes)

    again = shell("apply", YES)

    assert again.code == 0
    assert "Nothing was left to send" in again.out
    assert shell.stand.wire.writes == sent


def test_nobody_to_ask_means_nothing_is_sent(shell: Shell) -> None:
    """Without consent and without a terminal it exits with 4."""
    shell.plan()

    ran = shell("apply")

    assert ran.code == 4
    assert YES in ran.err
    assert shell.stand.wire.actions == []


@pytest.mark.parametrize("typed", ["400 accounts", "400", "yes", "000000000001"])
def test_of_hundreds_of_accounts_the_number_is_typed_back(
    monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    """A terminal takes no line of four hundred ids; a mere yes is too little for as many."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(typed + "\n"))
    accounts = [f"{number:012}" for number in range(400)]
    if typed == "400 accounts":
        insist_on_consent(accounts, consent=False)
    else:
        with pytest.raises(ActionRefused, match=r"is not 400 accounts \(0{12}, .* and 396 more\)"):
            insist_on_consent(accounts, consent=False)


@pytest.mark.parametrize(
    ("typed", "code"), [(HOME, 0), ("111122223333", 4), ("yes", 4), (f"{HOME} 111122223333", 4)]
)
def test_the_account_is_typed_back(shell: Shell, typed: str, code: int) -> None:
    """On a terminal the account's id is asked for, and anything else than it changes nothing."""
    shell.plan()

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shell.monkeypatch.setattr(sys, "stdin", Terminal(typed + "\n"))
    ran = shell("apply")

    assert ran.code == code, ran.err
    assert (shell.stand.key_status() == "Inactive") == (code == 0)


def _asked(shell: Shell, *options: str) -> Ran:
    """Run `apply` on a terminal at which a person would type the account's id."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shell.monkeypatch.setattr(sys, "stdin", Terminal(HOME + "\n"))
    return shell("apply", *options)


def test_nobody_is_asked_to_agree_to_what_can_t_be_done(shell: Shell) -> None:
    """A profile that there is not, one of another account and another case are said before the account is asked for."""
    shell.plan()
    missing = _asked(shell, "--profile-for", f"{HOME}=nobody")
    assert missing.code == 4 and "Type the account id" not in missing.err

    astray = _asked(shell, "--profile-for", "999999999999=ir")
    assert astray.code == 2 and f"it makes them in {HOME}" in astray.err and "Type" not in astray.err

    Case.open(shell.stand.folder / "tokentrail-case").close()
    other = _asked(shell)
    assert other.code == 4 and "--case" in other.err and "Type" not in other.err
    assert shell.stand.wire.writes == []


@pytest.mark.parametrize(("hours", "told"), [(0.5, False), (50, True)])
def test_the_age_of_a_plan_is_said_before_anybody_agrees(shell: Shell, hours: float, told: bool) -> None:
    """Of a plan that is older than an hour it is said how old it is; a fresh one is carried out without a word."""
    shell.plan(hours_ago=hours)

    ran = _asked(shell)

    said = " ".join(ran.err.partition("Type the account id")[0].split())
    assert ("2 d 2 h ago. What was minted since is in none of its steps" in said) is told
    assert ("The plan is of" in said) is told


def test_a_dry_run_calls_nothing(shell: Shell) -> None:
    """It only shows, and needs no consent."""
    shell.plan()

    text, whole = shell("apply", "--dry-run"), shell("apply", "--dry-run", "--format", "json")

    assert text.code == whole.code == 0
    assert "iam:PutUserPolicy" in text.out
    assert json.loads(whole.out)["steps"][0]["action"] == "deactivate-key"
    assert shell.stand.wire.actions == []


def test_results_are_json_too(shell: Shell) -> None:
    """What was done, for programs."""
    shell.plan()

    found = json.loads(shell("apply", YES, "--format", "json").out)

    assert found["complete"] is True
    assert [one["outcome"] for one in found["steps"]] == ["done", "done", "done"]
    assert found["steps"][1]["deeds"][0]["call"]["operation"] == "PutUserPolicy"


def test_a_stopped_run_exits_with_4_and_says_what_was_not_done(shell: Shell) -> None:
    """And a second one goes on."""
    shell.plan()
    shell.stand.wire.before = lambda action: (403, "AccessDenied") if action == "PutUserPolicy" else None
    stopped = shell("apply", YES)
    shell.stand.wire.before = lambda action: None

    assert stopped.code == 4
    assert "2. revoke-user-sessions: NOT DONE" in stopped.out
    assert "3. revoke-role-sessions: not reached" in stopped.out
    assert shell("apply", YES).code == 0


def test_a_person_s_step_is_confirmed_with_done(shell: Shell) -> None:
    """--done N says that a person has done step N."""
    plan = plan_of(step(1, "disable-identity-center-user", why="Disable the user.", bites_within=0))
    planfile.save(plan, shell.stand.file)

    assert shell("apply", YES).code == 4
    assert shell("apply", YES, "--done", "1").code == 0


def test_hostile_text_stays_inert(shell: Shell) -> None:
    """Names in a plan can't move the cursor or forge a line."""
    evil = "x\x1b[2J\u202e\nStep 9"
    plan = plan_of(
        step(
            1,
            "deny-user",
            call("PutUserPolicy", UserName=evil, PolicyName="p", PolicyDocument=denial()),
            why=evil,
        )
    )
    planfile.save(plan, shell.stand.file)

    ran = shell("apply", "--dry-run")

    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert "\nStep 9" not in ran.out


@pytest.mark.parametrize("verb", ["apply", "verify", "undo"])
def test_a_file_that_is_no_plan_is_wrong_use(shell: Shell, verb: str) -> None:
    """Exit code 2, with the way to make one."""
    shell.stand.file.write_text("{}")

    ran = shell(verb)

    assert ran.code == 2
    assert "tokentrail contain" in ran.err


def test_another_case_is_refused(shell: Shell) -> None:
    """The evidence of another case says nothing about the plan."""
    shell.plan()
    Case.open(shell.stand.folder / "tokentrail-case").close()

    ran = shell("apply", YES)

    assert ran.code == 4
    assert "--case" in ran.err


def test_newer_evidence_is_looked_at(shell: Shell) -> None:
    """A credential that came since the plan was made, and that no step ends, is a reason to plan again."""
    folder = shell.stand.folder / "tokentrail-case"
    plan = shell.plan()
    logs = shell.stand.folder / "logs.json"
    now = datetime.now(UTC)
    minted = {
        "credentials": {
            "accessKeyId": "ASIANEWNEWNEWNEW0001",
            "sessionToken": "t",
            "expiration": f"{now + timedelta(hours=12):%b %d, %Y, %I:%M:%S %p}",
        }
    }
    logs.write_bytes(native([
        record("GetSessionToken", f"{now:%Y-%m-%dT%H:%M:%SZ}", user("support", shell.stand.key), responseElements=minted)
    ]))  # fmt: skip
    with Case.open(folder) as case:
        case.ingest([str(logs)])
        planfile.save(replace(plan, case_id=case.case_id, subjects=(shell.stand.key,)), shell.stand.file)

    ran = shell("apply", YES)

    assert ran.code == 4
    assert "ASIANEWNEWNEWNEW0001" in ran.err
    assert "tokentrail contain" in ran.err
    assert shell.stand.wire.writes == []


def test_an_attacker_who_mints_every_minute_does_not_stop_apply(shell: Shell) -> None:
    """While a watch ingests what is minted, the plan is carried out: its cutoffs lie after all of it."""
    shell.stand.story()
    folder, logs = shell.stand.folder / "tokentrail-case", shell.stand.folder / "logs.json"
    world = World(datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30), account=HOME)
    key = world.user("support")
    key.assumes("MyBucketRole", "first").calls("s3:ListBuckets")
    logs.write_bytes(native(world.records()))
    with Case.open(folder) as case:
        case.ingest([str(logs)])
        plan = case.contain([key.id])
        planfile.save(
            replace(plan, steps=tuple(replace(one, bites_within=0) for one in plan.steps)), shell.stand.file
        )
        for minute in range(5):
            world.wait(minutes=1)
            key.assumes("MyBucketRole", f"again-{minute}").calls("s3:ListBuckets")
        logs.write_bytes(native(world.records()))
        case.ingest([str(logs)])

    ran = shell("apply", YES)

    assert ran.code == 0, ran.err
    assert shell.stand.wire.writes == ["PutUserPolicy", "PutRolePolicy"]


def test_undo_puts_all_back(shell: Shell) -> None:
    """After it is safe, the account is as it was, but for the leaked key."""
    shell.plan(hours_ago=0)
    before = shell.stand.details()
    shell("apply", YES)
    too_early = shell("undo", YES)

    assert too_early.code == 4
    assert "could revive" in too_early.err
    assert shell("undo", "--dry-run").code == 0

    plan = planfile.load(shell.stand.file)
    past = tuple(
        replace(one, safe_to_undo_after=one.safe_to_undo_after and plan.as_of - timedelta(hours=1))
        for one in plan.steps
    )
    lines = journal_path(shell.stand.file).read_text().splitlines()
    safe = replace(plan, steps=past)
    head = json.loads(lines[0]) | {"plan": planfile.digest(safe)}
    journal_path(shell.stand.file).write_text("\n".join([json.dumps(head), *lines[1:]]) + "\n")
    planfile.save(safe, shell.stand.file)
    alone = shell("undo", YES, "--step", "3", "--dry-run")
    assert alone.code == 0 and "MyBucketRole" in alone.out and "user support" not in alone.out, alone.out
    assert shell("undo", YES, "--step", "9").code == 2
    undone = shell("undo", YES, "--yes-reactivate-leaked-key", "--format", "json")

    assert undone.code == 0, undone.err
    assert [one["outcome"] for one in json.loads(undone.out)["things"]] == [
        "restored",
        "restored",
        "restored",
    ]
    assert shell.stand.details() == before


def test_undo_without_a_journal_is_refused(shell: Shell) -> None:
    """What apply did is known from the journal alone."""
    shell.plan()

    assert shell("undo", YES).code == 4


def test_verify_exits_with_1_until_all_is_proven(shell: Shell) -> None:
    """Right after apply nothing is proven, though all stands."""
    shell.plan()
    shell("apply", YES)

    text, offline = shell("verify"), shell("verify", "--offline", "--format", "json")

    assert text.code == offline.code == 1
    assert text.out.startswith("Not yet proven")
    assert json.loads(offline.out)["looked_back"] is False


@pytest.mark.parametrize(
    ("action", "when"),
    [("UpdateAccessKey", "after"), ("PutUserPolicy", "before"), ("PutRolePolicy", "after")],
)
def test_a_process_that_is_killed_is_taken_up(shell: Shell, action: str, when: str) -> None:
    """kill -9 between a call and its answer: the next run ends where the first would have."""
    shell.plan()
    started: list[subprocess.Popen[str]] = []
    done: list[str] = []

    def kill(seen: str) -> None:
        if seen == action and not done:
            until(lambda: started)
            done.append(seen)
            os.kill(started[0].pid, signal.SIGKILL)

    setattr(shell.stand.wire, when, kill)
    with subprocess.Popen(
        [sys.executable, "-m", "tokentrail", *shell.arguments("apply", YES)[1:]], text=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, env=dict(os.environ),
    ) as process:  # fmt: skip
        started.append(process)
        process.wait(PATIENCE)
        process.stderr.read()  # type: ignore[union-attr]
    killed = process.returncode

    resumed = shell("apply", YES)

    assert killed == -signal.SIGKILL
    assert resumed.code == 0, resumed.err
    assert shell.stand.key_status() == "Inactive"
    assert shell.stand.user_policy()["Statement"][0]["Effect"] == "Deny"
    assert shell.stand.role_policy()["Statement"][0]["Effect"] == "Deny"
    lines = shell.stand.lines()
    assert len({line["run"] for line in lines}) == 2
    assert {line["of"] for line in lines if line["kind"] == "after"} == {
        line["seq"] for line in lines if line["kind"] == "before"
    }


def test_a_run_that_is_interrupted_says_how_it_goes_on(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once calls were sent: where these stand written, and that the same command goes on, or undo takes back."""
    shell.plan()

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tokentrail.containment.execution.apply._Run._read_back_and_repeat", interrupted)
    stopped = shell("apply", YES)

    assert stopped.code == 130
    said = " ".join(stopped.err.split())
    assert f"the journal {journal_path(shell.stand.file)} tells which calls" in said.replace("- ", "-")
    assert "Run the same command again to go on; `tokentrail undo` takes back" in said


def test_an_endpoint_that_nobody_serves_is_a_refusal(shell: Shell) -> None:
    """An account that can't be reached is refused by apply and undo, and said by verify."""
    shell.plan()
    shell("apply", YES)
    nowhere = ("--endpoint-url", "http://127.0.0.1:9")

    for verb in ("apply", "undo"):
        ran = shell(verb, YES, *nowhere)
        assert ran.code == 4, ran.err
        assert f"account {HOME}: AWS can't be reached" in ran.err
    assert json.loads(shell("verify", "--format", "json", *nowhere).out)["looked_back"] is False


def test_other_verbs_do_without_the_sdk() -> None:
    """boto3 is loaded by what calls AWS alone, so that the rest starts quickly."""
    script = "import sys, tokentrail.cli.root; print('boto3' in sys.modules, 'botocore' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]


def test_profiles_are_named_per_account(shell: Shell) -> None:
    """--profile-for takes an account and a name, and anything else is wrong use."""
    shell.plan()
    (shell.stand.folder / "credentials").write_text(
        "[ir]\naws_access_key_id = AKIAPROFILE000000001\naws_secret_access_key = none\n"
    )
    shell.monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    shell.monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    assert shell("apply", YES, "--profile-for", "ir").code == 2
    missing = shell("apply", YES, "--profile-for", f"{HOME}=nobody")
    assert missing.code == 4
    assert re.search(r"profile 'nobody'", missing.err)
    assert shell("apply", YES, "--profile-for", f"{HOME}=ir").code == 0
    assert REVOKE in json.dumps(shell.stand.lines())
