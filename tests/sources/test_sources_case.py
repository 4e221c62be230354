"""A case under `s3://` from the command line, from several machines: the answers are those of a case in a folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import pytest
from cloud_cases import Cloud, Refusal, Request
from notary_cases import Notary, with_keys
from queue_cases import Line

from shell import Ran, ran
from tokentrail.case import Case, linking
from tokentrail.lineage import increment
from tokentrail.testing.story import Story, story

CASE = "s3://logs/cases/leak"


@dataclass
class Machine:
    """One with mirrors of its own."""

    name: Path
    monkeypatch: pytest.MonkeyPatch

    def run(self, *arguments: object) -> Ran:
        """Run `tokentrail` as the shell would."""
        self.monkeypatch.setenv("TOKENTRAIL_MIRRORS", str(self.name))
        return ran(self.monkeypatch, arguments)


@pytest.fixture(name="machine")
def _machine(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Machine]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.wire.url)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(cloud.folder)
    monkeypatch.delenv("TOKENTRAIL_CASE", raising=False)
    return lambda name: Machine(cloud.folder / name, monkeypatch)


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="logs", scope="module")
def _logs(told: Story, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its log files, which nobody changes."""
    folder = tmp_path_factory.mktemp("evidence")
    told.world.write(folder)
    return folder


def writes(cloud: Cloud) -> list[Request]:
    """Requests that change the bucket."""
    return [one for one in cloud.wire.requests if one.method != "GET"]


def test_every_verb_answers_from_another_machine_as_from_a_folder(
    machine: Callable[[str], Machine], logs: Path, told: Story, cloud: Cloud
) -> None:
    """To the byte, but for the case's id and name; and nothing is written into the bucket by them."""
    one, two = machine("one"), machine("two")
    assert 0 == one.run("ingest", logs, "--case", CASE).code
    assert 0 == one.run("ingest", logs, "--case", "local").code
    cloud.wire.requests.clear()
    key = told.a.key_id
    event = json.loads(one.run("timeline", key, "--case", "local", "--format", "jsonl").out.splitlines()[0])
    verbs = [
        ["credentials", "--format", "jsonl"], ["credentials", "--state", "active"], ["trace", key, "--format", "json"],
        ["trace", key, "--as-of", "2026-11-23T10:01:00Z"], ["timeline", key, "--format", "csv"],
        ["detect", "--format", "jsonl"], ["detect"], ["status", "--format", "json"], ["guard", "--format", "json"],
        ["contain", key, "--format", "json"], ["report", key, "-o", "page.html"],
    ]  # fmt: skip
    ids = [json.loads((cloud.folder / "local" / "case.json").read_text())["case_id"]]
    ids.append(
        json.loads(cloud.client.get_object(Bucket="logs", Key="cases/leak/case.json")["Body"].read())[
            "case_id"
        ]
    )

    for verb in verbs:
        here, there = (
            machine_.run(*verb, "--case", case) for machine_, case in ((one, "local"), (two, CASE))
        )
        plain = there.out.replace(ids[1], ids[0]).replace(CASE, "local")
        assert (here.code, here.out) == (there.code, plain), verb
    assert not writes(cloud)
    with Case.open(CASE) as far, Case.open("local") as near:
        place = event["object"], event["ordinal"]
        assert near.record(*place) == far.record(*place)
        assert list(near.records([event["event_id"]])) == list(far.records([event["event_id"]]))


def test_a_second_machine_adds_and_reads_nothing_twice(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud
) -> None:
    """From the same bucket's logs, which are not fetched again; what it adds, the first one sees."""
    keys = cloud.put_folder(logs, "logs/")
    accounts = sorted({one.split("/")[2] for one in keys})
    one, two = machine("one"), machine("two")
    assert 0 == one.run("ingest", "s3://logs/logs/", "--account", accounts[0], "--case", CASE).code
    cloud.wire.requests.clear()
    summary = json.loads(two.run("ingest", "s3://logs/logs/", "--case", CASE, "--format", "json").out)

    first = [one for one in keys if f"/{accounts[0]}/" in one]
    assert (len(keys) - len(first), len(first)) == (
        summary["objects"]["read"],
        summary["objects"]["repeated"],
    )
    assert not set(first) & set(cloud.fetched())
    status = json.loads(one.run("status", "--case", CASE, "--format", "json").out)
    assert len(keys) == status["objects"]
    again = json.loads(one.run("ingest", "s3://logs/logs/", "--case", CASE, "--format", "json").out)
    assert (0, 0) == (again["objects"]["read"], again["records"]["new"])


def test_what_a_second_machine_brings_is_added_to_the_forest_that_the_first_one_linked(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first linking's tables, and what came later, go to the bucket and come from there; a third one reads them."""
    added = Mock(wraps=increment.add)
    monkeypatch.setattr(linking, "_ADDED_FROM", 0)
    monkeypatch.setattr(increment, "SHARE", 1e9)
    monkeypatch.setattr(increment, "add", added)
    keys = cloud.put_folder(logs, "logs/")
    accounts = sorted({one.split("/")[2] for one in keys})
    assert 0 == machine("one").run("ingest", "s3://logs/logs/", "--account", accounts[0], "--case", CASE).code
    assert 0 == machine("two").run("ingest", "s3://logs/logs/", "--case", CASE).code
    third = machine("three").run("credentials", "--case", CASE, "--format", "json")

    put = [one.key for one in writes(cloud)]
    assert [2, 1] == [sum("/tables/" in key and key.endswith(".json") for key in put), added.call_count]
    monkeypatch.undo()
    monkeypatch.chdir(cloud.folder)
    machine("four").run("ingest", str(logs), "--case", "local")
    assert third.out == machine("four").run("credentials", "--case", "local", "--format", "json").out


def test_two_machines_ingest_into_it_at_once(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud
) -> None:
    """Each has what it read in the bucket, and the case holds both; which of them started it does not matter."""
    [first, second, *_] = sorted(one for one in (logs / "AWSLogs").iterdir())
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "tokentrail", "ingest", str(part), "--case", CASE],
            env=os.environ | {"TOKENTRAIL_MIRRORS": str(cloud.folder / f"at-once-{number}")},
            stderr=subprocess.PIPE,
        )
        for number, part in enumerate((first, second))
    ]  # fmt: skip
    assert [(0, b"")] * 2 == [
        (one.returncode, error.replace(error, b"")) for one in running for error in [one.communicate()[1]]
    ]
    assert 0 == machine("late").run("ingest", first, second, "--case", "local").code
    here, there = (
        machine("late").run("credentials", "--case", case, "--format", "jsonl").out
        for case in ("local", CASE)
    )
    assert here == there


def test_what_was_read_before_credentials_expired_is_there_for_the_next_machine(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The evidence's credentials end the ingest; those of the case put what was read until then."""
    monkeypatch.setattr("tokentrail.store.tasks.TASK_OBJECTS", 4)
    keys = cloud.put_folder(logs, "logs/")
    broken = keys[12]
    cloud.wire.fault = lambda one: Refusal(400, "ExpiredToken") if one.key == broken else None

    ran = machine("one").run("ingest", "s3://logs/logs/", "--case", CASE, "--workers", "1")
    assert 2 == ran.code
    assert "have expired" in ran.err
    cloud.wire.fault = lambda _: None
    summary = json.loads(
        machine("two").run("ingest", "s3://logs/logs/", "--case", CASE, "--format", "json").out
    )
    assert (12, len(keys) - 12) == (summary["objects"]["repeated"], summary["objects"]["read"])


def test_who_may_not_write_reads_and_is_told_what_an_ingest_needs(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud
) -> None:
    """A reader's permissions are enough for every reading verb; an ingest says which it lacks, and where."""
    assert 0 == machine("one").run("ingest", logs, "--case", CASE).code
    cloud.wire.fault = lambda one: Refusal(403, "AccessDenied") if one.method != "GET" else None
    two = machine("two")
    assert 0 == two.run("status", "--case", CASE).code
    (cloud.folder / "new.json").write_text('{"Records":[]}')
    ran = two.run("ingest", cloud.folder / "new.json", "--case", CASE)
    assert 2 == ran.code
    assert "could not be written (AccessDenied" in ran.err
    assert "s3:PutObject" in ran.err

    cloud.wire.fault = lambda _: Refusal(403, "AccessDenied")
    ran = two.run("status", "--case", CASE)
    assert 2 == ran.code
    assert f"{CASE}/case.json: could not be read (AccessDenied" in ran.err


def test_what_a_sweep_of_raw_records_needs_is_fetched_at_once(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud
) -> None:
    """Sigma rules are judged as in a folder; each object or archive is fetched once, and no record is lost."""
    rules = cloud.folder / "rules"
    rules.mkdir()
    (rules / "any.yml").write_text(
        "title: A call\nid: 11111111-1111-4111-8111-111111111111\nlogsource: {product: aws, service: cloudtrail}\n"
        "detection:\n  one: {requestParameters.roleArn|contains: role}\n  condition: one\nlevel: high\n"
    )
    assert 0 == machine("one").run("ingest", logs, "--case", CASE).code
    assert 0 == machine("one").run("ingest", logs, "--case", "local").code
    cloud.wire.requests.clear()
    ran = machine("two").run("detect", "--rules", rules, "--case", CASE, "--format", "jsonl")
    fetched = [one for one in cloud.fetched() if "/objects/" in one]
    assert fetched
    assert len(fetched) == len(set(fetched))
    assert "could not be read again" not in ran.err
    assert (
        machine("one").run("detect", "--rules", rules, "--case", "local", "--format", "jsonl").out == ran.out
    )


def test_evidence_that_cant_be_fetched_is_no_record_that_is_lost(
    machine: Callable[[str], Machine], logs: Path, told: Story, cloud: Cloud
) -> None:
    """Where S3 refuses, the verb ends with words; it does not answer as if the evidence were gone."""
    assert 0 == machine("one").run("ingest", logs, "--case", CASE).code
    two = machine("two")
    assert 0 == two.run("status", "--case", CASE).code
    cloud.wire.fault = lambda one: Refusal(403, "AccessDenied") if "/objects/" in one.key else None
    ran = two.run("report", told.a.key_id, "--case", CASE, "-o", "page.html")
    assert 2 == ran.code
    assert "could not be read (AccessDenied" in ran.err


@pytest.mark.parametrize("verb", ["watch", "demo"])
def test_what_keeps_more_than_a_case_says_that_it_wants_a_folder(
    verb: str, machine: Callable[[str], Machine], logs: Path, cloud: Cloud
) -> None:
    """Nothing is put into the bucket, and it says what to do instead."""
    ran = machine("one").run(verb, *([logs] if verb == "watch" else []), "--case", CASE)
    assert 2 == ran.code
    assert "folder" in ran.err
    assert not cloud.wire.requests


def test_evidence_that_stays_where_it_is_is_refused(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud
) -> None:
    """Other machines would not find it."""
    ran = machine("one").run("ingest", logs, "--reference", "--case", CASE)
    assert 2 == ran.code
    assert "Leave --reference out" in ran.err


@pytest.mark.parametrize("given", ["s3://", "s3:///leak", "s3://a b/leak", "s3://logs/a\x1b[31m", "s3a://"])
def test_what_names_no_place_is_wrong_use(
    given: str, machine: Callable[[str], Machine], cloud: Cloud
) -> None:
    """Before anything is asked of AWS; what a terminal would obey is not printed."""
    ran = machine("one").run("status", "--case", given)
    assert 2 == ran.code
    assert "s3://BUCKET/PREFIX" in ran.err
    assert "\x1b" not in ran.err
    assert not cloud.wire.requests


def test_hadoops_name_and_a_slash_at_the_end_are_the_same_case(
    machine: Callable[[str], Machine], logs: Path
) -> None:
    """`s3a://` and `s3://`, with a slash or without, as a path or as text."""
    one = machine("one")
    assert 0 == one.run("ingest", logs, "--case", CASE).code
    shown = {one.run("status", "--case", f"s3a://logs/cases/leak{end}").out for end in ("", "/")}
    assert {one.run("status", "--case", CASE).out} == shown
    with Case.open(Path(CASE)) as case:
        assert case.status().objects


def test_a_message_goes_only_when_the_bucket_has_its_objects(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud, moto_url: str
) -> None:
    """A mirror is no place to keep evidence: where it can't be put into the bucket, the queue keeps its messages."""
    keys = cloud.put_folder(logs, "logs/")[:3]
    line = Line.of(cloud, moto_url)
    line.tell(*keys)
    cloud.wire.fault = lambda one: (
        Refusal(403, "AccessDenied")
        if one.method == "PUT" and one.key.startswith("cases/leak/manifests/")
        else None
    )
    ran = machine("one").run("ingest", line.source, "--case", CASE)
    assert (2, 3) == (ran.code, line.left())
    assert "could not be written (AccessDenied" in ran.err

    cloud.wire.fault = lambda _: None
    line.tell(*keys)
    assert 0 == machine("one").run("ingest", line.source, "--case", CASE).code
    assert 3 == json.loads(machine("two").run("status", "--case", CASE, "--format", "json").out)["objects"]
    line.client.close()


def test_what_digests_prove_is_noted_in_the_bucket(machine: Callable[[str], Machine], cloud: Cloud) -> None:
    """Another machine's status shows the logs as proven, also where somebody damaged what was noted before."""
    notary = Notary()
    for key, content in notary.objects.items():
        signed = {"signature": notary.signatures[key]} if key in notary.signatures else {}
        cloud.put(
            key,
            content,
            **({"Metadata": signed | {"signature-algorithm": "SHA256withRSA"}} if signed else {}),
        )
    cloud.wire.fault = with_keys
    source = "s3://logs/AWSLogs/"
    assert 0 == machine("one").run("ingest", source, "--case", CASE).code
    cloud.put("cases/leak/notes/digests.json", b'{"periods": [5]}')
    damaged = machine("two").run("status", "--case", CASE)
    assert 2 == damaged.code
    assert "Run `tokentrail verify-logs` again" in damaged.err
    verified = machine("two").run("verify-logs", source, "--endpoint-url", cloud.wire.url, "--case", CASE)
    assert 0 == verified.code, verified.err

    status = json.loads(machine("three").run("status", "--case", CASE, "--format", "json").out)
    assert [one["digest"] for one in status["coverage"] if one["digest"]]


def test_the_console_shows_what_another_machine_put_there_meanwhile(
    machine: Callable[[str], Machine], logs: Path, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it answers, it looks at the bucket again, if it has not just done so."""
    from starlette.datastructures import QueryParams

    from tokentrail.web import console_queries

    [first, *others] = sorted(one for one in (logs / "AWSLogs").iterdir())
    one, two = machine("one"), machine("two")
    assert 0 == one.run("ingest", first, "--case", CASE).code
    console = console_queries.ConsoleQueries(CASE)
    before = console.evidence(QueryParams()).status.records
    assert 0 == two.run("ingest", *others, "--case", CASE).code
    console.refresh()
    assert before == console.evidence(QueryParams()).status.records
    monkeypatch.setattr(console_queries, "_LOOKED_AFTER", 0.0)
    console.refresh()
    assert before < console.evidence(QueryParams()).status.records
    console.close()
