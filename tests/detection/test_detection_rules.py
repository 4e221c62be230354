"""Each rule finds what it is for, and leaves alone what is near it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Set
from datetime import timedelta

import pytest
from case_tables import FIRES, HABITS, SEVERITIES, SPARES
from detection_cases import (
    broker_of_federated_users,
    comes_through_a_strange_endpoint,
    console_with_the_new_device,
    four_hops,
    makes_roles,
    new_roles_every_day,
    taken_into_a_browser,
    tool_mints_every_day,
)
from rule_cases import Act, ada, world

from evidence import AWAY, HOME, START, assume_role, call, held, user
from policy.policy_cases import ACCOUNT, allow, change, deny
from tokentrail.case import Case
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.model import Finding
from tokentrail.detection.rules.containment_undone import lifted
from tokentrail.detection.rules.logging_stopped import narrows
from tokentrail.detection.thresholds import Thresholds
from tokentrail.detection.trust_policies import grants_all, let_in
from tokentrail.present.text.findings_text import write_findings
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.testing import World
from tokentrail.testing.names import Json


def found(act: Act, rule: str) -> tuple[Finding, ...]:
    """What a rule finds in what happens."""
    place = world()
    act(place)
    with held(place) as case:
        return case.detect(rules=[rule])


def beside_each_other(acts: list[Act]) -> list[Json]:
    """The records of several cases, each in accounts and with people of its own."""
    found: list[Json] = []
    for number, act in enumerate(acts):
        place = World(START, seed=number + 1, account=HOME)
        act(place)
        told = json.dumps(place.records())
        for account in set(re.findall(r"(?<!\d)\d{12}(?!\d)", told)):
            told = told.replace(account, f"{int(account) + number:012}")
        found += json.loads(told)
    return found


def cases(table: dict[str, list[Act]], often: Set[str] = frozenset()) -> list[pytest.param]:
    """Every case by the name of its rule and its own, with `-m long`; of some rules always."""
    return [
        pytest.param(
            rule, act, id=f"{rule}-{act.__name__}", marks=[] if rule in often else [pytest.mark.long]
        )
        for rule, acts in table.items()
        for act in acts
    ]


APART = frozenset({"containment-undone", "strange-endpoint", "stolen-workload"})
"""Rules whose cases are each other's background: what one does is known of the other, or the same to it."""


@pytest.mark.parametrize("rule", [one for one in FIRES if one not in APART])
def test_a_rule_finds_everything_that_it_is_for(rule: str) -> None:
    """All its cases beside each other, in accounts of their own: one finding for each, as bad as by itself."""
    with held(beside_each_other(FIRES[rule])) as case:
        assert sorted(one.severity for one in case.detect(rules=[rule])) == sorted(
            map(SEVERITIES.get, FIRES[rule])
        )


@pytest.mark.parametrize("rule", SPARES)
def test_a_rule_leaves_all_near_things_alone(rule: str) -> None:
    """All that is near it and ordinary, beside each other, is no finding."""
    with held(beside_each_other(SPARES[rule])) as case:
        assert case.detect(rules=[rule]) == ()


@pytest.mark.parametrize(("rule", "act"), cases(FIRES, APART))
def test_a_rule_finds_what_it_is_for(rule: str, act: Act) -> None:
    """It tells one story and how bad it is, names whom to start from, the evidence, and the command that answers it."""
    (one,) = found(act, rule)

    assert (one.rule, one.severity) == (rule, SEVERITIES[act])
    assert one.subject in one.credentials
    assert one.next == f"tokentrail contain {one.subject}"
    assert one.events and one.count >= 1
    assert one.principals and one.accounts
    assert one.why.endswith(".")


@pytest.mark.parametrize(("rule", "act"), cases(SPARES))
def test_a_rule_leaves_near_things_alone(rule: str, act: Act) -> None:
    """What is ordinary is no finding."""
    assert found(act, rule) == ()


@pytest.mark.parametrize(("rule", "act"), cases(HABITS, HABITS.keys()))
def test_a_habit_grows_from_the_case(rule: str, act: Act) -> None:
    """What was done on earlier days is a habit: it is found on its first day alone."""
    (one,) = found(act, rule)

    assert one.time < START + timedelta(days=1)


def test_a_tool_that_mints_every_day_is_one_finding_of_its_first_days() -> None:
    """
    Forty tokens of a pipeline that mint in two weeks are told once, with those of the three days until that is a
    habit; what later days add changes neither id nor severity.
    """
    place = world()
    tool_mints_every_day(place)
    with held(place) as case:
        (at_first,) = case.detect(as_of=START + timedelta(hours=1))
        (one,) = case.detect()

    assert (at_first.id, at_first.severity, at_first.time) == (one.id, "medium", one.time)
    assert (at_first.count, one.count) == (1, 12)
    assert len(one.credentials) == 1 + 12 + 12
    assert one.severity == "medium" and one.thresholds == ("habit_days=3",)
    assert (
        "; 11 more tokens of its principal did so until that was a habit, and 12 credentials were minted"
        in one.why
    )


def test_minting_by_tokens_is_each_users_own_habit() -> None:
    """What the tokens of a pipeline do every day is no habit of a user's, whose first token is a finding."""
    place = world()
    tool_mints_every_day(place)
    ada(place).gets_session_token().assumes("Deploy", "x")
    with held(place) as case:
        pipeline, user = case.detect(rules=["token-mints-tokens"])

    assert (pipeline.count, user.count) == (12, 1)
    assert user.principals != pipeline.principals and user.time > START + timedelta(days=9)


def test_what_a_suspicious_lineage_does_is_worse() -> None:
    """Rules that come later weigh more what descends from a token that mints tokens, and not what others do."""
    place = world()
    key, bea = ada(place), place.user("bea")
    thief = key.gets_session_token().assumes("Admin", "x")
    ops = bea.assumes("Ops", "bea")
    for session, role in ((thief, "Admin"), (ops, "Ops")):
        session.assumes(role, "again")
        session.assumes_root(AWAY)
        session.assumes_root("999988887777")
        session.calls("cloudtrail:StopLogging", {"name": "trail"}, read_only=False)
        session.creates_access_key(place.user("dan"))
    place.user("cleo").revokes_sessions("Deploy")
    thief.iam("DeleteRolePolicy", roleName="Deploy", policyName="AWSRevokeOlderSessions")
    thief.iam("EnableMFADevice", userName="cleo", serialNumber=f"arn:aws:iam::{HOME}:mfa/cleo")
    place.user("cleo").gets_session_token(mfa_serial=f"arn:aws:iam::{HOME}:mfa/cleo")
    late = {rule.id for rule in CATALOGUE if rule.late}
    with held(place) as case:
        found = [one for one in case.detect() if one.rule in late]
    told = {(one.rule, key.id == one.root): (one.severity, one.count) for one in found}
    (used,) = (one for one in found if one.rule == "new-mfa-used")
    assert thief.id in used.credentials
    assert {one.subject for one in found if one.rule == "assume-root"} == {thief.id, ops.id}

    assert told == {
        ("assume-root", True): ("critical", 2), ("assume-root", False): ("medium", 2),
        ("logging-stopped", True): ("critical", 1), ("logging-stopped", False): ("high", 1),
        ("lasting-access", True): ("high", 1), ("lasting-access", False): ("medium", 1),
        ("containment-undone", True): ("critical", 2), ("new-mfa-used", False): ("high", 2),
        ("self-assumption", True): ("high", 1), ("self-assumption", False): ("low", 1),
    }  # fmt: skip


def test_taking_tokens_into_a_browser_is_each_users_own_habit() -> None:
    """What a broker does every day is no habit of others, even if they do other things every day."""
    place = world()
    cleo, dan = place.user("cleo"), place.user("dan")
    dan.assumes("Tools", "dan").assumes("Reader", "dan")
    broker_of_federated_users(place)
    taken_into_a_browser(cleo.gets_federation_token("x", policy='{"Version":"2012-10-17"}'))
    dan.assumes("Tools", "dan").gets_signin_token().calls("iam:ListUsers")
    with held(place) as case:
        found = case.detect(rules=["console-from-key"])

    assert [one.root for one in found] == [ada(place).id, cleo.id, dan.id]


AGAIN = (
    "token-mints-tokens", "beyond-its-power", "console-from-key", "federated-with-all", "key-quarantined",
    "lasting-access", "logging-stopped", "minted-again", "minted-before-the-cut", "outlived-key", "role-juggling",
    "self-assumption", "session-token-back-door", "stolen-workload", "strange-endpoint", "used-after-revocation",
)  # fmt: skip
"""Rules that gather into one finding what happens again."""


TOGETHER = Thresholds({"same_story": 10**8, "habit_after": 10**8, "habit_days": 10**3})
"""All of a lineage is one story, and nothing is a habit yet."""


@pytest.fixture(name="again", scope="module")
def _again() -> Iterator[tuple[Case, tuple[Finding, ...]]]:
    """What each of them finds, in accounts of their own, happens twice; with what is found before it does again."""
    place = world()
    thens = []
    for _ in range(2):
        for number, rule in enumerate(AGAIN):
            place.account_id = f"{number:012}"
            FIRES[rule][0](place)
        thens.append(place.now)
        place.wait(minutes=30)
    with held(place) as case:
        yield case, case.detect(rules=AGAIN, as_of=thens[0], thresholds=TOGETHER)


def test_what_happens_again_makes_no_other_finding_of_the_first(
    again: tuple[Case, tuple[Finding, ...]],
) -> None:
    """A finding that was told keeps its id and its time, whatever is put to it later."""
    case, before = again
    after = {(one.rule, one.id, one.time) for one in case.detect(rules=AGAIN, thresholds=TOGETHER)}

    assert {one.rule for one in before} == set(AGAIN)
    assert {(one.rule, one.id, one.time) for one in before} <= after


def test_a_new_chain_is_told_of_whoever_walked_it_first() -> None:
    """Who does so later makes no other finding of it, even if the evidence knew of them before."""
    place = world()
    ada(place).calls("s3:ListBuckets")
    place.wait(5 * 86400)
    place.user("bea").assumes("Build", "bea").assumes("Deploy", "bea")
    then = place.now
    place.wait(3600)
    ada(place).assumes("Build", "ada").assumes("Deploy", "ada")
    with held(place) as case:
        (at_first,) = case.detect(rules=["token-mints-tokens"], as_of=then)
        (one,) = case.detect(rules=["token-mints-tokens"])

    assert (at_first.id, at_first.subject) == (one.id, one.subject)


def test_roles_that_are_slow_to_open_do_not_hide_those_that_never_do() -> None:
    """Of a key that made more roles than records are read, the finding holds only the six that stayed shut."""
    place = world()
    key = ada(place)
    makes_roles(place, key, days=4)
    for number in range(6):
        key.denied("sts:AssumeRole", place.role(f"Shut-{number}"))
    with held(place) as case:
        (one,) = case.detect(rules=["role-probing"], thresholds=Thresholds({"most_records": 10}))

    assert one.count == len(one.events) == 6
    assert "refused 6 roles" in one.why and "Job-" not in one.why
    assert one.time >= START + timedelta(days=4)


def test_how_long_a_new_role_may_be_refused_is_a_threshold() -> None:
    """Where IAM is given less time than new roles took to open, their refusals count."""
    place = world()
    new_roles_every_day(place)
    with held(place) as case:
        (one,) = case.detect(rules=["role-probing"], thresholds=Thresholds({"propagation": 5}))

    assert one.count == 9
    assert "propagation=5" in one.thresholds


def test_a_role_that_opens_later_does_not_make_another_finding() -> None:
    """The finding that was told before the first of seven roles opened is the same after, about six."""
    place = world()
    key = ada(place)
    for number in range(7):
        key.denied("sts:AssumeRole", place.role(f"Role-{number}"))
    told = place.now
    place.wait(8)
    key.assumes("Role-0", "x")
    with held(place) as case:
        (before,) = case.detect(as_of=told, rules=["role-probing"])
        (after,) = case.detect(rules=["role-probing"])

    assert before.id == after.id
    assert (before.count, after.count) == (7, 6)


@pytest.mark.parametrize("rule", [one.id for one in CATALOGUE])
def test_every_rule_has_both_kinds_of_cases(rule: str) -> None:
    """No rule is without a case that fires and one that must not."""
    assert FIRES[rule] and SPARES[rule]


@pytest.mark.parametrize(
    "endpoint", ["<script>x</script>", "\x1b[31m\u202e", "vpce-" + "a" * 10_000, "", None]
)
def test_an_endpoint_that_is_none_is_not_repeated(endpoint: str | None) -> None:
    """What stands in a record's `vpcEndpointId` is told only if it is the name of one; the finding stands."""
    place = world()
    place.user("ada").calls("s3:ListBuckets", vpc_endpoint=endpoint, endpoint_account="666677778888")
    with held(place) as case:
        (one,) = case.detect(rules=["strange-endpoint"])

    assert "through a VPC endpoint of account 666677778888" in one.why
    assert not endpoint or endpoint not in one.why


def test_a_strange_endpoint_is_told_from_the_first_call_through_it_on() -> None:
    """Four days after the key was first used: not from then on, and not as in a case too short to tell a habit."""
    (one,) = found(comes_through_a_strange_endpoint, "strange-endpoint")

    assert one.time > START + timedelta(days=4)
    assert one.why.endswith("; nobody had come from there before.")


def test_an_event_that_is_not_in_the_evidence_is_none_that_counts() -> None:
    """A chain of four hops rests on four events: what made the key at its top lies before."""
    (one,) = found(four_hops, "deep-chain")

    assert one.count == len(one.events) == 4


@pytest.mark.parametrize(
    "owner", [["666677778888"], {"id": 1}, True, "6" * 10_000, "666677778888\n", "=1+1", ""]
)
def test_an_owner_that_is_no_account_is_none(owner: object) -> None:
    """A damaged `vpcEndpointAccountId` accuses nobody, and costs no record."""
    place = world()
    place.user("ada").calls("s3:ListBuckets", vpc_endpoint="vpce-0a1b2c3d", endpoint_account="666677778888")
    records = [one | {"vpcEndpointAccountId": owner} for one in place.records()]
    with held(records) as case:
        assert case.detect(rules=["strange-endpoint"]) == ()
        assert len(records) == sum(one.events for one in case.credentials())


@pytest.mark.parametrize("told", [None, "Yes", [], {"MFAIdentifier": ["x"]}, {"MFAIdentifier": {"x": 1}}, {}])
def test_a_sign_in_that_names_no_device_is_none_by_a_new_one(told: object) -> None:
    """A damaged `additionalEventData` of a sign-in accuses nobody, and costs no record."""
    place = world()
    console_with_the_new_device(place)
    records = [one | {"additionalEventData": told} for one in place.records()]
    with held(records) as case:
        assert case.detect(rules=["new-mfa-used"]) == ()


def test_the_first_sign_in_after_a_device_is_read_first() -> None:
    """Of more sign-ins than records are read, each device's first ones are."""
    place = world()
    console_with_the_new_device(place)
    for _ in range(5):
        place.console_sign_in(place.user("ada"))
    with held(place) as case:
        (one,) = case.detect(rules=["new-mfa-used"], thresholds=Thresholds({"most_records": 2}))
        assert case.detect(rules=["new-mfa-used"], thresholds=Thresholds({"most_records": 1})) == ()

    assert "most_records=2" in one.thresholds


@pytest.mark.parametrize(
    ("name", "answer", "what"),
    [("CreateAccessKey", {"accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}}, "a key"),
     ("CreateLoginProfile", {"loginProfile": {}}, "a password"),
     ("UploadSigningCertificate", {"certificate": {"certificateId": "C"}}, "UploadSigningCertificate")],
)  # fmt: skip
@pytest.mark.parametrize(("by_root", "whose"), [(True, "the root user"), (False, "its own user")])
def test_what_is_made_for_nobody_named_is_the_callers_own(
    name: str, answer: Json, what: str, by_root: bool, whose: str
) -> None:
    """A call that names no user makes something for its caller: for the root user, which is no user of IAM, as well."""

    def made(place: World) -> None:
        key = ada(place)
        maker = key.assumes_root(HOME) if by_root else key.gets_session_token()
        maker.calls(f"iam:{name}", response=answer)

    (one,) = found(made, "lasting-access")

    assert one.why.endswith(f": {what} for {whose}.")


def test_a_role_of_a_template_that_trusts_strangers_is_told_by_its_name() -> None:
    """AcquireRole: whom it trusts, and what it is called, is in the answer."""

    def made(place: World) -> None:
        ada(place).acquires_role("helper", {"AWS": "arn:aws:iam::999999999999:root"})

    (one,) = found(made, "lasting-access")

    assert "role helper trusts account 999999999999, of which the case has no evidence" in one.why


def test_small_things_that_make_a_way_in_together_weigh_more() -> None:
    """A user alone is little, with power or a key more, and with both a way in."""
    made: dict[str, tuple[str, ...]] = {
        "user": ("CreateUser",),
        "power": ("AttachUserPolicy",),
        "user-power": ("CreateUser", "AttachUserPolicy"),
        "user-key": ("CreateUser", "CreateAccessKey"),
        "power-key": ("AttachUserPolicy", "CreateAccessKey"),
        "user-key-power": ("CreateUser", "CreateAccessKey", "AttachUserPolicy"),
        "user-password-power": ("CreateUser", "CreateLoginProfile", "AttachUserPolicy"),
    }
    place = world()
    asked = {"userName": "new", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    for maker, calls in made.items():
        for name in calls:
            place.user(maker).calls(f"iam:{name}", asked, read_only=False)
    with held(place) as case:
        found = case.detect(rules=["lasting-access"])

    assert {one.principals[0].rpartition("/")[2]: one.severity for one in found} == {
        "user": "low", "power": "low", "user-power": "medium", "user-key": "medium", "power-key": "medium",
        "user-key-power": "high", "user-password-power": "high",
    }  # fmt: skip


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov"])
def test_a_quarantine_is_told_once_and_of_the_user_in_its_partition(partition: str) -> None:
    """The quarantine makes its user suspicious, in whose name it is put there, and is no way in by that."""
    caller = user(arn=f"arn:{partition}:iam::{HOME}:user/ada")
    asked = {"userName": "ada", "policyArn": f"arn:{partition}:iam::aws:policy/AWSCompromisedKeyQuarantineV3"}
    quarantine = call(
        "AttachUserPolicy",
        "2026-11-23T10:00:00Z",
        caller,
        source="iam.amazonaws.com",
        requestParameters=asked,
    )
    with held([quarantine]) as case:
        (one,) = case.detect(rules=["key-quarantined", "lasting-access"])

    assert one.rule == "key-quarantined"
    assert one.principals == (caller["arn"],)


@pytest.mark.parametrize(
    ("version", "forbids"),
    [("", "new users, keys and instances"), ("V3", "GetSessionToken and much else"),
     ("V4", "a list of actions that is not known here")],
)  # fmt: skip
def test_a_quarantine_is_told_with_what_it_forbids(version: str, forbids: str) -> None:
    """AWS makes another one every few years (AWS Managed Policy Reference): what a new one denies is not guessed."""

    def made(place: World) -> None:
        policy = f"arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine{version}"
        ada(place).iam("AttachUserPolicy", userName="ada", policyArn=policy)

    (one,) = found(made, "key-quarantined")

    assert f"It forbids {forbids}" in one.why


def test_what_a_suspicious_user_leaves_is_told_in_words() -> None:
    """A quarantined user's own new key counts, and whom it puts into which group, and power given by inline policies."""
    place = world()
    key = ada(place)
    key.iam(
        "AttachUserPolicy", userName="ada", policyArn="arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    )
    key.creates_access_key()
    key.iam("AddUserToGroup", userName="cleo", groupName="Admins")
    for action in ("*", "s3:*"):
        allowed = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}],
        }
        key.iam("PutRolePolicy", roleName="Door", policyName="p", policyDocument=allowed)
    with held(place) as case:
        told = [one.why for one in case.detect(rules=["key-quarantined", "lasting-access"])]

    assert any(
        why.endswith(": a key for its own user, user cleo in group Admins and PutRolePolicy Door.")
        for why in told
    )


def test_the_first_of_several_sessions_that_stop_the_log_is_told_first() -> None:
    """Two sessions of a role stop it: the time is that of the first call, though the session behind it began later."""
    place = world()
    one, other = (ada(place).assumes("Admin", name) for name in ("one", "other"))
    for session in (other, one):
        place.wait(600)
        (first, *_) = session.calls("cloudtrail:StopLogging", {"name": "trail"}, read_only=False)
    with held(place) as case:
        (found,) = case.detect(rules=["logging-stopped"])

    assert found.subject == other.id
    assert found.events[0] != first["eventID"]


ORGANISATIONS, UNIT, ROOT = "organizations.amazonaws.com", "ou-abcd-12345678", "r-abcd"


@pytest.mark.parametrize(
    ("name", "asked", "by"),
    [
        ("DetachPolicy", {"policyId": "p-1", "targetId": UNIT}, AWAY),
        ("UpdatePolicy", {"policyId": "p-1", "content": allow()}, AWAY),
        ("MoveAccount", {"accountId": ACCOUNT, "sourceParentId": UNIT, "destinationParentId": ROOT}, AWAY),
        ("RemoveAccountFromOrganization", {"accountId": ACCOUNT}, AWAY),
        ("LeaveOrganization", {}, ACCOUNT),
        ("DisablePolicyType", {"policyType": "SERVICE_CONTROL_POLICY", "rootId": ROOT}, AWAY),
    ],
)
def test_each_way_out_from_under_a_control_is_told(name: str, asked: Json, by: str) -> None:
    """An account that was moved into a unit that is denied everything is let go by each of six calls."""
    into = {"accountId": ACCOUNT, "sourceParentId": ROOT, "destinationParentId": UNIT}
    steps: list[tuple[str, Json]] = [
        ("CreatePolicy", {"content": deny(), "type": "SERVICE_CONTROL_POLICY"}),
        ("AttachPolicy", {"policyId": "p-1", "targetId": UNIT}),
        ("MoveAccount", into),
    ]
    answer = {"policy": {"policySummary": {"id": "p-1"}}}
    done = [
        change(minute, step, request, response=answer, account=AWAY, event_source=ORGANISATIONS)
        for minute, (step, request) in enumerate(steps)
    ]
    last = change(9, name, asked, account=by, event_source=ORGANISATIONS)
    (one,) = lifted([*done, last])

    assert (one.by, one.before) == (last.event_id, done[-1].event_id)


_ALL, _WRITES = (
    {"field": "eventCategory", "equals": ["Management"]},
    {"field": "readOnly", "equals": ["false"]},
)
_OBJECTS = [
    {"field": "eventCategory", "equals": ["Data"]},
    {"field": "resources.type", "equals": ["AWS::S3::Object"]},
]


@pytest.mark.parametrize(
    ("call", "asked", "less"),
    [
        ("UpdateDetector", {"enable": False}, True),
        ("UpdateDetector", {"enable": True}, False),
        ("UpdateDetector", {}, False),
        ("UpdateTrail", None, True),
        ("UpdateTrail", {"name": "t", "kmsKeyId": "k", "enableLogFileValidation": True}, False),
        ("UpdateTrail", {"name": "t", "s3BucketName": "elsewhere"}, True),
        ("UpdateTrail", {"name": "t", "isMultiRegionTrail": False}, True),
        ("UpdateTrail", {"name": "t", "includeGlobalServiceEvents": False}, True),
        ("UpdateTrail", {"name": "t", "enableLogFileValidation": False}, True),
        ("UpdateTrail", {"name": "t", "isOrganizationTrail": False}, True),
        ("PutEventSelectors", {"eventSelectors": [{"readWriteType": "WriteOnly"}]}, True),
        ("PutEventSelectors", {"eventSelectors": [{"includeManagementEvents": False}]}, True),
        ("PutEventSelectors", {"eventSelectors": [{"excludeManagementEventSources": ["kms.amazonaws.com"]}]}, True),
        ("PutEventSelectors", {"eventSelectors": [{"readWriteType": "WriteOnly"}, {"dataResources": []}]}, False),
        ("PutEventSelectors", {"eventSelectors": "x", "advancedEventSelectors": ["x", {"fieldSelectors": "x"}]}, True),
        ("PutEventSelectors", {"advancedEventSelectors": [{"fieldSelectors": [_ALL | {"notEquals": []}]}]}, False),
        ("PutEventSelectors", {"advancedEventSelectors": [{"fieldSelectors": [_ALL, _WRITES]}]}, True),
        ("PutEventSelectors", {"advancedEventSelectors": [{"fieldSelectors": [_ALL]}, {"fieldSelectors": [*_OBJECTS, _WRITES]}]}, False),
        ("PutEventSelectors", {"advancedEventSelectors": [{"name": "Management", "fieldSelectors": _OBJECTS}]}, True),
    ],
)  # fmt: skip
def test_less_is_logged_where_management_events_are_left_out(
    call: str, asked: Json | None, less: bool
) -> None:
    """Which data events are logged besides does not matter, nor what a selector is called, which a thief may choose."""
    assert less == narrows(call, asked)


@pytest.mark.parametrize(("factor", "count"), [("false", 1), ("true", 0)])
def test_a_users_token_whose_minting_was_not_seen_mints_too(factor: str, count: int) -> None:
    """A user's temporary credential that is no console's takes up a role: the evidence begins after it was minted."""
    attributes = {"creationDate": "2026-11-23T08:00:00Z", "mfaAuthenticated": factor}
    token = user(key="ASIAIOSFODNN7EXAMPLE", sessionContext={"attributes": attributes})
    with held([assume_role(caller=token)]) as case:
        found = case.detect(rules=["token-mints-tokens"])

    assert len(found) == count
    assert all("(temporary credential of user/ada)" in one.why for one in found)


@pytest.mark.parametrize(
    ("home", "severity"), [("3.225.16.7", "high"), ("10.0.1.5", "medium"), ("2600:1f18::7", "medium")]
)
def test_a_hosts_other_way_out_is_told_as_less_than_another_place(home: str, severity: str) -> None:
    """A host calls some services by an endpoint of its VPC, or by IPv6, and others by its public address."""
    place = world()
    host = place.instance("Web", ip=home)
    host.calls("ssm:UpdateInstanceInformation", count=3)
    host.seen_from("203.0.113.77", "Boto3/1.35").calls("dynamodb:ListTables")
    with held(place) as case:
        (one,) = case.detect(rules=["stolen-workload"])

    assert one.severity == severity


def test_a_thief_who_stays_in_a_host_is_told_of() -> None:
    """
    The host's next sessions are used from the same address, one before the host uses it: its own is not the strange one.

    What is told first is the session that was stolen first, though another is older.
    """
    place = world()
    older = place.instance("Web", ip="3.225.16.8")
    place.wait(60)
    host = place.instance("Web", ip="3.225.16.7")
    stolen = []
    for _ in range(2):
        host.calls("s3:ListBuckets", count=3)
        host.seen_from("203.0.113.77", "Boto3/1.35").calls("s3:ListBuckets")
        stolen.append(host.id)
        place.wait(6 * 3600)
        host = host.rotates()
    host.seen_from("203.0.113.77", "Boto3/1.35").calls("s3:ListBuckets")
    host.calls("s3:ListBuckets", count=3)
    older.calls("s3:ListBuckets")
    older.seen_from("203.0.112.78", "curl/8").calls("s3:ListBuckets")
    with held(place) as case:
        (one,) = case.detect(rules=["stolen-workload"])
    said = io.StringIO()
    write_findings([one], TextWriter(said))

    assert (stolen[0], {older.id, *stolen, host.id}) == (one.subject, set(one.credentials))
    assert "3.225.16.7 at" not in one.why
    assert re.search(rf"credentials +{stolen[0]}, {older.id}", said.getvalue())


OTHERS = "999988887777"


@pytest.mark.parametrize(
    ("principal", "condition", "whom"),
    [
        ({"AWS": [f"arn:aws:iam::{OTHERS}:root", AWAY]}, None, {OTHERS, AWAY}),
        ({"Service": "ec2.amazonaws.com"}, None, set()),
        ("*", None, {"*"}),
        ("*", {"StringEquals": {"aws:PrincipalAccount": [OTHERS, AWAY]}}, {OTHERS, AWAY}),
        ("*", {"ArnLike": {"aws:PrincipalArn": [f"arn:aws:iam::{OTHERS}:role/x", "arn:aws:iam::*:role/x"]}}, {"*"}),
        ("*", {"StringNotEquals": {"aws:PrincipalAccount": OTHERS}}, {"*"}),
        ("*", {"Bool": {"x": "true"}, "StringEquals": {"sts:ExternalId": "y", "aws:PrincipalOrgID": "o-1"}}, set()),
        ("*", {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, {"*"}),
    ],
)  # fmt: skip
def test_whom_a_policy_lets_in(principal: object, condition: object, whom: set[str]) -> None:
    """Accounts that are named, and anybody unless each value of a condition tells whose the caller is."""
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": principal,
        "Condition": condition or {},
    }

    assert whom == let_in(
        json.dumps({"Statement": [statement, statement | {"Effect": "Deny", "Principal": "*"}]})
    )


def test_a_policy_that_a_pipeline_decoded_grants_what_its_text_does() -> None:
    """Some logs hold a session policy as an object, where AWS writes it as text."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}

    assert grants_all({"Version": "2012-10-17", "Statement": [statement]})
    assert not grants_all({"Version": "2012-10-17", "Statement": [{**statement, "Effect": "Deny"}]})


def test_a_customised_subject_is_read_for_whose_it_is() -> None:
    """Its claims stand in any order; what only one of two tells compares them in nothing, and pods are nobody's builds."""
    main, shared = "ref:refs/heads/main", "job_workflow_ref:example/ci/a.yml@main"
    strange = [
        ("repository:example/shop:environment:live", "repository:mallory/shop:environment:live"),
        (f"{shared}:repo:example/shop", f"{shared}:repo:mallory/shop"),
        ("environment:live:repository_owner_id:4711", "environment:live:repository_owner_id:815"),
        (f"repository_id:1:{main}", f"repository_id:2:{main}"),
    ]
    alike = [
        ("repository:example/shop:environment:live", "environment:live:repo:Example/other"),
        (f"repo:example/shop:{main}", "repository_owner_id:4711"),
        ("repository_id:1:repository_owner:example", "repository_id:2:repository_owner:example"),
        ("system:serviceaccount:repository:web", "system:serviceaccount:repository:mail"),
    ]
    place = World(START)
    for turn in range(4):
        for number, (own, other) in enumerate((*strange, *alike)):
            place.oidc(f"Role{number}", other if turn == 3 else own)
        place.wait(minutes=2 * 1440)
    with held(place) as case:
        told = case.detect(rules=["strange-repository"])

    assert [f"for {other!r}; all" in one.why for (_, other), one in zip(strange, told, strict=True)] == [
        True
    ] * 4
    assert "for builds of repository 1." in told[-1].why


def test_whose_name_was_taken_up_is_told_by_the_number() -> None:
    """The name is the same: of a build of example's, "all before were for builds of example" says nothing."""
    world = World(START)
    for number in (4711, 4711, 4711, 815):
        world.oidc("Release", f"repo:example@{number}/shop@1:ref:refs/heads/main")
        world.wait(minutes=2 * 1440)
    with held(world) as case:
        [one] = case.detect(rules=["strange-repository"])

    assert "for 'repo:example@815/shop@1:" in one.why and one.why.endswith("for builds of example@4711.")


def test_reads_that_name_no_secret_make_nothing_suspicious() -> None:
    """A role that renews its own session, as some libraries do, and reads ninety times what the log does not name."""
    world = World(START)
    for _ in range(4):
        task = world.task("Orders")
        renewed = task.assumes("Orders", "orders").seen_from(task.ip, "Boto3/1.40.44")
        renewed.calls("secretsmanager:GetSecretValue", count=90)
        world.wait(minutes=2 * 1440)
    with held(world) as case:
        found = case.detect()

    assert [(one.rule, one.severity) for one in found] == [("self-assumption", "low")]


def test_what_a_robbed_task_did_is_told_of_the_task_and_not_of_who_started_it() -> None:
    """Whoever started tasks is the subject of no finding about what one did; each is a story of its own."""
    world = World(START)
    starter = world.user("ci").assumes("Deploy", "ci")
    tasks = [starter.runs_task("Web") for _ in range(2)]
    for task in tasks:
        task.assumes("Admin", "x").gets_signin_token()
        task.gets_scoped_credentials().assumes("Reader", "x")
    with held(world) as case:
        told = case.detect(rules=(rules := ["console-from-key", "token-mints-tokens"]))

    assert {(one.rule, one.subject) for one in told} == {(rule, task.id) for rule in rules for task in tasks}
    assert starter.id not in {id for one in told for id in one.credentials}
