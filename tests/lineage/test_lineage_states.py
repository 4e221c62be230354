"""The state of credentials at a moment, from the log alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest

from evidence import AWAY, HOME, START, answers, at, by_id, held, states, traced
from tokentrail import Case
from tokentrail.testing import World
from tokentrail.testing.administration import revoke_older_sessions
from tokentrail.testing.story import Moments, Story, story

DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
MOMENTS = Moments()


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


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


# ------------------------------------------------------------------------------- the story


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (MOMENTS.leaked, {"A": "active"}),
        (MOMENTS.b_minted, {"A": "active", "B": "active"}),
        (MOMENTS.c_minted, {"A": "active", "B": "active", "C": "active"}),
        (MOMENTS.key_deactivated - timedelta(seconds=1), {"A": "active", "B": "active", "C": "active"}),
        (MOMENTS.key_deactivated, {"A": "ended", "B": "active", "C": "active"}),
        (MOMENTS.sessions_revoked, {"A": "ended", "B": "active", "C": "ended"}),
        (MOMENTS.d_minted, {"A": "ended", "B": "active", "C": "ended", "D": "active"}),
        (MOMENTS.e_minted, {"A": "ended", "B": "active", "C": "ended", "D": "active", "E": "active"}),
        (MOMENTS.end, {"A": "ended", "B": "active", "C": "expired", "D": "active", "E": "active"}),
    ],
)  # fmt: skip
def test_the_story_at_each_moment(told: Story, case: Case, when: object, expected: dict[str, str]) -> None:
    """What is alive as the responder's steps are taken, and what does not exist yet."""
    letters = {key: letter for letter, key in told.key_ids.items()}
    found = {
        letters[one.id]: one.state
        for one in case.credentials(as_of=when)
        if one.id in letters  # type: ignore[arg-type]
    }

    assert expected == found


def test_the_story_says_what_ended_what(told: Story, case: Case) -> None:
    """The ended name the event that did it; A ends at the call, C when the policy was put."""
    found = by_id(case.credentials(as_of=MOMENTS.d_minted))
    ids = told.key_ids
    changes = {
        record["eventName"]: record["eventID"]
        for record in told.world.records()
        if record["eventName"] in ("UpdateAccessKey", "PutRolePolicy")
    }

    assert (changes["UpdateAccessKey"], MOMENTS.key_deactivated) == (
        found[ids["A"]].ended_by,
        found[ids["A"]].ended_at,
    )
    assert (changes["PutRolePolicy"], MOMENTS.sessions_revoked) == (
        found[ids["C"]].ended_by,
        found[ids["C"]].ended_at,
    )
    assert None is found[ids["B"]].ended_by


def test_the_colleague_is_cut_off_and_comes_back(told: Story, case: Case) -> None:
    """Ria's older session of the role ends with the attacker's, her next one and her sign-in live."""
    found = by_id(case.credentials(as_of=at("10:15:00")))

    assert ["ended", "active", "active"] == [
        found[one.id].state for one in (told.ria_before, told.ria_after, told.ria)
    ]


def test_everything_of_the_attacker_descends_from_the_leaked_key(told: Story, case: Case) -> None:
    """A minted B and C, B minted D and E."""
    ids = told.key_ids
    found = by_id(case.credentials())

    assert {"A": None, "B": ids["A"], "C": ids["A"], "D": ids["B"], "E": ids["B"]} == {
        letter: found[key].parent for letter, key in ids.items()
    }
    assert {ids["A"]} == {found[key].root for key in ids.values()}


# ------------------------------------------------------------------------------- keys and users


def test_a_key_is_deactivated_activated_and_deleted(world: World) -> None:
    """Inactive ends it, Active undoes that, DeleteAccessKey ends it for good; its tokens live on."""
    key, admin = world.user("ada"), world.user("grace")
    token = key.gets_session_token()
    moments = []
    for act in ("Inactive", "Active", "delete"):
        moments.append(world.wait(minutes=1))
        if act == "delete":
            admin.deletes(key)
        else:
            admin.iam("UpdateAccessKey", userName="ada", accessKeyId=key.id, status=act)

    with held(world) as case:
        found = [by_id(case.credentials(as_of=when)) for when in moments]
    assert ["ended", "active", "ended"] == [one[key.id].state for one in found]
    assert ["active"] * 3 == [one[token.id].state for one in found]


def test_deactivating_another_key_changes_nothing(world: World) -> None:
    """Only the key that is named ends, not the user's other one."""
    key, other = world.user("ada"), world.user("ada").key()
    other.calls("s3:ListBuckets")
    key.calls("s3:ListBuckets")
    world.user("grace").deactivates(other)

    assert ["active", "ended"] == states(world, key.id, other.id)


def test_deleting_a_user_ends_all_that_acts_as_the_user(world: World) -> None:
    """DeleteUser ends key, session token and federation token, not the role session."""
    key = world.user("ada")
    made = [key, key.gets_session_token(), key.gets_federation_token("guest"), key.assumes("Deploy")]
    world.user("grace").iam("DeleteUser", userName="ada")

    assert ["ended", "ended", "ended", "active"] == states(world, *[one.id for one in made])


def test_the_same_name_in_another_account_is_another_user(world: World) -> None:
    """A change in one account leaves the namesake in the other alone."""
    mine, theirs = world.user("ada"), world.user("ada", account=AWAY)
    mine.calls("s3:ListBuckets")
    theirs.calls("s3:ListBuckets")
    world.user("grace", account=AWAY).iam("DeleteUser", userName="ada")

    assert ["active", "ended"] == states(world, mine.id, theirs.id)


def test_a_users_deny_all_holds_until_it_is_removed(world: World) -> None:
    """PutUserPolicy with deny-all ends the user's credentials, DeleteUserPolicy gives them back."""
    key, admin = world.user("ada"), world.user("grace")
    token, role = key.gets_session_token(), key.assumes("Deploy")
    put = world.wait(minutes=5)
    admin.iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=DENY_ALL)
    removed = world.wait(minutes=5)
    admin.iam("DeleteUserPolicy", userName="ada", policyName="Stop")

    ids = (key.id, token.id, role.id)
    assert ["ended", "ended", "active"] == states(world, *ids, as_of=put)
    assert ["active", "active", "active"] == states(world, *ids, as_of=removed)


@pytest.mark.parametrize("names", [("ada", "lovelace"), ("ada", "byron", "lovelace")])
@pytest.mark.parametrize("way", ["inline", "group"])
def test_a_users_deny_all_goes_with_it_to_a_new_name(world: World, names: tuple[str, ...], way: str) -> None:
    """A key that shows under the new name alone is ended by what was put on the user, or its group, before."""
    admin, key, other = world.user("grace"), world.user("lovelace"), world.user("eve")
    if way == "inline":
        admin.iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=DENY_ALL)
    else:
        admin.iam("PutGroupPolicy", groupName="Cut", policyName="Stop", policyDocument=DENY_ALL)
        admin.iam("AddUserToGroup", groupName="Cut", userName="ada")
        admin.iam("UpdateGroup", groupName="Cut", newGroupName="Former")
    for old, new in pairwise(names):
        admin.iam("UpdateUser", userName=old, newUserName=new)
    key.denied("s3:ListBuckets")
    other.calls("s3:ListBuckets")

    assert ["ended", "active"] == states(world, key.id, other.id)


def test_a_deny_all_under_a_new_name_ends_a_key_that_showed_under_the_old(world: World) -> None:
    """A rename makes no other user: what is put on it afterwards ends the keys that it had."""
    key, admin = world.user("ada"), world.user("grace")
    key.calls("s3:ListBuckets")
    admin.iam("UpdateUser", userName="ada", newUserName="lovelace")
    admin.iam("PutUserPolicy", userName="lovelace", policyName="Stop", policyDocument=DENY_ALL)

    assert ["ended"] == states(world, key.id)


def test_a_failed_change_changes_nothing(world: World) -> None:
    """A DeleteUser that AWS refused ends nobody."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")
    world.user("grace").calls("iam:DeleteUser", {"userName": "ada"}, error="AccessDenied")

    assert ["active"] == states(world, key.id)


# ------------------------------------------------------------------------------- cutoffs


def test_a_role_cutoff_ends_what_is_older(world: World) -> None:
    """Sessions issued before the cutoff end, those issued at or after it live, those of other roles too."""
    old, other = world.user("ada").assumes("Deploy"), world.user("ada").assumes("Audit")
    world.wait(minutes=1)
    cutoff = world.now
    world.user("grace").revokes_sessions("Deploy", cutoff)
    world.at(cutoff)
    edge = world.user("ada").assumes("Deploy", "edge")

    assert ["ended", "active", "active"] == states(world, old.id, edge.id, other.id)


def test_a_cutoff_ahead_ends_what_is_born_before_it(world: World) -> None:
    """Sessions minted after the call but before its cutoff are born ended."""
    world.user("grace").revokes_sessions("Deploy", world.now + minutes(1))
    world.wait(seconds=20)
    born = world.user("ada").assumes("Deploy", "quick")
    world.wait(minutes=2)
    later = world.user("ada").assumes("Deploy", "later")

    found = answers(world)
    assert ["ended", "active"] == [found[born.id].state, found[later.id].state]
    assert found[born.id].ended_at is not None
    assert found[born.id].ended_at >= START + timedelta(seconds=21)


def test_deleting_the_cutoff_undoes_it(world: World) -> None:
    """An attacker who deletes AWSRevokeOlderSessions has the sessions back."""
    session, admin = world.user("ada").assumes("Deploy"), world.user("grace")
    revoked = world.wait(minutes=1)
    admin.revokes_sessions("Deploy", revoked + minutes(1))
    world.wait(minutes=5)
    admin.iam("DeleteRolePolicy", roleName="Deploy", policyName="AWSRevokeOlderSessions")

    assert ["ended"] == states(world, session.id, as_of=revoked)
    assert ["active"] == states(world, session.id)


@pytest.mark.parametrize("way", ["inline", "group", "managed"])
def test_a_user_cutoff_ends_older_tokens_and_not_the_key(world: World, way: str) -> None:
    """TokenIssueTime on the user, its group or an attached policy: tokens end, the long-term key has no issue time."""
    key, admin = world.user("ada"), world.user("grace")
    token, role = key.gets_session_token(), key.assumes("Deploy")
    world.wait(minutes=1)
    document = revoke_older_sessions(world.now)
    if way == "inline":
        admin.iam("PutUserPolicy", userName="ada", policyName="Cut", policyDocument=document)
    elif way == "group":
        admin.iam("AddUserToGroup", groupName="Cut", userName="ada")
        admin.iam("PutGroupPolicy", groupName="Cut", policyName="Cut", policyDocument=document)
    else:
        made = admin.iam("CreatePolicy", policyName="Cut", policyDocument=document)
        admin.iam("AttachUserPolicy", userName="ada", policyArn=made["responseElements"]["policy"]["arn"])
    world.wait(minutes=1)
    newer = key.gets_session_token()

    assert ["active", "ended", "active", "active"] == states(world, key.id, token.id, newer.id, role.id)


@pytest.mark.parametrize("undo", ["DetachRolePolicy", "SetDefaultPolicyVersion"])
def test_an_attached_cutoff_bites_and_is_undone(world: World, undo: str) -> None:
    """A managed policy attached to a role counts while it is attached and its default version denies."""
    session, admin = world.user("ada").assumes("Deploy"), world.user("grace")
    world.wait(minutes=1)
    made = admin.iam("CreatePolicy", policyName="Cut", policyDocument=revoke_older_sessions(world.now))
    arn = made["responseElements"]["policy"]["arn"]
    admin.iam("AttachRolePolicy", roleName="Deploy", policyArn=arn)
    attached = world.wait(minutes=1)
    if undo == "DetachRolePolicy":
        admin.iam(undo, roleName="Deploy", policyArn=arn)
    else:
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        admin.iam("CreatePolicyVersion", policyArn=arn, policyDocument=allow, setAsDefault=False)
        admin.iam(undo, policyArn=arn, versionId="v2")

    assert ["ended"] == states(world, session.id, as_of=attached - timedelta(seconds=1))
    assert ["active"] == states(world, session.id)


def test_a_policy_counts_whose_record_tells_no_account(world: World) -> None:
    """What a managed policy says may stand in a record that lacks every account; its ARN says whose it is."""
    session, admin = world.user("ada").assumes("Deploy"), world.user("grace")
    made = admin.iam("CreatePolicy", policyName="Stop", policyDocument=DENY_ALL)
    admin.iam("AttachRolePolicy", roleName="Deploy", policyArn=made["responseElements"]["policy"]["arn"])
    made.pop("recipientAccountId")
    made["userIdentity"] = {"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"}

    records = [made, *(one for one in world.records() if one["eventID"] != made["eventID"])]

    assert ["ended"] == states(records, session.id)
    assert "ended" == by_id(traced(records, session.id).credentials)[session.id].state


def organised(
    world: World, kind: str = "SERVICE_CONTROL_POLICY", document: object = DENY_ALL, **odd: object
) -> None:
    """The management account makes a policy, that denies all unless told, and attaches it to the account."""
    management = world.user("root-of-it", account=AWAY)
    arn = f"arn:aws:organizations::{AWAY}:policy/o-abc/{kind.lower()}/p-abc12345"
    summary = {"id": "p-abc12345", "arn": arn, "name": "Stop", "type": kind, "awsManaged": False}
    asked = {"name": "Stop", "type": kind, "description": "", "content": json.dumps(document)}
    answer = {"policy": {"policySummary": summary, "content": json.dumps(document)}, **odd}
    management.calls("organizations:CreatePolicy", asked, response=answer)
    management.calls("organizations:AttachPolicy", {"policyId": "p-abc12345", "targetId": HOME})


@pytest.mark.parametrize("odd", [{}, {"user": [7]}])
def test_a_service_control_policy_of_the_evidence_ends_the_account(
    world: World, odd: dict[str, object]
) -> None:
    """CreatePolicy answers with the id that AttachPolicy names: so its document is known, and denies all there."""
    key = world.user("ada")
    session, beyond = key.assumes("Deploy"), world.user("eve", account=AWAY)
    beyond.calls("s3:ListBuckets")
    organised(world, **odd)

    assert ["ended", "ended", "active"] == states(world, key.id, session.id, beyond.id)


def test_a_service_control_policy_limits_whom_no_other_change_names(world: World) -> None:
    """What it leaves of a credential is told in the reason of its state."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")
    organised(world, document={"Statement": {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"}})

    found = answers(world)[key.id]
    assert "active" == found.state
    assert found.state_reason.endswith("denies only ec2:*; sts:AssumeRole is not denied")


def test_a_tag_policy_limits_nobody(world: World) -> None:
    """A policy of another type that is attached to the account is not told as a service control policy."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")
    organised(world, "TAG_POLICY")

    found = answers(world)[key.id]
    assert ("active", "a long-term key; no deactivation or deletion logged") == (
        found.state,
        found.state_reason,
    )


def test_awss_own_deny_all_is_known(world: World) -> None:
    """Attaching arn:aws:iam::aws:policy/AWSDenyAll ends the user's credentials; the quarantine policy does not."""
    key, other, admin = world.user("ada"), world.user("eve"), world.user("grace")
    key.calls("s3:ListBuckets")
    other.calls("s3:ListBuckets")
    admin.iam("AttachUserPolicy", userName="ada", policyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    admin.iam(
        "AttachUserPolicy", userName="eve", policyArn="arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    )

    assert ["ended", "active"] == states(world, key.id, other.id)


def test_deleting_a_role_ends_its_sessions(world: World) -> None:
    """DeleteRole ends the role's sessions."""
    session = world.user("ada").assumes("Deploy")
    world.user("grace").iam("DeleteRole", roleName="Deploy")

    assert ["ended"] == states(world, session.id)


def test_a_role_that_was_made_anew_of_a_template_shows_that_the_old_one_was_gone(world: World) -> None:
    """Names are unique; that of a role which AcquireRole made is told by its answer (IAM API Reference)."""
    session, grace = world.user("ada").assumes("Deploy"), world.user("grace")
    answer = {"role": {"roleName": "Deploy", "roleId": "AROANEWNEWNEWNEWNEWNEW"}}
    grace.calls("iam:AcquireRole", {"templateArn": "arn:t"}, response=answer, read_only=False)

    assert ["ended"] == states(world, session.id)


def test_editing_a_trust_policy_ends_no_session(world: World) -> None:
    """UpdateAssumeRolePolicy keeps new ones out; those that live go on."""
    session = world.user("ada").assumes("Deploy")
    trust = {"Version": "2012-10-17", "Statement": []}
    world.user("grace").iam("UpdateAssumeRolePolicy", roleName="Deploy", policyDocument=trust)

    assert ["active"] == states(world, session.id)


@pytest.mark.parametrize(
    ("key", "hit", "miss"),
    [
        ("aws:userid", "{id}", "AROAELSE:s"),
        ("aws:PrincipalArn", f"arn:aws:iam::{HOME}:role/Deploy", f"arn:aws:iam::{HOME}:role/Audit"),
        ("aws:SourceIdentity", "ada", "grace"),
    ],
)
def test_denies_by_identity_end_whom_they_name(world: World, key: str, hit: str, miss: str) -> None:
    """aws:userid, aws:PrincipalArn and aws:SourceIdentity are evaluated; a condition that names others ends nobody."""
    session, admin = world.user("ada").assumes("Deploy", source_identity="ada"), world.user("grace")
    found = []
    for number, value in enumerate((miss, hit)):
        condition = {"StringEquals": {key: value.format(id=session.identity.principal_id)}}
        document = {
            "Version": "2012-10-17",
            "Statement": [{**DENY_ALL["Statement"][0], "Condition": condition}],
        }  # type: ignore[dict-item]
        when = world.wait(minutes=1)
        admin.iam("PutRolePolicy", roleName="Deploy", policyName=f"P{number}", policyDocument=document)
        found.append(states(world, session.id, as_of=when))

    assert [["active"], ["ended"]] == found


# ------------------------------------------------------------------------------- expiry


def test_expiry_is_the_first_second_in_which_it_no_longer_works(world: World) -> None:
    """At expires_at it is expired, a second earlier active."""
    session = world.user("ada").assumes("Deploy")
    world.wait(hours=3)
    world.user("grace").calls("s3:ListBuckets")

    with held(world) as case:
        end = START + timedelta(hours=1)
        found = [
            by_id(case.credentials(as_of=when))[session.id].state
            for when in (end - timedelta(seconds=1), end)
        ]
    assert ["active", "expired"] == found


def test_what_was_ended_and_then_expired_says_both(world: World) -> None:
    """An expired session still tells which step had ended it."""
    session = world.user("ada").assumes("Deploy")
    world.wait(minutes=1)
    put = world.user("grace").revokes_sessions("Deploy", world.now)
    world.wait(hours=3)
    world.user("grace").calls("s3:ListBuckets")
    one = answers(world)[session.id]

    assert ("expired", put["eventID"]) == (one.state, one.ended_by)


def test_a_step_after_expiry_ended_nothing(world: World) -> None:
    """Revoking what had expired already does not count as its end."""
    session = world.user("ada").assumes("Deploy", duration=900)
    world.wait(hours=1)
    world.user("grace").revokes_sessions("Deploy", world.now)
    one = answers(world)[session.id]

    assert ("expired", None) == (one.state, one.ended_by)


def test_an_orphan_is_unknown_until_its_bound_and_expired_after(world: World) -> None:
    """Without its issuing event a session's end is unknown, but no later than its kind allows."""
    with world.unlogged():
        session = world.user("ada").assumes("Deploy")
    session.calls("s3:ListBuckets")
    world.wait(hours=30)
    world.user("grace").calls("s3:ListBuckets")

    with held(world) as case:
        bound = START + timedelta(hours=12)
        found = [
            by_id(case.credentials(as_of=when))[session.id].state
            for when in (at("10:00:00"), bound - timedelta(seconds=1), bound)
        ]
    assert ["unknown", "unknown", "expired"] == found


def test_an_orphan_older_than_a_cutoff_is_ended(world: World) -> None:
    """The creation date that its calls show is its issue time, with or without the issuing event."""
    with world.unlogged():
        session = world.user("ada").assumes("Deploy")
    session.calls("s3:ListBuckets")
    world.wait(minutes=1)
    world.user("grace").revokes_sessions("Deploy", world.now)

    assert ["ended"] == states(world, session.id)


def test_the_default_moment_is_the_newest_event(world: World) -> None:
    """Without --as-of, states are those at the last event of the case."""
    session = world.user("ada").assumes("Deploy", duration=900)
    world.at(START + timedelta(seconds=900))
    world.user("grace").calls("s3:ListBuckets")

    assert ["expired"] == states(world, session.id)
    assert ["active"] == states(world.records()[:-1], session.id)


def test_a_moment_after_all_evidence_only_lets_time_pass(world: World) -> None:
    """As of later than the newest event, what would expire by then is expired."""
    session = world.user("ada").assumes("Deploy", duration=900)

    assert ["expired"] == states(world, session.id, as_of=START + timedelta(hours=1))
