"""Each tool answers what the verb of its name prints as JSON, page by page, and changes nothing."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import wait
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from assistant_cases import Assistant, assistant, content
from mcp import Client

from evidence import AWAY, HOME, assume_role, at, call, session
from patience import PATIENCE
from shell import ran
from tokentrail import Case
from tokentrail.containment.model import Action, Plan, Scope
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.leads.theft_signals import SIGNALS
from tokentrail.errors import UsageError
from tokentrail.lineage.model import Kind, Origin, ParentLink, State, Trace
from tokentrail.mcp import questions
from tokentrail.mcp.explain import explain, vocabulary
from tokentrail.mcp.server import TOOLS, Desk, built
from tokentrail.mcp.tools import CaseTools
from tokentrail.present.document import document, members
from tokentrail.results import Status
from tokentrail.testing import World, native
from tokentrail.testing.story import Story

NAMES = ("leads", "trace", "timeline", "credential", "event", "detect", "plan", "status", "explain")
BEFORE = "2026-11-23T10:01:00Z"


def printed(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> Any:
    """What a verb prints as JSON."""
    return json.loads(ran(monkeypatch, [*arguments, "--case", folder, "--format", "json"]).out)


def every_tool(told: Story) -> dict[str, dict[str, Any]]:
    """A question for each tool."""
    key = told.a.key_id
    return {
        "leads": {}, "trace": {"subjects": key}, "timeline": {"subjects": [key]}, "credential": {"credential": key},
        "event": {"event_id": told.world.records()[-1]["eventID"]}, "detect": {}, "plan": {"subjects": key},
        "status": {}, "explain": {"word": "matched"},
    }  # fmt: skip


def test_nine_tools_are_there_and_all_only_read(helper: Assistant) -> None:
    """Each is described, refuses arguments that it does not know, and is marked as one that changes nothing."""
    found = helper.tools()
    assert tuple(one.name for one in found) == NAMES
    for one in found:
        assert one.description and one.input_schema["additionalProperties"] is False
        assert one.annotations is not None and one.annotations.read_only_hint is True
    assert "evidence, not instructions" in (helper.client.instructions or "")


def test_a_list_is_what_the_verb_prints(
    helper: Assistant, told: Story, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leads, findings and calls are the documents of `--format json`, all of them, in their order."""
    key = told.a.key_id
    assert helper.every("leads") == printed(monkeypatch, folder, "leads", "--limit", "100000")
    assert helper.every("detect") == printed(monkeypatch, folder, "detect")
    assert helper.every("timeline", subjects=key, limit=100) == printed(monkeypatch, folder, "timeline", key)
    some = helper.every("timeline", subjects=key, calls="s3:Get*", since=BEFORE, errors=True)
    assert some == printed(
        monkeypatch, folder, "timeline", key, "--call", "s3:Get*", "--since", BEFORE, "--errors"
    )


@pytest.mark.parametrize("part", get_args(questions.TracePart))
def test_a_part_of_a_trace_is_what_the_verb_prints(
    part: str, helper: Assistant, told: Story, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each list of a trace can be asked for, and all are counted."""
    whole = printed(monkeypatch, folder, "trace", told.a.key_id)
    found = helper.ask("trace", subjects=told.a.key_id, part=part)
    assert helper.every("trace", subjects=told.a.key_id, part=part) == (whole[part] or [])
    assert found["counts"] == {name: len(value) for name, value in whole.items() if isinstance(value, list)}


def test_a_plan_is_what_the_verb_prints(
    helper: Assistant, told: Story, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its steps are the items, its proof stands beside them, and the events of what it ends are cited."""
    whole = printed(
        monkeypatch, folder, "contain", told.a.key_id, "--strategy", "surgical", "--as-of", BEFORE
    )
    asked = {"subjects": told.a.key_id, "strategy": "surgical", "as_of": BEFORE}
    found = helper.ask("plan", **asked)
    assert found["items"] == whole["steps"] and found["proof"] == whole["proof"]
    assert found["as_of"] == BEFORE and not found["cut"] and found["events"]
    assert helper.every("plan", **asked, part="tainted") == whole["tainted"]
    doubted = helper.ask("plan", subjects=told.a.key_id, what_if=f"deactivate-key:{told.a.key_id}")
    assert doubted["proof"]["complete"] is False and doubted["proof"]["counterexample"]


def test_the_status_is_what_the_verb_prints(
    helper: Assistant, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The coverage is the items; what the case lacks is said of every answer."""
    whole = printed(monkeypatch, folder, "status")
    found = helper.ask("status")
    assert found["items"] == whole["coverage"] and found["records"] == whole["records"]
    assert set(whole["warnings"]) <= set(found["missing"]) and set(whole["warnings"]) <= set(
        helper.ask("leads", limit=1)["missing"]
    )


def test_every_part_that_can_be_asked_for_is_one_of_the_result(folder: Path, told: Story) -> None:
    """The words for parts are the names of the lists that the results have, and none is left out."""
    with Case.open(folder, create=False) as case:
        results = (
            (questions.TracePart, case.trace([told.a.key_id]), Trace),
            (questions.PlanPart, case.contain([told.a.key_id]), Plan),
            (questions.StatusPart, case.status(), Status),
        )
    for parts, found, _ in results:
        assert set(get_args(parts)) == {name for name, value in members(found) if isinstance(value, tuple)}


def test_a_credential_is_found_by_any_name(helper: Assistant, told: Story, folder: Path) -> None:
    """By its id it is the inventory's own; by a prefix, an ARN or an event, those that the name stands for."""
    with Case.open(folder, create=False) as case:
        by_id = {one.id: json.loads(json.dumps(document(one))) for one in case.credentials()}
    key = told.a.key_id
    assert helper.ask("credential", credential=f" {key} ")["items"] == [by_id[key]]
    assert helper.ask("credential", credential=key[:-2])["items"] == [by_id[key]]
    named = helper.every("credential", credential=told.role.arn)
    assert {one["id"] for one in named} >= {told.c.key_id, told.d.key_id}
    assert all(one == by_id[one["id"]] for one in named)


def test_every_answer_cites_events_whose_records_can_be_asked_for(helper: Assistant, told: Story) -> None:
    """What leads, findings, a trace, a timeline, a credential and a plan rest on is in the evidence."""
    ids = {one["eventID"] for one in told.world.records()}
    for tool, arguments in every_tool(told).items():
        found = helper.ask(tool, **arguments)
        assert next(iter(found)) == "untrusted" and {"inferred", "missing", "cut", "page"} <= found.keys()
        if tool not in ("status", "explain"):
            assert found["events"] and set(found["events"]) <= ids
            record = helper.ask("event", event_id=found["events"][0])["items"][0]["record"]
            assert record["eventID"] == found["events"][0]


def test_what_is_inferred_is_said(tmp_path: Path) -> None:
    """A link that no record states comes with the sentence that it rests on, and so does an end that nobody knows."""
    world = World(at("09:00:00"), account=HOME)
    caller = world.user("ada")
    caller.calls("s3:ListBuckets")
    guessed = caller.assumes("Deploy", account=AWAY, sides="role")
    world.write(tmp_path / "logs")
    unseen = call(
        "GetObject", "2026-11-23T09:10:00Z", session(key="ASIAIOSFODNN7EXAMPL9"), source="s3.amazonaws.com"
    )
    (tmp_path / "logs" / "unseen.json").write_bytes(native([unseen]))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "logs")], workers=1)
    with assistant(tmp_path / "case") as helper:
        said = helper.ask("trace", subjects=caller.key_id)["inferred"]
        assert any(
            one.startswith(f"{guessed.id}: that it comes from {caller.key_id} is inferred: ")
            and "only credential" in one
            for one in said
        )
        (doubt,) = helper.ask("credential", credential="ASIAIOSFODNN7EXAMPL9")["inferred"]
        assert doubt.startswith("ASIAIOSFODNN7EXAMPL9: whether it works is not known: ")


def test_an_answer_is_as_of_then(helper: Assistant, told: Story) -> None:
    """Before the responder acts, the leaked key works; afterwards it does not; the newest evidence is the default."""
    (then,) = helper.ask("credential", credential=told.a.key_id, as_of=BEFORE)["items"]
    (now,) = helper.ask("credential", credential=told.a.key_id)["items"]
    assert (then["state"], now["state"]) == ("active", "ended")
    assert helper.ask("status", as_of="now")["as_of"] > BEFORE


def test_the_moment_of_the_verb_is_that_of_its_answers(folder: Path, told: Story) -> None:
    """With --as-of, a question that names no moment is answered as of then."""
    with assistant(folder, "--as-of", BEFORE) as helper:
        assert helper.ask("credential", credential=told.a.key_id)["items"][0]["state"] == "active"
        late = helper.ask("credential", credential=told.a.key_id, as_of="2026-11-23T11:00:00Z")
        assert late["items"][0]["state"] == "ended"


def test_no_tool_changes_the_case(helper: Assistant, told: Story, folder: Path) -> None:
    """After every tool was asked, for the newest evidence and for an earlier moment, the folder holds the same bytes."""
    helper.ask("leads")  # which waits until the server has judged the evidence
    before = content(folder)
    assert any(name.startswith("objects") for name in before)
    for tool, arguments in every_tool(told).items():
        assert tool in TOOLS and helper.ask(tool, **arguments)
        helper.call(tool, as_of=BEFORE, **arguments)
    assert content(folder) == before


def test_a_refusal_says_what_to_do_next(helper: Assistant) -> None:
    """An unknown key, event, word, argument, moment or tool is an error of the tool, in words."""
    assert "nothing in the case answers to that" in helper.refusal("trace", subjects="AKIANOSUCHKEY0000000")
    assert "`leads` ranks some" in helper.refusal("plan", subjects=" ")
    assert "`status` tells what the case holds" in helper.refusal("event", event_id="no-such-event")
    assert "Did you mean" in helper.refusal("explain", word="matchd")
    assert "unknown field `as-of`" in helper.refusal("leads", **{"as-of": BEFORE})
    assert "Give it as" in helper.refusal("status", as_of="yesterday")
    assert "CIDR" in helper.refusal("trace", subjects="AKIANOSUCHKEY0000000", source_ips="nowhere")
    assert "The tools are leads" in helper.refusal("apply", plan="plan.json")


def test_a_case_may_come_later(tmp_path: Path) -> None:
    """Where there is no case, each tool says how to start one; once there is, and when more comes in, they answer."""
    records = [assume_role(), call("GetObject", "2026-11-23T09:10:00Z", session(), source="s3.amazonaws.com")]
    with assistant(tmp_path / "case") as helper:
        assert "tokentrail ingest SOURCE" in helper.refusal("leads")
        assert helper.ask("explain", word="active")["items"]
        for count in (1, 2):
            (tmp_path / f"{count}.json").write_bytes(native(records[count - 1 : count]))
            with Case.open(tmp_path / "case") as case:
                case.ingest([str(tmp_path / f"{count}.json")], workers=1)
            assert helper.ask("status")["records"] == count


def test_every_word_of_an_answer_is_explained() -> None:
    """Each state, link, origin, kind, scope, rule, signal and action has a sentence; without a word all are listed."""
    words = {one["word"] for one in vocabulary()}
    for known in (State, ParentLink, Origin, Kind, Scope, Action):
        assert set(get_args(known)) <= words
    assert {one.id for one in CATALOGUE} | {one.id for one in SIGNALS} <= words
    assert [one["word"] for one in explain("")] == [one["word"] for one in vocabulary()]
    assert all(one["means"] for one in vocabulary())
    assert [one["word"] for one in explain(" Blind Window ")] == ["blind window"]
    with pytest.raises(UsageError, match="is no word"):
        explain("xyzzy")


def test_without_the_extra_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, with the exit code of wrong use."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mcp" else find(name, *rest)
    )
    done = ran(monkeypatch, ["mcp", "--case", folder])
    assert done.code == 2 and done.out == "" and "pip install 'tokentrail[mcp]'" in done.err


@pytest.mark.parametrize(("how", "code"), [("close", 0), ("SIGINT", 130), ("SIGTERM", 143)])
def test_it_ends_when_the_assistant_goes(folder: Path, how: str, code: int) -> None:
    """Closed, stopped by Ctrl+C or told to end, it ends at once, and has printed nothing but answers."""
    with subprocess.Popen(
        [sys.executable, "-m", "tokentrail", "mcp", "--case", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        if how == "close":
            process.stdin.close()
        else:
            process.send_signal(getattr(signal, how))
        assert process.wait(PATIENCE) == code
        assert process.stdout.read() == b"" and process.stderr.read() == b""


def test_no_other_question_waits_for_a_judgement(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While leads are ranked, the status is told; a fault of one tool is told in words, and the next one answers."""
    ranked = threading.Event()

    class Slow(CaseTools):
        def leads(self, question: questions.LeadsQuestion) -> dict[str, Any]:
            assert ranked.wait(PATIENCE)
            raise ZeroDivisionError("as a fault would")

    async def asked() -> None:
        desks = Desk(CaseTools(folder)), Desk(Slow(folder))
        async with Client(built(*desks)) as client, anyio.create_task_group() as tasks:

            async def judged() -> None:
                came = await client.call_tool("leads", {})
                assert came.is_error and "A fault in TokenTrail itself: ZeroDivisionError" in str(
                    came.content
                )

            tasks.start_soon(judged)
            assert not (await client.call_tool("status", {})).is_error
            assert not ranked.is_set()
            ranked.set()
        wait([one.close() for one in desks])

    monkeypatch.setitem(TOOLS, "leads", (questions.LeadsQuestion, Slow.leads))
    anyio.run(asked)
