"""What each face shows of a case: text as it is printed, the page, and JSON, each read back into the same facts."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from page_elements import Element, elements
from tokentrail import Case
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import Finding
from tokentrail.lineage.model import TimelineEvent
from tokentrail.present.document import document
from tokentrail.present.formats.markdown import incident_markdown
from tokentrail.present.html.case_page import case_page
from tokentrail.present.html.page import report_page
from tokentrail.present.text.findings_text import write_findings
from tokentrail.present.text.investigation_text import Investigation, write_screen
from tokentrail.present.text.leads_text import write_leads
from tokentrail.present.text.plan_text import write_plan
from tokentrail.present.text.status_text import write_status
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.present.text.timeline_text import write_timeline
from tokentrail.present.text.trace_text import write_trace
from tokentrail.present.views.report import ReportData
from tokentrail.report_data import Question, gather, solve, with_handed_out
from tokentrail.results import IngestSummary, ObjectCounts, RecordCounts

Facts = dict[str, Any]
WIDE = 100_000
"""Columns of the text that is read back: no line breaks in it."""
_MORE = re.compile(r"\band ([\d,]+) more\b")
_FEWEST = 5
"""How many of the credentials that may be stolen the shortest face lists."""


@dataclass(frozen=True)
class Shown:
    """The answers about one subject of a case, and what every face makes of them."""

    report_data: ReportData
    findings: tuple[Finding, ...]
    leads: tuple[Lead, ...]
    events: tuple[TimelineEvent, ...]
    start: str
    """The page of the case without a subject."""

    @classmethod
    def of(cls, case: Case, subject: str) -> Shown:
        """Ask a case all that is shown of a subject."""
        question = Question(subjects=(subject,))
        findings, leads = tuple(case.detect()), tuple(case.leads())
        judged, solution = [document(one) for one in findings], solve(case, question)
        report_data = gather(case, question, judged, solution=solution)
        subjects = with_handed_out(solution.trace, question.subjects)
        start = case_page(
            case.case_id, case.overview(), judged, case.status(), "1", leads=[document(one) for one in leads]
        )
        return cls(report_data, findings, leads, tuple(case.timeline(subjects)), start)

    @cached_property
    def page(self) -> Element:
        return elements(report_page(self.report_data))

    @cached_property
    def start_page(self) -> Element:
        return elements(self.start)

    @cached_property
    def markdown(self) -> str:
        return incident_markdown(self.report_data)

    @cached_property
    def plan_text(self) -> str:
        plan = self.report_data.plan
        assert plan is not None
        return written(lambda writer: write_plan(plan, writer))

    @cached_property
    def trace_text(self) -> str:
        return written(lambda writer: write_trace(self.report_data.trace, writer))

    @cached_property
    def findings_text(self) -> str:
        return written(lambda writer: write_findings(self.findings, writer))

    @cached_property
    def leads_text(self) -> str:
        return written(lambda writer: write_leads(self.leads, writer))

    @cached_property
    def status_text(self) -> str:
        return written(lambda writer: write_status(self.report_data.status, writer, rejected=True))

    @cached_property
    def timeline_text(self) -> str:
        return written(lambda writer: write_timeline(self.events, writer))

    @cached_property
    def screen(self) -> str:
        report_data = self.report_data
        assert report_data.plan is not None and report_data.activity is not None
        found = Investigation(
            summary=IngestSummary(
                objects=ObjectCounts(read=1, repeated=0, skipped=0),
                records=RecordCounts(read=1, new=1, repeated=0, rejected=0), rejected=(), skipped=(), seconds=0.0,
            ),
            logs=("logs",), leads=self.leads, findings=self.findings, trace=report_data.trace, activity=report_data.activity,
            events=self.events, plan=report_data.plan, case="case",
        )  # fmt: skip
        return written(lambda writer: write_screen(found, writer))

    def json(self, result: object) -> Any:
        """A result as JSON has it."""
        return json.loads(json.dumps(document(result)))


# ---------------------------------------------------------------- reading


def written(write: Callable[[TextWriter], object]) -> str:
    """What a text writer writes that is wide enough for every sentence."""
    stream = io.StringIO()
    write(TextWriter(stream, WIDE))
    return stream.getvalue()


def section(text: str, heading: str) -> list[str]:
    """The lines below a heading of a text, up to the next empty line; none where it is missing."""
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if re.match(heading, line)), None)
    if start is None:
        return []
    rest = lines[start + 1 :]
    return rest[: rest.index("")] if "" in rest else rest


def count(entries: Iterable[str]) -> int:
    """How many things some entries list: each one, and where an entry says how many more there are, those."""
    return sum(
        int(found[1].replace(",", "")) if (found := _MORE.match(entry.strip(" -…`"))) else 1
        for entry in entries
    )


def listed(text: str) -> int:
    """How many things a list in a line names or counts."""
    text = re.sub(r"^[\d,]+: ", "", text.strip())
    found = _MORE.search(text)
    return text.count(", ") + 1 + (int(found[1].replace(",", "")) if found else 0)


def number(text: str) -> int:
    """The first number of a text."""
    found = re.search(r"[\d,]*\d", text)
    return int(found[0].replace(",", "")) if found else 0


def named(credentials: Iterable[str], text: str = "") -> tuple[list[str], int]:
    """The first few of the credentials that a face lists, and how many there are with those that it says are more."""
    shown = list(credentials)
    found = _MORE.search(text)
    return shown[:_FEWEST], len(shown) + (number(found[1]) if found else 0)


def rows(place: Element, caption: str) -> int:
    """How many rows a table has; no case of these tests is so large that some are left out."""
    for one in place.all("div"):
        if one.attributes.get("aria-label") == caption:
            return len(one.all("tbody")[0].children("tr"))
    return 0


def bullets(place: Element | None) -> int:
    """How many sentences a list has, and how many more it says there are."""
    return count(one.text for one in place.all("li")) if place else 0


# ---------------------------------------------------------------- the plan

_ENDINGS = {"COMPLETE": "good", "Complete only if": "doubt", "NOT COMPLETE": "bad"}


def plan_of_json(shown: Shown) -> Facts:
    """What the plan file and `contain --format json` say."""
    plan = shown.json(shown.report_data.plan)
    proof = plan["proof"]
    doubt = bool(proof["may_be_stolen"])
    return {
        "ending": "bad" if not proof["complete"] else "doubt" if doubt else "good",
        "may be stolen": named(proof["may_be_stolen"] if proof["complete"] else ()),
        "steps": [
            (len(one["ends"]), len(one["alive_after"]), len(one["collateral"]), len(one["calls"]),
             len({*one["targets"], *one["principals"], *filter(None, (one["principal"],))}))
            for one in plan["steps"]
        ],
        "counterexample": len(proof["counterexample"]), "survivors": len(proof["survivors"]),
        "holds if": len(proof["holds_if"]), "not spared": len({one["why"] for one in plan["not_spared"]}),
        "not covered": len(plan["residual_risks"]),
    }  # fmt: skip


def plan_of_text(shown: Shown) -> Facts:
    """What `contain` prints."""
    text = shown.plan_text
    head = text.splitlines()
    head = head[: head.index("")]
    steps = []
    for n in range(1, 1 + len(re.findall(r"^Step \d+  ", text, re.MULTILINE))):
        told = {line[2:15].strip(): line[15:] for line in section(text, rf"Step {n}  ") if line[2:15].strip()}
        steps.append((
            _none(told["ends"], "precaution", "no session"), _none(told["still alive"], "none of"),
            _none(told["collateral"], "none seen"), _called(told.get("calls")), listed(told["on"]),
        ))  # fmt: skip
    proof = section(text, "Proof, from")
    return {
        "ending": next(ending for said, ending in _ENDINGS.items() if text.startswith(said)),
        "may be stolen": _unstolen(head), "steps": steps,
        "counterexample": count(one for one in head if one.startswith("  - ")),
        "survivors": count(one for one in proof if re.match(r"  - survives|  and [\d,]+ more survive", one)),
        "holds if": count(one for one in proof if re.match(r"  - (?!survives)", one)),
        "not spared": sum(one.startswith("  ! ") for one in proof),
        "not covered": count(section(text, "Not covered")),
    }  # fmt: skip


def _unstolen(lines: Sequence[str]) -> tuple[list[str], int]:
    """The credentials that a text asks about, one on a line, and how many more a line without a dash counts."""
    more = next((one for one in lines if re.match(r"  and [\d,]+ more \(--format json has all\)", one)), "")
    return named((one.split()[2] for one in lines if one.startswith("  not stolen?")), more)


def _none(told: str, *nothing: str) -> int:
    return 0 if told.startswith(nothing) else listed(told)


def _called(told: str | None) -> int:
    """How many calls a step has: many are counted at the head of their list."""
    many = re.match(r"([\d,]+): ", told or "")
    return number(many[1]) if many else int(told is not None)


def plan_of_page(shown: Shown) -> Facts:
    """What the page's section of the plan shows."""
    place = shown.page.place("plan")
    verdict = place.all("p", "proof")[0]
    steps = []
    for one in place.all("ol", "steps")[0].children("li"):
        told = one.children("dl")[0].terms()
        calls = [each.text for each in one.all("summary") if "exactly" in each.text]
        steps.append((
            _none(told["Ends"], "precaution", "no session"), _none(told["Still alive"], "none of"),
            _none(re.sub(r"\([^()]*\)", "", told["Collateral"]), "none seen"), number(calls[0]) if calls else 0,
            listed(told["On"]),
        ))  # fmt: skip
    proof = {one.attributes.get("class", ""): one for one in place.children("div")[0].children("ul")}
    return {
        "ending": next(one for one in ("good", "doubt", "bad") if one in verdict.attributes["class"].split()),
        "may be stolen": named((one.text for one in verdict.all("code")), verdict.text), "steps": steps,
        "counterexample": bullets(proof.get("bad")), "survivors": bullets(proof.get("survivors")),
        "holds if": bullets(proof.get("conditions")), "not spared": bullets(proof.get("spared")),
        "not covered": bullets(proof.get("risks")),
    }  # fmt: skip


# ---------------------------------------------------------------- the trace, and what was taken


def trace_of_json(shown: Shown) -> Facts:
    """What `trace --format json` says."""
    trace = shown.json(shown.report_data.trace)
    tainted = {one["id"] for one in trace["credentials"] if one["tainted"]}
    states = Counter(one["state"] for one in trace["credentials"] if one["tainted"])
    secrets = {
        what
        for one in trace["secrets_read"]
        if one["credential"] in tainted
        for what in filter(None, (one["what"] or one["event_id"]).split("\n"))
    }
    return {
        "credentials": {one["id"]: one["state"] for one in trace["credentials"]},
        "tainted": len(tainted), "works": states["active"], "may work": states["unknown"],
        "secrets": len(secrets), "made": sum(one["by"] in tainted for one in trace["created"]),
        "calls": sum(one["count"] for one in trace["apis"] if one["credential"] in tainted),
        "kinds of calls": len({(one["event_source"], one["event_name"]) for one in trace["apis"]
                               if one["credential"] in tainted}),
    }  # fmt: skip


def trace_of_text(shown: Shown) -> Facts:
    """What `trace` prints."""
    text = shown.trace_text
    tree = re.findall(
        r"^[ │├└─]*(?:\d+ deep: )?(\S+)  (active|expired|ended|unknown)(?=  |$)", text, re.MULTILINE
    )
    secrets = next((line for line in text.splitlines() if re.match(r"[\d,]+ secrets? read", line)), "0")
    made, called = section(text, "Created or changed"), section(text, r"[\d,]+ calls? of")
    verdict = next(found[1] for line in text.splitlines() if (found := re.match(r"As of \S+: (.*)", line)))
    return verdict_facts(verdict) | {
        "credentials": dict(tree), "secrets": number(secrets), "made": count(made),
        "calls": number(_heading(text, r"([\d,]+) calls? of ")), "kinds of calls": count(called[1:]),
    }  # fmt: skip


def _heading(text: str, heading: str) -> str:
    return next((line for line in text.splitlines() if re.match(heading, line)), "0")


def trace_of_page(shown: Shown) -> Facts:
    """What the head of the page, its lineage and its section of what was taken show."""
    page = shown.page
    head, taken = page.all("header")[0], page.place("taken")
    figures = {
        one.children("dt")[0].text: one.children("dd")[0].text
        for one in head.all("dl", "figures")[0].children("div")
    }
    tree = {}
    for one in page.place("tree").all("li", "cred"):
        line = one.children("details")[0].children("summary")[0] if one.children("details") else one
        tree[line.all("code")[0].text] = line.all("span", "state")[0].attributes["class"].split()[1]
    found = verdict_facts(head.all("h1")[0].text) | {
        "credentials": tree, "secrets": _figure(figures, "read"), "made": _figure(figures, "made or changed"),
        "calls": _figure(figures, "calls"), "kinds of calls": rows(taken, "Calls"),
    }  # fmt: skip
    assert found["secrets"] == rows(taken, "Secrets read")
    assert found["made"] == rows(taken, "Made or changed")
    return found


def _figure(figures: dict[str, str], ending: str) -> int:
    return number(next(value for what, value in figures.items() if what.endswith(ending)))


def verdict_facts(sentence: str) -> Facts:
    """How many work, may work, and count as the attacker's, by the verdict in words."""
    if sentence.startswith("Nothing"):
        return {"works": 0, "may work": 0}
    if "The attacker's credential" in sentence:
        return {"works": int("may" not in sentence), "may work": int("may" in sentence), "tainted": 1}
    found = re.match(
        r"([\d,]+) of the attacker's ([\d,]+) credentials (still works?|may still work)(?:, and ([\d,]+) may)?",
        sentence,
    )
    assert found, sentence
    first, tainted, works, second = found.groups("0")
    sure = works.startswith("still")
    return {
        "works": number(first) if sure else 0, "may work": number(second) if sure else number(first),
        "tainted": number(tainted),
    }  # fmt: skip


# ---------------------------------------------------------------- the summary of an incident


def summary_of_json(shown: Shown) -> Facts:
    """What trace and plan say in JSON, as far as a summary has it."""
    trace, plan = trace_of_json(shown), plan_of_json(shown)
    return {name: trace[name] for name in ("works", "may work", "tainted")} | {
        "ending": plan["ending"],
        "may be stolen": plan["may be stolen"], "steps": len(plan["steps"]), "secrets": trace["secrets"],
        "made": trace["made"], "holds if": plan["holds if"] if plan["ending"] != "bad" else 0,
    }  # fmt: skip


def summary_of_screen(shown: Shown) -> Facts:
    """What `investigate` prints on one screen."""
    lines = shown.screen.splitlines()
    damage = next(line for line in lines if line.startswith("damage"))
    plan = section(shown.screen, "Plan: ")
    return verdict_facts(lines[0].partition(". ")[2]) | {
        "ending": next(ending for said, ending in _ENDINGS.items() if lines[0].startswith(said)),
        "may be stolen": _unstolen(plan),
        "steps": number(_heading(shown.screen, "Plan: ")), "secrets": number(damage),
        "made": number(damage.partition("read, ")[2]),
        "holds if": number(next((one for one in plan if one.startswith("  Holds on")), "0")),
    }  # fmt: skip


def summary_of_page(shown: Shown) -> Facts:
    """What the head of the page shows."""
    head, found = shown.page.all("header")[0], trace_of_page(shown)
    ends = head.all("div", "ends")[0]
    *_, asked = ends.all("p")
    stolen = [one.text for one in asked.all("code")]
    more = asked.text.rpartition(stolen[-1])[2].partition(". ")[0] if stolen else ""
    look = ends.attributes["class"].split()
    return {name: found[name] for name in ("works", "may work", "tainted") if name in found} | {
        "ending": "bad" if "failing" in look else "doubt" if "doubtful" in look else "good",
        "may be stolen": named(stolen, more),
        "steps": bullets(next(iter(ends.all("ol")), None)) + sum(count([one.text]) for one in ends.all("p")
                                                                if one.text.endswith(" more steps")),
        "secrets": found["secrets"], "made": found["made"],
        "holds if": number(next(iter(re.findall(r"[\d,]+ conditions?", ends.text)), "0")),
    }  # fmt: skip


def summary_of_markdown(shown: Shown) -> Facts:
    """What `report --format md` writes."""
    text = shown.markdown
    plan = section(text.replace("## Plan\n\n", "## Plan\n"), "## Plan")
    verdict = plan[0].strip("*")
    steps = section(
        text.replace("Nothing has been changed yet.\n\n", "Nothing has been changed yet.\n"), r"\*\*"
    )
    return verdict_facts(text.splitlines()[0].removeprefix("# ")) | {
        "ending": next(ending for said, ending in _ENDINGS.items() if verdict.startswith(said)),
        "may be stolen": named(re.findall("`([^`]*)`", plan[0]), plan[0]),
        "steps": sum(re.match(r"\d+\. ", one) is not None for one in steps),
        "secrets": number(_heading(text, r"- \*\*Secrets read")), "made": number(_heading(text, r"- \*\*Created")),
        "holds if": count(section(text.replace("It holds if:\n\n", "It holds if:\n"), "It holds if"))
        if not verdict.startswith("NOT") else 0,
    }  # fmt: skip


# ---------------------------------------------------------------- leads, findings, status, timeline


def leads_of_json(shown: Shown) -> Facts:
    """What `leads --format jsonl` says."""
    leads = [shown.json(one) for one in shown.leads]
    return {
        "leads": len(leads), "strong": sum(one["strong"] for one in leads),
        "shown": first_leads((one["credentials"][0], one["strong"], one["state"], f"{one['score']:.1f}", len(one["reasons"]))
                             for one in leads),
    }  # fmt: skip


def first_leads(found: Iterable[Sequence[Any]]) -> list[Any]:
    """Those of the leads that the shortest face shows: the first with reasons, or the first of all."""
    listed = list(found)
    return [one for one in listed if one[-1]][:_FEWEST] or listed[:1]


def leads_of_text(shown: Shown) -> Facts:
    """What `leads` prints."""
    text = shown.leads_text
    heads = re.findall(r"^ *(\d+)  (STRONG|weak) +([\d.]+)  (\S+)  (\w+)  ", text, re.MULTILINE)
    found = []
    for place, strength, score, credential, state in heads:
        lines = section(text, rf" *{place}  {strength}")
        reasons = [line for line in lines if re.match(r"     - (?!No sign)|     … and", line)]
        traced = next(line for line in lines if "tokentrail trace" in line).split()[2]
        assert credential
        found.append((traced, strength == "STRONG", state, score, count(reasons)))
    first = text.splitlines()[0]
    none = first.startswith("No leads")
    return {
        "leads": 0 if none else number(first),
        "strong": number(first.partition(": ")[2]),
        "shown": first_leads(found),
    }


def leads_of_page(shown: Shown) -> Facts:
    """What the page of the case shows."""
    found: list[Any] = []
    if not shown.leads:
        return {"leads": 0, "strong": 0, "shown": found}
    place = shown.start_page.place("leads")
    for one in place.all("ol", "findings")[0].children("li"):
        score, state = re.findall(r"Score ([\d.]+), (\w+)", one.text)[0]
        strong = "strong" in one.all("span", "severity")[0].text
        found.append(
            (
                one.all("h3")[0].all("code")[0].text,
                strong,
                state,
                score,
                bullets(next(iter(one.all("ul")), None)),
            )
        )
    note = place.all("p", "note")[0].text
    return {"leads": number(note), "strong": number(note.partition(": ")[2]), "shown": found}


def findings_of_json(shown: Shown) -> Facts:
    """What `detect --format jsonl` says."""
    found = [shown.json(one) for one in shown.findings]
    return {
        "severities": Counter(one["severity"] for one in found), "titles": Counter(one["title"] for one in found),
        "sentences": {one["why"] for one in found},
    }  # fmt: skip


def findings_of_text(shown: Shown) -> Facts:
    """What `detect` prints."""
    text = shown.findings_text
    heads = re.findall(r"^([A-Z]{3,8}) +\S+Z  (?:and ([\d,]+) more: )?(.*)$", text, re.MULTILINE)
    severities: Counter[str] = Counter()
    titles: Counter[str] = Counter()
    for severity, more, title in heads:
        severities[severity.lower()] += number(more) or 1
        titles[title] += number(more) or 1
    first = text.splitlines()[0]
    told = {
        name: number(counted)
        for counted, name in re.findall(r"([\d,]+) (critical|high|medium|low|info)", first)
    }
    assert told == severities
    return {
        "severities": severities, "titles": titles,
        "sentences": set(re.findall(r"^  what +(.*)$", text, re.MULTILINE)),
    }  # fmt: skip


def findings_of_page(shown: Shown) -> Facts:
    """What the page of the case shows."""
    place = shown.start_page.place("findings")
    severities: Counter[str] = Counter()
    titles: Counter[str] = Counter()
    sentences = set()
    for one in place.all("li"):
        head = one.children("h3")[0]
        severity = head.all("span", "severity")[0].text
        title = head.text.removeprefix(severity).strip()
        more = re.match(r"and ([\d,]+) more: (.*)", title)
        severities[severity] += number(more[1]) if more else 1
        titles[more[2] if more else re.sub(r" ×[\d,]+$", "", title)] += number(more[1]) if more else 1
        if not more:
            sentences.add(one.children("p")[0].text)
    if severities:
        assert severities.total() == number(place.all("p", "note")[0].text)
    return {"severities": severities, "titles": titles, "sentences": sentences}


def status_of_json(shown: Shown) -> Facts:
    """What `status --format json` says."""
    status = shown.json(shown.report_data.status)
    return {
        "events": status["records"], "objects": status["objects"], "credentials": status["credentials"],
        "coverage": [(one["account"] or "-", one["region"] or "-", one["first"], one["last"], one["hours_seen"],
                      len(one["gaps"]), one["read_only_events"], one["data_events"]) for one in status["coverage"]],
        "rejected": len(status["rejected"]), "warnings": len(status["warnings"]) + len(status["unfinished"]),
    }  # fmt: skip


def status_of_text(shown: Shown) -> Facts:
    """What `status --rejected` prints."""
    text = shown.status_text
    pattern = r"^(\S+) +(\S+) +(\S+Z) +(\S+Z) +([\d,]+) +([\d,]+) +(yes|no) +(yes|no)$"
    first = text.splitlines()[0]
    events, objects, credentials = re.findall(r"([\d,]+) (?:events?|evidence objects?|credentials?)", first)
    return {
        "events": number(events), "objects": number(objects), "credentials": number(credentials),
        "coverage": [(account, region, begin, end, number(hours), number(gaps), reads == "yes", data == "yes")
                     for account, region, begin, end, hours, gaps, reads, data in re.findall(pattern, text, re.MULTILINE)],
        "rejected": sum(line.startswith("  - ") for line in text.split("rejected.\n")[-1].splitlines())
        if "rejected" in text or "lost of" in text else 0,
        "warnings": len(section(text, "Evidence gaps")),
    }  # fmt: skip


def status_of_page(shown: Shown) -> Facts:
    """What the page of the case shows of its evidence."""
    place = shown.start_page.place("evidence")
    events, objects, credentials = re.findall(
        r"([\d,]+) (?:events?|evidence objects?|credentials?)", place.children("p")[0].text
    )
    coverage = []
    for one in place.all("div"):
        if one.attributes.get("aria-label") == "What the evidence covers":
            for row in one.all("tbody")[0].children("tr"):
                account, region, begin, end, hours, gaps, reads, data, _ = [
                    cell.text for cell in row.children("td")
                ]
                coverage.append(
                    (account, region, begin, end, number(hours), number(gaps), reads == "yes", data == "yes")
                )
    lists = place.children("ul")
    rejected = [one for one in place.all("details") if "rejected" in one.text or "lost of" in one.text]
    return {
        "events": number(events), "objects": number(objects), "credentials": number(credentials), "coverage": coverage,
        "rejected": bullets(rejected[0].all("ul")[0]) if rejected else 0,
        "warnings": bullets(lists[0]) if lists else 0,
    }  # fmt: skip


def timeline_of_json(shown: Shown) -> Facts:
    """What `timeline --format jsonl` says."""
    events = [shown.json(one) for one in shown.events]
    return {
        "events": len(events), "errors": sum(one["error_code"] is not None for one in events),
        "credentials": {one["credential"] for one in events},
    }  # fmt: skip


def timeline_of_text(shown: Shown) -> Facts:
    """What `timeline` prints; of a line that tells of several calls, how many of them failed."""
    text = shown.timeline_text
    found, errors = 0, 0
    for line in text.splitlines():
        if re.match(r"\d{4}-\d\d-\d\dT", line):
            times = re.search(r" x([\d,]*\d)(?: to [^\s,]+)?(?:, ([\d,]+) failed)?(?: |$)", line)
            found += number(times[1]) if times else 1
            errors += (
                (number(times[1]) if times else 1)
                if " ! " in line
                else number(times[2] or "0")
                if times
                else 0
            )
    legend = {line.split()[1] for line in section(text, "Credentials")}
    return {"events": found, "errors": errors, "credentials": legend}


def timeline_of_page(shown: Shown) -> Facts:
    """What the page's section of the timeline shows."""
    place = shown.page.place("timeline")
    found, errors, credentials = 0, 0, set()
    for one in place.all("tbody")[0].children("tr") if place.all("tbody") else []:
        cells = one.children("td")
        times = re.search(r"×([\d,]+)", cells[2].text)
        count_ = number(times[1]) if times else 1
        found += count_
        errors += count_ if one.all("span", "refused") else 0
        credentials.add(next((each.attributes["title"] for each in cells[1].all("a")), cells[1].text))
    note = place.all("p", "note")
    if note:
        assert found == number(note[0].text)
    return {"events": found, "errors": errors, "credentials": credentials}
