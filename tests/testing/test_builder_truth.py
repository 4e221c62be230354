"""
The truth says what the written evidence shows, and no more.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from strategies import worlds
from tokentrail.testing import TrueCredential, World

OTHER = "444455556666"


def found(world: World, credential_id: str) -> TrueCredential:
    """Find one credential of the truth."""
    (one,) = [true for true in world.truth if true.id == credential_id]
    return one


def test_a_chain_is_recorded_hop_by_hop(world: World) -> None:
    """Each AssumeRole names the caller's key and the new one: parent, root and depth follow."""
    first = world.user("ada").assumes("Deploy")
    second = found(world, first.assumes("Prod").key_id)

    assert (first.key_id, "recorded", None) == (second.parent, second.link, second.origin)
    assert (world.user("ada").key_id, 2) == (second.root, second.depth)


def test_a_session_ends_when_the_issuing_event_says(world: World) -> None:
    """Issue and expiry are those of the event; without durationSeconds a role session lasts an hour."""
    made = found(world, world.user("ada").assumes("Deploy").key_id)

    assert datetime(2026, 11, 23, 9, 0, tzinfo=UTC) == made.issued_at
    assert datetime(2026, 11, 23, 10, 0, tzinfo=UTC) == made.expires_at


@pytest.mark.parametrize(
    ("sides", "link"), [("both", "shared_event"), ("caller", "recorded"), ("role", None)]
)
def test_a_hop_across_accounts_is_linked_by_what_is_in_evidence(
    world: World, sides: str, link: str | None
) -> None:
    """
    Both trails give a shared event, the caller's alone names both keys, the role's alone names no caller's
    key.
    """
    made = found(world, world.user("ada").assumes("Deploy", account=OTHER, sides=sides).key_id)  # type: ignore[arg-type]

    assert link == made.link
    assert (None if link else "not_in_evidence") == made.origin
    assert (world.user("ada").key_id if link else None) == made.parent


def test_an_unseen_birth_leaves_an_orphan(world: World) -> None:
    """
    A session whose AssumeRole is not in the evidence is known by the key that it used, and has no parent.
    """
    with world.unlogged():
        session = world.user("ada").assumes("Deploy")
    session.calls("s3:ListBuckets")

    (orphan,) = world.truth
    assert (session.key_id, "not_in_evidence", None) == (orphan.id, orphan.origin, orphan.expires_at)


def test_an_unseen_session_token_may_be_anything(world: World) -> None:
    """IAMUser with a temporary key and no issuance proves no kind."""
    with world.unlogged():
        token = world.user("ada").gets_session_token()
    token.calls("s3:ListBuckets")

    assert "unknown" == found(world, token.key_id).kind


def test_a_session_never_used_is_shown_and_an_unused_long_term_key_is_not(world: World) -> None:
    """Issuance shows a credential; a long-term key shows only by use or creation."""
    spare = world.user("ada").key()
    made = world.user("ada").creates_access_key()
    token = world.user("ada").gets_session_token()

    assert {world.user("ada").key_id, made.key_id, token.key_id} == {true.id for true in world.truth}
    assert spare.key_id not in {true.id for true in world.truth}


def test_a_created_key_is_its_makers_offspring(world: World) -> None:
    """CreateAccessKey links the new key to the credential that made it."""
    session = world.user("ada").assumes("Admin")
    key = session.creates_access_key(world.user("grace"))
    made = found(world, key.key_id)

    assert ("long_term_key", session.key_id, "created", 2) == (made.kind, made.parent, made.link, made.depth)


def test_a_console_session_is_one_whatever_keys_it_shows(world: World) -> None:
    """Fresh key ids of one sign-in are one credential, named by principal and creation date."""
    session = world.console_sign_in(world.user("ada"), mfa=True)
    session.calls("s3:ListBuckets", count=4)

    (true,) = world.truth
    assert f"{world.user('ada').user.id}@2026-11-23T09:00:00Z" == true.id
    assert 4 == len(true.access_key_ids)
    assert ("console_session", "console_sign_in") == (true.kind, true.origin)


def test_a_switched_role_is_matched(world: World) -> None:
    """
    What follows a SwitchRole shows keys that AssumeRole never named: the link is by principal and creation
    date.
    """
    console = world.console_sign_in(world.user("ada"))
    switched = console.switches_role("Auditor")
    switched.calls("iam:ListUsers")
    true = found(world, switched.id)

    assert (console.id, "matched", 2) == (true.parent, true.link, len(true.access_key_ids))


def test_identity_center_issues_one_key_and_uses_another(world: World) -> None:
    """The session's id is the key of AssumeRoleWithSAML, though its calls show another."""
    session = world.identity_center("ria@example.com", "Support", directory_account=OTHER)
    session.calls("s3:ListBuckets")
    true = found(world, session.id)
    issued = next(r for r in world.records() if r["eventName"] == "AssumeRoleWithSAML")

    assert issued["responseElements"]["credentials"]["accessKeyId"] == true.id
    assert world.records()[-1]["userIdentity"]["accessKeyId"] in set(true.access_key_ids) - {true.id}
    assert ("identity_center", "identity_provider") == (true.kind, true.origin)


def test_a_forwarded_call_is_its_sessions(world: World) -> None:
    """A service's call with the session's creation date adds a key id to the session, and no credential."""
    session = world.user("ada").assumes("Deploy")
    session.calls("cloudformation:CreateStack")
    session.via("cloudformation.amazonaws.com").calls("ec2:CreateVpc", count=2)

    assert 2 == len(found(world, session.key_id).access_key_ids)
    assert 2 == len(world.truth)


def test_a_users_forwarded_call_with_a_date_of_its_own_is_a_row(world: World) -> None:
    """Where no session shares the creation date, forwarded calls make one row of kind `forwarded`."""
    world.user("ada").via("athena.amazonaws.com").calls("glue:GetTable", count=2)

    (true,) = world.truth
    assert ("forwarded", "forwarded_call") == (true.kind, true.origin)
    assert true.id.startswith(world.user("ada").user.id + "@")


def test_a_workload_comes_from_its_service_and_is_renewed(world: World) -> None:
    """Instances, functions, tasks and pods have `service` for origin; each rotation is another credential."""
    session = world.instance("Web")
    rotated = session.rotates()
    for made in (session, rotated, world.function("Fn", "fn"), world.task("Task"), world.pod_identity("Pod")):
        assert ("service_role", "service") == (
            found(world, made.key_id).kind,
            found(world, made.key_id).origin,
        )

    assert session.session_name == rotated.session_name


def test_what_a_users_call_starts_has_a_session_of_its_own(world: World) -> None:
    """RunInstances, CreateFunction, RunTask and StartBuild return the session that what was started gets."""
    ada = world.user("ada")
    for made in (
        ada.runs_instance("Web"), ada.creates_function("fn", "Fn"), ada.runs_task("Web"), ada.starts_build("site", "Web"),
    ):  # fmt: skip
        assert "service" == found(world, made.key_id).origin


def test_federation_has_an_identity_provider(world: World) -> None:
    """SAML, OIDC and Cognito sessions have no parent among credentials."""
    made = {
        "assumed_role_saml": world.saml("Staff", "lena@example.com"),
        "assumed_role_web_identity": world.oidc("Build", "repo:example/shop:ref:refs/heads/main"),
        "service_role": world.roles_anywhere("Host", "host-1"),
    }
    world.cognito("App")

    for kind, credential in made.items():
        assert kind == found(world, credential.key_id).kind
    assert [None] * 4 == [true.parent for true in world.truth]


def test_the_rarer_children_name_their_parents(world: World) -> None:
    """
    Federation tokens, root sessions, scoped credentials, `aws login` and federated consoles have parents.
    """
    ada = world.user("ada")
    session = ada.assumes("Admin")
    console = world.console_sign_in(ada)
    login = console.logs_in()
    login.calls("s3:ListBuckets")
    browser = session.gets_signin_token(session_duration=3600)
    made = {
        "federation_token": (ada.gets_federation_token("guest", policy="{}"), ada),
        "root_session": (session.assumes_root(OTHER), session),
        "scoped": (session.gets_scoped_credentials(duration=60), session),
        "oauth_login": (login, console),
        "console_session": (browser, session),
    }

    for kind, (child, parent) in made.items():
        assert (kind, parent.id) == (found(world, child.id).kind, found(world, child.id).parent)


def test_a_service_linked_session_shows_no_key_but_the_issued_one(world: World) -> None:
    """A service's calls in its own role show no key id; the issuing event's stands for them."""
    session = world.service("backup.amazonaws.com", "AWSServiceRoleForBackup")
    session.calls("ec2:DescribeVolumes")

    (true,) = world.truth
    assert (true.id,) == true.access_key_ids
    assert session.identity.issuer is not None
    assert "/aws-service-role/backup.amazonaws.com/" in session.identity.issuer["arn"]


def test_failure_mints_nothing(world: World) -> None:
    """Refused and failed calls leave no credential but the caller."""
    world.user("ada").denied("sts:AssumeRole", world.role("Deploy"))
    world.user("ada").denied("iam:CreateAccessKey", explicit=True)
    world.failed_console_sign_in(world.user("ada"))

    assert [world.user("ada").key_id] == [true.id for true in world.truth]


@given(worlds(rare=True))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_worlds_truth_is_a_forest(world: World) -> None:
    """
    Ids are unique; parents are in the truth; roots and depths follow from them; a child is no older than a
    parent.
    """
    truth = {true.id: true for true in world.truth}

    assert len(truth) == len(world.truth)
    for true in truth.values():
        above = truth[true.parent] if true.parent else None
        assert (above is None) == (true.link is None) == (true.origin is not None)
        assert true.root == (above.root if above else true.id)
        assert true.depth == (above.depth + 1 if above else 0)
        if above and above.issued_at and true.issued_at:
            assert above.issued_at <= true.issued_at


@given(worlds(rare=True))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_worlds_keys_are_those_of_its_records(world: World) -> None:
    """The truth's key ids are exactly those that some record shows as caller's or as issued."""
    shown = set()
    for record in world.records():
        shown.add(record["userIdentity"].get("accessKeyId"))
        response = record["responseElements"] or {}
        for part in (response, *response.get("credentialSet", [])):
            shown.add(part.get("credentials", {}).get("accessKeyId"))
        shown.add(response.get("accessKey", {}).get("accessKeyId"))
        shown.add(response.get("serviceSpecificCredential", {}).get("serviceSpecificCredentialId"))
    truth = {key for true in world.truth for key in true.access_key_ids}

    assert truth == shown - {None}


@given(worlds())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_principal_and_creation_date_name_one_session(world: World) -> None:
    """No two sessions of a principal begin in one second, so that nobody could confuse them."""
    sessions = [(true.principal, true.issued_at) for true in world.truth if not true.kind.endswith("_key")]

    assert len(set(sessions)) == len(sessions)
    assert all(
        true.expires_at - true.issued_at > timedelta(0)
        for true in world.truth
        if true.expires_at and true.issued_at
    )
