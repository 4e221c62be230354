"""The demo: the first thing that a stranger sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shell import Ran, Run, ran
from tokentrail.case import Case
from tokentrail.testing import FAKE_SESSION_TOKEN
from tokentrail.testing.story import story

GOLDEN = """\
The leak of key A, told from its CloudTrail logs
Built-in evidence: 2026-11-23 (UTC) in a small company, 3,029 events, 80 credentials, and one theft
among them. An engineer's access key, A, has leaked, and a responder follows the usual runbook. At
each turn, TokenTrail answers from the log up to that moment alone.

09:41:12  The first call with A from an address where nobody works: 203.0.113.77.
          A  AKIARTX3GSDSTOAG574N  long-term key of user/support
             active: a long-term key; nothing in the evidence ends it; 13 calls so far

09:46:30  Five minutes later.
          A  active: a long-term key; nothing in the evidence ends it; 6 calls since
          B  ASIARTX3GSDSR4OQPSY7  session token of user/support
             active: valid until 2026-11-24T21:44:05Z; not used
          C  ASIARTX3GSDSSEVRUTQY  role session of MyBucketRole/support
             active: valid until 2026-11-23T10:46:30Z; not used
          => A minted B with GetSessionToken at 09:44:05Z.
          => A minted C with AssumeRole at 09:46:30Z.
          => Alive: A, B and C.

10:02:00  First step: the responder deactivates A.
          A  ended since 2026-11-23T10:02:00Z: UpdateAccessKey made the key inactive
          B  active: valid until 2026-11-24T21:44:05Z; not used
          C  active: valid until 2026-11-23T10:46:30Z; 193 calls since
          => Ended: A. Not ended: B and C.
          => 1.5 GB got out so far.

10:12:00  Second step: the responder revokes the active sessions of MyBucketRole.
          B  active: valid until 2026-11-24T21:44:05Z; not used
          C  ended since 2026-11-23T10:12:00Z: inline policy AWSRevokeOlderSessions of role
             MyBucketRole denies every action on every resource where aws:tokenissuetime
             DateLessThan 2026-11-23T10:12:30.000Z
          => Ended: C. Not ended: B.
          => It ended MyBucketRole/ria (ASIARTX3GSDS3ANFQHX6) as well: a colleague at work.
          => 2.3 GB got out so far.

10:13:20  A minute later. Both steps of the runbook are done.
          B  active: valid until 2026-11-24T21:44:05Z; 1 call since
          D  ASIARTX3GSDS5JO3PHEL  role session of MyBucketRole/support
             active: valid until 2026-11-23T11:13:20Z; not used
          => B minted D with AssumeRole at 10:13:20Z, after the step that ended C in the same role.
          => Alive: B and D.

11:10:00  The evidence ends here.
          B  active: valid until 2026-11-24T21:44:05Z; 1 call since
          D  active: valid until 2026-11-23T11:13:20Z; 231 calls since
          E  ASIARTX3GSDS7JLUDHZC  role session of MyBucketRole/support-eu
             active: valid until 2026-11-23T11:41:45Z; 263 calls so far
          => B minted E with AssumeRole at 10:41:45Z, after the step that ended C in the same role.
          => Alive: B, D and E.
          => 6.5 GB got out so far.

What ends it
After all that was done, B, D and E still work. This ends it, proved against an attacker who uses
every live credential between the steps:
  1. revoke-user-sessions on user/support: ends B; D and E go on.
  2. revoke-role-sessions on role/MyBucketRole: ends D and E; nothing is left. It hits
     ASIARTX3GSDS4AAJM3KB as well, which --strategy surgical or --spare avoids.
Asked before the first step, the proof of the runbook says how it fails:
  - after step 2, B (session token of user/support) still works until 2026-11-24T21:44:05Z: no step
    ends it
  - after step 2, B (session token of user/support) mints a new role/MyBucketRole session at
    2026-11-23T10:04:05Z, which the cutoff 2026-11-23T10:04:00Z of step 2 does not cover

Look further
  # what looks like theft in it, why, and how to tell a false alarm
  tokentrail detect --case here
  # the whole lineage, and the damage
  tokentrail trace AKIARTX3GSDSTOAG574N --case here
  # every call, in order
  tokentrail timeline AKIARTX3GSDSTOAG574N --case here
  # the plan, its calls and its proof
  tokentrail contain AKIARTX3GSDSTOAG574N --case here
  # what works at the end, of everybody's
  tokentrail credentials --state active --case here
  # what the evidence covers
  tokentrail status --case here
"""


@pytest.fixture(name="shown", scope="module")
def _shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A folder where the demo was run with a case whose name must be quoted, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.delenv("TOKENTRAIL_CASE", raising=False)
        return folder, ran(patched, ("demo", "--case", "my case"))


def test_the_demo_reads_like_this(shown: tuple[Path, Ran]) -> None:
    """The story, told from the traces; of session tokens its evidence is full, and it prints none."""
    _, said = shown
    assert said.code == 0
    assert said.out == GOLDEN.replace("--case here", "--case 'my case'")
    assert FAKE_SESSION_TOKEN not in said.err


@pytest.mark.long
@pytest.mark.parametrize("format_", ["csv", "jsonl"])
def test_no_session_token_is_printed_in_other_formats(run: Run, format_: str) -> None:
    """On neither stream."""
    said = run("demo", "--case", "here", "--format", format_)
    assert said.code == 0 and said.out
    assert FAKE_SESSION_TOKEN not in said.out + said.err


def test_every_state_in_it_is_what_the_case_says(run: Run) -> None:
    """At each turn, the demo's credentials and states are those of a trace as of that moment."""
    told = story()
    said = run("demo", "--case", "here", "--format", "json")
    assert FAKE_SESSION_TOKEN not in said.out + said.err
    shown = json.loads(said.out)
    assert shown["credentials"] == told.key_ids
    with Case.open("here", create=False) as case:
        for chapter in shown["chapters"]:
            moment = getattr(told.moments, _NAMES[chapter["moment"][11:19]])
            trace = case.trace([told.a.key_id], as_of=moment)
            assert [(one["id"], one["state"]) for one in chapter["trace"]["credentials"]] == [
                (one.id, one.state) for one in trace.credentials
            ]


_NAMES = {
    "09:41:12": "leaked",
    "09:46:30": "c_minted",
    "10:02:00": "key_deactivated",
    "10:12:00": "sessions_revoked",
    "10:13:20": "d_minted",
    "11:10:00": "end",
}


def test_the_commands_that_it_ends_with_work(
    shown: tuple[Path, Ran], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader can go on with the demo's case, by the very commands that it prints."""
    folder, said = shown
    monkeypatch.chdir(folder)
    commands = [line.split() for line in said.out.splitlines() if line.startswith("  tokentrail ")]
    assert len(commands) == 6
    for command in commands:
        assert command[-3:] == ["--case", "'my", "case'"]
        assert run(*command[1:-2], "my case").code == (
            1 if command[1] == "detect" else 0
        )  # it finds something


def test_the_demo_can_end_early(run: Run) -> None:
    """--as-of ends the walk at a moment, and before the story there is nothing to tell."""
    early = run("demo", "--case", "here", "--as-of", "2026-11-23T10:02:00Z").out
    assert "First step" in early and "Second step" not in early
    assert run("demo", "--case", "there", "--as-of", "2026-11-23T09:00:00Z").code == 2


def test_the_demo_leaves_evidence_alone(run: Run, logs: Path) -> None:
    """A folder that holds evidence is not mixed with invented records."""
    run("ingest", logs, "--case", "real")
    said = run("demo", "--case", "real")
    assert (said.code, said.out) == (2, "")
    assert "holds evidence already" in said.err
