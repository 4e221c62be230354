"""
The part of docs/detection.md that follows from the rules.

`python tests/detection/catalogue_page.py` writes it anew.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path

from tokentrail.detection.catalogue import CATALOGUE

PAGE = Path(__file__).parents[2] / "docs" / "detection.md"
BEGIN, END = (
    "<!-- catalogue: written by tests/detection/catalogue_page.py -->\n",
    "<!-- end of the catalogue -->\n",
)


def catalogue() -> str:
    """The catalogue and the thresholds as Markdown."""
    lines = ["| Rule | Up to | Finds | ATT&CK |", "| --- | --- | --- | --- |"]
    lines += [
        f"| [`{one.id}`](#{one.id}) | {one.severity} | {one.title} | {' '.join(one.attack)} |"
        for one in CATALOGUE
    ]
    for one in CATALOGUE:
        lines += [
            "",
            f"### {one.id}",
            "",
            f"{one.title}.",
            "",
            one.why,
            "",
            f"*False alarm?* {one.false_alarm}",
            "",
        ]
        if one.thresholds:
            lines.append(f"*Thresholds:* {', '.join(f'`{name}`' for name in one.thresholds)}.")
        lines.append(f"*From:* {'; '.join(one.references)}.")
    return "\n".join([*lines, "", "### Thresholds", "", *_thresholds()]) + "\n"


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
