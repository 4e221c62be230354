"""Traces: subjects of every form, taint, what was made, touched and learned."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from evidence import AWAY, HOME, START, at, born, by_id, held, traced
from tokentrail import Case
from tokentrail.errors import CaseError, SubjectNotFound, UsageError
from tokentrail.present.views.damage import unkeyed
from tokentrail.testing import World
from tokentrail.testing.administration import trust_policy
from tokentrail.testing.credential import OFFICE
from tokentrail.testing.story import ATTACKER, ATTACKER_LATER, Story, story


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story(ordinary_day=False)


@pytest.fixture(name="case", scope="module")
def _case(told: Story) -> Iterator[Case]:
    with held(told.world) as case:
        yield case


def letters(told: Story, ids: object) -> str:
    """Credentials by the story's letters; `?` for others."""
    names = {key: letter for letter, key in told.key_ids.items()}
    return "".join(sorted(names.get(one, "?") for one in ids))  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------- subjects

FORMS: dict[str, tuple[Callable[[Story], str], str]] = {
    "key id": (lambda told: told.b.key_id, "B"),
    "unique prefix": (lambda told: told.b.key_id[:19], "B"),
    "user ARN": (lambda told: told.user.arn, "AB"),
    "principal id of a user": (lambda told: told.user.id, "AB"),
    "session ARN": (lambda told: told.e.arn, "E"),
    "principal id of a session": (lambda told: told.e.identity.principal_id, "E"),
    "role ARN": (lambda told: told.role.arn, "??CDE"),
    "principal id of a role": (lambda told: told.role.id, "??CDE"),
    "address": (lambda _: ATTACKER_LATER, "BDE"),
    "event id of a use": (lambda told: _event(told, told.c.key_id), "C"),
}


def _event(told: Story, key: str) -> str:
    return next(
        str(one["eventID"]) for one in told.world.records() if one["userIdentity"].get("accessKeyId") == key
    )


@pytest.mark.parametrize("form", FORMS)
def test_a_subject_may_be_named_in_every_form(told: Story, case: Case, form: str) -> None:
    """Key id, prefix, ARN, principal id, address and event id all find what they name."""
    name, expected = FORMS[form]
    found = case.trace([name(told)], up=False, down=False)

    assert expected == letters(told, [one.id for one in found.credentials])


def test_all_suspects_that_are_not_in_the_evidence_are_named_at_once(told: Story, case: Case) -> None:
    """Whoever has a list of addresses leaves them out in one go, however they are asked about."""
    strangers = ["198.51.100.1", "198.51.100.2"]
    for ask in (case.trace, case.contain, lambda listed: list(case.timeline(listed))):
        with pytest.raises(
            SubjectNotFound, match=r"'198.51.100.1', '198.51.100.2': .* these 2 as of .*; leave them out"
        ):
            ask([strangers[0], told.a.key_id, strangers[1]])


def test_an_instance_id_names_all_its_sessions(world: World) -> None:
    """An instance id stands for each credential delivered to it."""
    first = world.instance("Work", instance_id="i-0123456789abcdef0")
    world.wait(hours=6)
    second = first.rotates()
    found = traced(world, "i-0123456789abcdef0")

    assert {first.id, second.id} == {one.id for one in found.credentials}


def test_a_persons_id_names_all_their_sessions(world: World) -> None:
    """In whichever account: most calls of a portal's session tell whom of the directory it acts for, and whose it is."""
    sessions = [
        world.identity_center("ada@example.com", "Admin", account=account) for account in (HOME, AWAY)
    ]
    other = world.identity_center("bob@example.com", "Admin")
    for one in (*sessions, other):
        one.calls("s3:ListBuckets", count=20)
    found = traced(world, world.person("ada@example.com").user_id)

    assert {one.id for one in sessions} == {one.id for one in found.credentials}


def test_several_subjects_are_traced_together(told: Story, case: Case) -> None:
    """Two subjects, one answer."""
    found = case.trace([told.c.key_id, told.d.key_id], up=False)

    assert "CD" == letters(told, [one.id for one in found.credentials])


@pytest.mark.parametrize(
    "subject",
    [
        "AIDANOBODYNOBODYNOBOD",
        "203.0.113.200",
        "i-0fffffffffffffff0",
        "7f3b3c7e-0000-4000-8000-000000000000",
    ],
)
def test_what_nothing_answers_to_is_said(case: Case, subject: str) -> None:
    """An unknown subject is an error that lists the forms."""
    with pytest.raises(SubjectNotFound, match=r"as of 2026-11-23T11:.*principal id"):
        case.trace([subject])


def test_an_arn_that_did_nothing_is_told_by_its_account(case: Case) -> None:
    """Its account's log is there: what is missing is the time, or data events."""
    with pytest.raises(SubjectNotFound, match="account 111122223333, whose log the case holds"):
        case.trace(["arn:aws:iam::111122223333:user/nobody"])


@pytest.mark.parametrize("subject", ["ASIA", "A", ""])
def test_an_ambiguous_or_empty_prefix_is_refused(case: Case, subject: str) -> None:
    """A prefix of several, or too short a one, is wrong use."""
    with pytest.raises(UsageError):
        case.trace([subject])


# ------------------------------------------------------------------------------- up, down and taint


def test_up_and_down_are_chosen_apart(told: Story, case: Case) -> None:
    """Up gives the line to the root, down what descends, neither the subject alone."""
    found = {
        (up, down): letters(told, [one.id for one in case.trace([told.b.key_id], up=up, down=down).credentials])
        for up in (True, False) for down in (True, False)
    }  # fmt: skip

    assert {(True, True): "ABDE", (True, False): "AB", (False, True): "BDE", (False, False): "B"} == found


@pytest.mark.parametrize(
    ("narrowing", "expected"),
    [
        ({}, "ABCDE"),
        ({"since": at("09:46:00")}, "AC"),
        ({"since": at("09:44:05")}, "ABCDE"),
        ({"since": at("11:00:00")}, "A"),
        ({"source_ips": [ATTACKER]}, "ABCDE"),
        ({"source_ips": ["203.0.113.0/24"]}, "ABCDE"),
        ({"source_ips": [ATTACKER_LATER]}, "A"),
        ({"trusted_ips": [ATTACKER]}, "A"),
        ({"trusted_ips": ["192.0.2.0/24"]}, "ABCDE"),
    ],
)
def test_narrowing_says_what_counts_as_the_attackers(
    told: Story, case: Case, narrowing: dict[str, object], expected: str
) -> None:
    """Minted from the subject since then, from there and not from these; their descendants always; the subject too."""
    found = case.trace([told.a.key_id], **narrowing)  # type: ignore[arg-type]

    assert expected == letters(told, [one.id for one in found.credentials if one.tainted])
    assert "ABCDE" == letters(told, [one.id for one in found.credentials])


def test_ancestors_are_not_tainted(told: Story, case: Case) -> None:
    """What stands above the subject is shown, and is not the attacker's for that."""
    found = case.trace([told.b.key_id])

    assert "BDE" == letters(told, [one.id for one in found.credentials if one.tainted])


@pytest.mark.parametrize("text", ["not-an-address", "300.1.1.1", "10.0.0.0/99"])
def test_an_address_that_is_none_is_wrong_use(told: Story, case: Case, text: str) -> None:
    """Networks are checked before anything is asked."""
    with pytest.raises(UsageError, match="CIDR"):
        case.trace([told.a.key_id], source_ips=[text])


def test_a_deep_trace_of_the_story_leaves_the_colleague_out(told: Story, case: Case) -> None:
    """Ria's sessions of the same role are in no trace of the leaked key."""
    ids = {one.id for one in case.trace([told.a.key_id]).credentials}

    assert not ids & {told.ria.id, told.ria_before.id, told.ria_after.id}


# ------------------------------------------------------------------------------- made by sessions


def test_what_acts_through_created_things_is_offspring(world: World) -> None:
    """Key, user, password, role, instance, function, task and build of a session: what acts through them is its own."""
    session = world.user("ada").assumes("Admin")
    key = session.creates_access_key(world.user("grace"))
    key.calls("s3:ListBuckets")
    backdoor = session.creates_user("backdoor")
    session.iam("CreateLoginProfile", userName="backdoor")
    world.wait(60)
    browser = world.console_sign_in(backdoor)
    browser.calls("s3:ListBuckets")
    instance = session.runs_instance("Work")
    function = session.creates_function("hook", "Work")
    task, build = session.runs_task("Work"), session.starts_build("site", "Work")
    world.task("Work").calls("s3:ListBuckets")
    role = session.creates_role("Door", {"AWS": f"arn:aws:iam::{AWAY}:root"})
    world.wait(60)
    outsider = world.user("mallory", account=AWAY).assumes(role, "in", sides="role")
    found = traced(world, session.id, up=False)
    ids = {one.id: one for one in found.credentials}

    assert set(ids) == {
        session.id, key.id, browser.id, instance.id, function.id, task.id, build.id, outsider.id,
    }  # fmt: skip
    assert all(one.tainted for one in ids.values())
    assert {"created"} == {one.parent_link for one in ids.values() if one.id != session.id}
    assert {"access_key", "user", "login_profile", "instance", "function", "role", "task", "build"} == {
        one.what for one in found.created
    }


def test_a_log_of_writes_alone_tells_a_build_by_its_name(world: World) -> None:
    """Without the AssumeRole that gave it out: the id that StartBuild was answered with is nobody else's."""
    session = world.user("ada").assumes("Admin")
    build = session.starts_build("site", "Work")
    build.calls("s3:ListBuckets")
    world.user("grace").assumes("Work", "AWSCodeBuild-by-hand").calls("s3:ListBuckets")
    writes = [
        one for one in world.records() if one["userIdentity"].get("invokedBy") != "codebuild.amazonaws.com"
    ]
    found = traced(writes, session.id, up=False)

    assert [(one.id, one.kind, one.parent_link) for one in found.credentials if one.id != session.id] == [
        (build.key_id, "assumed_role", "created")
    ]


def test_a_password_set_for_somebody_else_taints_the_sign_in(world: World) -> None:
    """UpdateLoginProfile by the subject: whoever signs in afterwards came through it."""
    session = world.user("ada").assumes("Admin")
    session.iam("UpdateLoginProfile", userName="grace")
    world.wait(60)
    browser = world.console_sign_in(world.user("grace"))

    assert {session.id, browser.id} == {one.id for one in traced(world, session.id, up=False).credentials}


def test_a_sign_in_before_the_password_was_set_is_not_the_makers(world: World) -> None:
    """What came before is nobody's offspring."""
    world.console_sign_in(world.user("grace"))
    world.wait(60)
    session = world.user("ada").assumes("Admin")
    session.iam("UpdateLoginProfile", userName="grace")

    assert {session.id} == {one.id for one in traced(world, session.id, up=False).credentials}


def test_a_trust_opened_to_another_account_is_a_way_in(world: World) -> None:
    """UpdateAssumeRolePolicy that trusts an account: its next session in the role is the changer's offspring."""
    session = world.user("ada").assumes("Admin")
    session.iam(
        "UpdateAssumeRolePolicy",
        roleName="Deploy",
        policyDocument=trust_policy({"AWS": f"arn:aws:iam::{AWAY}:root"}),
    )
    world.wait(60)
    outsider = world.user("mallory", account=AWAY).assumes(world.role("Deploy"), "in", sides="role")
    found = by_id(traced(world, session.id, up=False).credentials)

    assert ("assumed_role", session.id, "created", None) == born(found[outsider.id])


def test_a_provider_that_was_made_is_a_way_in(world: World) -> None:
    """CreateOpenIDConnectProvider by the subject: sessions through it are its offspring."""
    session = world.user("ada").assumes("Admin")
    arn = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"
    session.calls("iam:CreateOpenIDConnectProvider", {"url": "https://token.actions.githubusercontent.com"},
                  response={"openIDConnectProviderArn": arn}, read_only=False)  # fmt: skip
    world.wait(60)
    outsider = world.oidc("Deploy", "repo:evil/x")

    assert {session.id, outsider.id} == {one.id for one in traced(world, session.id, up=False).credentials}


def test_changed_code_is_a_link_and_no_parent(world: World) -> None:
    """Whoever changed a function's code is behind its later sessions, but did not make it."""
    early = world.function("Work", "hook")
    session = world.user("ada").assumes("Admin")
    session.updates_function("hook")
    world.wait(60)
    later = early.rotates()
    found = traced(world, session.id, up=False)

    assert {session.id, later.id} == {one.id for one in found.credentials}
    assert (None, "service") == next(
        (one.parent, one.origin) for one in found.credentials if one.id == later.id
    )
    assert [("created", "UpdateFunctionCode20150331v2")] == [(one.link, one.api) for one in found.links]


def test_a_key_made_active_again_counts_as_made(world: World) -> None:
    """UpdateAccessKey to Active stands among what was created; to Inactive it does not."""
    admin, key = world.user("ada"), world.user("grace")
    key.calls("s3:ListBuckets")
    admin.deactivates(key)
    admin.iam("UpdateAccessKey", userName="grace", accessKeyId=key.id, status="Active")
    found = traced(world, admin.id)

    assert [("access_key", key.id)] == [(one.what, one.id) for one in found.created]


# ------------------------------------------------------------------------------- what they did


def test_resources_carry_bytes_and_errors(world: World) -> None:
    """Per credential and resource: how often, how many failed, how much went out."""
    session = world.user("ada").assumes("Deploy")
    session.calls("s3:GetObject", {"bucketName": "loot", "key": "a"}, count=3, bytes_out=1000)
    session.denied("s3:GetObject", "arn:aws:s3:::loot/a", params={"bucketName": "loot", "key": "a"})
    (one,) = [one for one in traced(world, session.id, up=False).resources if one.arn.endswith("loot/a")]

    assert (session.id, "arn:aws:s3:::loot/a", "GetObject", 4, 1) == (
        one.credential,
        one.arn,
        one.event_name,
        one.count,
        one.errors,
    )
    assert 3000 == one.bytes_out


def test_secrets_read_are_those_whose_answer_held_one(world: World) -> None:
    """GetSecretValue and decrypted parameters count; plain parameters and refused calls do not."""
    session = world.user("ada").assumes("Deploy")
    session.calls("secretsmanager:GetSecretValue", {"secretId": "prod/db"})
    session.calls("ssm:GetParameter", {"name": "/plain", "withDecryption": False})
    session.calls("ssm:GetParameter", {"name": "/secret", "withDecryption": True})
    session.calls("secretsmanager:GetSecretValue", {"secretId": "prod/other"}, error="AccessDenied")
    found = traced(world, session.id).secrets_read

    assert [("GetSecretValue", "prod/db"), ("GetParameter", "/secret")] == [
        (one.event_name, (one.what or "").partition("secret:")[2] or one.what) for one in found
    ]
    assert {session.id} == {one.credential for one in found}


def test_apis_count_calls_and_errors(world: World) -> None:
    """Per credential and call: how often and how many failed."""
    session = world.user("ada").assumes("Deploy")
    session.calls("ec2:DescribeInstances", count=3)
    session.denied("ec2:DescribeInstances")
    (one,) = [
        one for one in traced(world, session.id, up=False).apis if one.event_name == "DescribeInstances"
    ]

    assert (session.id, "ec2.amazonaws.com", 4, 1) == (
        one.credential,
        one.event_source,
        one.count,
        one.errors,
    )


def test_gaps_name_silent_hours_and_orphans(world: World) -> None:
    """Hours without events, missing kinds of events, and each credential whose origin is not in the evidence."""
    with world.unlogged():
        orphan = world.user("ada").assumes("Deploy")
    orphan.calls("s3:ListBuckets")
    world.at("2026-11-23T12:30:00")
    orphan.calls("s3:ListBuckets")
    whys = [(one.start, one.end, one.why) for one in traced(world, orphan.id).gaps]

    assert (at("10:00:00"), at("12:00:00"), "no events in these hours") in whys
    assert any(why.startswith(orphan.id) for _, _, why in whys)
    assert any("no data events" in why for _, _, why in whys)


def test_the_longest_silence_comes_first_of_silences_and_after_all_else(world: World) -> None:
    """Years of evidence have thousands of silent hours: what kinds of it are missing is not told behind them."""
    with world.unlogged():
        orphan = world.user("ada").assumes("Deploy")
    orphan.calls("s3:ListBuckets")
    for moment in ("2026-11-23T12:30:00", "2026-12-23T12:30:00", "2026-12-23T16:30:00"):
        world.at(moment)
        orphan.calls("s3:ListBuckets")
    gaps = traced(world, orphan.id).gaps
    silent = [one.why == "no events in these hours" for one in gaps]
    spans = [
        one.end - one.start for one in gaps if one.why == "no events in these hours" and one.end and one.start
    ]

    assert [False] * (len(gaps) - 3) + [True] * 3 == silent
    assert [29, 0, 0] == [one.days for one in spans]
    assert sorted(spans, reverse=True) == spans


@pytest.mark.parametrize(
    "call", ["s3:GetObject", "ec2:DescribeInstances", "sts:AssumeRole", "sts:GetSessionToken"]
)
def test_records_without_flags_show_the_kinds_of_events_that_they_are(world: World, call: str) -> None:
    """Records before eventVersion 1.06 lack `managementEvent`, and most of them `readOnly`."""
    ada = world.user("ada")
    if call == "sts:AssumeRole":
        ada.assumes("Deploy")
    elif call == "sts:GetSessionToken":
        ada.gets_session_token()
    else:
        ada.calls(call)
    found = []
    for lacking in ((), ("readOnly", "managementEvent", "eventCategory")):
        records = [
            {name: value for name, value in one.items() if name not in lacking} for one in world.records()
        ]
        with held(records) as case:
            [one] = case.status().coverage
            found.append((one.read_only_events, one.write_events, one.data_events))

    reads = call in ("ec2:DescribeInstances", "sts:AssumeRole")
    assert [(reads, call == "sts:GetSessionToken", call == "s3:GetObject")] * 2 == found


@pytest.mark.parametrize("kept", ["reads", "data events"])
def test_a_trail_that_logs_no_changes_says_so_of_what_still_works(world: World, kept: str) -> None:
    """
    Where a trail logs reads or data events alone, what was ended or made is not in it, and each answer says so.

    Source: CloudTrail User Guide, 'Logging management events' and 'Logging data events'.
    """
    ada = world.user("ada")
    ada.calls("s3:GetObject")
    ada.calls("ec2:DescribeInstances")
    world.user("responder").deactivates(ada)
    records = [
        one for one in world.records()
        if (one["readOnly"] if kept == "reads" else not one["managementEvent"])
    ]  # fmt: skip
    with held(records) as case:
        told = " ".join(one.why for one in case.trace([ada.key_id]).gaps)
        proof = case.contain([ada.key_id]).proof
        warned = " ".join(case.status().warnings)

    assert "no management events that change anything" in told
    assert "no management events that change anything" in warned
    assert any("that `trace` lists" in one for one in proof.holds_if)


def test_a_trail_of_one_region_says_where_changes_of_iam_are_logged(world: World) -> None:
    """
    A trail of another region alone does not get what IAM logs, so that each answer says what it can't know.

    Source: CloudTrail User Guide, 'About global service events'.
    """
    ada = world.user("ada")
    ada.calls("ec2:RunInstances", region="eu-west-1")
    world.user("responder").deactivates(ada)
    for records, told in (
        (world.records(), False),
        ([one for one in world.records() if one["awsRegion"] == "eu-west-1"], True),
    ):
        with held(records) as case:
            gaps = " ".join(one.why for one in case.trace([ada.key_id]).gaps)
            warned = " ".join(case.status().warnings)
        assert ["changes of IAM are logged" in said for said in (gaps, warned)] == [told, told]


def test_the_timeline_is_in_order_and_whole(told: Story, case: Case) -> None:
    """Every event of the subject and its descendants, by time, then id."""
    keys = set(told.key_ids.values())
    expected = sorted(
        (str(one["eventTime"]), str(one["eventID"])) for one in told.world.records()
        if one["userIdentity"].get("accessKeyId") in keys or _forwarded(one, told)
    )  # fmt: skip
    found = [(f"{one.time:%Y-%m-%dT%H:%M:%SZ}", one.event_id) for one in case.timeline([told.a.key_id])]

    assert expected == found


@pytest.mark.parametrize("many", [False, True])
def test_the_timeline_tells_what_a_change_was_about(
    world: World, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    """IAM's records list no resources: names stand in the request, and the id of what was made in the answer."""
    if many:  # looked for in tables, not one by one
        monkeypatch.setattr("tokentrail.lineage.subtree_query.LOOKED_UP", 0)
    session = world.user("ada").assumes("Admin")
    made = session.creates_access_key(world.user("tom"))
    session.iam("PutRolePolicy", roleName="Deploy", policyName="p", policyDocument="{}")
    session.calls("iam:DeleteRole", {"roleName": "Deploy"}, error="AccessDenied")
    session.calls("s3:ListBuckets")
    with held(world) as case:
        every = {one.event_name: one.about for one in case.timeline([session.id])}
        lines = case.call_lines([session.id], telling="Put", room=99, run=9).lines

    assert {
        "CreateAccessKey": ("userName=tom", f"access_key={made.key_id}"), "PutRolePolicy": ("roleName=Deploy", "policyName=p"),
        "DeleteRole": (), "ListBuckets": (),
    } == every  # fmt: skip
    assert every == {one.first.event_name: one.first.about for one in lines}


def test_the_timeline_tells_how_sessions_began_that_nobody_here_minted(world: World) -> None:
    """A sign-in and an outsider's call stand with the session that they began, once; what the subject minted is its own."""
    session = world.user("ada").assumes("Admin")
    backdoor = session.creates_user("backdoor")
    session.iam("CreateLoginProfile", userName="backdoor")
    session.iam(
        "UpdateAssumeRolePolicy",
        roleName="Deploy",
        policyDocument=trust_policy({"AWS": f"arn:aws:iam::{AWAY}:root"}),
    )
    minted = session.assumes("Deploy")
    world.wait(60)
    browser = world.console_sign_in(backdoor)
    browser.calls("s3:ListBuckets")
    outsider = world.user("mallory", account=AWAY).assumes(world.role("Deploy"), "in", sides="role")
    with held(world) as case:
        every = list(case.timeline([session.id]))
        lines = case.call_lines([session.id], telling="Assume", room=99, run=9)
        [alone] = [one for one in case.timeline([minted.id]) if one.began] or [None]

    assert {(browser.id, "ConsoleLogin"), (outsider.id, "AssumeRole")} == {
        (one.credential, one.event_name) for one in every if one.began
    }
    assert len(every) == len({one.event_id for one in every}) == lines.events
    assert 2 == lines.began == sum(one.began for one in every)
    assert (session.id, "AssumeRole") in {(one.credential, one.event_name) for one in every if not one.began}
    assert alone is None  # its parent's call, which is the parent's


def _forwarded(record: dict[str, object], told: Story) -> bool:
    identity = record["userIdentity"]
    assert isinstance(identity, dict)
    return "invokedBy" in identity and identity.get("principalId") == told.c.identity.principal_id


def test_an_empty_case_answers_with_nothing(tmp_path: object) -> None:
    """No evidence: no credential, no time, and a status of zeros."""
    with held() as case:
        assert [] == list(case.credentials())
        assert None is case.newest()
        assert (0, 0, 0) == (case.status().objects, case.status().records, case.status().credentials)


# ------------------------------------------------------------- calls that name no key


def test_what_another_accounts_log_tells_of_the_principal_alone_is_told_apart(world: World) -> None:
    """The owner of a bucket sees no key: the call counts for nobody, and those who may have made it are named."""
    session = world.user("ada").assumes("Deploy", session_name="night")
    session.calls("s3:GetObject", {"bucketName": "loot", "key": "{n}"}, owner=AWAY, count=3)
    session.calls("s3:GetObject", {"bucketName": "loot", "key": "0"}, owner=AWAY, error="AccessDenied")
    session.calls("s3:GetObject", {"bucketName": "own", "key": "0"})
    found = traced(world, session.id)

    assert 1 == by_id(found.credentials)[session.id].events
    assert [("arn:aws:s3:::loot/0", 2, 1), ("arn:aws:s3:::loot/1", 1, 0), ("arn:aws:s3:::loot/2", 1, 0)] == [
        (one.arns[0], one.count, one.errors) for one in found.by_principal
    ]
    assert {(session.identity.principal_id, (session.id,), AWAY, "s3.amazonaws.com", "GetObject", 1)} == {
        (one.principal_id, one.credentials, one.account, one.event_source, one.event_name, one.with_key)
        for one in found.by_principal
    }


def test_who_may_have_made_a_call_without_key_is_whoever_was_the_principal_then(world: World) -> None:
    """One that had expired, and one that began later, can't have made it; two of one name are both named."""
    ada = world.user("ada")
    early = ada.assumes("Deploy", session_name="ci", duration=900)
    world.wait(minutes=20)
    late = ada.assumes("Deploy", session_name="ci")
    late.calls("s3:PutObject", {"bucketName": "loot", "key": "a"}, owner=AWAY)
    world.wait(minutes=5)
    other = ada.assumes("Deploy", session_name="ci")
    other.calls("s3:DeleteObject", {"bucketName": "loot", "key": "a"}, owner=AWAY)
    found = traced(world, ada.id)

    assert {early.id, late.id, other.id} <= {one.id for one in found.credentials}
    assert {"PutObject": (late.id,), "DeleteObject": tuple(sorted((late.id, other.id)))} == {
        one.event_name: one.credentials for one in found.by_principal
    }


@pytest.mark.parametrize("ended", ["inactive", "deleted"])
def test_a_key_that_was_over_made_no_call_without_key(ended: str, world: World) -> None:
    """The owner goes on with a new one: what that reads of a partner's is no deed of the key that leaked."""
    leaked, admin = world.user("ada"), world.user("grace")
    leaked.calls("s3:ListBuckets")
    leaked.calls("s3:GetObject", {"bucketName": "loot", "key": "a"}, owner=AWAY)
    (admin.deactivates if ended == "inactive" else admin.deletes)(leaked)
    leaked.calls("s3:GetObject", {"bucketName": "loot", "key": "late"}, owner=AWAY)
    world.wait(minutes=30)
    fresh = leaked.key()
    fresh.calls("s3:GetObject", {"bucketName": "loot", "key": "b"}, owner=AWAY)
    fresh.calls("s3:ListBuckets")
    found = traced(world, leaked.id, fresh.id)

    assert {"a": True, "late": True, "b": False} == {
        one.arns[0].rpartition("/")[2]: leaked.id in one.credentials for one in found.by_principal
    }


def test_of_very_many_that_may_have_made_a_call_without_key_some_are_listed(world: World) -> None:
    """
    A function's sessions share one name by the thousand: twenty are listed, the attacker's first, and the rest counted.

    All of them beside each call took a gigabyte for 500 sessions and 4,000 calls.
    """
    ada = world.user("ada")
    before = [ada.assumes("Deploy", session_name="ci").id for _ in range(11)]
    since = world.now
    after = [ada.assumes("Deploy", session_name="ci") for _ in range(11)]
    after[0].calls("s3:GetObject", {"bucketName": "own", "key": "0"})
    after[-1].calls("s3:GetObject", {"bucketName": "loot", "key": "a"}, owner=AWAY)
    [told] = traced(world, ada.id, since=since).by_principal
    [line] = unkeyed(traced(world, ada.id), {*before, *(one.id for one in after)})

    assert {one.id for one in after} < set(told.credentials)
    assert (20, 2, 1) == (len(told.credentials), told.further, told.with_key)
    assert "and at least 19 more; records with its key tell" in line.sentence


def test_a_minting_call_from_outside_is_lineage_and_no_call_of_the_principal_alone(world: World) -> None:
    """The role's side of AssumeRole names the principal too: it is told as a link."""
    session = world.user("ada").assumes("Deploy")
    session.assumes(f"arn:aws:iam::{AWAY}:role/Far")

    assert () == traced(world, session.id).by_principal


def test_a_subject_that_only_records_without_a_key_name_is_told_what_is_missing(world: World) -> None:
    """A principal of an account whose log is not in the case, or one of its calls: not said to be unheard of."""
    with world.unlogged():
        session = world.user("ada").assumes("Deploy")
    (record,) = session.calls("s3:GetObject", {"bucketName": "loot", "key": "a"}, owner=AWAY)
    for subject, words in (
        (session.identity.principal_id, f"account {HOME}"),
        (record["eventID"], "is in the case"),
    ):
        with pytest.raises(SubjectNotFound, match=words):
            traced(world, subject)


@pytest.mark.parametrize("call", ["GetRoleCredentials", "Federate"])
def test_an_account_that_the_portal_opened_and_whose_log_is_missing_is_a_gap(world: World, call: str) -> None:
    """The directory tells whose credentials were handed out; in which session they are used, that account's log alone."""
    directory = "999999999999"
    session = world.identity_center("ria", "Admin", directory_account=directory)
    session.calls("s3:ListBuckets", count=3)
    world.identity_center("ria", "Breaker", account=AWAY, directory_account=directory, ip="203.0.113.77")
    world.identity_center("tom", "Other", account="777788889999", directory_account=directory)
    whole = [
        one | {"eventName": call} if one["eventName"] == "GetRoleCredentials" else one
        for one in world.records()
    ]
    missing = [one for one in whole if one["recipientAccountId"] in (HOME, directory)]
    for records, expected in ((whole, []), (missing, [AWAY])):
        found = [one for one in traced(records, session.id).gaps if "access portal" in one.why]
        assert expected == [one.account for one in found]
        assert all("credentials of Breaker in this account, from 203.0.113.77" in one.why for one in found)


@pytest.mark.parametrize(
    ("used", "hours", "narrowed", "told"),
    [
        (False, 1, {}, True),
        (True, 1, {}, False),
        (False, 13, {}, False),
        (False, 1, {"trusted_ips": [OFFICE]}, False),
    ],
)
def test_what_was_minted_without_an_answer_and_never_used_may_still_work(
    world: World, used: bool, hours: int, narrowed: dict[str, Any], told: bool
) -> None:
    """CloudTrail leaves out long answers: no credential is there to be listed, and a trace says that there is one."""
    key = world.user("ada").key()
    session = key.assumes("Deploy")
    if used:
        session.calls("s3:ListBuckets")
    world.wait(hours=hours)
    key.calls("s3:ListBuckets")
    records = [
        one | ({"responseElements": None} if one["eventName"] == "AssumeRole" else {})
        for one in world.records()
    ]
    found = [
        one.why for one in traced(records, key.id, **narrowed).gaps if "nobody is seen to use" in one.why
    ]

    assert told == bool(found)
    assert all(one.startswith(f"1 call (AssumeRole of role/Deploy) by {key.id} issued") for one in found)


@pytest.mark.parametrize(("minutes", "told"), [(59, True), (61, False)])
@pytest.mark.parametrize("by_root", [False, True])
def test_what_a_role_or_root_minted_without_an_answer_is_over_within_the_hour(
    world: World, by_root: bool, minutes: int, told: bool
) -> None:
    """The same that state says of a session that was used: it was told to work for eleven, or 35, hours more."""
    key = world.user("ada").key()
    minting = key if by_root else key.assumes("Deploy")
    key.gets_session_token() if by_root else minting.assumes("Admin")
    world.wait(minutes=minutes)
    key.calls("s3:ListBuckets")
    root = {"type": "Root", "arn": f"arn:aws:iam::{HOME}:root", "principalId": HOME, "userName": None}
    records = world.records()
    for one in records:
        if one["userIdentity"].get("accessKeyId") == minting.id and one["responseElements"]:
            one |= {"responseElements": None}
        if by_root:
            one["userIdentity"] = one["userIdentity"] | root
    found = [one.why for one in traced(records, key.id).gaps if "nobody is seen to use" in one.why]

    assert told == bool(found)


@pytest.mark.parametrize("lasts", [2**62, -5, 0])
def test_a_forged_duration_is_none(world: World, lasts: int) -> None:
    """What a planted record asked for lasts no longer, nor shorter, than such a session may: it ended a trace as a fault."""
    key = world.user("ada").key()
    key.assumes("Deploy")
    records = world.records()
    for one in records:
        if one["eventName"] == "AssumeRole":
            one |= {"responseElements": None}
            one["requestParameters"] = one["requestParameters"] | {"durationSeconds": lasts}
    [found] = [one.why for one in traced(records, key.id).gaps if "nobody is seen to use" in one.why]

    assert f"may work until {START + timedelta(hours=12):%Y-%m-%dT%H:%M}" in found


def test_a_time_at_the_end_of_the_calendar_leaves_room_for_no_plan(world: World) -> None:
    """A forged event may be the newest one: what to do is said, and a plan as of another moment is made."""
    key = world.user("ada").key()
    key.calls("s3:ListBuckets")
    [last] = world.records()[-1:]
    forged = last | {"eventTime": "9999-12-31T23:59:59Z", "eventID": "00000000-0000-4000-8000-000000000001"}
    with held([*world.records(), forged]) as case:
        with pytest.raises(UsageError, match="--as-of now"):
            case.contain([key.id])
        assert case.contain([key.id], as_of=START + timedelta(hours=1)).steps


@pytest.mark.parametrize("by_thief", [True, False])
def test_an_account_that_the_portal_opened_to_a_user_that_was_made_is_a_gap(
    world: World, by_thief: bool
) -> None:
    """Where no session of the user is in the case, the directory's own log tells that there was one."""
    admin = world.user("ada").assumes("Admin")
    thief = admin.assumes("Breaker")
    (thief if by_thief else admin).creates_directory_user(world.person("eve"))
    world.wait(minutes=1)
    world.identity_center("eve", "Admin", account=AWAY)
    records = [one for one in world.records() if one["recipientAccountId"] == HOME]
    found = [one for one in traced(records, thief.id).gaps if "access portal" in one.why]

    assert ([AWAY] if by_thief else []) == [one.account for one in found]


def test_damage_in_the_middle_of_the_derived_database_is_said(world: World) -> None:
    """Its beginning is whole, so that only who reads on finds it: the file is named, and what to do."""
    session = world.user("ada").assumes("Deploy")
    session.calls("s3:ListBuckets", count=30)
    with held(world) as case:
        list(case.credentials())
        [path] = case.path.glob("derived/*/derived.duckdb")
        whole = path.read_bytes()
        path.unlink()
        path.write_bytes(whole.replace(session.id.encode(), b"X" * len(session.id)))
        with Case.open(case.path) as other, pytest.raises(CaseError, match=r"damaged.*tokentrail rebuild"):
            other.trace([session.id])


# ------------------------------------------------------------------------------- as it is asked


def test_a_time_without_a_zone_is_utc_whatever_the_machine_s_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Naive times mean UTC, as on the command line: `as_of` and `since` of every question."""
    key = world.user("ada")
    token = key.gets_session_token()
    token.assumes("Deploy").calls("s3:ListBuckets")
    naive = (START + timedelta(seconds=1)).replace(tzinfo=None)
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        with held(world) as case:
            for moment in (naive, naive.replace(tzinfo=UTC).astimezone()):
                assert case.status(as_of=moment).records == 2
                assert len(list(case.credentials(as_of=moment))) == 3
                assert len(list(case.timeline([key.id], as_of=moment))) == 2
                assert case.contain([key.id], as_of=moment).as_of.tzinfo is UTC
                assert case.trace([key.id], since=moment) == case.trace(
                    [key.id], since=START + timedelta(seconds=1)
                )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_lone_name_is_no_list_of_letters(world: World, tmp_path: Path) -> None:
    """Where several names are asked for, a text is one name, and a path one source."""
    key = world.user("ada")
    key.gets_session_token().calls("s3:ListBuckets")
    with Case.open(tmp_path / "case") as case:
        assert case.ingest(world.write(tmp_path / "logs")).records.new == 2
        assert case.ingest(str(tmp_path / "logs")).records.repeated == 2
        assert case.trace(key.id, trusted_ips="192.0.2.0/24") == case.trace(
            [key.id], trusted_ips=["192.0.2.0/24"]
        )
        assert [*case.timeline(key.id)] == [*case.timeline([key.id])]
        plan = case.contain(key.id, spare=key.id, without_access=world.account_id)
        assert plan == case.contain([key.id], spare=[key.id], without_access=[world.account_id])


def test_words_that_nothing_is_called_are_refused(case: Case, told: Story) -> None:
    """A state, kind, severity or strategy that there is none of is wrong use, and no empty answer."""
    for ask in (
        lambda: list(case.credentials(state="Active")),  # type: ignore[arg-type]
        lambda: list(case.credentials(kind="role")),  # type: ignore[arg-type]
        lambda: case.detect(min_severity="HIGH"),  # type: ignore[arg-type]
        lambda: case.contain([told.a.id], strategy="nuke"),  # type: ignore[arg-type]
    ):
        with pytest.raises(UsageError, match="give one of"):
            ask()


def test_one_case_answers_all_questions_in_any_order(world: World) -> None:
    """What a plan leaves in the engine is in the way of no guardrail, nor the other way round."""
    key = world.user("ada")
    key.gets_session_token().assumes("Deploy").calls("s3:ListBuckets")
    with held(world) as case:
        before = case.guard([key.id])
        case.contain([key.id])
        assert case.guard([key.id]) == before
    with held(world) as case:
        case.contain([key.id])
        assert case.guard([key.id]) == before


def test_a_forked_process_asks_a_case_that_was_open(world: World, tmp_path: Path) -> None:
    """As `multiprocessing` forks by default on Linux: the other process's engine is not waited for, nor closed."""
    key = world.user("ada")
    key.gets_session_token().calls("s3:ListBuckets")
    world.write(tmp_path / "logs")
    program = f"""
import os, signal
from tokentrail import Case
from tokentrail.store import duck
duck._FEW = 1  # as of a case with thousands of events, whose engine has threads
case = Case.open("case")
case.ingest(["logs"], workers=1)
before = case.trace("{key.id}")
child = os.fork()
if not child:
    signal.alarm(30)  # what hangs is killed
    same = case.trace("{key.id}") == before
    case.close()
    os._exit(0 if same else 1)
print(os.waitpid(child, 0)[1], case.trace("{key.id}") == before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert "0 True\n" == done.stdout, done.stderr


def test_a_session_that_was_delivered_and_not_used_yet_answers_to_its_arn() -> None:
    """
    EC2's and Lambda's answers don't name it: the inventory listed it under an ARN by which no trace found it.

    Of a host's two sessions, the one that lives was left out without a word. One of another role or name is not meant.
    """
    world = World(START)
    first = world.instance(world.role("Web", path="/app/"))
    first.calls("s3:ListBuckets")
    world.wait(3600)
    second, neighbour = first.rotates(), world.instance("Web")
    world.function("Other", first.session_name)
    function = world.function("Mailer", "send")
    with held(world) as case:
        listed = {one.id: one.principal for one in case.credentials()}
        for one in (first, neighbour, function):
            named = [id for id, principal in listed.items() if principal == listed[one.id]]
            assert named == [found.id for found in case.family([listed[one.id] or ""]).credentials]
        assert [first.id, second.id] == [found.id for found in case.family([first.arn]).credentials]


def test_a_record_without_recipient_happened_in_its_callers_account(world: World) -> None:
    """As in samples and exports: what was made leads on, is planned for, and trusts no stranger, as with a recipient."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")
    made = key.creates_access_key(key.creates_user("helper"))
    made.calls("s3:ListBuckets")
    made.creates_role("Lasting", {"AWS": f"arn:aws:iam::{HOME}:root"})
    key.iam("CreateLoginProfile", userName="grace")
    world.console_sign_in(world.user("grace")).calls("s3:ListBuckets")
    key.runs_instance("Web").calls("s3:ListBuckets")
    whole = list(world.records())
    bare = [{name: value for name, value in one.items() if name != "recipientAccountId"} for one in whole]

    told = []
    for records in (whole, bare):
        with held(records) as case:
            plan = case.contain([key.id])
            told.append(
                (by_id(case.credentials()), [one.why for one in case.detect()], plan.steps, plan.proof)
            )
    assert len([one for one in told[0][0].values() if one.parent_link == "created"]) == 3
    assert told[0] == told[1]
