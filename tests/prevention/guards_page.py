"""
The part of docs/prevention.md that follows from the guardrails and checks.

`python tests/prevention/guards_page.py` writes it anew.
"""

from __future__ import annotations

from pathlib import Path

from tokentrail.prevention.catalogue import CHECKS, GUARDRAILS
from tokentrail.prevention.guard import CANNOT
from tokentrail.prevention.model import STAGES

PAGE = Path(__file__).parents[2] / "docs" / "prevention.md"
BEGIN, END = (
    "<!-- catalogue: written by tests/prevention/guards_page.py -->\n",
    "<!-- end of the catalogue -->\n",
)


def catalogue() -> str:
    """What can't be prevented, the guardrails and the checks as Markdown."""
    lines = ["## What no policy prevents", "", *(f"- {one}" for one in CANNOT)]
    lines += [
        "",
        "## Guardrails",
        "",
        "| Guardrail | Kind | Effort | What it is |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| [`{one.id}`](#{one.id}) | {one.kind} | {one.words.stage} | {one.words.title} |"
        for one in GUARDRAILS
    ]
    lines += ["", *(f"Effort {stage}: {said}.  " for stage, said in STAGES.items())]
    for one in GUARDRAILS:
        words = one.words
        lines += [
            "",
            f"### {one.id}",
            "",
            f"{words.title}.",
            "",
            words.prevents,
            "",
            f"*Limits.* {words.limits}",
            "",
        ]
        lines.append(f"*From:* {'; '.join(one.references)}.")
    lines += ["", "## Audit", "", "| Check | Up to | Finds | Looks at |", "| --- | --- | --- | --- |"]
    lines += [f"| [`{one.id}`](#{one.id}) | {one.severity} | {one.title} | {one.needs} |" for one in CHECKS]
    for check in CHECKS:
        lines += ["", f"### {check.id}", "", f"{check.title}.", "", check.attack, ""]
        lines += [f"*Not reported where* {check.blocked}.", "", f"*From:* {'; '.join(check.references)}."]
    return "\n".join(lines) + "\n"


def parts() -> tuple[str, str, str]:
    """The page before, within and after the generated part."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    within, _, after = rest.partition(END)
    return before, within, after


if __name__ == "__main__":
    before, _, after = parts()
    PAGE.write_text(f"{before}{BEGIN}{catalogue()}{END}{after}")
