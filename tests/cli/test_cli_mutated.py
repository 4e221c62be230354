"""What mutated evidence can do to whoever reads the answers: nothing."""

from __future__ import annotations

import csv
import io
import json
import random
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shell import Run
from tokentrail.testing import FAKE_SESSION_TOKEN, carriers
from tokentrail.testing.story import Story
from tokentrail.testing.wrapped import zipped

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07", "\u202eevil\u2066", "a\r\nb", "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1",
    "'; DROP TABLE events; --", "\x00", "\x9b31m", "\u2028", "<script>alert(1)</script>", "../../etc/passwd", "x" * 3_000, "\ud800",
    "|", "[bold]",
)  # fmt: skip
VERBS: tuple[tuple[str, ...], ...] = (
    ("status", "--rejected"), ("credentials",), ("trace", "SUBJECT"), ("timeline", "SUBJECT"), ("detect",),
    ("credentials", "--format", "csv"), ("timeline", "SUBJECT", "--format", "csv"), ("trace", "SUBJECT", "--format", "json"),
)  # fmt: skip
CARRIERS = (
    "cloudtrail",
    "json-lines",
    "eventbridge",
    "elastic-text",
    "lake",
    "splunk-table",
    "ocsf-1.5",
    "lookup-events",
)


def mutated(value: Any, chance: random.Random) -> Any:
    """The same value with some texts replaced or wrapped by hostile ones."""
    if isinstance(value, dict):
        return {
            key: one if key in ("eventTime", "eventID") else mutated(one, chance)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [mutated(one, chance) for one in value]
    if isinstance(value, str) and chance.random() < 0.08 and FAKE_SESSION_TOKEN not in value:
        return chance.choice(HOSTILE) + chance.choice(("", value))
    return value


def evidence(told: Story, carrier: str, seed: int) -> bytes:
    chance = random.Random(seed)
    records = [mutated(one, chance) for one in list(told.world.records())[-120:]]
    clean = json.loads(json.dumps(records).encode("utf-8", "replace"))
    whole = carriers.WRITERS[carrier](
        json.loads(json.dumps(clean, ensure_ascii=False).encode("utf-8", "replace"))
    )
    raw = bytearray(whole)
    for _ in range(chance.randrange(6)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return zipped(
        [
            (chance.choice(HOSTILE[:9]).replace("\x00", ""), bytes(raw)),
            ("=1+1.json", whole),
            ("\x1b[31m", b"nothing"),
        ]
    )


def is_inert(shown: str) -> bool:
    """Whether text can do nothing to a terminal: line feeds alone control, and nothing hides or turns direction."""
    return all(
        one == "\n" or (unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp")) for one in shown
    )


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet would run a cell."""
    return cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not cell.lstrip("-").replace(".", "", 1).isdigit()


@settings(max_examples=1, suppress_health_check=[*HealthCheck])
@given(carrier=st.sampled_from(CARRIERS), seed=st.integers(0, 1 << 30))
def test_mutated_evidence_stays_inert(
    carrier: str, seed: int, told: Story, run: Run, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No control character reaches a terminal, no formula a spreadsheet, no session token any output."""
    folder = tmp_path_factory.mktemp("mutated")
    log: Path = folder / "evidence.zip"
    log.write_bytes(evidence(told, carrier, seed))
    case = folder / "case"
    outputs = [("text", run("ingest", log, "--case", case))]
    assert 0 == outputs[0][1].code
    for verb in VERBS:
        words = [told.a.key_id if word == "SUBJECT" else word for word in verb]
        outputs.append((verb[-1], run(*words, "--case", case)))
    for form, ran in outputs:
        assert ran.code in (0, 1, 2), ran.err
        assert FAKE_SESSION_TOKEN not in ran.out + ran.err
        assert is_inert(ran.err)
        if form == "csv":
            assert not [cell for row in csv.reader(io.StringIO(ran.out)) for cell in row if is_formula(cell)]
        else:
            assert is_inert(ran.out)
