"""Findings as text, and which of them an investigation starts from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from present_cases import KEY, NINE, SESSION, TOKEN, written

from tokentrail.detection.model import Finding, Severity
from tokentrail.present.text.findings_text import to_start_from, write_findings


def finding(
    subject: str | None, root: str | None = None, *, hour: int = 0, severity: Severity = "high"
) -> Finding:
    """A finding by one rule."""
    return Finding(
        id=f"{subject}-{hour}", rule="two-networks", title="Two networks", severity=severity, attack=("T1078",),
        why="It was used from two networks.", false_alarm="A laptop moves.", time=NINE + timedelta(hours=hour),
        subject=subject, root=root, credentials=(subject,) if subject else (), events=("e-1",), count=1, next="Look.",
        principals=(), accounts=(), thresholds=(),
    )  # fmt: skip


def test_an_investigation_starts_from_what_most_of_the_worst_findings_lead_to() -> None:
    """The first may be about an old session, and a later one about the key that all of them come from."""
    session, other, key = finding(SESSION, KEY), finding(TOKEN, KEY, hour=1), finding(KEY, KEY, hour=2)
    low, nobody = finding(TOKEN, hour=3, severity="low"), finding(None, severity="critical")

    assert [key, session, other] == to_start_from([low, nobody, other, key, session])
    assert [session] == to_start_from([session, other, low])  # no finding is about the key
    assert [low] == to_start_from([low, nobody])
    minor = finding(KEY, KEY, hour=4, severity="low")
    assert [minor, session, other] == to_start_from([low, minor, session, other])  # as the console does
    assert [] == to_start_from([nobody])
    assert [] == to_start_from([])


def test_what_may_make_a_false_alarm_is_told_once_of_a_rule() -> None:
    """Hundreds of findings would repeat it; each still says where it stands."""
    first, second = finding(SESSION), finding(TOKEN, hour=1)
    another = replace(finding(KEY, hour=2), rule="other", false_alarm="A pipeline does so.")
    text = " ".join(
        written(lambda writer: write_findings([second, another, first], writer, explain=True)).split()
    )

    assert 1 == text.count("A laptop moves.") == text.count("A pipeline does so.")
    assert 1 == text.count("see the first finding by two-networks")

    alike = " ".join(
        written(
            lambda writer: write_findings(
                [first, replace(another, false_alarm=first.false_alarm)], writer, explain=True
            )
        ).split()
    )
    assert 2 == alike.count("A laptop moves.")  # of another rule nothing was said above


def test_findings_that_differ_in_whom_they_are_about_are_told_in_one_past_the_first() -> None:
    """Hundreds of users phished at once are no thousands of lines; what the others come to is told, and where to look."""
    graver = replace(finding(KEY, hour=70), severity="critical")

    def told(count: int) -> str:
        alike = [finding(f"AKIA{number:016}", hour=number) for number in range(count)]
        return written(lambda writer: write_findings([*alike, graver], writer, case="leak"))

    assert 10 == told(10).count("\nHIGH ")
    assert len(told(60).splitlines()) == len(told(11).splitlines()) < len(told(10).splitlines())
    text = " ".join(told(60).split())
    assert "61 findings: 1 critical, 60 high" in text
    assert "and 54 more: Two networks" in text
    assert f"{'AKIA':0<18}06, " in text
    assert " and 48 more" in text
    assert "tokentrail detect --rule two-networks --format jsonl --case leak lists each" in text
