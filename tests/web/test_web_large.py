"""A theft of hundreds of credentials: the page holds the trunk of its lineage, the console has the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from web_cases import Served, console

from hostile import read
from tokentrail import Case
from tokentrail.present.html.tree import TRUNK
from tokentrail.testing import World
from tokentrail.web import pages

SESSIONS = TRUNK + 60


@pytest.fixture(name="many", scope="module")
def _many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, str]]:
    """A key, a token of it, a session of each of two roles for every job, and a session that one of these took up again."""
    root, world = tmp_path_factory.mktemp("many"), World(datetime(2026, 11, 21, 6, 0, tzinfo=UTC))
    key = world.user("support")
    token = key.gets_session_token()
    for n in range(SESSIONS):
        minted = token.assumes(f"Support{n % 2}", f"job-{n}")
        minted.calls("s3:GetObject", {"bucketName": "b", "key": f"{n}"})
        if n == 7:
            minted.assumes("Support1", "deep-one")
            minted.calls("secretsmanager:GetSecretValue", {"secretId": "s{n}"}, count=21)
    world.user("ria").assumes("Support0", "ria").calls("s3:ListBuckets")
    world.write(root / "logs")
    with Case.open(root / "case") as case:
        case.ingest([str(root / "logs")], workers=1)
    with console(root / "case") as served:
        yield served, key.id


def test_a_page_holds_the_trunk_and_leads_to_the_rest(many: tuple[Served, str]) -> None:
    """Groups fold with a way to their members; each member is on one of their pages, with what descends from it."""
    served, key = many
    page = served.get("/trace", subject=key).text
    groups = [one for one in re.findall(r'href="(/lineage[^"]+)"', page) if "under=" in one]
    assert len(groups) == 2 and len(page) < 400_000

    seen = set[str]()
    for one in groups:
        way = one.replace("&amp;", "&")
        for number in range(1, 10):
            listed = served.get(f"{way.replace('/lineage', '/lineage.json')}&page={number}").json
            shown = read(served.get(f"{way}&page={number}").text).said
            assert all(each["id"] in shown for each in listed["credentials"])
            seen.update(each["id"] for each in listed["credentials"])
            if not listed["more"]:
                break
        assert listed["count"] == SESSIONS / 2
    whole = served.get("/trace.json", subject=key).json["trace"]["credentials"]
    assert seen == {
        one["id"] for one in whole if one["session_name"] and one["session_name"].startswith("job")
    }


def test_every_link_of_the_page_leads_to_a_place(many: tuple[Served, str]) -> None:
    """Nothing points to a place on the page that is not there, such as a part of a lineage to what was taken."""
    served, key = many
    for path, more in (("/lineage", {"find": "job-7"}), ("/trace", {})):
        found = read(served.get(path, subject=key, **more).text)
        places = {values["id"] for _, values in found.tags if "id" in values}
        inward = {values["href"][1:] for _, values in found.tags if values.get("href", "").startswith("#")}
        assert inward and inward <= places
        assert path == "/trace" or f"/trace?subject={key}#taken" in [one.get("href") for _, one in found.tags]
    onward = {values["href"] for _, values in found.tags if "find=" in values.get("href", "")}
    assert onward and all(served.get(one).status == 200 for one in sorted(onward)[:3])


@pytest.mark.parametrize(
    ("text", "hits"), [("job-7", 11), ("deep-one", 1), ("SUPPORT0/RIA", 1), ("no such thing", 0)]
)
def test_a_lineage_is_searched(many: tuple[Served, str], text: str, hits: int) -> None:
    """By what is said of a credential; colleagues' are found as well."""
    served, key = many
    found = served.get("/lineage.json", subject=key, find=text).json
    assert found["count"] == hits == len(found["credentials"])
    said = read(served.get("/lineage", subject=key, find=text).text).said
    assert f"{hits} credential" in said or "no credential" in said
    assert all(one["id"] in said for one in found["credentials"])


def test_a_twin_s_long_lists_come_some_at_a_time(
    many: tuple[Served, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page by page, until there is no more, a program gets each list of the trace, in its order, and each entry once."""
    served, key = many
    whole = served.get("/trace.json", subject=key).json
    assert not whole["more"] and whole["counts"]["credentials"] == SESSIONS + 3
    monkeypatch.setattr(pages, "_AT_ONCE", 100)
    gathered: dict[str, list[object]] = {name: [] for name in whole["counts"]}
    for number in range(1, 20):
        part = served.get("/trace.json", subject=key, page=str(number)).json
        assert part["plan"] == whole["plan"] and part["counts"] == whole["counts"]
        for name in gathered:
            assert len(part["trace"][name]) <= 100
            gathered[name] += part["trace"][name]
        if not part["more"]:
            break
    assert gathered == {name: whole["trace"][name] for name in gathered}


def test_only_a_page_with_folds_elsewhere_may_ask_the_console_by_script(
    many: tuple[Served, str], served: Served
) -> None:
    """Its policy names the console itself and nobody else; a page that holds all of its lineage asks nobody."""
    large, key = many
    assert "connect-src 'self'" in large.get("/trace", subject=key).text
    for path in ("/", "/credentials", "/findings"):
        assert "connect-src" not in large.get(path).text


def test_what_descends_from_a_lead_is_no_lead(many: tuple[Served, str]) -> None:
    """Each lead stands for a family of its own, and counts what is found about all of it."""
    served, key = many
    twin = served.get("/start.json").json
    whole = {one["id"] for one in served.get("/trace.json", subject=key).json["trace"]["credentials"]}
    inside = [one for one in twin["findings"] if one.get("subject") in whole]
    assert len({one["subject"] for one in inside}) > 1
    (lead,) = (one for one in twin["first"] if one["subject"] in whole)
    assert (lead["subject"], lead["findings"], lead["credentials"]) == (key, len(inside), SESSIONS + 3)
