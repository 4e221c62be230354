"""Shell completion: verbs, options, credentials of the case and rules, as a shell asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from evidence import call, held, user
from hostile import HOSTILE
from shell import Run
from tokentrail.cli.root import root
from tokentrail.testing.story import Story


def completed(*words: str) -> list[str]:
    """What a shell offers for the last of some words."""
    *before, begun = words
    return [
        one.value for one in ShellComplete(root, {}, "tokentrail", "X").get_completions(list(before), begun)
    ]


def test_verbs_options_and_rules_are_completed() -> None:
    """By how they begin."""
    assert completed("time") == ["timeline"]
    assert completed("trace", "--attacker") == ["--attacker-since"]
    assert completed("detect", "--format", "a") == ["asff"]
    assert "secrets-swept" in completed("detect", "--rule", "secrets-")
    assert completed("detect", "--rule", "nothing-like-it") == []


def test_credentials_of_the_case_are_completed(
    run: Run, case: Path, told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the case that the line, the variable or the settings name, from five letters on."""
    key = told.a.key_id
    assert key in completed("trace", "--case", str(case), key[:8])
    assert key in completed("guard", "--case", str(case), "--subject", key[:8])
    assert completed("trace", "--case", str(case), key[:4]) == []
    assert completed("trace", "--case", str(case / "gone"), key[:8]) == []
    assert completed("trace", key[:8]) == []
    Path("tokentrail.toml").write_text(f"case = '{case}'\n")
    assert key in completed("trace", key[:8])
    Path("tokentrail.toml").write_text("no TOML")
    assert completed("trace", key[:8]) == []
    monkeypatch.setenv("TOKENTRAIL_CASE", str(case))
    assert key in completed("trace", key[:8])


@pytest.mark.parametrize("poison", ["$(id)", "`id`", ";id", "a b", "'", '"', "\n", *HOSTILE])
def test_no_hostile_id_is_completed(poison: str) -> None:
    """An id that a shell would not take as one plain word is not offered: what is completed is run."""
    keys = ["AKIAHOSTILE" + poison.encode("utf-8", "replace").decode(), "AKIAHOSTILEPLAIN0001"]
    with held([call("GetCallerIdentity", "2026-11-23T09:00:00Z", user(key=key)) for key in keys]) as case:
        assert len(list(case.credentials())) == len(keys)
        place = str(case.path)
        assert completed("trace", "--case", place, "AKIAHOSTILE") == ["AKIAHOSTILEPLAIN0001"]
