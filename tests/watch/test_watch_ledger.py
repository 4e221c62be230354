"""The ledger and the outbox: nothing is lost and nothing repeated, wherever the process is killed."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watch_cases import Remembering

from tokentrail import Case
from tokentrail.errors import CaseBusy, CaseError
from tokentrail.present.document import document as as_document
from tokentrail.testing import native
from tokentrail.testing.story import story
from tokentrail.watch.interface import Notice, SinkFailed, SinkRefused, finding
from tokentrail.watch.ledger import Entry, Ledger
from tokentrail.watch.local_sinks import FileSink, StreamSink, as_lines
from tokentrail.watch.outbox import Outbox
from tokentrail.watch.reconcile import Pass, notices, withdrawn
from tokentrail.watch.remote_sinks import BusSink, TopicSink, WebhookSink


def document(ident: str = "a", **fields: Any) -> dict[str, Any]:
    return {
        "id": ident, "rule": "two-networks", "severity": "medium", "time": "2026-11-23T10:00:00Z", "credentials": ["K"],
        "events": ["e"], "count": 1, "why": "because", **fields,
    }  # fmt: skip


def notice(ident: str = "a", revision: int = 1) -> Notice:
    return Notice(id=ident, revision=revision, change="new", changed=(), document=document(ident))


def sent(folder: Path, sink: Any, *listed: Notice, say: Callable[[str], None] = lambda _: None) -> None:
    with Ledger(folder) as ledger:
        outbox = Outbox(ledger, [sink], say)
        outbox.send(listed, 0.0)
        outbox.flush(5)
        outbox.stop()


@pytest.mark.parametrize("name", ["ledger.sqlite", "ledger.sqlite-wal", "lock", "."])
def test_no_link_leads_to_a_file_elsewhere(tmp_path: Path, name: str) -> None:
    """A case that somebody else made does not say which of one's own files the watch writes."""
    with Ledger(tmp_path / "case" / "watch"):
        pass
    mine = tmp_path / "mine"
    mine.mkdir()
    with sqlite3.connect(mine / "ledger.sqlite") as database:
        database.execute("CREATE TABLE mine (n)")
    database.close()
    before = {path.name: path.read_bytes() for path in mine.iterdir()}
    place = tmp_path / "case" / "watch" / name
    target = mine if name == "." else mine / "ledger.sqlite"
    place.rename(tmp_path / "aside") if place.exists() else None
    place.symlink_to(target)

    with pytest.raises(CaseError, match="link"):
        Ledger(tmp_path / "case" / "watch")
    assert before == {path.name: path.read_bytes() for path in mine.iterdir() if path.name != "lock"}


def test_what_did_not_come_through_is_sent_at_the_next_start(tmp_path: Path) -> None:
    """
    A near sink that fails gets its notices after a restart, in order, and each once.

    A start that names another sink instead, as where a URL was misspelt, says that these wait.
    """
    sink = Remembering(failures=1)
    said = list[str]()
    sent(tmp_path, sink, notice("a"), notice("b"))
    sent(tmp_path, Remembering(name="another"), say=said.append)
    sent(tmp_path, sink)
    sent(tmp_path, sink)

    assert ["a.1", "b.1"] == [one.key for one in sink.notices]
    assert ["2 notices that memory lacks" in one for one in said] == [True]


def test_a_far_sink_is_tried_until_it_takes_what_it_is_sent(tmp_path: Path) -> None:
    """A far sink's failures hold up nobody, and end when it answers."""
    sink = Remembering(failures=1, local=False)
    sent(tmp_path, sink, notice("a"), notice("b"))

    assert ["a.1", "b.1"] == [one.key for one in sink.notices]


def test_a_ledger_that_fails_for_a_while_ends_no_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full when it is to be noted what came through: it is said, and what follows is delivered, too."""
    sink, said, noted = Remembering(local=False, at_once=1), list[str](), Ledger.came_through

    def once(ledger: Ledger, name: str, through: Any) -> None:
        if sink.notices and not said:
            raise CaseError("the disk is full")
        noted(ledger, name, through)

    monkeypatch.setattr(Ledger, "came_through", once)
    with Ledger(tmp_path) as ledger:
        outbox = Outbox(ledger, [sink], said.append)
        outbox.send([notice("a"), notice("b")], 0.0)
        outbox.flush(5)
        outbox.stop()

        assert [] == ledger.due(sink.name)
    assert ["a.1", "a.1", "b.1"] == [one.key for one in sink.notices]
    assert len(said) == 1


def test_a_near_sink_that_failed_is_tried_again_while_the_watch_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a full disk kept back follows as soon as there is room, in order, whether or not anything new comes."""
    monkeypatch.setattr("tokentrail.watch.outbox._AGAIN", 0.0)
    sink, said = Remembering(failures=2), []
    with Ledger(tmp_path) as ledger:
        outbox = Outbox(ledger, [sink], said.append)
        outbox.send([notice("a")], 0.0)
        outbox.send([notice("b")], 0.0)
        left = outbox.left
        outbox.again()

        assert (left, outbox.left) == (2, 0)
    assert ["a.1", "b.1"] == [one.key for one in sink.notices]
    assert len(said) == 1 and "tried again" in said[0]


def test_what_came_through_is_not_sent_again_with_what_did_not(tmp_path: Path) -> None:
    """A receiver that fails at the second of three gets the first one once; a fault of ours holds up no more."""

    class OneByOne(Remembering):
        def deliver(self, notices: Any) -> None:
            for one in notices:
                if one.id == "b" and self.failures:
                    self.failures -= 1
                    raise KeyError("region")
                self.notices.append(one)

    sink = OneByOne(failures=1, local=False, at_once=1)
    sent(tmp_path, sink, notice("a"), notice("b"), notice("c"))

    assert ["a.1", "b.1", "c.1"] == [one.key for one in sink.notices]
    assert {WebhookSink("https://example.com").at_once, TopicSink.at_once, BusSink.at_once} == {1}


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """Whoever rotates the file of findings finds the next ones in a new file of its name."""
    out = tmp_path / "out.jsonl"
    sink = FileSink(out)
    for ident in ("a", "b", "c"):
        sink.deliver([notice(ident)])
        if ident != "c":
            out.rename(tmp_path / f"{ident}.jsonl")

    told = {path.name: json.loads(path.read_text())["id"] for path in tmp_path.iterdir()}
    assert told == {"a.jsonl": "a", "b.jsonl": "b", "out.jsonl": "c"}


def test_findings_are_written_through_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS has no `fdatasync` (Python's `os`): a watch that adds findings to a file ended there at the first one."""
    monkeypatch.delattr(os, "fdatasync", raising=False)
    FileSink(tmp_path / "out.jsonl").deliver([notice("a")])

    assert "a" == json.loads((tmp_path / "out.jsonl").read_text())["id"]


def test_a_full_disk_under_standard_output_holds_up_findings_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the watch and so all other sinks; each line is there once and whole when there is room again."""
    room, write = [700, 0, 10_000], os.write

    def full(descriptor: int, data: bytes) -> int:
        if not room[0]:
            room.pop(0)
            raise OSError(28, "No space left on device")
        room[0] -= (done := write(descriptor, data[: room[0]]))
        return done

    out = tmp_path / "out.jsonl"
    with out.open("w") as stream:
        sink = StreamSink(stream, as_lines)
        monkeypatch.setattr("tokentrail.watch.local_sinks.os.write", full)
        with Ledger(tmp_path) as ledger:
            outbox = Outbox(ledger, [sink], lambda _: None)
            for ident in "abcdef":
                outbox.send([notice(ident)], 0.0)
            assert 0 == outbox.left
    assert ["a", "b", "c", "d", "e", "f"] == [json.loads(line)["id"] for line in out.read_text().splitlines()]


def test_nobody_who_reads_ends_a_watch_that_tells_nobody_else() -> None:
    """A pipe whose reader is gone ends the verb, as any; where there are other sinks, findings go on to these."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        with pytest.raises(BrokenPipeError):
            StreamSink(stream, as_lines).deliver([notice("a")])
        with pytest.raises(SinkFailed, match="nobody reads"):
            StreamSink(stream, as_lines, alone=False).deliver([notice("a")])


def test_what_is_refused_for_good_holds_up_nothing(tmp_path: Path) -> None:
    """A notice that a receiver refuses is said so and left behind; those beside it come through."""

    class Picky(Remembering):
        def deliver(self, notices: Any) -> None:
            if any(one.id == "bad" for one in notices):
                raise SinkRefused("no")
            super().deliver(notices)

    sink = Picky(local=False)
    sent(tmp_path, sink, notice("a"), notice("bad"), notice("b"))

    assert ["a.1", "b.1"] == sorted(one.key for one in sink.notices)
    with Ledger(tmp_path) as ledger:
        assert [] == ledger.due(sink.name)


def test_what_was_told_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    """After a restart each finding is as it was last, and which segments were judged is known."""
    with Ledger(tmp_path) as ledger:
        assert ledger.empty
        ledger.send([notice("a"), notice("b"), notice("a", 2)], [], 7.0)
        ledger.note_judged(["1", "2"])
        ledger.note_judged(["3"], gone=["1", "2"])
    with Ledger(tmp_path) as ledger:
        assert not ledger.empty
        assert {"a": Entry(notice("a", 2), 7.0), "b": Entry(notice("b"), 7.0)} == ledger.last("abc")
        assert {"3"} == ledger.judged()


def test_a_damaged_ledger_is_refused_in_words(tmp_path: Path) -> None:
    """Damage is not guessed at: neither of the file, nor of what it holds."""
    sent(tmp_path, Remembering(), notice("a"))
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("UPDATE findings SET notice = x'00'")
    connection.commit()
    connection.close()
    with Ledger(tmp_path) as ledger, pytest.raises(CaseError, match=r"damaged.*move it away"):
        ledger.last("a")

    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(CaseError, match=r"ledger\.sqlite: can't be read.*move it away"):
        Ledger(tmp_path)


def test_a_ledger_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    """What another TokenTrail noted is not guessed at."""
    sent(tmp_path, Remembering(), notice("a"))
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute("PRAGMA user_version = 9")
    connection.close()

    with pytest.raises(CaseError, match="version 9 of another TokenTrail"):
        Ledger(tmp_path)


def test_one_watch_a_case(tmp_path: Path) -> None:
    """A second watch of one case is refused while the first one runs."""
    with Ledger(tmp_path), pytest.raises(CaseBusy, match="another"):
        Ledger(tmp_path)
    Ledger(tmp_path).__exit__()


def test_a_file_is_looked_through_for_what_it_holds_already(tmp_path: Path) -> None:
    """Killed between a line in the file and the ledger's note of it, the line does not come twice."""
    with Ledger(tmp_path / "ledger") as ledger:
        sink = FileSink(tmp_path / "out.jsonl")
        ledger.send([notice("a"), notice("b")], [sink.name], 0.0)
        sink.deliver([notice("a")])
    with (tmp_path / "out.jsonl").open("a") as file:
        file.write('{"id": "b", "revis')  # a line that was torn off
    sent(tmp_path / "ledger", FileSink(tmp_path / "out.jsonl"))

    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    assert ["a", None, "b"] == [one[8:9] if one.endswith("}") else None for one in lines]
    assert 0o600 == os.stat(tmp_path / "out.jsonl").st_mode & 0o777


def turn(number: int = 1, **fields: Any) -> Pass:
    return Pass(**{"complete": True, "settled": True, "now": 100.0 * number, **fields})


def told(ledger: Ledger, how: Pass, *found: dict[str, Any]) -> list[tuple[str, int, str]]:
    last = ledger.last(one["id"] for one in found)
    listed = {one["id"] for one in found}
    made = [*notices(how, found, last), *withdrawn(how, ledger.standing(listed))]
    ledger.send(made, (), how.now)
    return [(one.id, one.revision, one.change) for one in made]


def test_a_finding_is_new_then_revised_then_withdrawn(tmp_path: Path) -> None:
    """Each change is told as what it is, and what did not change is not told."""
    with Ledger(tmp_path) as ledger:
        assert [("a", 1, "new")] == told(ledger, turn(1), document())
        assert [] == told(ledger, turn(2), document())
        assert [("a", 2, "revised")] == told(ledger, turn(3), document(count=2))
        assert [("a", 3, "withdrawn")] == told(ledger, turn(4))
        assert [] == told(ledger, turn(5))
        assert [("a", 4, "revised")] == told(ledger, turn(6), document())


def test_while_evidence_comes_only_what_gets_worse_is_revised_at_once(tmp_path: Path) -> None:
    """Counts that grow wait for a minute or for quiet; a worse severity does not, and nothing is withdrawn in a rush."""
    with Ledger(tmp_path) as ledger:
        told(ledger, turn(1, now=0.0), document())
        assert [] == told(ledger, turn(2, now=1.0, settled=False), document(count=2))
        assert [] == told(ledger, turn(3, now=2.0, settled=False))
        assert [("a", 2, "revised")] == told(
            ledger, turn(4, now=3.0, settled=False), document(severity="critical")
        )
        assert [("a", 3, "revised")] == told(
            ledger, turn(5, now=99.0, settled=False), document(severity="critical", count=9)
        )


def test_a_turn_that_judges_a_window_adds_and_takes_nothing_back(tmp_path: Path) -> None:
    """Where not all evidence was judged, it tells of what acts in the window, and says more of findings, never less."""
    part = {"complete": False, "fresh": {"K"}, "start": "2026-11-23T10:00:00Z"}
    with Ledger(tmp_path) as ledger:
        assert [("a", 1, "new")] == told(ledger, turn(1, **part), document())
        assert [] == told(ledger, turn(2, **part), document("b", credentials=["old"], events=["older"]))
        assert [] == told(ledger, turn(3, **part), document(count=0))
        assert [("a", 2, "revised")] == told(ledger, turn(4, **part), document(count=5))
        assert [] == told(ledger, turn(5, **part))
        nobody = document("c", credentials=[], time="2026-11-23T09:59:59Z")
        assert [] == told(ledger, turn(6, **part), nobody)
        assert [("c", 1, "new")] == told(ledger, turn(7, **part), {**nobody, "time": "2026-11-23T10:00:00Z"})


def test_a_finding_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """From its document, as the ledger keeps it, comes the same finding, so that text and Security Hub show the same."""
    (tmp_path / "log.json").write_bytes(native(story(ordinary_day=False).world.records()))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "log.json")])
        listed = case.detect(together=False)

    assert listed == tuple(finding(json.loads(json.dumps(as_document(one)))) for one in listed)
    assert listed
