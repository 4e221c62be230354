"""A watch judges by whatever `detect` can judge by: Sigma rules on raw records, and whose an address is."""

from __future__ import annotations

import json
from pathlib import Path

from watch_cases import Remembering, same, watched

from evidence import HOME, START
from tokentrail import Case
from tokentrail.detection.addresses import Addresses
from tokentrail.detection.sigma.reading import read_rules
from tokentrail.present.document import document
from tokentrail.testing import World
from tokentrail.watch.detection_pass import Judging

RULE = """
title: Support takes up a role
logsource: {product: aws, service: cloudtrail}
level: high
detection:
  asked: {requestParameters.roleSessionName: support-eu}
  condition: asked
"""


def test_a_watch_tells_what_detect_finds_with_rules_and_ranges(tmp_path: Path) -> None:
    """With a Sigma rule on a nested field and AWS's ranges, watch and detect tell the same, addresses and all."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "support.yml").write_text(RULE)
    ranges = tmp_path / "ip-ranges.json"
    ranges.write_text(
        json.dumps({"prefixes": [{"ip_prefix": "198.51.100.0/24", "service": "EC2", "region": "eu-west-1"}]})
    )
    world = World(START, account=HOME)
    world.user("ada", ip="192.0.2.10").assumes("Deploy", "support-eu").calls("s3:ListBuckets")
    task = world.task("Orders")
    task.seen_from("198.51.100.9").calls("s3:ListBuckets", count=2)
    task.seen_from("203.0.113.77").calls("s3:ListBuckets")
    records, memory = world.records(), Remembering()
    judging = Judging(folders=(tmp_path / "rules",), aws_ranges=ranges)

    watched(tmp_path / "case", [[records[:3]], [records[3:]]], memory, judging=judging)
    with Case.open(tmp_path / "case") as case:
        found = case.detect(sigma=read_rules([tmp_path / "rules"]), addresses=Addresses.read((), ranges))

    assert {one.rule for one in found} == {"sigma:Support takes up a role", "stolen-workload"}
    assert same(memory.standing()) == same({one.id: document(one) for one in found})


def test_what_comes_of_a_story_is_told_as_it_comes(tmp_path: Path) -> None:
    """A watch may see a story's end alone, so it tells each hit once and takes none back; detect puts them together."""
    world = World(START, account=HOME)
    key = world.user("ada")
    key.calls("s3:ListBuckets", count=9)
    batches = []
    for _ in range(3):
        key.gets_session_token().calls("iam:ListUsers")
        world.wait(600)
        done = sum(len(one) for (one,) in batches)
        batches.append([world.records()[done:]])
    memory = Remembering()
    watched(tmp_path / "case", batches, memory)
    with Case.open(tmp_path / "case") as case:
        whole = case.detect(rules=["beyond-its-power"])

    told = [one for one in memory.standing().values() if one["rule"] == "beyond-its-power"]
    assert (len(told), len(whole)) == (3, 1)
    assert whole[0].id in {one["id"] for one in told}
    assert not [one for one in memory.notices if one.change == "withdrawn"]
