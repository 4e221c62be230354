"""`detect` and `rules`, in each format, with allow-lists and thresholds."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from evidence import copied
from shell import Run
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import Hit
from tokentrail.testing.story import Story

CONTRACT = {
    "id", "rule", "title", "severity", "time", "credentials", "principals", "accounts", "events", "why", "attack", "next",
    "count",
}  # fmt: skip


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_findings_are_the_same_in_every_format(run: Run, case: Path, told: Story) -> None:
    """Each format has every finding; JSON goes by time, text shows the worst first; the exit code is 1."""
    ran = run("detect", "--case", case, "--format", "jsonl")
    found = lines(ran.out)
    assert ran.code == 1
    assert len(found) == 7
    assert set(found[0]) >= CONTRACT | {"subject", "false_alarm", "thresholds"}
    assert [(one["time"], one["id"]) for one in found] == sorted((one["time"], one["id"]) for one in found)
    assert json.loads(run("detect", "--case", case, "--format", "json").out) == found
    rows = list(csv.DictReader(io.StringIO(run("detect", "--case", case, "--format", "csv").out)))
    assert [row["id"] for row in rows] == [one["id"] for one in found]
    text = run("detect", "--case", case).out
    assert text.startswith("7 findings: 3 critical, 4 high\n")
    assert text.index("CRITICAL") < text.index("HIGH")
    assert all(" ".join(one["why"].split()[:3]) in " ".join(text.split()) for one in found)
    assert f"tokentrail contain {told.a.key_id}" in text


def test_what_a_finding_rests_on_is_told_when_asked(run: Run, case: Path) -> None:
    """Events, thresholds and how to tell a false alarm stand there with --explain, and the way to them without."""
    found = lines(run("detect", "--case", case, "--format", "jsonl").out)
    short, whole = (run("detect", "--case", case, *more).out for more in ((), ("--explain",)))

    assert all(one["events"][0] in whole and one["events"][0] not in short for one in found)
    assert "false alarm?" in whole and "false alarm?" not in short
    assert "  files        " in whole and ".json" in whole and "  files  " not in short
    assert short.endswith(f"tokentrail detect --explain --case {case}\n")


def test_the_command_of_a_finding_works_where_it_is_pasted(run: Run, case: Path, told: Story) -> None:
    """It names the case, unless that is the default one; other formats keep to the command that scripts know."""
    for name in ("my case", "tokentrail-case"):
        copied(case, Path(name))

    assert (
        f"next         tokentrail contain {told.a.key_id} --case 'my case'\n"
        in run("detect", "--case", "my case").out
    )
    assert f"next         tokentrail contain {told.a.key_id}\n" in run("detect").out


def test_a_finding_stands_for_no_fewer_events_than_it_lists(run: Run, case: Path) -> None:
    """Its count is of all its events; text tells it where it lists some of them only."""
    found = lines(run("detect", "--case", case, "--format", "jsonl").out)
    assert all(one["count"] >= len(one["events"]) for one in found)

    text = " ".join(run("detect", "--case", case, "--explain").out.split())
    for one in found:
        whole = one["count"] == len(one["events"])
        assert (f"{one['events'][-1]} from" in text) is whole


def test_nothing_found_is_said_and_ends_well(run: Run, case: Path) -> None:
    """Before the leak there is nothing, which is no proof."""
    ran = run("detect", "--case", case, "--as-of", "2026-11-23T09:40:00Z")
    assert ran.code == 0
    assert ran.out.startswith("Nothing found. That is no proof")
    assert ran.out.split()[-4:] == ["lists", "the", "evidence", "gaps."]
    assert run("detect", "--case", case, "--as-of", "2026-11-23T09:40:00Z", "--format", "json").out == "[]\n"


def test_the_bar_and_the_rule_can_be_chosen(run: Run, case: Path) -> None:
    """--min-severity and --rule narrow the answer; a rule that does not exist is wrong use."""
    assert {
        one["severity"]
        for one in lines(run("detect", "--case", case, "--min-severity", "critical", "--format", "jsonl").out)
    } == {"critical"}
    assert [
        one["rule"]
        for one in lines(run("detect", "--case", case, "--rule", "bulk-read", "--format", "jsonl").out)
    ] == ["bulk-read"]
    ran = run("detect", "--case", case, "--rule", "bulk")
    assert ran.code == 2 and "bulk-read" in ran.err


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("a.toml", '[[suppress]]\nrule = "bulk-read"\nprincipal = "*role/MyBucketRole/*"\n', 6),
        ("a.toml", '[[suppress]]\nrule = "bulk-read"\nprincipal = "*user/support"\n', 7),
        ("a.toml", '[[suppress]]\nrule = "bulk-read"\nprincipal = "arn:aws:*:111122223333:*"\nuntil = 2027-01-01\n', 6),
        ("a.toml", '[[suppress]]\nrule = "bulk-read"\nuntil = 2026-11-01\n', 7),
        ("a.json", '[{"address": "203.0.113.0/24"}]', 7),
        ("a.json", '{"suppress": [{"rule": "*", "why": "exercise"}]}', 0),
    ],
)  # fmt: skip
def test_an_allow_list_leaves_known_things_out(
    run: Run, case: Path, tmp_path: Path, name: str, text: str, left: int
) -> None:
    """All that an entry names must be met, and only until its day."""
    (tmp_path / name).write_text(text)
    assert (
        len(lines(run("detect", "--case", case, "--suppress", tmp_path / name, "--format", "jsonl").out))
        == left
    )


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--suppress", "[[suppress]]\nwho = 1\n", "entry 1"),
        ("--suppress", "[[suppress]]\naddress = 'here'\n", "entry 1"),
        ("--suppress", "[[suppress]]\nrule = 'x'\nuntil = 'soon'\n", "entry 1"),
        ("--suppress", "nonsense", "can't be read"),
        ("--suppress", "", "is a list of"),
        ("--thresholds", "bulk = 1\n", "no threshold is named 'bulk'"),
        ("--thresholds", "bulk_objects = 'many'\n", "must be a number"),
        ("--thresholds", "deep = 0\n", "deep = 0 makes no sense"),
        ("--thresholds", "before_cut = 1e30\n", "before_cut = 1e+30 makes no sense"),
        ("--thresholds", "[", "can't be read"),
    ],
)  # fmt: skip
def test_mistakes_in_files_are_named(
    run: Run, case: Path, tmp_path: Path, option: str, text: str, said: str
) -> None:
    """A file that makes no sense is wrong use, and the message says where."""
    (tmp_path / "f.toml").write_text(text)
    ran = run("detect", "--case", case, option, tmp_path / "f.toml")
    assert ran.code == 2
    assert said in ran.err


def test_thresholds_can_be_changed(run: Run, case: Path, tmp_path: Path) -> None:
    """A finding shows the thresholds that it was judged by, and other ones can be given."""
    (tmp_path / "t.toml").write_text("bulk_objects = 100000\nbulk_bytes = 1e15\n")
    found = lines(run("detect", "--case", case, "--thresholds", tmp_path / "t.toml", "--format", "jsonl").out)
    assert "bulk-read" not in {one["rule"] for one in found}


def test_the_catalogue_is_listed(run: Run) -> None:
    """`rules` lists every rule in every format, without a case."""
    text = run("rules").out
    assert max(map(len, text.splitlines())) <= 100
    listed = lines(run("rules", "--format", "jsonl").out)
    assert [one["id"] for one in listed] == [one.id for one in CATALOGUE]
    assert all(f" {one.id}  {one.title}" in text for one in CATALOGUE)


def test_sigma_rules_are_judged_by_and_listed(run: Run, case: Path, tmp_path: Path) -> None:
    """--rules adds somebody's Sigma rules; those that can't be run are counted on stderr and listed with the reason."""
    (tmp_path / "good.yml").write_text(
        "title: Bucket role\nlogsource: {product: aws, service: cloudtrail}\nlevel: critical\n"
        "detection: {s: {requestParameters.roleArn|endswith: role/MyBucketRole}, condition: s}\n"
    )
    (tmp_path / "bad.yml").write_text(
        "title: Bad\nlogsource: {product: windows}\ndetection: {s: {EventID: 1}, condition: s}\n"
    )
    ran = run(
        "detect", "--case", case, "--rules", tmp_path, "--min-severity", "critical", "--format", "jsonl"
    )
    assert "1 Sigma rule can't be run" in ran.err
    assert {one["rule"] for one in lines(ran.out)} >= {"sigma:Bucket role", "outlived-key"}
    listed = lines(run("rules", "--rules", tmp_path, "--format", "jsonl").out)
    assert len(listed) == len(CATALOGUE) + 2
    assert listed[-2]["source"].endswith("good.yml")
    assert "not CloudTrail" in listed[-1]["problem"]
    assert "1 rule that can't be run" in run("rules", "--rules", tmp_path).out
    assert run("detect", "--case", case, "--rules", tmp_path / "gone").code == 2


def test_findings_go_to_a_siem_and_to_security_hub(run: Run, case: Path) -> None:
    """OCSF has a line a finding, ASFF one document, both in the order of JSON; the exit code stays 1."""
    ids = [one["id"] for one in lines(run("detect", "--case", case, "--format", "jsonl").out)]
    ran = run("detect", "--case", case, "--format", "ocsf")
    assert ran.code == 1
    assert [one["finding_info"]["uid"] for one in lines(ran.out)] == ids
    assert run("detect", "--case", case, "--format", "ocsf").out == ran.out
    ran = run("detect", "--case", case, "--format", "asff")
    assert ran.code == 1
    assert [one["Id"] for one in json.loads(ran.out)["Findings"]] == [f"tokentrail/{one}" for one in ids]


def test_an_import_into_security_hub_bears_the_moment_of_the_evidence(run: Run, case: Path) -> None:
    """What is told as of later is updated later; without `--as-of` it is the newest event, and each time the same."""

    def imported(*options: str) -> list[dict[str, Any]]:
        return list(json.loads(run("detect", "--case", case, "--format", "asff", *options).out)["Findings"])

    newest = json.loads(run("status", "--case", case, "--format", "json").out)["last"]
    assert {one["UpdatedAt"] for one in imported()} == {newest}
    assert imported() == imported()
    later = imported("--as-of", "2027-01-31T00:00:00Z")
    assert {one["UpdatedAt"] for one in later} == {"2027-01-31T00:00:00Z"}
    assert max(one["CreatedAt"] for one in later) <= newest


def test_an_expression_of_a_rule_writes_to_no_terminal(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What RE2 can't compile is listed with the reason, without its escape bytes, and RE2 itself says nothing."""
    (tmp_path / "evil.yml").write_text(
        "title: Evil\nlogsource: {product: aws, service: cloudtrail}\n"
        'detection: {s: {eventName|re: "(?=a)\\x1b[2J]"}, condition: s}\n'
    )
    ran = run("rules", "--rules", tmp_path)
    assert "Evil" in ran.out and "invalid perl operator" in ran.out
    assert "\x1b" not in ran.out + ran.err
    ran = run("rules", "--rules", tmp_path, "--format", "jsonl")
    assert "invalid perl operator" in lines(ran.out)[-1]["problem"]
    assert "\x1b" not in ran.out + ran.err
    assert capfd.readouterr() == ("", "")


def test_nothing_found_is_nothing_in_every_format(run: Run, case: Path) -> None:
    """An early moment has no findings: no line of OCSF, an empty list of ASFF; other verbs have neither format."""
    early = ("detect", "--case", case, "--as-of", "2026-11-23T09:40:00Z", "--format")
    assert (run(*early, "ocsf").code, run(*early, "ocsf").out) == (0, "")
    assert json.loads(run(*early, "asff").out) == {"Findings": []}
    assert run("credentials", "--case", case, "--format", "ocsf").code == 2


def test_addresses_are_told_with_what_files_know(run: Run, case: Path, tmp_path: Path) -> None:
    """`--geoip` and `--aws-ranges` add country, owner and AWS to each finding's addresses; a wrong file is wrong use."""
    writer = MMDBWriter(6, "GeoLite2-ASN", ipv4_compatible=True)
    owner = {"autonomous_system_number": 64501, "autonomous_system_organization": "Everybody\x1b[31m"}
    writer.insert_network(IPSet(["128.0.0.0/1"]), {"country": {"iso_code": "NL"}, **owner})
    writer.to_db_file(str(tmp_path / "all.mmdb"))
    (tmp_path / "ranges.json").write_text('{"prefixes": []}')
    asked = ("--geoip", tmp_path / "all.mmdb", "--aws-ranges", tmp_path / "ranges.json")

    plain = lines(run("detect", "--case", case, "--format", "jsonl").out)
    assert all({one["country"] for one in finding["addresses"]} == {None} for finding in plain)
    found = lines(run("detect", "--case", case, "--format", "jsonl", *asked).out)
    assert {
        (one["country"], one["asn"], one["aws"]) for finding in found for one in finding["addresses"]
    } == {("NL", 64501, None)}
    text = run("detect", "--case", case, *asked)
    assert text.code == 1
    assert "(NL, AS64501 Everybody" in text.out
    assert "\x1b" not in text.out
    wrong = run("detect", "--case", case, "--geoip", tmp_path / "ranges.json")
    assert wrong.code == 2
    assert "no MaxMind database that can be read" in wrong.err
    assert run("detect", "--case", case, "--aws-ranges", tmp_path / "all.mmdb").code == 2


def test_without_pysigma_it_is_said_what_to_install(
    run: Run, case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pySigma is not there, `--rules` is wrong use with the way out; everything else works."""
    monkeypatch.delitem(sys.modules, "tokentrail.detection.sigma.reading", raising=False)
    monkeypatch.setitem(sys.modules, "sigma.collection", None)  # as if it could not be imported
    (tmp_path / "rule.yml").write_text("title: x\n")

    ran = run("detect", "--case", case, "--rules", tmp_path)
    assert ran.code == 2
    assert "pip install 'tokentrail[sigma]'" in ran.err
    assert run("detect", "--case", case).code == 1


def test_a_rule_that_fails_costs_itself_and_is_named(
    run: Run, case: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one record makes one rule stumble over hides no other rule's findings; --strict ends with 3."""

    def stumbles(context: DetectionContext) -> Iterator[Hit]:
        yield from ()
        raise RecursionError("nested too deeply")

    whole = lines(run("detect", "--case", case, "--format", "jsonl").out)
    failing = whole[0]["rule"]
    catalogue = tuple(replace(one, find=stumbles) if one.id == failing else one for one in CATALOGUE)
    monkeypatch.setattr("tokentrail.detection.run.CATALOGUE", catalogue)

    ran = run("detect", "--case", case, "--format", "jsonl")
    assert {one["rule"] for one in whole} - {one["rule"] for one in lines(ran.out)} == {failing}
    assert f"The rule {failing} could not judge this evidence (RecursionError)" in ran.err
    assert ran.code == 1
    assert run("detect", "--case", case, "--strict").code == 3


def test_findings_of_a_window_are_told_alone(run: Run, case: Path) -> None:
    """What became true from --since on and before --until; all evidence is judged, and none in it is exit 0."""
    found = lines(run("detect", "--case", case, "--format", "jsonl").out)
    middle = found[3]["time"]
    later = run("detect", "--case", case, "--format", "jsonl", "--since", middle)
    earlier = run("detect", "--case", case, "--format", "jsonl", "--until", middle)

    assert lines(later.out) == [one for one in found if one["time"] >= middle]
    assert lines(earlier.out) == [one for one in found if one["time"] < middle] != []
    assert run("detect", "--case", case, "--until", found[0]["time"]).code == 0
