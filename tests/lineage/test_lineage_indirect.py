"""Sessions that somebody got by way of Lake Formation, of another partition of AWS, or for a partner."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence import AWAY, HOME, START, Json, answers, at, born, call, held, session, traced, user
from tokentrail.testing import Credential, World, native

VENDED = f"AWSLF-00-AT-{HOME}-x1Y2z3"
FAR = "arn:aws-cn:iam::555566667777:role/Far"


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def tainted(evidence: World | list[Json], subject: str) -> set[str]:
    """The credentials that count as the attacker's if one leaked."""
    return {one.id for one in traced(evidence, subject, up=False).credentials if one.tainted}


# ------------------------------------------------------------------------------------------------ Lake Formation


def vended(world: World) -> tuple[Credential, Credential]:
    """A session, and the one that Lake Formation gave it."""
    asking = world.user("ada").assumes("Analyst")
    given_to_it = asking.gets_data_access("LakeRole")
    given_to_it.calls("s3:GetObject", {"bucketName": "lake", "key": "{n}"}, count=3)
    return asking, given_to_it


def data_access(when: str, caller: Json, name: Any = VENDED, **fields: Any) -> Json:
    """A raw GetDataAccess."""
    told = {"requesterService": "ATHENA", "lakeFormationRoleSessionName": name}
    return call(
        "GetDataAccess",
        when,
        caller,
        source="lakeformation.amazonaws.com",
        additionalEventData=told,
        **fields,
    )


def reading(when: str, name: str = VENDED, key: str = "ASIALAKE", **fields: Any) -> Json:
    """A raw read with a session of the location's role."""
    who = session(key, "2026-11-23T09:10:00Z", role="LakeRole", name=name, **fields)
    return call("GetObject", when, who, source="s3.amazonaws.com")


def test_lake_formation_names_the_session_that_it_gives(world: World) -> None:
    """
    GetDataAccess names the session that S3's events show: below its caller, matched, with the caller tainted.

    AWS Lake Formation Developer Guide, 'Cross-account CloudTrail logging'.
    """
    asking, lake = vended(world)
    found = answers(world)[lake.id]

    assert ("assumed_role", asking.id, "matched", None) == born(found)
    assert found.issued_by is not None
    assert ("lakeformation:GetDataAccess", 3) == (found.issued_by.api, found.events)
    assert (f"arn:aws:iam::{HOME}:role/LakeRole", at("21:00:02")) == (found.role, found.expires_bound)
    assert lake.id in tainted(world, asking.id) & tainted(world, world.user("ada").id)


def test_what_a_service_reads_for_its_caller_is_one_session() -> None:
    """Athena reads with several keys of one session, and says so in `invokedBy`: that is one, below who asked."""
    asked = data_access("2026-11-23T09:10:00Z", session("ASIAASKS") | {"invokedBy": "athena.amazonaws.com"})
    reads = [
        reading(f"2026-11-23T09:1{n}:00Z", key=f"ASIALAKE{n}", invokedBy="athena.amazonaws.com")
        for n in (1, 2)
    ]
    found = answers([call("ListBuckets", "2026-11-23T09:05:00Z", session("ASIAASKS")), asked, *reads])
    [lake] = [one for one in found.values() if one.session_name == VENDED]

    assert ("assumed_role", "ASIAASKS", "matched", None) == born(lake)
    assert ("ASIALAKE1", "ASIALAKE2") == lake.access_key_ids


def test_a_session_that_the_service_was_issued_belongs_to_whoever_asked() -> None:
    """Where the service's own AssumeRole names the key, the caller of GetDataAccess is the parent all the same."""
    service = {"type": "AWSService", "invokedBy": "lakeformation.amazonaws.com"}
    found = answers([
        call("ListBuckets", "2026-11-23T09:05:00Z", session("ASIAASKS")),
        data_access("2026-11-23T09:10:00Z", session("ASIAASKS")),
        call("AssumeRole", "2026-11-23T09:10:00Z", service,
             requestParameters={"roleArn": f"arn:aws:iam::{HOME}:role/LakeRole", "roleSessionName": VENDED},
             responseElements={"credentials": {"accessKeyId": "ASIALAKE", "expiration": "Nov 23, 2026, 10:10:00 AM"}}),
        reading("2026-11-23T09:11:00Z"),
    ])["ASIALAKE"]  # fmt: skip

    assert ("assumed_role", "ASIAASKS", "matched", None) == born(found)
    assert at("10:10:00") == found.expires_at


def test_a_session_that_two_callers_asked_for_is_neithers() -> None:
    """One name in two calls of different callers ties the session to none of them."""
    both = [
        data_access("2026-11-23T09:10:00Z", session("ASIAASKS")),
        data_access("2026-11-23T09:10:01Z", session("ASIAOTHER", role="Other")),
    ]
    found = answers([*both, reading("2026-11-23T09:11:00Z")])["ASIALAKE"]

    assert ("assumed_role", None, None, "not_in_evidence") == born(found)


def test_a_name_that_somebody_gave_a_session_of_a_role_ties_it_to_nobody(world: World) -> None:
    """Whoever assumes a role names its session: the name is Lake Formation's only where nobody is seen to have given it."""
    _, lake = vended(world)
    thief = world.user("thief").assumes("LakeRole", lake.identity.principal_id.partition(":")[2])

    assert ("assumed_role", world.user("thief").id, "recorded", None) == born(answers(world)[thief.id])


@pytest.mark.parametrize("sides", ["both", "caller", "role"])
def test_across_accounts_the_one_possible_caller_is_inferred(world: World, sides: Any) -> None:
    """Both accounts' records show the caller without a key; where one credential alone fits, that is the parent."""
    asking = world.user("ada").assumes("Analyst")
    lake = asking.gets_data_access("LakeRole", account=AWAY, sides=sides, names_principal=False)
    lake.calls("s3:GetObject", {"bucketName": "lake", "key": "a"})

    assert ("assumed_role", asking.id, "inferred", None) == born(answers(world)[lake.id])


# ------------------------------------------------------------------------------------------------ other partitions


def test_a_token_opens_a_role_of_another_partition(world: World) -> None:
    """
    The token's id joins GetWebIdentityToken to AssumeRoleWithWebIdentity in another partition's log.

    IAM User Guide, 'Auditing cross-partition identity federation'.
    """
    asking = world.user("ada").assumes("Deploy")
    far = asking.assumes_across_partitions(FAR)
    far.calls("s3:ListBuckets")
    found = answers(world)[far.id]

    assert ("assumed_role_web_identity", asking.id, "matched", None) == born(found)
    assert (FAR, "555566667777") == (found.role, found.account)
    assert far.id in tainted(world, world.user("ada").id)


def test_a_token_that_two_callers_were_given_ties_to_neither(world: World) -> None:
    """An id that two callers' records show is no proof of either."""
    far = world.user("ada").assumes_across_partitions(FAR)
    [asked] = [one for one in world.records() if one["eventName"] == "GetWebIdentityToken"]
    forged = asked | {
        "eventID": "0f0e0d0c-0b0a-0908-0706-050403020100",
        "userIdentity": user("eve", "AKIAEVE"),
    }

    assert ("assumed_role_web_identity", None, None, "identity_provider") == born(
        answers([*world.records(), forged])[far.id]
    )


def test_without_the_source_account_the_session_has_no_parent(world: World) -> None:
    """The destination's record alone names a principal and no credential."""
    with world.unlogged():
        token = world.user("ada").gets_web_identity_token()
    far = world.user("ada").assumes_across_partitions(FAR, token=token)

    assert ("assumed_role_web_identity", None, None, "identity_provider") == born(answers(world)[far.id])


# ------------------------------------------------------------------------------------------------ delegation


def test_a_partner_acts_as_the_identity_that_accepted(world: World) -> None:
    """
    What `invokedByDelegate` marks is the partner's session: of its own, below whoever accepted the request.

    IAM User Guide, 'Temporary delegation', 'CloudTrail'; IAM API Reference, 'AcceptDelegationRequest'.
    """
    approver = world.user("ada").assumes("Admin")
    partner = approver.delegates(AWAY, ip="198.51.100.9")
    partner.calls("s3:ListBuckets")
    approver.calls("ec2:DescribeInstances")
    found = answers(world)
    made = found[partner.id]

    assert ("delegated", approver.id, "created", None) == born(made)
    assert (f"account {AWAY}", ("198.51.100.9",)) == (made.identity, made.source_ips)
    assert (made.first_used and made.first_used.hour, made.expires_bound) == (9, at("21:00:04"))
    assert ("192.0.2.10",) == found[approver.id].source_ips
    assert partner.id in tainted(world, world.user("ada").id)


def test_a_partner_is_not_the_console_session_of_whoever_accepted(world: World) -> None:
    """Even with the same principal and creation date, a delegated session is none of the approver's requests."""
    approver = world.console_sign_in(world.user("ada"))
    approver.calls("ec2:DescribeInstances", count=2)
    partner = approver.delegates(AWAY)
    partner.calls("s3:ListBuckets")
    records = json.loads(
        json.dumps(world.records()).replace(
            str(partner.identity.created).replace(" ", "T").replace("+00:00", "Z"),
            str(approver.identity.created).replace(" ", "T").replace("+00:00", "Z"),
        )
    )
    made = answers(records)[partner.key_id]

    assert ("delegated", approver.id, "created") == (made.kind, made.parent, made.parent_link)


def test_a_partner_is_no_child_of_the_sign_in_that_the_approver_came_from(world: World) -> None:
    """Records of a delegated session may repeat the approver's OAuth session: no `aws login` issued it for all that."""
    browser = world.console_sign_in(world.user("ada"))
    approver = browser.logs_in()
    approver.calls("ec2:DescribeInstances")
    partner = approver.delegates(AWAY)
    partner.calls("s3:ListBuckets")
    found = answers(world)

    assert ("oauth_login", browser.id, "matched", None) == born(found[approver.key_id])
    assert ("delegated", approver.key_id, "created", None) == born(found[partner.key_id])


def test_a_partner_is_not_issued_by_the_role_assumption_of_the_approver(world: World) -> None:
    """Where the log leaves an answer out, a delegated session of the same second and role is not what was issued."""
    assuming = world.user("ada")
    approver = assuming.assumes("Deploy", "at-work")
    approver.calls("ec2:DescribeInstances")
    partner = approver.delegates(AWAY)
    partner.calls("s3:ListBuckets")
    records = json.loads(
        json.dumps(world.records()).replace(
            str(partner.identity.created).replace(" ", "T").replace("+00:00", "Z"),
            str(approver.identity.created).replace(" ", "T").replace("+00:00", "Z"),
        )
    )
    for one in records:
        if one["eventName"] == "AssumeRole":
            one["responseElements"] = None
    found = answers(records)

    assert ("assumed_role", assuming.id, "matched") == (
        found[approver.key_id].kind, found[approver.key_id].parent, found[approver.key_id].parent_link,
    )  # fmt: skip
    assert ("delegated", approver.key_id, "created", None) == born(found[partner.key_id])


def test_whoever_sent_the_token_is_linked_to_the_partner(world: World) -> None:
    """One may accept a request and another one send the token: the session is the first one's, and a link leads to both."""
    approver, sender = world.user("ada"), world.user("grace")
    delegation = approver.accepts_delegation(AWAY)
    delegation.sent(sender)
    partner = approver.partner_of(delegation)
    partner.calls("s3:ListBuckets")

    assert ("delegated", approver.id, "created", None) == born(answers(world)[partner.id])
    assert partner.id in tainted(world, approver.id) & tainted(world, sender.id)


def test_a_partner_who_trades_the_token_in_the_evidence_is_the_parent(world: World) -> None:
    """GetDelegatedAccessToken names the key: below the partner's credential, with a link to whoever accepted."""
    partner = world.user("vendor", account=AWAY)
    delegated = world.user("ada").delegates(AWAY, traded_by=partner)
    delegated.calls("s3:ListBuckets")
    found = answers(world)[delegated.id]

    assert ("delegated", partner.id, "recorded", None) == born(found)
    assert world.user("ada").arn == found.principal
    assert delegated.id in tainted(world, partner.id) & tainted(world, world.user("ada").id)


def test_a_partner_does_not_act_before_the_token_was_sent_or_after_twelve_hours(world: World) -> None:
    """Such a session was approved by another request, which the evidence lacks (IAM API Reference, 'CreateDelegationRequest')."""
    with world.unlogged():
        before = world.user("ada").delegates(AWAY)
    before.calls("s3:ListBuckets")
    delegation = world.user("ada").accepts_delegation(AWAY)
    delegation.sent()
    world.wait(hours=13)
    after = world.user("ada").partner_of(delegation)
    after.calls("s3:ListBuckets")
    found = answers(world)

    for one in (before, after):
        assert ("delegated", None, None, "not_in_evidence") == born(found[one.id])


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("asked_first", [True, False])
def test_either_side_may_come_in_a_later_ingest(world: World, tmp_path: Any, *, asked_first: bool) -> None:
    """What was linked before is linked anew when the call, or the session, that belongs to it comes."""
    asking, lake = vended(world)
    far = asking.assumes_across_partitions(FAR)
    partner = asking.delegates(AWAY)
    partner.calls("s3:ListBuckets")
    names = {"GetDataAccess", "GetWebIdentityToken", "AcceptDelegationRequest", "SendDelegationToken"}
    asked = [one for one in world.records() if one["eventName"] in names]
    rest = [one for one in world.records() if one["eventName"] not in names]
    later = tmp_path / "later.json"
    later.write_bytes(native(rest if asked_first else asked))
    with held(asked if asked_first else rest) as case:
        list(case.credentials())
        case.ingest([str(later)], workers=1)
        found = {one.id: (one.parent, one.parent_link) for one in case.credentials()}

    assert {(asking.id, "matched"), (asking.id, "created")} == {found[one.id] for one in (lake, far, partner)}


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["x" * 10_000, "*", "\x1b[2J", VENDED]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)  # fmt: skip


@given(HOSTILE, HOSTILE, HOSTILE)
def test_forged_values_break_nothing(one: Any, two: Any, three: Any) -> None:
    """Values of any type where AWS names a session, a token, a principal or a delegate cost no other credential."""
    token = {"webIdentityTokenId": one}
    found = answers([
        call("ListBuckets", "2026-11-23T09:05:00Z", session("ASIAASKS")),
        data_access("2026-11-23T09:10:00Z", session("ASIAASKS"), one),
        data_access("2026-11-23T09:10:00Z", session("ASIAASKS"), two, sharedEventID=three),
        reading("2026-11-23T09:11:00Z"),
        call("GetWebIdentityToken", "2026-11-23T09:10:00Z", session("ASIAASKS"), responseElements=token),
        call("AssumeRoleWithWebIdentity", "2026-11-23T09:10:02Z", {"type": "WebIdentityUser", "principalId": two},
             requestParameters=token | {"roleArn": FAR}, responseElements={"credentials": {"accessKeyId": "ASIAFAR"}},
             additionalEventData={"crossPartitionData": {"sourcePrincipalArn": two, "sourceRegion": three}}),
        call("AcceptDelegationRequest", "2026-11-23T09:10:03Z", user(), source="iam.amazonaws.com",
             requestParameters={"delegationRequestId": one}),
        call("ListBuckets", "2026-11-23T09:11:00Z", user(key="ASIAPARTNER", invokedByDelegate={"accountId": two})),
    ])  # fmt: skip

    assert {"ASIAASKS", "ASIALAKE", "ASIAFAR", "ASIAPARTNER"} <= found.keys()
