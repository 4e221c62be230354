"""
Write the generated part of docs/rules.md, the catalogue of rules, from the rules' own fields.

    python tools/rules_page.py
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from tokentrail.aws.calls.names import operation_of
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.model import Rule

PAGE = Path(__file__).parents[1] / "docs" / "rules.md"
BEGIN, END = "<!-- catalogue: `just rules-page` writes it -->\n", "<!-- end of the catalogue -->\n"


def catalogue() -> str:
    """The catalogue and the thresholds as Markdown."""
    lines = ["| Rule | Up to | Finds | ATT&CK |", "| --- | --- | --- | --- |"]
    lines += [
        f"| [`{rule.id}`](#{rule.id}) | {rule.severity} | {rule.title} | {' '.join(rule.attack)} |"
        for rule in CATALOGUE
    ]
    for rule in CATALOGUE:
        lines += ["", *_section(rule)]
    return "\n".join([*lines, "", "### Thresholds", "", *_thresholds()]) + "\n"


def _section(rule: Rule) -> Iterator[str]:
    yield from (f"### {rule.id}", "")
    yield from (f"{rule.title}. Up to {rule.severity}; {', '.join(rule.attack)}.", "")
    yield from (rule.why, "")
    yield from (f"*False alarm?* {rule.false_alarm}", "")
    if rule.prefilter:
        yield f"*Needs one of:* {_names(frozenset(map(operation_of, rule.prefilter)))}."
    if rule.thresholds:
        yield f"*Thresholds:* {_names(rule.thresholds)}."
    yield f"*From:* {'; '.join(rule.references)}."


def _names(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in (sorted(names) if isinstance(names, frozenset) else names))


def _thresholds() -> list[str]:
    text = (resources.files("tokentrail.detection") / "thresholds.toml").read_text()
    comments = {
        line.split("=")[0].strip(): line.split("#", 1)[1].strip()
        for line in text.splitlines()
        if "=" in line and "#" in line
    }
    rows = [f"| `{name}` | {value:.15g} | {comments[name]} |" for name, value in tomllib.loads(text).items()]
    return ["| Name | Default | Meaning |", "| --- | --- | --- |", *rows]


def parts() -> tuple[str, str, str]:
    """The page before, within and after the generated part."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    within, _, after = rest.partition(END)
    return before, within, after


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(f"{before}{BEGIN}{catalogue()}{END}{after}")
