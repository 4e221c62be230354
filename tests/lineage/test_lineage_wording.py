"""How the model's facts are told where several are told together."""

from __future__ import annotations

from tokentrail.lineage.model import why_each


def test_what_many_credentials_share_is_told_once() -> None:
    """A function hands out thousands of sessions for one reason: it stands there once, with how many they are."""
    by_host = [(f"ASIA{number}", "the host fn handed it out after ASIA") for number in range(7_991)]

    assert (
        why_each(by_host, 3)
        == "ASIA0, ASIA1, ASIA2 and 7,988 more, each as the host fn handed it out after ASIA"
    )
    assert why_each([("A", "x"), ("B", "y"), ("C", "x")], 3) == "A, C, each as x; B, as y"
    assert why_each([("A", "x"), ("B", "y"), ("C", "z")], 2) == "A, as x; B, as y; and 1 more"
