"""`tokentrail.toml`: settings of a responder's own, as defaults of options, never unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evidence import copied
from hostile import HOSTILE
from shell import Run
from tokentrail.testing.story import Story


def test_settings_are_what_no_command_line_says(run: Run, case: Path, told: Story) -> None:
    """The case and the trusted addresses come from the file, as if they were options; options come first."""
    asked = ("trace", told.a.key_id, "--format", "json")
    trusting = run(*asked, "--case", case, "--trusted-ip", "0.0.0.0/0")
    whole = run(*asked, "--case", case)
    assert trusting.out != whole.out

    Path("tokentrail.toml").write_text(f'case = {json.dumps(str(case))}\ntrusted-ip = ["0.0.0.0/0"]\n')
    assert run(*asked).out == trusting.out
    assert run(*asked, "--trusted-ip", "255.255.255.255").out == whole.out
    assert run("status", "--case", "nowhere").code == 2


def test_it_is_told_what_came_from_which_file(run: Run, case: Path, told: Story) -> None:
    """Whatever a verb takes from the file is told with the file's name, quiet or not, and nothing else is."""
    file = Path("tokentrail.toml")
    file.write_text(f'case = {json.dumps(str(case))}\ntrusted-ip = ["0.0.0.0/0"]\nsuppress = "allow.toml"\n')
    said = run("trace", told.a.key_id, "--quiet").err
    assert said.startswith(f"Settings from {file.absolute()}: case {case}; trusted-ip 0.0.0.0/0.")
    assert "suppress" not in said
    assert "Settings" not in run("trace", told.a.key_id, "--case", case, "--trusted-ip", "192.0.2.1").err
    assert "Settings" not in run("rules", "--case", case).err


def test_profiles_are_for_the_verbs_that_reach_accounts(run: Run, case: Path, tmp_path: Path) -> None:
    """`profile-for` is no profile to read logs with; the demo keeps to a case of its own."""
    Path("tokentrail.toml").write_text('case = "mine"\nprofile-for = { 111122223333 = "ir" }\n')
    assert "profile-for" not in run("ingest", "nothing-here").err
    assert "profile-for 111122223333=ir" in run("apply", "no-plan.json").err
    assert run("demo", "--as-of", "2026-11-23T09:41:12Z").code == 0
    assert not (tmp_path / "mine").exists()


def test_the_file_is_named_or_left_out(
    run: Run, case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `--config` or a variable; an empty name means none; paths in it are relative to its folder."""
    (tmp_path / "apart").mkdir()
    copied(case, tmp_path / "apart" / "story")
    (tmp_path / "apart" / "mine.toml").write_text('case = "story"\n')
    expected = run("status", "--case", case, "--format", "json").out
    assert run("--config", "apart/mine.toml", "status", "--format", "json").out == expected

    monkeypatch.setenv("TOKENTRAIL_CONFIG", "apart/mine.toml")
    assert run("status", "--format", "json").out == expected
    Path("tokentrail.toml").write_text('case = "apart/story"\n')
    monkeypatch.setenv("TOKENTRAIL_CONFIG", "")
    assert run("status").code == 2
    monkeypatch.delenv("TOKENTRAIL_CONFIG")
    assert run("status", "--format", "json").out == expected
    assert run("--config", "", "status").code == 2
    assert run("--config", "gone.toml", "status").code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trusted_ip = []", "'trusted_ip' is no setting"), ("trusted_ip = []", "Did you mean trusted-ip?"),
        ('trusted-ip = "192.0.2.1"', "trusted-ip: expected a list"), ("trusted-ip = [1]", "trusted-ip: expected"),
        ('trusted-ip = ["here"]', "trusted-ip: 'here'"), ("case = 3", "case: expected a path"),
        ('case = ""', "case: expected a path"), ('profile-for = ["ir"]', "profile-for: expected a table"),
        ('profile-for = { ir = "ir" }', "profile-for: expected an account id"), ("geoip = {}", "geoip: expected"),
        ("case = ", "no TOML"), ("a = " + "[" * 5_000, "no TOML"), ("#" * (1 << 20) + "\n", "larger"),
    ],
)  # fmt: skip
def test_what_is_no_setting_is_refused_by_file_and_member(run: Run, text: str, told: str) -> None:
    """Nothing is passed over: each fault ends the program with 2 and names the file."""
    Path("tokentrail.toml").write_text(text)
    ran = run("status")
    assert ran.code == 2 and "tokentrail.toml: " in ran.err and told in ran.err


@pytest.mark.parametrize("poison", HOSTILE)
def test_hostile_settings_stay_inert(run: Run, poison: str) -> None:
    """Whatever a file holds is refused or named on stderr without a character that a terminal obeys."""
    encoded = poison.encode("utf-8", "surrogatepass")
    for text in (
        b"case = '''x" + encoded + b"'''",
        b"'''" + encoded + b"''' = 1",
        encoded,
        b'"' + encoded + b'" = 1',
    ):
        Path("tokentrail.toml").write_bytes(text)
        ran = run("status")
        assert ran.code == 2
        assert not {one for one in ran.err if one != "\n" and (ord(one) < 32 or 127 <= ord(one) < 160)}
