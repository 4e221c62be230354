"""Each page and its JSON twin tell the same; what can't be answered says why."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from web_cases import Served, console

from evidence import assume_role, call, session, user
from hostile import HOSTILE, read
from tokentrail import Case, report_data
from tokentrail.cli.snapshots import read_iam_files
from tokentrail.present.document import document
from tokentrail.present.html.case_page import case_page
from tokentrail.testing import FAKE_SESSION_TOKEN, native
from tokentrail.testing.story import Story
from tokentrail.web.console_queries import ConsoleQueries

BEFORE = "2026-11-23T10:01:00Z"


def both(served: Served, path: str, **query: str) -> tuple[str, Any]:
    """What a page says as text, and its twin."""
    page = served.get(path, **query)
    twin = served.get("/start.json" if path == "/" else f"{path}.json", **query)
    assert (page.status, twin.status) == (200, 200)
    assert twin.headers["content-type"] == "application/json"
    assert FAKE_SESSION_TOKEN not in page.text + twin.text
    return read(page.text).said, twin.json


def test_the_start_page_says_what_to_look_at_first(served: Served, told: Story) -> None:
    """The leaked key, how grave it is, and how much of its family works."""
    said, twin = both(served, "/")
    (lead,) = twin["first"]
    assert (lead["subject"], lead["severity"], lead["credentials"], lead["alive"]) == (
        told.a.key_id,
        "critical",
        5,
        3,
    )
    assert f"Look first at {told.a.key_id}" in said and "3 of 5 credentials from it still work" in said
    assert f"{twin['overview']['credentials']:,}" in said and f"{twin['status']['records']:,}" in said
    assert all(one["title"] in said for one in twin["findings"])


def test_a_trace_and_its_twin_tell_the_same(served: Served, told: Story, folder: Path) -> None:
    """Every credential, finding, step and turn of the twin is on the page; the trace is the library's own."""
    said, twin = both(served, "/trace", subject=told.a.key_id)
    with Case.open(folder, create=False) as case:
        assert twin["trace"] == json.loads(json.dumps(document(case.trace([told.a.key_id]))))
        assert twin["plan"] == json.loads(json.dumps(document(case.contain([told.a.key_id]))))
    assert all(one["id"] in said for one in twin["trace"]["credentials"] + twin["colleagues"])
    assert all(one["title"] in said for one in twin["findings"])
    assert all(one["what"] in said for one in twin["turns"])
    assert f"{twin['calls']['count']:,}" in said
    assert twin["calls"]["count"] == sum(one["count"] for one in twin["calls"]["lines"])


def test_a_moment_is_answered_from_the_evidence_up_to_then(served: Served, told: Story) -> None:
    """Before the first response A to C work, and D and E do not exist; the page's own links keep the moment."""
    page = served.get("/trace", subject=told.a.key_id, as_of=BEFORE).text
    twin = served.get("/trace.json", subject=told.a.key_id, as_of=BEFORE).json
    states = {one["id"]: one["state"] for one in twin["trace"]["credentials"]}
    assert states == {told.key_ids[one]: "active" for one in "ABC"}
    assert twin["trace"]["as_of"] == BEFORE
    assert told.key_ids["E"] not in page
    ways = re.findall(r'href="(/[^"#]*)', page)
    assert all("as_of=" in one for one in ways if one.startswith(("/credentials", "/findings", "/timeline")))


def test_the_turns_lead_through_the_story(served: Served, told: Story) -> None:
    """They are the same at every moment, so that one can go forth as well as back; each leads to a page."""
    now = served.get("/trace.json", subject=told.a.key_id).json["turns"]
    then = served.get("/trace.json", subject=told.a.key_id, as_of=BEFORE).json["turns"]
    assert now == then and len(now) == 7
    page = served.get("/trace", subject=told.a.key_id, as_of=BEFORE).text
    onward = re.search(r'href="([^"]*)"[^>]*aria-label="The turn after', page)
    assert onward and "as_of=2026-11-23T10%3A02%3A00Z" in onward[1]


def test_the_slider_goes_over_the_story_and_not_over_all_evidence(tmp_path: Path) -> None:
    """Of a key whose story is over within minutes, in a case of months, the slider spans an hour or two."""
    minted = assume_role("2026-11-23T09:05:00Z")
    records = [call("GetCallerIdentity", "2026-11-23T09:00:00Z", user()), minted,
               call("ListBuckets", "2027-03-01T00:00:00Z", user("bob", "AKIAIOSFODNN7BOBBOBB"), source="s3.amazonaws.com")]  # fmt: skip
    with Case.open(tmp_path / "case") as case:
        (tmp_path / "log.json").write_bytes(native(records))
        case.ingest([str(tmp_path / "log.json")])
    with console(tmp_path / "case") as served:
        page = served.get("/trace", subject="AKIAIOSFODNN7EXAMPLE").text
        first, last, at = re.search(r'min="(\d+)" max="(\d+)" step="1" value="(\d+)"', page).groups()  # type: ignore[union-attr]
        assert int(last) - int(first) < 3 * 3600 and at == last
        assert (
            'aria-valuetext="2027-03-01T00:00:00Z"' in page
        )  # what is shown is the newest evidence all the same


def test_the_slider_leads_to_an_address_for_people(served: Served, told: Story) -> None:
    """Its seconds become a moment in the address, and nothing else of it is lost."""
    answer = served.get(
        "/trace", subject=told.a.key_id, as_of="2026-11-23T11:00:00Z", at="1795428000", strategy="surgical"
    )
    assert answer.status == 303
    assert (
        answer.headers["location"]
        == f"/trace?subject={told.a.key_id}&strategy=surgical&as_of=2026-11-23T10%3A00%3A00Z"
    )


@pytest.mark.parametrize("moment", ["2026-12-24T00:00:00Z", "2026-11-01T00:00:00Z"])
def test_the_slider_says_a_moment_outside_of_the_evidence_as_it_was_asked(
    served: Served, moment: str
) -> None:
    """As of today is not as of the last event: sessions have run out since."""
    page = served.get("/credentials", as_of=moment).text
    assert f'aria-valuetext="{moment}"' in page and f">{moment}</output>" in page


def test_every_call_is_listed_and_leads_to_its_record(served: Served, told: Story, folder: Path) -> None:
    """All pages of the timeline together are the library's timeline; a search keeps those that say it."""
    listed, page, more = [], 1, True
    while more:
        twin = served.get("/timeline.json", subject=told.a.key_id, page=str(page)).json
        listed, more, page = listed + twin["events"], twin["more"], page + 1
    with Case.open(folder, create=False) as case:
        assert listed == [json.loads(json.dumps(document(one))) for one in case.timeline([told.a.key_id])]
    said, twin = both(served, "/timeline", subject=told.a.key_id, search="GetSecretValue")
    assert {one["event_name"] for one in twin["events"]} == {"GetSecretValue"} and "prod/payments" in said
    place = f"/record/{twin['events'][0]['object']}/{twin['events'][0]['ordinal']}"
    assert f'href="{place}"' in served.get("/timeline", subject=told.a.key_id, search="GetSecretValue").text
    assert served.get(f"{place}.json").json["event_id"] == twin["events"][0]["event_id"]


def test_a_raw_record_is_as_received_but_for_secrets(served: Served, told: Story, folder: Path) -> None:
    """By event id and by place, the same record, and no session token."""
    with Case.open(folder, create=False) as case:
        event = next(
            one.issued_by.event_id for one in case.trace([told.a.key_id]).credentials if one.issued_by
        )
    said, twin = both(served, f"/event/{event}")
    assert twin["event_id"] == event == twin["record"]["eventID"]
    assert twin["record"]["eventName"] in said and "HIDDEN_BY_TOKENTRAIL" in said
    assert both(served, f"/record/{twin['object']}/{twin['ordinal']}")[1] == twin
    assert twin["name"].endswith(".json.gz") and twin["name"] in said  # the file, or the S3 key


def test_the_inventory_can_be_searched(served: Served, told: Story, folder: Path) -> None:
    """By key, principal, address and name; by state and kind; all pages together are the library's inventory."""
    every = served.get("/credentials.json").json
    with Case.open(folder, create=False) as case:
        assert every["credentials"] == [json.loads(json.dumps(document(one))) for one in case.credentials()]
    for wanted in (told.b.key_id, told.b.key_id.lower(), "user/support", "203.0.113.77", "support-eu"):
        said, twin = both(served, "/credentials", search=wanted)
        assert twin["credentials"] and all(one["id"] in said for one in twin["credentials"]), wanted
        assert len(twin["credentials"]) < len(every["credentials"])
    active = served.get("/credentials.json", state="active", kind="long_term_key").json["credentials"]
    assert {(one["state"], one["kind"]) for one in active} == {("active", "long_term_key")}
    assert served.get("/credentials.json", search="no such thing").json["credentials"] == []
    form = served.get("/credentials").text.partition("<table")[0]
    assert ">role session</option>" in form and ">still works</option>" in form  # as the table calls them


def test_the_inventory_can_be_sorted(served: Served) -> None:
    """By each column, with what else is asked for kept; its head leads there and back; an unknown column is refused."""
    every = served.get("/credentials.json").json["credentials"]
    busy = served.get("/credentials.json", sort="calls").json["credentials"]
    assert busy == sorted(every, key=lambda one: -one["events"]) != every
    ids = served.get("/credentials.json", sort="credential", state="active").json["credentials"]
    assert [one["id"] for one in ids] == sorted(one["id"] for one in every if one["state"] == "active")
    for column in ("kind", "state", "of", "issued", "ends"):
        page, twin = served.get("/credentials", sort=column), served.get("/credentials.json", sort=column)
        assert {one["id"] for one in twin.json["credentials"]} == {one["id"] for one in every}
        assert 'href="/credentials"' in page.text and f'name="sort" value="{column}"' in page.text
    assert "/credentials?state=active&amp;sort=calls" in served.get("/credentials", state="active").text
    assert served.get("/credentials", sort="size").status == 400


def test_findings_can_be_narrowed(served: Served) -> None:
    """To a severity and an account, on the page and in its twin; the form knows the accounts that there are."""
    every = served.get("/findings.json").json["findings"]
    said, twin = both(served, "/findings", severity="critical")
    assert twin["findings"] == [one for one in every if one["severity"] == "critical"] != every
    assert all(one["title"] in said for one in twin["findings"])
    account = every[0]["accounts"][0]
    assert f'<option value="{account}"' in served.get("/findings").text
    assert served.get("/findings.json", account=account).json["findings"]
    said, twin = both(served, "/findings", account="999999999999")
    assert twin["findings"] == []
    assert served.get("/findings", severity="worst").status == 400


def test_narrowing_offers_what_was_seen(served: Served, told: Story) -> None:
    """The addresses from which the subject was used and the moments of its story can be chosen."""
    page = served.get("/trace", subject=told.a.key_id).text
    offered = page.partition('<datalist id="seen-addresses">')[2].partition("</datalist>")[0]
    assert '<option value="203.0.113.77">' in offered
    assert '<option value="2026-11-23T09:44:05Z">' in page and 'list="seen-times"' in page


def test_findings_and_evidence(served: Served) -> None:
    """Each has its page, and the twin's words are on it."""
    said, twin = both(served, "/findings")
    assert twin["findings"] and all(one["why"] in said for one in twin["findings"])
    said, twin = both(served, "/evidence")
    assert all(one["account"] in said for one in twin["coverage"])


def test_the_plan_is_given_as_the_file_that_apply_takes(served: Served, told: Story, tmp_path: Path) -> None:
    """`tokentrail apply` reads what the console hands out; each strategy has its own."""
    from tokentrail.containment.planfile import load

    for strategy in ("standard", "surgical", "scorched"):
        answer = served.get("/plan.json", subject=told.a.key_id, strategy=strategy)
        assert "attachment" in answer.headers["content-disposition"]
        (tmp_path / "plan.json").write_text(answer.text)
        assert load(tmp_path / "plan.json").strategy == strategy


def test_snapshots_widen_the_proof(folder: Path, told: Story, tmp_path: Path) -> None:
    """With `serve --iam` plans are proved over trust policies, as `contain --iam` does."""
    holder = {"Arn": told.user.arn, "UserName": "support", "UserId": told.user.id, "Path": "/"}
    (tmp_path / "iam.json").write_text(json.dumps({"UserDetailList": [holder], "RoleDetailList": []}))
    with console(folder, read_iam_files([tmp_path / "iam.json"]).snapshots) as served:
        plan = served.get("/plan.json", subject=told.a.key_id).json

    assert plan["proof"]["scope"] == "trust-policies"


def test_what_counts_can_be_narrowed(served: Served, told: Story) -> None:
    """Since a time, not from an address: as on the command line; several fit in one field. Head and figures say so."""
    said, twin = both(served, "/trace", subject=told.a.key_id, since="2026-11-23T09:45:00Z")
    theirs = [one for one in twin["trace"]["credentials"] if one["tainted"]]
    assert {one["id"] for one in theirs} == {told.key_ids["A"], told.key_ids["C"]}
    count = sum(one["events"] for one in theirs)
    assert f"calls{count:,}account" in said.partition("Lifelines")[0]  # and not those of B, D and E
    assert (
        "Only credentials minted from the subject at or after 2026-11-23T09:45:00Z count"
        in said.partition("Lifelines")[0]
    )
    assert (
        f"{twin['calls']['count'] - count:,} of all are of descendants that do not count as the attacker's"
        in said
    )
    said, _ = both(served, "/timeline", subject=told.a.key_id, since="2026-11-23T09:45:00Z")
    assert "does not narrow this list" in said
    twin = served.get("/trace.json", subject=told.a.key_id, trusted_ip="192.0.2.0/24, 203.0.113.77").json
    assert {one["id"] for one in twin["trace"]["credentials"] if one["tainted"]} == {told.key_ids["A"]}
    assert (
        'value="192.0.2.0/24"' in served.get("/trace", subject=told.a.key_id, trusted_ip="192.0.2.0/24").text
    )


def test_a_fault_is_told_on_the_terminal_made_safe(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a fault says may be what a record said: no escape sequence of it reaches the terminal."""

    def fails(*_: object) -> None:
        raise RuntimeError("said \x1b]0;owned\x07")

    monkeypatch.setattr(ConsoleQueries, "evidence", fails)
    answer = served.get("/evidence")
    told = capsys.readouterr().err

    assert (answer.status, "owned" in answer.text) == (500, False)
    assert "\\x1b]0;owned" in told and "\x1b" not in told


def test_a_case_that_was_removed_is_said_to_be_gone(folder: Path, tmp_path: Path) -> None:
    """And is no fault of the program's; a case that takes its place is shown."""
    shutil.copytree(folder, tmp_path / "case")
    with console(tmp_path / "case") as there:
        shutil.rmtree(tmp_path / "case")
        gone = there.get("/start.json")
        assert gone.status == 500 and "no case is at" in gone.json["error"]
        assert "No answer" in there.get("/").text
        shutil.copytree(folder, tmp_path / "case")
        assert there.get("/start.json").status == 200


def test_the_evidence_is_named_by_one_digest(served: Served, folder: Path, tmp_path: Path) -> None:
    """That of the objects' digests, as anybody can work it out from the case's own files without TokenTrail."""
    for pack in (folder / "objects" / "packs").glob("*.tar"):
        with tarfile.open(pack) as archive:
            archive.extractall(tmp_path, filter="data")
    files = [*tmp_path.iterdir(), *(one for one in folder.glob("objects/??/*") if one.is_file())]
    each = sorted(hashlib.sha256(one.read_bytes()).hexdigest() for one in files)
    said, twin = both(served, "/evidence")
    assert len(each) == twin["objects"]
    assert twin["evidence_digest"] == hashlib.sha256("".join(f"{one}\n" for one in each).encode()).hexdigest()
    assert f"one a line, is {twin['evidence_digest']}" in said


def test_leads_that_are_not_looked_into_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the ones among them that work: of hundreds of subjects, that the first few are dead says nothing."""
    monkeypatch.setattr(report_data, "_LEADS", 1)
    with Case.open(folder, create=False) as case:
        every = [one for one in case.credentials() if one.parent is None]
        dead, *rest = sorted(every, key=lambda one: one.state in ("active", "unknown"))
        told = [{"subject": one.id, "severity": "low", "time": f"{n}", "id": "x", "title": "t"}
                for n, one in enumerate([dead, *rest])]  # fmt: skip
        found = report_data.finding_subjects(case, told, None)
        page = case_page(case.case_id, case.overview(), told, case.status(), "1", subjects=found)
        seen = {one.id for one in case.family([dead.id], followed=True).credentials}
    rest = [one for one in rest if one.id not in seen]
    alive = sum(one.state in ("active", "unknown") for one in rest)
    assert (len(found.shown), found.others, found.working) == (1, len(rest), alive) and 0 < alive
    assert f"{len(rest) + 1} subjects to follow: behind the first 1, " in page
    assert f"and {alive} of the others still work" in page
    assert f"findings point to {len(rest)} more subjects, of which {alive} still work" in page


@pytest.mark.parametrize(("path", "status", "why"), [
    ("/trace?subject=nobody", 404, "nothing in the case answers to that"),
    ("/trace?subject=AKIARTX3GSDSTOAG574N&as_of=2020-01-01", 404, "there is no evidence yet: it spans"),
    ("/trace", 400, "no subject was named"), ("/trace?subject=ASIA", 400, "several credentials begin so"),
    ("/trace?subject=x1&as_of=soon", 400, "is no time"), ("/trace?subject=x1&since=never", 400, "is no time"),
    ("/trace?subject=x1&strategy=fire", 400, "is none of standard"), ("/credentials?state=dead", 400, "is none of active"),
    ("/trace?subject=AKIARTX3GSDSTOAG574N&source_ip=here", 400, "no IP address"), ("/?at=" + "9" * 30, 400, "is no time"),
    ("/record/00ff/3", 404, "no evidence object"), ("/event/8d0f1e2d", 404, "no record of the event"),
    ("/trace?subject=AKIARTX3GSDSTOAG574N&as-of=2020-01-01", 400, "Ask for as_of=."),
    ("/credentials?colour=red", 400, "is nothing that can be asked"),
])  # fmt: skip
def test_what_can_t_be_answered_says_why(served: Served, path: str, status: int, why: str) -> None:
    """In a page with the console's bar, and in the twin."""
    page = served.get(path)
    bare, _, query = path.partition("?")
    twin = served.get(f"{'/start' if bare == '/' else bare}.json?{query}")
    assert (page.status, twin.status) == (status, status)
    assert why in read(page.text).said and why in twin.json["error"]
    assert 'action="/trace"' in page.text


@pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "page=" + "9" * 5000, "page=٣", "as_of=0001-01-01",
                                   "as_of=9999-12-31T23:59:59Z", "as_of=now", "search=%00", "search='%3B--"])  # fmt: skip
def test_odd_questions_get_an_answer(served: Served, query: str) -> None:
    """No page number, moment or text that can be asked for is a fault."""
    asked = quote(query, safe="=%&")
    assert [served.get(f"{path}?{asked}").status for path in ("/credentials", "/credentials.json")] == [
        200,
        200,
    ]


def test_new_evidence_shows_at_once(told: Story, folder: Path, tmp_path: Path) -> None:
    """A page asked for again after an ingest tells of what came in, kept answers or not."""
    shutil.copytree(folder, tmp_path / "case")
    with console(tmp_path / "case") as served:
        before = served.get("/start.json").json["overview"]["credentials"]
        (tmp_path / "more.json").write_bytes(native([assume_role("2026-11-23T12:00:00Z")]))
        with Case.open(tmp_path / "case") as case:
            case.ingest([str(tmp_path / "more.json")], workers=1)
        assert served.get("/start.json").json["overview"]["credentials"] == before + 2
        assert served.get("/trace", subject="ASIAIOSFODNN7EXAMPL1").status == 200


@pytest.mark.parametrize(
    "poison", [HOSTILE[2], "".join(HOSTILE[:-2]), HOSTILE[-2]], ids=["close", "all", "long"]
)
def test_hostile_evidence_and_questions_stay_text(tmp_path: Path, poison: str) -> None:
    """Poison in every name the attacker chooses, and in the address: no element, attribute or script of its own."""
    tokens = poison.encode("utf-8", "replace").decode()
    records = [
        assume_role(name=tokens, role=f"R{tokens}", userAgent=tokens, sourceIPAddress=tokens, caller=user(tokens)),
        call("GetObject", "2026-11-23T09:10:00Z", session(name=tokens, role=f"R{tokens}"), source="s3.amazonaws.com",
             userAgent=tokens, errorCode=tokens, eventID=tokens[:200],
             resources=[{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::loot/{tokens}"}]),
        call("PutUserPolicy", "2026-11-23T09:11:00Z", user(), source="iam.amazonaws.com",
             requestParameters={"userName": tokens, "policyName": tokens, "policyDocument": tokens}),
    ]  # fmt: skip
    (tmp_path / "evidence.json").write_bytes(native(records))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "evidence.json")], workers=1)
    asked = quote(tokens[:600])
    with console(tmp_path / "case") as served:
        pages = [
            served.get(path) for path in (
                "/", "/trace?subject=AKIAIOSFODNN7EXAMPLE", "/timeline?subject=AKIAIOSFODNN7EXAMPLE", "/credentials",
                "/findings", "/evidence", f"/trace?subject={asked}", f"/credentials?search={asked}",
                f"/timeline?subject=AKIAIOSFODNN7EXAMPLE&search={asked}", f"/event/{quote(tokens[:200], safe='')}",
                f"/trace?subject=AKIAIOSFODNN7EXAMPLE&as_of={asked}", f"/{asked}",
            )
        ]  # fmt: skip
    shown = [one for one in pages if one.headers["content-type"].startswith("text/html")]
    assert len(shown) >= 10 and [one.status for one in pages[:6]] == [200] * 6
    for one in shown:
        found = read(one.text)
        assert not {tag for tag, _ in found.tags} & {"img", "iframe", "object", "embed", "b onx", "base"}
        assert [tag for tag, _ in found.tags].count("script") == 1
        assert all(not name.startswith("on") for _, values in found.tags for name in values)
        assert all(values["href"].startswith(("/", "#")) for tag, values in found.tags if "href" in values)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", one.text)
