"""How each credential comes to be: kind, parent, link, origin, and the bounds of its life."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from evidence import AWAY, HOME, START, answers, assume_role, at, born, by_id, call, held, session, user
from tokentrail import Credential
from tokentrail.testing import World


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def of(world: World, credential_id: str) -> Credential:
    return answers(world)[credential_id]


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def test_assume_role_names_both_keys(world: World) -> None:
    """AssumeRole inside an account: recorded, with the event's expiry and who asked for it from where."""
    made = of(world, world.user("ada").assumes("Deploy", "build", source_identity="ada", mfa="arn:mfa").id)

    assert ("assumed_role", world.user("ada").id, "recorded", None) == born(made)
    assert (START, START + hours(1), None) == (made.issued_at, made.expires_at, made.expires_bound)
    assert (f"arn:aws:iam::{HOME}:role/Deploy", "build", "ada", True) == (
        made.role, made.session_name, made.source_identity, made.mfa,
    )  # fmt: skip
    assert made.issued_by is not None
    assert ("AssumeRole", "192.0.2.10") == (made.issued_by.api, made.issued_by.source_ip)


def test_get_session_token_makes_a_session_token(world: World) -> None:
    """GetSessionToken: the same user, 36 hours when asked for."""
    token = world.user("ada").gets_session_token(duration=129600)
    token.calls("s3:ListBuckets")
    made = of(world, token.id)

    assert ("session_token", world.user("ada").id, "recorded", None) == born(made)
    assert (world.user("ada").arn, START + hours(36)) == (made.principal, made.expires_at)


def test_get_federation_token_makes_a_federated_user(world: World) -> None:
    """GetFederationToken: a principal of its own, below the key that asked."""
    token = world.user("ada").gets_federation_token("guest")
    token.calls("s3:ListBuckets")
    made = of(world, token.id)

    assert ("federation_token", world.user("ada").id, "recorded", None) == born(made)
    assert f"arn:aws:sts::{HOME}:federated-user/guest" == made.principal


def test_assume_root_makes_a_root_session_of_the_member(world: World) -> None:
    """AssumeRoot: root of the member account, fifteen minutes, below the caller in the other account."""
    caller = world.user("ada").assumes("Admin")
    root = caller.assumes_root(AWAY)
    root.calls("s3:DeleteBucketPolicy", {"bucketName": "locked"})
    made = of(world, root.id)

    assert ("root_session", caller.id, "recorded", None) == born(made)
    assert (AWAY, f"arn:aws:iam::{AWAY}:root", hours(0.25)) == (
        made.account, made.principal, (made.expires_at or START) - (made.issued_at or START),
    )  # fmt: skip


def test_scoped_credentials_hang_below_the_session(world: World) -> None:
    """GetScopedCredentials: a child with the same identity, below the session that asked."""
    parent = world.user("ada").assumes("Deploy")
    world.wait(60)
    child = parent.gets_scoped_credentials(duration=900)
    child.calls("s3:ListBuckets")

    assert ("scoped", parent.id, "recorded", None) == born(of(world, child.id))


def test_a_session_for_a_directory_bucket_hangs_below_its_caller() -> None:
    """
    CreateSession of S3 Express One Zone names the key that the bucket's data events show, and no role.

    Amazon S3 User Guide, 'CloudTrail log file examples for directory buckets'.
    """
    parent, child = session("ASIAPARENT"), session("ASIACHILD", "2026-11-23T09:05:00Z")
    del child["sessionContext"]["sessionIssuer"]
    answer = {"credentials": {"accessKeyId": "ASIACHILD", "expiration": "Nov 23, 2026, 9:10:00 AM"}}
    found = answers([
        call("CreateSession", "2026-11-23T09:05:00Z", parent, source="s3express.amazonaws.com", responseElements=answer),
        call("GetObject", "2026-11-23T09:06:00Z", child, source="s3express.amazonaws.com"),
    ])["ASIACHILD"]  # fmt: skip

    assert ("assumed_role", "ASIAPARENT", "recorded", None) == born(found)
    assert (at("09:10:00"), 1) == (found.expires_at, found.events)


def test_a_session_for_a_directory_bucket_lives_five_minutes_where_nothing_says_when_it_ends() -> None:
    """Amazon S3 API Reference, 'CreateSession'."""
    answer = {"credentials": {"accessKeyId": "ASIACHILD"}}
    found = answers([
        call("CreateSession", "2026-11-23T09:05:00Z", session("ASIAPARENT"), source="s3express.amazonaws.com",
             responseElements=answer),
    ])["ASIACHILD"]  # fmt: skip

    assert at("09:10:00") == found.expires_bound


def test_access_grants_make_no_session_of_the_caller() -> None:
    """GetDataAccess gives a location's role: another session of the caller's, begun in that second, is not from it."""
    first, second = session("ASIAFIRST"), session("ASIASECOND", "2026-11-23T14:00:01Z")
    found = answers([
        call("GetDataAccess", "2026-11-23T14:00:00Z", first, source="s3.amazonaws.com"),
        call("ListBuckets", "2026-11-23T14:10:00Z", second, source="s3.amazonaws.com"),
    ])["ASIASECOND"]  # fmt: skip

    assert ("assumed_role", None, None, "not_in_evidence") == born(found)


def test_saml_comes_from_the_identity_provider(world: World) -> None:
    """AssumeRoleWithSAML: no parent credential, and the person's name as identity."""
    made = of(world, world.saml("Deploy", "ada@example.com").id)

    assert ("assumed_role_saml", None, None, "identity_provider") == born(made)
    assert "ada@example.com" == made.identity


@pytest.mark.parametrize(
    "provider", ["token.actions.githubusercontent.com", "oidc.eks.us-east-1.amazonaws.com"]
)
def test_web_identity_comes_from_the_identity_provider(world: World, provider: str) -> None:
    """AssumeRoleWithWebIdentity: no parent, and the token's subject as identity."""
    made = of(world, world.oidc("Deploy", "repo:example/shop", provider=provider).id)

    assert ("assumed_role_web_identity", None, None, "identity_provider") == born(made)
    assert "repo:example/shop" == made.identity


def test_cognito_comes_from_the_identity_provider(world: World) -> None:
    """Cognito's AssumeRoleWithWebIdentity is a web identity too."""
    session = world.cognito("App")
    session.calls("s3:ListBuckets")

    assert ("assumed_role_web_identity", None, None, "identity_provider") == born(of(world, session.id))


def test_a_certificate_comes_from_roles_anywhere(world: World) -> None:
    """Roles Anywhere: CreateSession and the service's AssumeRole are one session, with the subject's name."""
    session = world.roles_anywhere("Deploy", "host-1")
    session.calls("s3:ListBuckets")
    found = answers(world)

    assert [session.id] == list(found)
    assert ("service_role", None, None, "service") == born(found[session.id])
    assert "CN=host-1" == found[session.id].source_identity


@pytest.mark.parametrize("way", ["instance", "function", "task", "pod_identity"])
def test_workloads_get_service_roles(world: World, way: str) -> None:
    """EC2 and Lambda name no assumedRoleUser, ECS and EKS do: all are service roles with the session's principal."""
    made = {
        "instance": lambda: world.instance("Work"), "function": lambda: world.function("Work", "thumbs"),
        "task": lambda: world.task("Work"), "pod_identity": lambda: world.pod_identity("Work"),
    }[way]()  # fmt: skip
    world.wait(90)
    made.calls("s3:ListBuckets")
    found = answers(world)

    assert [made.id] == list(found)
    assert ("service_role", None, None, "service") == born(found[made.id])
    assert (made.arn, 1) == (found[made.id].principal, found[made.id].events)


def test_a_service_role_never_used_is_listed_with_its_principal(world: World) -> None:
    """Without assumedRoleUser the principal of an unused session follows from role and session name."""
    made = world.instance("Work")

    assert made.arn == of(world, made.id).principal


def test_rotated_instance_credentials_stay_apart(world: World) -> None:
    """Two deliveries under one session name are two credentials."""
    first = world.instance("Work")
    first.calls("s3:ListBuckets")
    world.wait(hours=6)
    second = first.rotates()
    second.calls("s3:ListBuckets", count=2)
    found = answers(world)

    assert {first.id: 1, second.id: 2} == {one.id: one.events for one in found.values()}


def test_service_linked_calls_without_key_belong_to_the_service_session(world: World) -> None:
    """A service's calls that show no key id are its issued session's."""
    made = world.service("backup.amazonaws.com", "AWSServiceRoleForBackup")
    made.calls("ec2:DescribeVolumes", count=3)
    found = answers(world)

    assert [(made.id, 3)] == [(one.id, one.events) for one in found.values()]
    assert ("service_role", None, None, "service") == born(found[made.id])


def test_a_console_session_is_one_row_whatever_its_calls_show(world: World) -> None:
    """Fresh keys, some of them unflagged, and one sign-in: one row named by principal and creation date."""
    browser = world.console_sign_in(world.user("ada"), mfa=True, console_share=0.3)
    browser.calls("s3:ListBuckets", count=8)
    found = answers(world)

    assert [f"{world.user('ada').user.id}@2026-11-23T09:00:00Z"] == list(found)
    assert ("console_session", None, None, "console_sign_in") == born(found[browser.id])
    assert (8, 8, True) == (
        found[browser.id].events,
        len(found[browser.id].access_key_ids),
        found[browser.id].mfa,
    )


def test_a_console_sign_in_without_calls_is_a_row(world: World) -> None:
    """ConsoleLogin alone shows the session; a failed one shows nothing."""
    browser = world.console_sign_in(world.user("ada"))
    world.wait(60)
    world.failed_console_sign_in(world.user("grace"))

    assert {browser.id: ("console_session", None, None, "console_sign_in")} == {
        key: born(one) for key, one in answers(world).items()
    }


def test_a_console_session_whose_sign_in_is_lost_is_one_row_too(world: World) -> None:
    """Flagged and unflagged calls of one creation date are one console session without its sign-in."""
    with world.unlogged():
        browser = world.console_sign_in(world.user("ada"), console_share=0.3)
    browser.calls("s3:ListBuckets", count=6)
    found = answers(world)

    assert {browser.id: ("console_session", None, None, "not_in_evidence")} == {
        key: born(one) for key, one in found.items()
    }


@pytest.mark.parametrize("console", [True, False])
def test_identity_center_shows_another_key_than_was_issued(world: World, console: bool) -> None:
    """The row bears the issued key's id, holds the used ones, and names the person."""
    person = world.identity_center("ria@example.com", "Support", console=console)
    person.calls("s3:ListBuckets", count=3)
    found = answers(world)

    assert [person.id] == list(found)
    assert ("identity_center", None, None, "identity_provider") == born(found[person.id])
    assert person.id in found[person.id].access_key_ids
    assert (4 if console else 2, 3) == (len(found[person.id].access_key_ids), found[person.id].events)
    assert "ria@example.com" == found[person.id].identity


def test_a_switched_role_is_matched_to_its_assumption(world: World) -> None:
    """Console keys after SwitchRole match the AssumeRole by principal and second."""
    browser = world.console_sign_in(world.user("ada"))
    switched = browser.switches_role("Audit")
    switched.calls("iam:ListUsers", count=3)
    found = answers(world)

    assert {browser.id, switched.id} == set(found)
    assert ("assumed_role", browser.id, "matched", None) == born(found[switched.id])


def test_a_sign_in_url_makes_a_console_session_below_the_credential(world: World) -> None:
    """GetSigninToken that repeats the key makes a browser session below it."""
    token = world.user("ada").assumes("Admin")
    world.wait(60)
    browser = token.gets_signin_token()
    browser.calls("s3:ListBuckets", count=2)

    assert ("console_session", token.id, "matched", None) == born(of(world, browser.id))


def test_aws_login_is_matched_to_its_grant(world: World) -> None:
    """CreateOAuth2Token names no key: the session is matched, and lives fifteen minutes at most."""
    browser = world.console_sign_in(world.user("ada"))
    login = browser.logs_in()
    login.calls("s3:ListBuckets")
    made = of(world, login.id)

    assert ("oauth_login", browser.id, "matched", None) == born(made)
    assert (None, hours(0.25)) == (made.expires_at, (made.expires_bound or START) - (made.issued_at or START))


@pytest.mark.parametrize("key", ["ASIAIOSFODNN7EXAMPL9", ""])
def test_what_an_agent_is_given_by_oauth_hangs_on_the_grant_of_its_sign_in(world: World, key: str) -> None:
    """Its calls bear the grant's session whenever they are made: another sign-in lies nearer. It lives for an hour."""
    browser = world.console_sign_in(world.user("ada"))
    login = browser.logs_in()
    login.calls("s3:ListBuckets")
    world.wait(600)
    world.console_sign_in(world.user("ada")).logs_in()
    records = world.records()
    [used] = (one for one in records if one["eventName"] == "ListBuckets")
    who = json.loads(json.dumps(used["userIdentity"])) | {"accessKeyId": key}
    who["sessionContext"]["attributes"]["creationDate"] = "2026-11-23T09:45:00Z"
    later = call("ListBuckets", "2026-11-23T09:46:00Z", who, source="s3.amazonaws.com")
    made = answers([*records, later])[key or f"{who['principalId']}@2026-11-23T09:45:00Z"]

    assert ("oauth_login", browser.id, "matched", None) == born(made)
    assert (None, hours(1)) == (made.expires_at, (made.expires_bound or START) - (made.issued_at or START))


# ------------------------------------------------------------------------------- across accounts


@pytest.mark.parametrize(("sides", "link"), [("both", "shared_event"), ("caller", "recorded")])
def test_the_callers_side_names_the_parent(world: World, sides: Any, link: str) -> None:
    """With the caller's trail the parent is known; with both, the shared id says so."""
    made = world.user("ada").assumes("Deploy", account=AWAY, sides=sides)
    made.calls("s3:ListBuckets")

    assert ("assumed_role", world.user("ada").id, link, None) == born(of(world, made.id))


def test_the_roles_side_alone_is_inferred_from_the_only_candidate(world: World) -> None:
    """The role's account names the caller's principal: its only living credential is the parent, with the reason."""
    caller = world.user("ada")
    caller.calls("s3:ListBuckets")
    found = of(world, caller.assumes("Deploy", account=AWAY, sides="role").id)

    assert ("assumed_role", caller.id, "inferred", None) == born(found)
    assert "only credential" in (found.origin_detail or "")


@pytest.mark.parametrize("others", ["none", "two"])
def test_the_roles_side_alone_without_one_candidate_is_no_guess(world: World, others: str) -> None:
    """With no or several possible callers the parent is not in evidence, and the sentence names the account."""
    caller = world.user("ada")
    if others == "two":
        caller.calls("s3:ListBuckets")
        caller.key().calls("s3:ListBuckets")
    found = of(world, caller.assumes("Deploy", account=AWAY, sides="role").id)

    assert ("assumed_role", None, None, "not_in_evidence") == born(found)
    assert HOME in (found.origin_detail or "")


def test_an_expired_credential_is_no_candidate(world: World) -> None:
    """Only what was alive at the time can have called."""
    caller = world.user("ada").assumes("Deploy", "s", duration=900)
    caller.calls("s3:ListBuckets")
    world.wait(hours=2)
    made = caller.assumes("Audit", account=AWAY, sides="role")

    assert ("assumed_role", None, None, "not_in_evidence") == born(of(world, made.id))


def test_twins_without_a_shared_id_are_one(world: World) -> None:
    """Both sides name the same new key in the same second: one credential, and the side that names a key speaks."""
    made = world.user("ada").assumes("Deploy", account=AWAY)
    records = world.records()
    for record in records:
        record.pop("sharedEventID", None)
    found = answers(records)

    assert {world.user("ada").id, made.id} == set(found)
    assert ("assumed_role", world.user("ada").id, "recorded", None) == born(found[made.id])


def test_a_third_account_that_calls_is_named(world: World) -> None:
    """A vendor's assumption leaves only the role's side: no parent, and the vendor's account in the sentence."""
    stranger = {"type": "AWSAccount", "principalId": "AROAVENDOR:job", "accountId": "999988887777"}
    found = answers([assume_role(caller=stranger)])

    assert ("assumed_role", None, None, "not_in_evidence") == born(found["ASIAIOSFODNN7EXAMPL1"])
    assert "999988887777" in (found["ASIAIOSFODNN7EXAMPL1"].origin_detail or "")


# ------------------------------------------------------------------------------- forwarded calls


@pytest.mark.parametrize("fresh_key", [True, False])
def test_forwarded_calls_are_their_sessions_activity(world: World, fresh_key: bool) -> None:
    """Calls that a service makes in a session's name are counted there, with a key of their own or not."""
    caller = world.user("ada").assumes("Deploy")
    caller.calls("cloudformation:CreateStack")
    caller.via("cloudformation.amazonaws.com", fresh_key=fresh_key).calls("ec2:DescribeVpcs", count=2)
    found = answers(world)

    assert {world.user("ada").id, caller.id} == set(found)
    assert 3 == found[caller.id].events


def test_forwarded_calls_of_an_orphan_join_it(world: World) -> None:
    """A session whose issuance is lost takes its forwarded calls in too."""
    with world.unlogged():
        caller = world.user("ada").assumes("Deploy")
    caller.calls("cloudformation:CreateStack")
    caller.via("cloudformation.amazonaws.com").calls("ec2:DescribeVpcs", count=2)

    assert [(caller.id, 3)] == [(one.id, one.events) for one in answers(world).values()]


def test_forwarded_calls_without_their_session_are_one_row(world: World) -> None:
    """Where the evidence holds no session, forwarded calls of one creation date make one row, whatever their keys."""
    with world.unlogged():
        caller = world.user("ada").assumes("Deploy")
    caller.via("cloudformation.amazonaws.com").calls("ec2:DescribeVpcs")
    caller.via("athena.amazonaws.com").calls("glue:GetTable")
    (one,) = answers(world).values()

    assert ("forwarded", None, None, "forwarded_call") == born(one)
    assert (f"{caller.identity.principal_id}@2026-11-23T09:00:00Z", 2, 2) == (
        one.id,
        one.events,
        len(one.access_key_ids),
    )


def test_a_long_term_keys_forwarded_calls_are_no_session_token(world: World) -> None:
    """IAMUser and ASIA with invokedBy is a forwarded call, never an unknown token."""
    world.user("ada").calls("s3:ListBuckets")
    world.user("ada").via("athena.amazonaws.com").calls("glue:GetTable")

    assert ["forwarded", "long_term_key"] == sorted(one.kind for one in answers(world).values())


# ------------------------------------------------------------------------------- not in evidence


@pytest.mark.parametrize(
    ("way", "kind", "bound"),
    [
        ("role", "assumed_role", 12), ("token", "unknown", 36), ("federation", "federation_token", 36),
        ("identity_center", "identity_center", 12), ("oidc", "assumed_role_web_identity", 12),
        ("instance", "service_role", 12), ("function", "service_role", 12), ("root", "root_session", 0.25),
    ],
)  # fmt: skip
def test_an_orphan_has_the_broadest_kind_and_its_bound(
    world: World, way: str, kind: str, bound: float
) -> None:
    """Used, never seen issued: the kind that uses prove, no expiry, and the latest possible one."""
    with world.unlogged():
        made = {
            "role": lambda: world.user("ada").assumes("Deploy"),
            "token": lambda: world.user("ada").gets_session_token(),
            "federation": lambda: world.user("ada").gets_federation_token("guest"),
            "identity_center": lambda: world.identity_center("ria@example.com", "Support"),
            "oidc": lambda: world.oidc("Deploy", "repo:example/shop"),
            "instance": lambda: world.instance("Work"),
            "function": lambda: world.function("Work", "thumbs"),
            "root": lambda: world.user("ada").assumes_root(AWAY),
        }[way]()
    made.calls("s3:ListBuckets", count=2)
    (one,) = answers(world).values()

    assert (kind, None, None, "not_in_evidence") == born(one)
    assert (None, START + hours(bound), 2) == (one.expires_at, one.expires_bound, one.events)


def test_an_orphans_children_hang_below_it(world: World) -> None:
    """What an orphan mints is recorded below it."""
    with world.unlogged():
        orphan = world.user("ada").assumes("Deploy")
    child = orphan.assumes("Audit")

    assert ("assumed_role", orphan.id, "recorded", None) == born(of(world, child.id))


def test_a_chained_session_without_expiry_lives_an_hour_at_most() -> None:
    """A role session asked for by a role session is bounded by the hour of chaining; by a user, by twelve."""
    records = [
        assume_role(key="ASIAIOSFODNN7EXAMPL1"),
        assume_role("2026-11-23T09:05:00Z", key="ASIAIOSFODNN7EXAMPL2", role="Audit", caller=session()),
    ]
    found = answers(records)

    assert START + hours(12) == found["ASIAIOSFODNN7EXAMPL1"].expires_bound
    assert at("09:05:00") + hours(1) == found["ASIAIOSFODNN7EXAMPL2"].expires_bound


@pytest.mark.parametrize("who", ["user", "role", "role by URL"])
@pytest.mark.parametrize("parts", [1, 2])
def test_who_is_seen_in_the_console_after_the_end_may_stay_for_ninety_days(
    world: World, who: str, parts: int
) -> None:
    """
    Users and roles may be allowed that (IAM API Reference, 'UpdateLoginProfile' and 'UpdateRole'): a session that is at
    work is not called expired, also if that is learnt later.
    """
    ada = world.user("ada")
    session: Any = world.console_sign_in(ada) if who == "user" else ada.assumes("Deploy", duration=3600)
    session = session.gets_signin_token(session_duration=3600) if who == "role by URL" else session
    session.calls("s3:ListBuckets")
    before = world.records()
    world.wait(hours=30)
    session.calls("s3:ListBuckets")
    world.user("grace").calls("s3:ListBuckets")
    after = [one for one in world.records() if one not in before]
    if who == "role":
        for one in (*before, *after):
            one["sessionCredentialFromConsole"] = "true"
    files = [[*before, *after]] if parts == 1 else [before]
    with held(*files) as case:
        if parts == 2:
            (case.path / "more.json").write_text(json.dumps({"Records": after}))
            case.ingest([str(case.path / "more.json")])
        one = by_id(case.credentials())[session.id]

    assert one.issued_at
    assert ("unknown", None, one.issued_at + timedelta(days=90)) == (
        one.state,
        one.expires_at,
        one.expires_bound,
    )


# ------------------------------------------------------------------------------- what mints nothing


@pytest.mark.parametrize("error", ["AccessDenied", 403, {"code": "AccessDenied"}, ["AccessDenied"], True])
def test_failed_calls_mint_nothing(error: Any) -> None:
    """A record with an error code, of whatever type, issues nothing, even if it names a key."""
    found = answers([assume_role(errorCode=error)])

    assert ["AKIAIOSFODNN7EXAMPLE"] == list(found)


def test_a_refused_assumption_mints_nothing_and_counts_as_error(world: World) -> None:
    """AccessDenied is an event and an error of the caller."""
    world.user("ada").denied("sts:AssumeRole", world.role("Deploy"))
    (one,) = answers(world).values()

    assert (1, 1) == (one.events, one.errors)


@pytest.mark.parametrize(
    "answer", [None, {}, {"credentials": None}, {"credentials": {"accessKeyId": ""}}, "odd", 7]
)
def test_an_answer_without_a_key_makes_no_key(answer: Any) -> None:
    """AssumeRole whose answer is lost shows no credential until somebody uses one."""
    found = answers([{**assume_role(), "responseElements": answer}])

    assert ["AKIAIOSFODNN7EXAMPLE"] == list(found)


def test_an_assumption_whose_answer_is_lost_is_matched_by_principal_and_second() -> None:
    """Role, session name and creation date tie a used key to the AssumeRole that hides its answer."""
    hidden = {**assume_role(), "responseElements": None}
    found = answers(
        [hidden, call("ListBuckets", "2026-11-23T09:01:00Z", session(), source="s3.amazonaws.com")]
    )

    assert ("assumed_role", "AKIAIOSFODNN7EXAMPLE", "matched", None) == born(found["ASIAIOSFODNN7EXAMPL1"])


def test_a_federated_user_whose_answer_is_lost_is_matched_by_its_name_and_second(world: World) -> None:
    """Account and name are what its records bear as its principal: the answer says no more of it than the request."""
    key = world.user("ada")
    token = key.gets_federation_token("guest")
    token.calls("s3:ListBuckets")
    found = answers([{**one, "responseElements": None} for one in world.records()])

    assert ("federation_token", key.id, "matched", None) == born(found[token.id])


def test_of_many_assumptions_alike_whose_answers_are_lost_each_session_has_one_of_its_second() -> None:
    """An export without answers: the nearest second's call, of those the first by id, and of each caller's own."""
    clocks = [f"2026-11-23T09:00:0{second}Z" for second in (0, 0, 0, 4, 9)]
    hidden = [
        {
            **assume_role(clock, caller=user(name, key)),
            "responseElements": None,
            "eventID": str(UUID(int=number)),
        }
        for number, (clock, (name, key)) in enumerate(
            [
                (clock, who)
                for clock in clocks
                for who in (("ada", "AKIAADAADAADAADAADA"), ("bob", "AKIABOBBOBBOBBOBBOB"))
            ]
        )
    ]
    seen = {"ASIA0": clocks[0], "ASIA0TWIN": clocks[0], "ASIA2": "2026-11-23T09:00:02Z", "ASIA3": "2026-11-23T09:00:03Z",
            "ASIA7": "2026-11-23T09:00:07Z", "ASIA12": "2026-11-23T09:00:12Z"}  # fmt: skip
    used = [
        call("ListBuckets", "2026-11-23T09:01:00Z", session(key, created), source="s3.amazonaws.com")
        for key, created in seen.items()
    ]
    found = answers([*hidden, *used])
    told = {key: one.issued_by.event_id if one.issued_by else None for key in seen for one in [found[key]]}

    first, fourth, ninth = (str(UUID(int=number)) for number in (0, 6, 8))
    assert told == {
        "ASIA0": first,
        "ASIA0TWIN": first,
        "ASIA2": first,
        "ASIA3": fourth,
        "ASIA7": ninth,
        "ASIA12": None,
    }


def test_portal_and_federated_sign_ins_are_no_rows(world: World) -> None:
    """Who signs in through a portal or provider holds no AWS credential: no row of its own."""
    world.identity_center("ria@example.com", "Support", directory_account=AWAY)
    world.saml("Deploy", "ada@example.com")
    world.oidc("Deploy", "repo:example/shop")

    assert ["assumed_role_saml", "assumed_role_web_identity", "identity_center"] == sorted(
        one.kind for one in answers(world).values()
    )


def test_epoch_of_the_bounds(world: World) -> None:
    """A long-term key has neither expiry nor bound, nor a time of issue that nobody saw."""
    world.user("ada").calls("s3:ListBuckets")
    (one,) = answers(world).values()
    nothing: tuple[datetime | None, ...] = (None, None, None)

    assert nothing == (one.issued_at, one.expires_at, one.expires_bound)
    assert ("long_term_key", None, None, "long_term") == born(one)


def test_root_asks_for_more_and_gets_an_hour() -> None:
    """GetSessionToken by root lives an hour at most, whatever it asked for."""
    root = {
        "type": "Root",
        "principalId": HOME,
        "arn": f"arn:aws:iam::{HOME}:root",
        "accountId": HOME,
        "accessKeyId": "AKIAROOTROOTROOTROOT",
    }
    asked = call(
        "GetSessionToken", "2026-11-23T09:00:00Z", root, requestParameters={"durationSeconds": 43200},
        responseElements={"credentials": {"accessKeyId": "ASIAROOTROOTROOTROOT"}},
    )  # fmt: skip
    made = answers([asked])["ASIAROOTROOTROOTROOT"]

    assert START + hours(1) == made.expires_at
    assert ("session_token", "AKIAROOTROOTROOTROOT", "recorded", None) == born(made)


def test_a_user_known_only_by_name_still_has_children() -> None:
    """A caller whose key id is missing is no credential; what it minted says that its caller is not in evidence."""
    nameless = user()
    del nameless["accessKeyId"]
    found = answers([assume_role(caller=nameless)])

    assert ["ASIAIOSFODNN7EXAMPL1"] == list(found)
    assert "not_in_evidence" == found["ASIAIOSFODNN7EXAMPL1"].origin


def test_a_sign_in_seconds_after_a_forwarded_call_is_a_session_of_its_own(world: World) -> None:
    """Calls forwarded for a long-term key have a creation date of their own: no sign-in is glued to them."""
    world.user("ada").via("athena.amazonaws.com").calls("glue:GetTable")
    browser = world.console_sign_in(world.user("ada"))
    found = answers(world)

    assert {"forwarded", "console_session"} == {one.kind for one in found.values()}
    assert ("console_session", None, None, "console_sign_in") == born(found[browser.id])


def test_a_sign_in_a_second_before_another_is_a_session_of_its_own(world: World) -> None:
    """Two sign-ins of one user, only the second of which did anything: its session belongs to it alone."""
    idle = world.console_sign_in(world.user("ada"))
    world.wait(1)
    busy = world.console_sign_in(world.user("ada"))
    busy.calls("s3:ListBuckets")
    found = answers(world)

    assert {idle.id, busy.id} == set(found)
    assert {"console_sign_in"} == {one.origin for one in found.values()}
    assert (0, 1) == (found[idle.id].events, found[busy.id].events)


def test_aws_login_from_identity_center_is_named_by_the_key_used(world: World) -> None:
    """An `aws login` session is no Identity Center session though its role is: its key id names it."""
    browser = world.identity_center("ria@example.com", "Support", console=True)
    login = browser.logs_in()
    login.calls("s3:ListBuckets")

    assert ("oauth_login", browser.id, "matched", None) == born(of(world, login.id))


@pytest.mark.parametrize("key", ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPL9"])
@pytest.mark.parametrize("account", [HOME, None])
def test_a_failed_call_that_shows_no_more_than_a_key_is_its_bearers(key: str, account: str | None) -> None:
    """The one credential with that key id made it: key, id and account stay as they are without it."""
    whole = user() if key.startswith("AKIA") else session(key)
    bare = {"type": "Unknown", "principalId": "", "accountId": account or "", "accessKeyId": key}
    found = answers([
        call("ListBuckets", "2026-11-23T09:10:00Z", whole, source="s3.amazonaws.com"),
        call("GetCallerIdentity", "2026-11-23T09:11:00Z", bare, errorCode="ExpiredToken"),
    ])  # fmt: skip

    assert {key: (2, 1, HOME)} == {one.id: (one.events, one.errors, one.account) for one in found.values()}


def test_a_failed_call_that_shows_a_key_of_two_is_neithers() -> None:
    """A key id that two credentials bear, by their dates, does not say whose such a call was."""
    key = "ASIAIOSFODNN7EXAMPL9"
    bare = {"type": "Unknown", "principalId": "", "accountId": "", "accessKeyId": key}
    found = answers([
        call("ListBuckets", "2026-11-23T09:10:00Z", session(key), source="s3.amazonaws.com"),
        call("ListBuckets", "2026-11-23T12:10:00Z", session(key, "2026-11-23T12:00:00Z"), source="s3.amazonaws.com"),
        call("GetCallerIdentity", "2026-11-23T12:11:00Z", bare, errorCode="ExpiredToken"),
    ])  # fmt: skip

    assert [1, 1, 1] == [one.events for one in found.values()]


def signed_in(when: str, who: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A sign-in to the console."""
    return call(
        "ConsoleLogin", when, who, source="signin.amazonaws.com", eventType="AwsConsoleSignIn",
        responseElements={"ConsoleLogin": "Success"}, **fields,
    )  # fmt: skip


def browsing(key: str, when: str = "2026-11-23T09:00:00Z", **fields: Any) -> dict[str, Any]:
    """A user's identity in a session of the console, none of whose calls is flagged as such."""
    attributes = {"creationDate": when, "mfaAuthenticated": "false"}
    return user(key=key, sessionContext={"attributes": attributes, **fields})


@pytest.mark.parametrize(
    "keys", [("ASIAIOSFODNN7EXAMPL1",), ("ASIAIOSFODNN7EXAMPL1", "ASIAIOSFODNN7EXAMPL2")]
)
def test_a_sign_in_makes_one_session_whether_or_not_its_calls_are_flagged(keys: tuple[str, ...]) -> None:
    """Records of before 2022 bear no flag, and not all later ones do: principal and second are the sign-in's."""
    password = {name: value for name, value in user().items() if name != "accessKeyId"}
    records = [signed_in("2026-11-23T09:00:01Z", password)]
    records += [
        call("ListBuckets", "2026-11-23T09:05:00Z", browsing(key), source="s3.amazonaws.com") for key in keys
    ]
    [one] = answers(records).values()

    assert ("console_session", None, None, "console_sign_in") == born(one)
    assert (keys, len(keys)) == (one.access_key_ids, one.events)


@pytest.mark.parametrize("flags", [{}, {"sessionCredentialFromConsole": "true"}])
def test_a_token_of_the_same_second_takes_no_call_of_the_console(flags: dict[str, str]) -> None:
    """With a token of GetSessionToken nobody enters the console: what its calls show is the sign-in's."""
    password = {name: value for name, value in user().items() if name != "accessKeyId"}
    token, *shown = "ASIAIOSFODNN7EXAMPL1", "ASIAIOSFODNN7EXAMPL2", "ASIAIOSFODNN7EXAMPL3"
    minted = call(
        "GetSessionToken", "2026-11-23T09:00:00Z", user(), source="sts.amazonaws.com",
        responseElements={"credentials": {"accessKeyId": token, "expiration": "Nov 23, 2026, 9:00:00 PM"}},
    )  # fmt: skip
    records = [signed_in("2026-11-23T09:00:00Z", password), minted]
    records += [call("ListBuckets", "2026-11-23T09:05:00Z", browsing(token), source="s3.amazonaws.com")]
    records += [
        call("ListBuckets", "2026-11-23T09:05:00Z", browsing(key), source="s3.amazonaws.com", **flags)
        for key in shown
    ]
    found = answers(records)

    assert {"session_token": 1, "console_session": 2, "long_term_key": 1} == {
        one.kind: one.events for one in found.values()
    }


def test_what_aws_login_gave_is_no_session_of_the_sign_in_before_it() -> None:
    """It says which sign-in session it is of, as sessions of the console do not."""
    password = {name: value for name, value in user().items() if name != "accessKeyId"}
    login = browsing("ASIAIOSFODNN7EXAMPL1", signInSessionArn=f"arn:aws:signin:us-east-1:{HOME}:session/1")
    found = answers([
        signed_in("2026-11-23T09:00:00Z", password),
        call("ListBuckets", "2026-11-23T09:05:00Z", login, source="s3.amazonaws.com"),
    ])  # fmt: skip

    assert {"ASIAIOSFODNN7EXAMPL1", "AIDAADAAAAAAAAAAAAAAA@2026-11-23T09:00:00Z"} == set(found)


def test_a_roles_sign_in_is_no_password() -> None:
    """Whoever signs in as a role has a session of it already, wherever that came from."""
    used = session()
    login = {name: used[name] for name in ("type", "principalId", "arn", "accountId")}
    [one] = answers([
        signed_in("2026-11-23T09:00:01Z", login),
        call("ListBuckets", "2026-11-23T09:05:00Z", used, source="s3.amazonaws.com", sessionCredentialFromConsole="true"),
    ]).values()  # fmt: skip

    assert ("assumed_role", None, None, "not_in_evidence") == born(one)


def test_two_records_of_one_issuance_a_second_apart_are_one_credential() -> None:
    """A service tells of it by its own clock, and STS by another; the role's side of an assumption does the same."""
    key, identity = "ASIAIOSFODNN7EXAMPL1", "us-east-1:23a7711a"
    web = {
        "type": "WebIdentityUser",
        "principalId": f"cognito-identity.amazonaws.com:pool:{identity}",
        "userName": identity,
    }
    assumed = assume_role("2026-11-23T09:00:01Z", key=key, caller=web) | {
        "eventName": "AssumeRoleWithWebIdentity"
    }
    service = call(
        "GetCredentialsForIdentity", "2026-11-23T09:00:00Z", {"type": "Unknown"}, source="cognito-identity.amazonaws.com",
        requestParameters={"identityId": identity}, managementEvent=False,
        responseElements={"credentials": {"accessKeyId": key, "expiration": "Nov 23, 2026, 10:00:00 AM"}, "identityId": identity},
    )  # fmt: skip
    used = call(
        "ListBuckets", "2026-11-23T09:05:00Z", session(key, "2026-11-23T09:00:01Z"), source="s3.amazonaws.com"
    )
    found = answers([service, assumed, used])

    assert [key] == list(found)
    assert ("assumed_role_web_identity", 1) == (found[key].kind, found[key].events)


def test_a_key_that_two_calls_name_for_two_principals_is_two_credentials() -> None:
    """However close: one of them is forged, and which is not for the log to say."""
    key = "ASIAIOSFODNN7EXAMPL1"
    found = answers([
        assume_role("2026-11-23T09:00:00Z", key=key, role="Deploy"),
        assume_role("2026-11-23T09:00:01Z", key=key, role="Audit"),
    ])  # fmt: skip

    assert 2 == sum(one.kind == "assumed_role" for one in found.values())


def test_a_switched_role_is_one_session_whether_or_not_its_calls_are_flagged(world: World) -> None:
    """Each of its requests may show a key of its own, and records of before 2022 bear no flag."""
    console = world.console_sign_in(world.user("ada"))
    switched = console.switches_role("Audit")
    switched.calls("s3:ListBuckets", count=5)
    records = [
        {name: value for name, value in one.items() if name != "sessionCredentialFromConsole"}
        for one in world.records()
    ]
    flagged, plain = answers(world), answers(records)

    assert len(flagged[switched.id].access_key_ids) > 1
    assert {one: found.events for one, found in flagged.items()} == {
        one: found.events for one, found in plain.items()
    }


def test_a_guests_credential_that_nobody_used_is_of_the_account_that_logged_it() -> None:
    """Whoever asks Cognito comes from no account, and the role is told by use alone."""
    key, identity = "ASIAIOSFODNN7EXAMPL1", "us-east-1:23a7711a"
    record = call(
        "GetCredentialsForIdentity", "2026-11-23T09:00:00Z", {"type": "Unknown"}, source="cognito-identity.amazonaws.com",
        requestParameters={"identityId": identity}, managementEvent=False,
        responseElements={"credentials": {"accessKeyId": key, "expiration": "Nov 23, 2026, 10:00:00 AM"}, "identityId": identity},
    )  # fmt: skip
    [one] = answers([record]).values()

    assert (key, HOME, identity) == (one.id, one.account, one.identity)


@pytest.mark.parametrize("signed_in", [True, False])
def test_a_console_session_of_old_evidence_is_its_users_and_no_services(
    signed_in: bool, world: World
) -> None:
    """Until 2020 or so its calls bore the sign-in service as `invokedBy`, and no flag; they are the user's own."""
    console = world.console_sign_in(world.user("ada"))
    console.calls("s3:ListBuckets", count=5)
    console.calls("cloudtrail:StopLogging", {"name": "main"})
    records = [
        {name: value for name, value in one.items() if name != "sessionCredentialFromConsole"}
        | {"userIdentity": one["userIdentity"] | {"invokedBy": "signin.amazonaws.com"}}
        for one in world.records()
        if signed_in or one["eventName"] != "ConsoleLogin"
    ]
    with held(records) as case:
        [session] = case.credentials()
        found = {one.rule for one in case.detect()}

    assert ("console_session", 6) == (session.kind, session.events)
    assert "logging-stopped" in found
