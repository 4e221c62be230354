"""
For each rule: evidence that it must find, and evidence that is near it and must be left alone.

Each case is a function that acts in a fresh world; its docstring says what happens.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from rule_cases import EKS, ELSEWHERE, FARTHER, GATEWAY, HOUSE, TOOL, ada, becomes_habit, fires, spares

from evidence import AWAY, HOME, START
from tokentrail.testing import Credential, World
from tokentrail.testing.administration import revoke_older_sessions
from tokentrail.testing.credential import LongTermKey
from tokentrail.testing.names import Json
from tokentrail.testing.records import BROWSER

# ---------------------------------------------------------------- two-networks


@fires("two-networks", "high")
def stolen_key_in_turn(world: World) -> None:
    """A thief uses the key while its owner does."""
    key = ada(world)
    key.seen_from(ELSEWHERE, TOOL).calls("sts:GetCallerIdentity")
    key.calls("ec2:DescribeInstances")


@fires("two-networks", "high")
def stolen_key_from_exit_to_exit(world: World) -> None:
    """A thief leaves a tunnel by one exit and then by another, while the owner uses the key."""
    key = ada(world)
    for place in (ELSEWHERE, "198.51.100.7"):
        key.seen_from(place, TOOL).calls("sts:GetCallerIdentity")
    key.calls("ec2:DescribeInstances")


@spares("two-networks")
def long_gone_to_another(world: World) -> None:
    """Who moves on from the new network to another, and comes back to the old one the next day, is no two people."""
    key = ada(world)
    key.seen_from(ELSEWHERE, TOOL).calls("sts:GetCallerIdentity")
    key.seen_from("198.51.100.7", TOOL).calls("sts:GetCallerIdentity")
    world.wait(hours=14)
    key.calls("ec2:DescribeInstances")


@fires("two-networks", "high")
def stolen_key_of_years(world: World) -> None:
    """An owner who moved to another network each season, and a thief who uses the key while its owner does."""
    key = ada(world)
    for home in range(1, 6):
        world.wait(hours=24 * 90)
        key = key.seen_from(f"198.{home}.100.7")
        key.calls("ec2:DescribeInstances", count=3)
    key.seen_from(ELSEWHERE, TOOL).calls("sts:GetCallerIdentity")
    key.calls("ec2:DescribeInstances")


@fires("two-networks", "high")
def stolen_key_of_a_commuter(world: World) -> None:
    """An owner who was on a train the day before, with one tool, and a thief who uses the key while its owner does."""
    key = ada(world)
    key.seen_from("198.51.100.7").calls("ec2:DescribeInstances", count=3)
    key.calls("ec2:DescribeInstances")
    world.wait(hours=24)
    key.calls("ec2:DescribeInstances")
    key.seen_from(ELSEWHERE, TOOL).calls("sts:GetCallerIdentity")
    key.calls("ec2:DescribeInstances")


@spares("two-networks")
def in_many_hands(world: World) -> None:
    """A key in a program on many machines, each with its tools, in each season."""
    key = ada(world)
    for place in range(18):
        key.seen_from(f"203.{place}.113.9", f"agent/{place}").calls("s3:ListBuckets")
        key.calls("ec2:DescribeInstances")
        world.wait(hours=24 * 5)


@fires("two-networks", "high")
def published_key(world: World) -> None:
    """A key that is published is used within hours from ten networks by ten tools, and by its owner no more."""
    key = ada(world)
    world.wait(hours=30)
    for place in range(10):
        key.seen_from(f"203.{place}.113.9", f"aws-cli/1.{place}.7 Linux").calls("sts:GetCallerIdentity")
        world.wait(minutes=20)


@fires("two-networks", "high")
def published_before_the_evidence(world: World) -> None:
    """Of a key that was published before, all is new on the first day: it is told by twice as many networks and tools."""
    key = world.user("ada", ip="203.0.113.9")
    for place in range(20):
        key.seen_from(f"203.{place}.113.9", f"[Boto3/1.{place}.7 Linux]").calls("s3:ListBuckets")
        world.wait(minutes=5)


@spares("two-networks")
def shared_key(world: World) -> None:
    """A team of ten shares a key from the first day on, and goes on to."""
    for _ in range(3):
        for place in range(10):
            key = world.user("ada").seen_from(f"203.{place}.113.9", f"aws-cli/2.{place}.7 Linux")
            key.calls("s3:ListBuckets")
        world.wait(hours=24)


@spares("two-networks")
def runners_of_a_day(world: World) -> None:
    """
    A pipeline's key, known for days, is used from a dozen new networks in a day, with the pipeline's two tools; the six
    others that are new to it came at home the day before, or the day after.
    """
    key = ada(world)
    world.wait(hours=30)
    _tries(key, "before")
    world.wait(hours=30)
    for place in range(12):
        key.seen_from(f"203.{place}.113.9", f"tool-{place % 2}/1.0").calls("s3:ListBuckets")
    world.wait(hours=30)
    _tries(key, "after")
    key.seen_from("198.51.100.7", "tool-0/1.0").calls("s3:ListBuckets")


def _tries(key: LongTermKey, what: str) -> None:
    """Six tools at home, one after the other."""
    for number in range(6):
        key.seen_from(HOUSE, f"{what}-{number}/1.0").calls("s3:ListBuckets")


@spares("two-networks")
def moved_for_good(world: World) -> None:
    """A user moves to another network and stays there."""
    key = ada(world)
    key.seen_from(ELSEWHERE).calls("ec2:DescribeInstances", count=9)


@spares("two-networks")
def laptop_on_the_train(world: World) -> None:
    """One tool is used from the office, from a train, and from the office again."""
    key = ada(world)
    key.seen_from(ELSEWHERE).calls("ec2:DescribeInstances", count=3)
    key.calls("ec2:DescribeInstances")


@spares("two-networks")
def gateway_and_endpoint(world: World) -> None:
    """A pod's programs call by a gateway and by an endpoint of the VPC in turn."""
    key = ada(world)
    key.seen_from("10.9.8.7", TOOL).calls("ec2:DescribeInstances", count=3)
    key.calls("ec2:DescribeInstances")


@spares("two-networks")
def neighbours(world: World) -> None:
    """Two addresses of one network are used in turn."""
    key = ada(world)
    key.seen_from("192.0.2.99").calls("ec2:DescribeInstances")
    key.calls("ec2:DescribeInstances")


@spares("two-networks")
def runner(world: World) -> None:
    """A pipeline's key is used from many networks, as hosted runners do."""
    key = ada(world)
    for number in range(8):
        key.seen_from(f"{20 + number}.7.1.1").calls("ec2:DescribeInstances")
        key.calls("ec2:DescribeInstances")


# ---------------------------------------------------------------- session-token-back-door


@fires("session-token-back-door", "medium")
def back_door(world: World) -> None:
    """A token for 36 hours is minted from afar, without a second factor."""
    key = ada(world)
    key.seen_from(ELSEWHERE, TOOL).gets_session_token(duration=129600)


@spares("session-token-back-door")
def tool_with_mfa(world: World) -> None:
    """A tool asks for a second factor, from a new place, for long."""
    key = ada(world)
    token = key.seen_from(ELSEWHERE).gets_session_token(
        duration=129600, mfa_serial=f"arn:aws:iam::{HOME}:mfa/ada"
    )
    token.assumes("Deploy", "ada")


@spares("session-token-back-door")
def daily_token(world: World) -> None:
    """A script mints a token of the default life at home and uses it at once."""
    key = ada(world)
    for _ in range(3):
        key.gets_session_token().calls("s3:ListBuckets")
        world.wait(4000)


# ---------------------------------------------------------------- token-mints-tokens


@fires("token-mints-tokens", "medium")
def token_mints(world: World) -> None:
    """A session token without a second factor takes up a role."""
    ada(world).gets_session_token().assumes("Deploy", "x")


@spares("token-mints-tokens")
def mfa_token_mints(world: World) -> None:
    """A session token with a second factor takes up a role, as tools do; a federated user goes into the console."""
    ada(world).gets_session_token(mfa_serial=f"arn:aws:iam::{HOME}:mfa/ada").assumes("Deploy", "x")
    world.user("bea").gets_federation_token("helper").gets_signin_token().calls("s3:ListBuckets")


@becomes_habit("token-mints-tokens")
def tool_mints_every_day(world: World) -> None:
    """A pipeline's key mints a token, and by it a role session, four times a day in two weeks of five days."""
    for week in range(2):
        world.wait(week * 2 * 86400)
        for _ in range(20):
            _mints_by_a_token(world, world.user("ci", ip=HOUSE))
            world.wait(86400 / 4)


def _mints_by_a_token(world: World, key: LongTermKey, **options: str) -> None:
    key.gets_session_token(**options).assumes("Deploy", "x").calls("s3:ListBuckets")


@fires("token-mints-tokens", "medium")
def without_the_usual_factor(world: World) -> None:
    """Tokens with a second factor mint every day, and then one without."""
    for _ in range(5):
        _mints_by_a_token(world, ada(world), mfa_serial=f"arn:aws:iam::{HOME}:mfa/ada")
        world.wait(86400)
    _mints_by_a_token(world, ada(world))


@fires("token-mints-tokens", "medium")
def mints_on_two_days(world: World) -> None:
    """Two tokens of a user mint, a day apart: one story, as a day is too short to be a habit."""
    for _ in range(2):
        _mints_by_a_token(world, ada(world))
        world.wait(86400)


@spares("token-mints-tokens")
def short_history(world: World) -> None:
    """A role takes up another; the case holds too few days to call it new."""
    ada(world).assumes("Build", "x").assumes("Deploy", "x")


@fires("token-mints-tokens", "low")
def unheard_of_chain(world: World) -> None:
    """A role takes up another for the first time in five days."""
    build = ada(world).assumes("Build", "x")
    build.calls("s3:ListBuckets")
    world.wait(5 * 86400)
    ada(world).assumes("Build", "x").assumes("Deploy", "x")


@spares("token-mints-tokens")
def designed_chain(world: World) -> None:
    """A role takes up another every day."""
    for _ in range(6):
        ada(world).assumes("Build", "x").assumes("Deploy", "x")
        world.wait(86400)


# ---------------------------------------------------------------- bulk-read


def _reads(world: World, name: str, count: int) -> None:
    session = world.user(name).assumes("Data", name)
    session.calls("s3:GetObject", {"bucketName": "loot", "key": "k-{n}"}, count=count, bytes_out=5_000_000)


@fires("bulk-read", "high")
def copies_all(world: World) -> None:
    """One session reads two hundred objects where others read three."""
    _reads(world, "bea", 3)
    _reads(world, "ada", 200)


@fires("bulk-read", "high")
def copies_into_another_bucket(world: World) -> None:
    """One session has S3 copy two hundred objects into a bucket of somebody else's, where others read three."""
    _reads(world, "bea", 3)
    session = world.user("ada").assumes("Data", "ada")
    session.calls("s3:CopyObject", {"bucketName": "elsewhere", "key": "{n}"}, count=200)


@fires("bulk-read", "high")
def a_pipelines_task_copies_all(world: World) -> None:
    """Of the tasks that one key starts, one reads two hundred objects where those before read three."""
    key = world.user("ci")
    for count in (3, 200):
        task = key.runs_task("Data")
        task.calls("s3:GetObject", {"bucketName": "loot", "key": "k-{n}"}, count=count, bytes_out=5_000_000)


@spares("bulk-read")
def all_read_much(world: World) -> None:
    """Every session of the role reads two hundred objects; those of another much, in a few objects or in many."""
    _reads(world, "bea", 190)
    _reads(world, "ada", 200)
    for name, count in (("bea", 3), ("ada", 40)):
        session = world.user(name).assumes("Media", name)
        session.calls(
            "s3:GetObject", {"bucketName": "films", "key": "{n}"}, count=count, bytes_out=10**9 // count
        )


@spares("bulk-read")
def reads_some(world: World) -> None:
    """A session reads ten times what others do, which is still little."""
    _reads(world, "bea", 3)
    _reads(world, "ada", 40)


# ---------------------------------------------------------------- keys that are cut


@fires("outlived-key", "high")
def goes_on(world: World) -> None:
    """A role session goes on after its key was made inactive."""
    key = ada(world)
    session = key.assumes("Deploy", "x")
    world.user("root-cause").deactivates(key)
    world.wait(60)
    session.calls("s3:ListBuckets")


@spares("outlived-key")
def stops(world: World) -> None:
    """A role session is not used after its key was deleted, but for asking who it is."""
    key = ada(world)
    session = key.assumes("Deploy", "x")
    session.calls("s3:ListBuckets")
    world.user("bea").deletes(key)
    session.calls("sts:GetCallerIdentity")
    session.denied("s3:ListBuckets")


@spares("outlived-key")
def made_for_another(world: World) -> None:
    """What acts through a key that the deleted key once made is another person's."""
    key = ada(world)
    other = key.creates_access_key(world.user("cleo"))
    world.user("bea").deletes(key)
    other.calls("s3:ListBuckets", count=3)


@spares("outlived-key")
def reactivated(world: World) -> None:
    """A key is made active again, and works."""
    key = ada(world)
    session = key.assumes("Deploy", "x")
    admin = world.user("bea")
    admin.deactivates(key)
    admin.iam("UpdateAccessKey", userName="ada", accessKeyId=key.key_id, status="Active")
    session.calls("s3:ListBuckets")


@fires("minted-before-the-cut", "high")
def minted_before(world: World) -> None:
    """A session token is minted ten minutes before its key is deleted."""
    key = ada(world)
    key.gets_session_token()
    world.wait(600)
    world.user("bea").deletes(key)


@spares("minted-before-the-cut")
def rotated_in_good_order(world: World) -> None:
    """A key is replaced by the user's next one, where both work as they did days ago, while a session goes on."""
    key = ada(world)
    world.wait(3 * 86400)
    job = key.assumes("Deploy", "x")
    key.creates_access_key().seen_from(HOUSE).calls("ec2:DescribeInstances")
    world.wait(600)
    world.user("bea").deletes(key)
    job.calls("s3:ListBuckets")


@fires("minted-before-the-cut", "medium")
def second_key_of_a_thief(world: World) -> None:
    """A thief makes a second key at an address of its own, and its session outlives the first."""
    key = ada(world)
    thief = key.seen_from(ELSEWHERE, TOOL)
    session = thief.assumes("Deploy", "x")
    thief.creates_access_key().seen_from(ELSEWHERE, TOOL).calls("s3:ListBuckets")
    world.wait(600)
    world.user("bea").deletes(key)
    session.calls("s3:ListBuckets")


@fires("minted-before-the-cut", "low")
def role_minted_before(world: World) -> None:
    """A role session, which nobody uses, is minted ten minutes before the key of a user who has no other is deleted."""
    key = ada(world)
    key.assumes("Deploy", "x")
    world.wait(600)
    world.user("bea").deletes(key)


@spares("minted-before-the-cut")
def minted_long_before(world: World) -> None:
    """A session token is minted half a day before its key is deleted."""
    key = ada(world)
    key.gets_session_token()
    world.wait(43200)
    world.user("bea").deletes(key)


@spares("minted-before-the-cut")
def key_goes_on(world: World) -> None:
    """A session token is minted and the key lives on."""
    ada(world).gets_session_token()


# ---------------------------------------------------------------- revocations


@fires("used-after-revocation", "high")
def revocation_fails(world: World) -> None:
    """A session works an hour after its role's sessions were revoked."""
    session = ada(world).assumes("Deploy", "x", duration=43200)
    world.user("bea").revokes_sessions("Deploy")
    world.wait(3600)
    session.calls("s3:ListBuckets")


@fires("used-after-revocation", "high")
def renamed_user_goes_on(world: World) -> None:
    """A key works an hour after its user was denied everything, under the name that the user has since."""
    admin = world.user("bea")
    stop = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    admin.iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=stop)
    admin.iam("UpdateUser", userName="ada", newUserName="lovelace")
    world.wait(3600)
    world.user("lovelace", ip=HOUSE).calls("s3:ListBuckets")


@fires("used-after-revocation", "high")
def goes_on_under_a_control(world: World) -> None:
    """A session works an hour after an SCP denied its account everything."""
    session = ada(world).assumes("Deploy", "x", duration=43200)
    contained_by_control(world)
    world.wait(3600)
    session.calls("s3:ListBuckets")


@fires("used-after-revocation", "high")
def deleted_key_says_who_it_is(world: World) -> None:
    """A key that was deleted an hour ago asks who it is, and is answered, though it can sign nothing."""
    key = ada(world)
    world.user("bea").deletes(key)
    world.wait(3600)
    key.calls("sts:GetCallerIdentity")


@spares("used-after-revocation")
def denied_user_says_who_it_is(world: World) -> None:
    """A key whose user was denied everything an hour ago asks who it is, which no policy can deny."""
    key = ada(world)
    key.calls("s3:ListBuckets")
    stop = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
    world.user("bea").iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=stop)
    world.wait(3600)
    key.calls("sts:GetCallerIdentity")


@spares("used-after-revocation")
def service_goes_on_for_it(world: World) -> None:
    """A service goes on with what a session had asked of it before its role's sessions were revoked."""
    session = ada(world).assumes("Deploy", "x", duration=43200)
    world.user("bea").revokes_sessions("Deploy")
    world.wait(3600)
    session.via("cloudformation.amazonaws.com").calls("s3:ListBuckets")


@spares("used-after-revocation")
def revocation_bites(world: World) -> None:
    """A session works for two seconds more, then is refused, and may still ask who it is."""
    session = ada(world).assumes("Deploy", "x", duration=43200)
    world.user("bea").revokes_sessions("Deploy")
    session.calls("s3:ListBuckets")
    world.wait(3600)
    session.denied("s3:ListBuckets", explicit=True)
    session.calls("sts:GetCallerIdentity")


@spares("used-after-revocation")
def minted_later(world: World) -> None:
    """A session that was issued after the cutoff works."""
    world.user("bea").revokes_sessions("Deploy")
    world.wait(60)
    ada(world).assumes("Deploy", "x").calls("s3:ListBuckets")


@fires("minted-again", "critical")
def comes_back(world: World) -> None:
    """A session token takes up the role again, from elsewhere, after the key's session of it was revoked."""
    key = ada(world)
    token = key.gets_session_token()
    key.assumes("Deploy", "x")
    world.user("bea").revokes_sessions("Deploy")
    world.wait(60)
    token.seen_from(ELSEWHERE).assumes("Deploy", "x")


@spares("minted-again")
def colleague_comes_back(world: World) -> None:
    """A colleague signs in again after a revocation, as she did before."""
    ria = world.identity_center("ria@example.com", "Support", account=HOME)
    ria.assumes("Deploy", "ria").calls("s3:ListBuckets")
    world.user("bea").revokes_sessions("Deploy")
    world.wait(60)
    ria.assumes("Deploy", "ria").calls("s3:ListBuckets")


@spares("minted-again")
def pipeline_comes_back(world: World) -> None:
    """A pipeline's key that takes up the role every quarter of an hour goes on doing so."""
    key = ada(world)
    for _ in range(4):
        key.assumes("Deploy", "x")
        world.wait(900)
    world.user("bea").revokes_sessions("Deploy")
    world.wait(60)
    key.assumes("Deploy", "x")


@fires("containment-undone", "medium")
def revocation_lifted(world: World) -> None:
    """Somebody else deletes the revocation five seconds later."""
    world.user("bea").revokes_sessions("Deploy")
    ada(world).iam("DeleteRolePolicy", roleName="Deploy", policyName="AWSRevokeOlderSessions")


@fires("containment-undone", "medium")
def key_made_active(world: World) -> None:
    """Somebody else makes a key active again."""
    key = ada(world)
    world.user("bea").deactivates(key)
    world.user("cleo").iam("UpdateAccessKey", userName="ada", accessKeyId=key.key_id, status="Active")


@fires("containment-undone", "medium")
def api_key_made_active(world: World) -> None:
    """Somebody else makes an API key active again that a responder had deactivated."""
    key = ada(world)
    named = {"serviceSpecificCredentialId": key.creates_api_key(key.user).id, "userName": "ada"}
    world.user("bea").iam("UpdateServiceSpecificCredential", **named, status="Inactive")
    world.user("cleo").iam("UpdateServiceSpecificCredential", **named, status="Active")


@spares("containment-undone")
def new_api_key_made_active(world: World) -> None:
    """An API key that was made within the evidence, and that nobody has deactivated since, is made active."""
    key = ada(world)
    named = {
        "serviceSpecificCredentialId": key.creates_api_key(key.user, shows_id=True).id,
        "userName": "ada",
    }
    world.user("cleo").iam("UpdateServiceSpecificCredential", **named, status="Active")


@fires("containment-undone", "critical")
def quarantine_detached(world: World) -> None:
    """A user detaches AWS's quarantine from itself."""
    arn = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    ada(world).iam("DetachUserPolicy", userName="ada", policyArn=arn)


@spares("containment-undone")
def own_step_lifted(world: World) -> None:
    """Responders take back steps of their own, one by a key and one by a role's session."""
    bea, session = world.user("bea"), world.user("cleo").assumes("Responder", "cleo", duration=43200)
    bea.revokes_sessions("Deploy")
    session.revokes_sessions("Build")
    world.wait(7200)
    bea.iam("DeleteRolePolicy", roleName="Deploy", policyName="AWSRevokeOlderSessions")
    session.iam("DeleteRolePolicy", roleName="Build", policyName="AWSRevokeOlderSessions")


@spares("containment-undone")
def ordinary_policy_deleted(world: World) -> None:
    """An ordinary inline policy that allows something is deleted by somebody else."""
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    world.user("bea").iam("PutRolePolicy", roleName="Deploy", policyName="p", policyDocument=allow)
    ada(world).iam("DeleteRolePolicy", roleName="Deploy", policyName="p")


@fires("containment-undone", "medium")
def control_detached(world: World) -> None:
    """Somebody else in the management account detaches the SCP that denies an account everything."""
    world.user("ada").calls("s3:ListBuckets")
    contained_by_control(world)
    organise(world, "cleo", "DetachPolicy", policyId="p-quarantine", targetId=HOME)


@fires("containment-undone", "medium")
def controls_switched_off(world: World) -> None:
    """Somebody else switches all SCPs off."""
    contained_by_control(world)
    organise(world, "cleo", "DisablePolicyType", policyType="SERVICE_CONTROL_POLICY", rootId="r-abcd")


@spares("containment-undone")
def own_control_detached(world: World) -> None:
    """The responder takes the SCP off again; a guardrail against some regions is anybody's to change."""
    contained_by_control(world)
    organise(world, "bea", "DetachPolicy", policyId="p-quarantine", targetId=HOME)
    contained_by_control(
        world, Condition={"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}, Action="ec2:*"
    )
    organise(world, "cleo", "DetachPolicy", policyId="p-quarantine", targetId=HOME)


def contained_by_control(world: World, **elements: Any) -> None:
    """A responder denies an account everything by an SCP."""
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"} | elements
    content = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = {"policy": {"policySummary": {"id": "p-quarantine", "type": "SERVICE_CONTROL_POLICY"}}}
    organise(world, "bea", "CreatePolicy", made, content=content, type="SERVICE_CONTROL_POLICY")
    organise(world, "bea", "AttachPolicy", policyId="p-quarantine", targetId=HOME)


def organise(world: World, who: str, name: str, answer: Json | None = None, **asked: str) -> None:
    """A call of somebody in the management account."""
    world.account("999988887777").user(who).calls(f"organizations:{name}", asked, response=answer)


DENY_ALL = "arn:aws:iam::aws:policy/AWSDenyAll"
CLOSED: Json = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}],
}


def own_policy(world: World, name: str, document: Json) -> str:
    """A responder writes a policy of the account's own."""
    world.user("bea").iam("CreatePolicy", policyName=name, policyDocument=document)
    return f"arn:aws:iam::{HOME}:policy/{name}"


@fires("containment-undone", "critical")
def user_boundary_removed(world: World) -> None:
    """A user removes the boundary that denies it all, which a responder had set."""
    key = ada(world)
    world.user("bea").iam("PutUserPermissionsBoundary", userName="ada", permissionsBoundary=DENY_ALL)
    key.iam("DeleteUserPermissionsBoundary", userName="ada")


@fires("containment-undone", "medium")
def role_boundary_removed(world: World) -> None:
    """Somebody else removes the boundary that denies a role all."""
    world.user("bea").iam("PutRolePermissionsBoundary", roleName="Deploy", permissionsBoundary=DENY_ALL)
    world.user("cleo").iam("DeleteRolePermissionsBoundary", roleName="Deploy")


@fires("containment-undone", "medium")
def boundary_replaced(world: World) -> None:
    """Somebody else sets another boundary in the place of an own policy that denies all."""
    bound = own_policy(world, "Closed", CLOSED)
    world.user("bea").iam("PutRolePermissionsBoundary", roleName="Deploy", permissionsBoundary=bound)
    other = "arn:aws:iam::aws:policy/AdministratorAccess"
    world.user("cleo").iam("PutRolePermissionsBoundary", roleName="Deploy", permissionsBoundary=other)


@fires("containment-undone", "medium")
def own_denial_detached(world: World) -> None:
    """Somebody else detaches a policy of the account's own that denies all."""
    arn = own_policy(world, "Closed", CLOSED)
    world.user("bea").iam("AttachUserPolicy", userName="ada", policyArn=arn)
    world.user("cleo").iam("DetachUserPolicy", userName="ada", policyArn=arn)


@fires("containment-undone", "medium")
def own_denial_detached_from_a_role(world: World) -> None:
    """The same of a role, by a policy that denied nothing until its second version."""
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    arn = own_policy(world, "Switch", allow)
    world.user("bea").iam("CreatePolicyVersion", policyArn=arn, policyDocument=CLOSED, setAsDefault=True)
    world.user("bea").iam("AttachRolePolicy", roleName="Deploy", policyArn=arn)
    world.user("cleo").iam("DetachRolePolicy", roleName="Deploy", policyArn=arn)


@fires("containment-undone", "critical")
def revocation_of_less(world: World) -> None:
    """A role's session writes the revocation anew, with a cutoff of years ago: IAM overwrites what bears the name."""
    session = ada(world).assumes("Deploy", "x")
    world.user("bea").revokes_sessions("Deploy")
    old = revoke_older_sessions(START - timedelta(days=900))
    session.iam("PutRolePolicy", roleName="Deploy", policyName="AWSRevokeOlderSessions", policyDocument=old)


@fires("containment-undone", "critical")
def denial_of_less(world: World) -> None:
    """A user puts a denial of a single call in the place of that of all."""
    less = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:Get*", "Resource": "*"}]}
    world.user("bea").iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=CLOSED)
    ada(world).iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=less)


@fires("containment-undone", "critical")
def denying_policy_opened(world: World) -> None:
    """A policy that denies all to a user and a role gets a version that denies nothing: one event, one finding."""
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    key = ada(world)
    arn = own_policy(world, "Closed", CLOSED)
    world.user("bea").iam("AttachUserPolicy", userName="ada", policyArn=arn)
    world.user("bea").iam("PutRolePermissionsBoundary", roleName="Deploy", permissionsBoundary=arn)
    key.iam("CreatePolicyVersion", policyArn=arn, policyDocument=allow, setAsDefault=True)


@spares("containment-undone")
def denials_of_no_less(world: World) -> None:
    """
    A colleague moves a revocation's cutoff on, adds to a denial of all, writes a version that denies all, and opens a
    policy that is attached to nobody.
    """
    wider = {
        "Version": "2012-10-17",
        "Statement": [*CLOSED["Statement"], {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}],
    }
    bea, cleo = world.user("bea"), world.user("cleo")
    bea.revokes_sessions("Deploy")
    world.wait(60)
    cleo.revokes_sessions("Deploy")
    for who, document in ((bea, CLOSED), (cleo, wider)):
        who.iam("PutUserPolicy", userName="ada", policyName="Stop", policyDocument=document)
    arn = own_policy(world, "Closed", CLOSED)
    bea.iam("AttachUserPolicy", userName="ada", policyArn=arn)
    cleo.iam("CreatePolicyVersion", policyArn=arn, policyDocument=wider, setAsDefault=True)
    other = own_policy(world, "Other", CLOSED)
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    cleo.iam("CreatePolicyVersion", policyArn=other, policyDocument=allow, setAsDefault=True)


@fires("containment-undone", "low")
def key_made_active_that_was_cut_before(world: World) -> None:
    """Somebody else makes a key active, which then works; who deactivated it lies before the evidence."""
    key = world.user("ada", ip=HOUSE)
    world.user("cleo").iam("UpdateAccessKey", userName="ada", accessKeyId=key.key_id, status="Active")
    key.calls("ec2:DescribeInstances")


@fires("containment-undone", "critical")
def own_other_key_made_active(world: World) -> None:
    """A user's second key makes the first active again, which a responder had cut, without naming its user."""
    key = ada(world)
    second = key.creates_access_key()
    world.user("bea").deactivates(key)
    request = {"accessKeyId": key.key_id, "status": "Active"}
    second.calls("iam:UpdateAccessKey", request, read_only=False)


@spares("containment-undone")
def unknown_key_made_active(world: World) -> None:
    """A key is made active of which the evidence has nothing else."""
    world.user("cleo").iam(
        "UpdateAccessKey", userName="dan", accessKeyId="AKIAIOSFODNN7EXAMPLE", status="Active"
    )


@spares("containment-undone")
def new_key_made_active(world: World) -> None:
    """A key that was made within the evidence, and that nobody has deactivated since, is made active."""
    key = ada(world)
    new = key.creates_access_key()
    new.calls("ec2:DescribeInstances")
    world.user("cleo").iam("UpdateAccessKey", userName="ada", accessKeyId=new.key_id, status="Active")


@spares("containment-undone")
def own_boundary_lifted(world: World) -> None:
    """The responder removes the boundary that she had set."""
    bea = world.user("bea")
    bea.iam("PutUserPermissionsBoundary", userName="ada", permissionsBoundary=DENY_ALL)
    bea.iam("DeleteUserPermissionsBoundary", userName="ada")


@spares("containment-undone")
def ordinary_boundary_removed(world: World) -> None:
    """Boundaries that leave something allowed are removed by somebody else, and one that was never seen set."""
    part = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    some = own_policy(world, "NoIam", {"Version": "2012-10-17", "Statement": [part]})
    for number, bound in enumerate((some, "arn:aws:iam::aws:policy/PowerUserAccess")):
        name = f"Deploy{number}"
        world.user("bea").iam("PutRolePermissionsBoundary", roleName=name, permissionsBoundary=bound)
        world.user("cleo").iam("DeleteRolePermissionsBoundary", roleName=name)
    world.user("cleo").iam("DeleteUserPermissionsBoundary", userName="ada")


@spares("containment-undone")
def boundary_of_another(world: World) -> None:
    """A user bears the name of the role that has a boundary which denies all; the user's own is removed."""
    world.user("bea").iam("PutRolePermissionsBoundary", roleName="deploy", permissionsBoundary=DENY_ALL)
    world.user("cleo").iam("DeleteUserPermissionsBoundary", userName="deploy")


@spares("containment-undone")
def guardrail_detached(world: World) -> None:
    """Somebody else detaches policies that deny some calls, or all without a second factor, or did so once."""
    some = {"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}
    unless = {"Bool": {"aws:MultiFactorAuthPresent": "false"}}
    without = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": unless}
    arns = [
        own_policy(world, "Guard", {"Version": "2012-10-17", "Statement": [some]}),
        own_policy(world, "Factor", {"Version": "2012-10-17", "Statement": [without]}),
        own_policy(world, "Once", CLOSED),
    ]
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    world.user("bea").iam("CreatePolicyVersion", policyArn=arns[2], policyDocument=allow, setAsDefault=True)
    for arn in arns:
        world.user("bea").iam("AttachUserPolicy", userName="ada", policyArn=arn)
        world.user("cleo").iam("DetachUserPolicy", userName="ada", policyArn=arn)


@spares("containment-undone")
def own_denial_lifted_late(world: World) -> None:
    """Somebody else detaches a policy that denies all two days after it was attached."""
    arn = own_policy(world, "Closed", CLOSED)
    world.user("bea").iam("AttachUserPolicy", userName="ada", policyArn=arn)
    world.wait(2 * 86400)
    world.user("cleo").iam("DetachUserPolicy", userName="ada", policyArn=arn)


# ---------------------------------------------------------------- roles


@fires("role-juggling", "high")
def juggles(world: World) -> None:
    """Two roles take each other up, again and again."""
    session = ada(world).assumes("Deploy", "x")
    for _ in range(3):
        session = session.assumes("Build", "x").assumes("Deploy", "x")
        world.wait(900)


@spares("role-juggling")
def returns_once(world: World) -> None:
    """A job hops to another role and back, once."""
    ada(world).assumes("Deploy", "x").assumes("Build", "x").assumes("Deploy", "x")


@spares("role-juggling")
def started_tasks_return_once(world: World) -> None:
    """Each of the tasks that a key starts does so: none of them is another's chain."""
    key = world.user("ci")
    for _ in range(6):
        key.runs_task("Deploy").assumes("Build", "x").assumes("Deploy", "x")


@spares("minted-again")
def the_next_task_takes_the_role_again(world: World) -> None:
    """A task's session of a role is revoked, and the next task that the same key starts takes that role as before."""
    key = world.user("ci")
    key.runs_task("Web").assumes("Reader", "x").calls("s3:ListBuckets")
    world.user("responder").revokes_sessions("Reader")
    world.wait(120)
    key.runs_task("Web").assumes("Reader", "x").calls("s3:ListBuckets")


@fires("deep-chain", "medium")
def four_hops(world: World) -> None:
    """A chain of four hops, where none was before."""
    ada(world).assumes("One", "x").assumes("Two", "x").assumes("Three", "x").assumes("Four", "x")


@fires("deep-chain", "medium")
def four_hops_from_a_started_task(world: World) -> None:
    """What runs as a task begins a lineage of its own, whoever started that."""
    task = ada(world).runs_task("Web")
    task.assumes("One", "x").assumes("Two", "x").assumes("Three", "x").assumes("Four", "x")


@spares("deep-chain")
def three_hops(world: World) -> None:
    """A chain of three hops."""
    ada(world).assumes("One", "x").assumes("Two", "x").assumes("Three", "x")


@becomes_habit("deep-chain")
def hops_every_day(world: World) -> None:
    """A chain of four hops is walked every other day."""
    for name in ("bea", "cleo", "ada"):
        world.user(name).assumes("One", "y").assumes("Two", "y").assumes("Three", "y").assumes("Four", "y")
        world.wait(2 * 86400)


@fires("self-assumption", "low")
def renews_itself(world: World) -> None:
    """A role's session takes up its own role."""
    ada(world).assumes("Deploy", "x").assumes("Deploy", "y")


@fires("self-assumption", "medium")
def renews_itself_untold(world: World) -> None:
    """A role's session takes up its own role, which its trust policy does not say."""
    ada(world).assumes("Deploy", "x").assumes("Deploy", "y", explicit_trust=False)


@fires("strange-endpoint", "high")
def comes_through_a_strange_endpoint(world: World) -> None:
    """A key is used from a VPC of an account that is in nobody's trail."""
    key = ada(world)
    world.wait(4 * 86400)
    key.seen_from("10.0.0.9").calls(
        "s3:ListBuckets", vpc_endpoint="vpce-0a1b2c3d", endpoint_account="666677778888", count=3
    )


@fires("strange-endpoint", "medium")
def comes_through_a_strange_endpoint_at_once(world: World) -> None:
    """The same, in a case too short to tell a habit."""
    ada(world).calls("s3:ListBuckets", vpc_endpoint="vpce-0a1b2c3d", endpoint_account="666677778888")


@spares("strange-endpoint")
def comes_through_its_own_endpoint(world: World) -> None:
    """An endpoint of the key's own account."""
    ada(world).calls("s3:ListBuckets", vpc_endpoint="vpce-0a1b2c3d", endpoint_account=HOME)


@spares("strange-endpoint")
def comes_through_a_service(world: World) -> None:
    """What stands there is AWS's own."""
    ada(world).calls("s3:ListBuckets", vpc_endpoint="AWS Internal", endpoint_account="AWS Internal")


@spares("strange-endpoint")
def comes_through_the_organisations_network(world: World) -> None:
    """Three people come through the endpoint of one account, whose trail is not held."""
    for name in ("ada", "bea", "cleo"):
        world.user(name).calls(
            "s3:ListBuckets", vpc_endpoint="vpce-0a1b2c3d", endpoint_account="666677778888"
        )


def builds(world: World, *subjects: str, days: int = 4) -> None:
    """A role that each of some builds takes up, one after the other; before the last some days go by."""
    for place, subject in enumerate(subjects):
        if place == len(subjects) - 1:
            world.wait(days * 86400)
        world.oidc("Release", subject, session_name=f"run{place}")


@fires("strange-repository", "high")
def build_of_a_stranger(world: World) -> None:
    """After four builds of one owner's, one of another's."""
    builds(world, *["repo:example/shop:ref:refs/heads/main"] * 4, "repo:mallory/shop:ref:refs/heads/main")


@fires("strange-repository", "high")
def project_of_a_stranger(world: World) -> None:
    """The same at GitLab."""
    builds(
        world,
        *["project_path:example/shop:ref_type:branch:ref:main"] * 3,
        "project_path:mallory/x:ref_type:branch:ref:x",
    )


@spares("strange-repository")
def other_repository_of_the_owner(world: World) -> None:
    """Another repository, however the owner's name is spelled, and with the number that may stand behind it."""
    builds(
        world, *["repo:example/shop:ref:refs/heads/main"] * 4, "repo:Example@4711/site@815:environment:live"
    )


@fires("strange-repository", "high")
def name_taken_up_by_a_stranger(world: World) -> None:
    """The owner's name with another number: it was given up, and somebody else took it."""
    builds(
        world,
        *["repo:example@4711/shop@1:ref:refs/heads/main"] * 3,
        "repo:example@815/shop@2:ref:refs/heads/main",
    )


@spares("strange-repository")
def owner_renamed(world: World) -> None:
    """Another name with the same number."""
    builds(
        world,
        *["repo:example@4711/shop@1:ref:refs/heads/main"] * 3,
        "repo:better@4711/shop@1:ref:refs/heads/main",
    )


@spares("strange-repository")
def too_short_for_a_habit(world: World) -> None:
    """A stranger's build on the evidence's first day."""
    builds(
        world, *["repo:example/shop:ref:refs/heads/main"] * 4, "repo:mallory/shop:ref:refs/heads/main", days=0
    )


@spares("strange-repository")
def new_service_account(world: World) -> None:
    """Pods are their cluster's, whatever they are called."""
    builds(world, *["system:serviceaccount:shop:web"] * 4, "system:serviceaccount:mallory:web")


@spares("strange-repository")
def owner_with_a_role_of_its_own(world: World) -> None:
    """Another owner's role, which nobody else had taken up."""
    builds(world, *["repo:example/shop:ref:refs/heads/main"] * 4)
    world.wait(4 * 86400)
    world.oidc("Partner", "repo:partner/shop:ref:refs/heads/main")


@spares("self-assumption")
def other_role(world: World) -> None:
    """A role's session takes up another role."""
    ada(world).assumes("Deploy", "x").assumes("Build", "x")


@fires("role-probing", "medium")
def probes(world: World) -> None:
    """Six roles are tried one after the other."""
    key = ada(world)
    for number in range(6):
        key.denied("sts:AssumeRole", world.role(f"Role{number}"))


@spares("role-probing")
def one_role_everywhere(world: World) -> None:
    """An audit looks for its role in eight accounts, and is refused in all of them."""
    key = ada(world)
    for number in range(8):
        key.denied("sts:AssumeRole", f"arn:aws:iam::{700000000000 + number}:role/Audit")


@spares("role-probing")
def same_role_again(world: World) -> None:
    """One role is tried six times, as a misconfigured job does."""
    key = ada(world)
    for _ in range(6):
        key.denied("sts:AssumeRole", world.role("Deploy"))


def makes_roles(world: World, key: LongTermKey, days: int, a_day: int = 3, names: str = "Job") -> None:
    """Roles are made and taken up at once: each is refused until IAM knows of it everywhere, seconds later."""
    for number in range(days * a_day):
        role = key.creates_role(f"{names}-{number}", {"AWS": key.arn})
        key.denied("sts:AssumeRole", role)
        world.wait(8)
        key.assumes(role, "terraform")
        world.wait(86400 / a_day)


@spares("role-probing")
def new_roles_every_day(world: World) -> None:
    """Terraform makes three roles a day and is refused each once, as IAM is slow to know of them."""
    makes_roles(world, ada(world), days=3)


@spares("role-probing")
def four_beside_new_ones(world: World) -> None:
    """A key that makes six roles is refused four others, which are too few by themselves."""
    key = ada(world)
    makes_roles(world, key, days=2)
    for number in range(4):
        key.denied("sts:AssumeRole", world.role(f"Role{number}"))


@fires("role-probing", "medium")
def opened_an_hour_later(world: World) -> None:
    """Six roles are refused, and an hour later they open: to IAM's slowness that is too long."""
    key = ada(world)
    roles = [world.role(f"Role{number}") for number in range(6)]
    for role in roles:
        key.denied("sts:AssumeRole", role)
    world.wait(3600)
    for role in roles:
        key.assumes(role, "x")


@fires("role-probing", "medium")
def open_to_somebody_else(world: World) -> None:
    """Six roles are refused to one key, while a colleague takes up each of them."""
    key, bea = ada(world), world.user("bea")
    for number in range(6):
        role = world.role(f"Role{number}")
        key.denied("sts:AssumeRole", role)
        bea.assumes(role, "bea")


@fires("role-probing", "medium")
def open_another_role(world: World) -> None:
    """A key that works in one role all day is refused six others in between."""
    key = ada(world)
    for number in range(6):
        key.denied("sts:AssumeRole", world.role(f"Role{number}"))
        key.assumes("Deploy", "x")


@fires("role-probing", "medium")
def opened_before_it_was_refused(world: World) -> None:
    """Six roles that a key took up are refused right after, as if somebody had closed them."""
    key = ada(world)
    for number in range(6):
        key.assumes(f"Role{number}", "x")
        key.denied("sts:AssumeRole", world.role(f"Role{number}"))


@fires("source-identity-lost", "medium")
def without_identity(world: World) -> None:
    """After twelve sessions with a source identity comes one without."""
    for number in range(12):
        world.user(f"u{number}").assumes("Deploy", "x", source_identity=f"u{number}")
    ada(world).assumes("Deploy", "x")


@spares("source-identity-lost")
def never_had_one(world: World) -> None:
    """Half of the role's sessions have no source identity."""
    for number in range(12):
        world.user(f"u{number}").assumes("Deploy", "x", source_identity=f"u{number}" if number % 2 else None)
    ada(world).assumes("Deploy", "x")


@fires("assume-root", "medium")
def root_taken(world: World) -> None:
    """A role takes up the root user of a member account."""
    ada(world).assumes("Admin", "x").assumes_root(AWAY)


@fires("assume-root", "high")
def root_taken_at_once(world: World) -> None:
    """Who switches on root sessions of the organisation's accounts takes one up."""
    admin = ada(world).assumes("Admin", "x")
    admin.iam("EnableOrganizationsRootSessions")
    admin.assumes_root(AWAY)


@fires("assume-root", "medium")
def root_taken_long_after(world: World) -> None:
    """Days after the organisation switched it on, somebody takes up the root user: it is told, and for itself alone."""
    ada(world).iam("EnableOrganizationsRootSessions")
    world.wait(hours=24 * 5)
    world.user("bea").assumes("Admin", "x").assumes_root(AWAY)


@fires("assume-root", "high")
def root_taken_by_a_delegate(world: World) -> None:
    """The management account switches root sessions on; an account to which it delegated IAM long ago opens one."""
    _delegated(world, AWAY)
    world.wait(hours=24 * 5)
    ada(world).assumes("Admin", "x").iam("EnableOrganizationsRootSessions")
    world.user("bea", account=AWAY).assumes("Ops", "x", account=AWAY).assumes_root("777788889999")


@fires("assume-root", "high")
def root_taken_by_a_new_delegate(world: World) -> None:
    """Root sessions are long switched on; an account is let administer IAM, and opens one at once."""
    ada(world).iam("EnableOrganizationsRootSessions")
    world.wait(hours=24 * 5)
    _delegated(world, AWAY)
    world.user("bea", account=AWAY).assumes("Ops", "x", account=AWAY).assumes_root("777788889999")


@fires("assume-root", "medium")
def root_taken_in_another_organisation(world: World) -> None:
    """Another organisation's account switched its own sessions on, and delegated something else to this one."""
    _delegated(world, AWAY, "guardduty.amazonaws.com")
    ada(world).assumes("Admin", "x").iam("EnableOrganizationsRootSessions")
    world.user("bea", account=AWAY).assumes("Ops", "x", account=AWAY).assumes_root("777788889999")


def _delegated(world: World, account: str, service: str = "iam.amazonaws.com") -> None:
    """The management account lets a member account administer a service for the organisation."""
    ada(world).assumes("Admin", "x").calls(
        "organizations:RegisterDelegatedAdministrator", {"accountId": account, "servicePrincipal": service}
    )


@spares("assume-root")
def role_taken(world: World) -> None:
    """A role takes up a role of a member account."""
    ada(world).assumes("Admin", "x").assumes("Audit", "x", account=AWAY)


# ---------------------------------------------------------------- hosts and browsers


@fires("stolen-workload", "high")
def instance_key_abroad(world: World) -> None:
    """An instance's credential appears at another address, in another tool."""
    host = world.instance("Web", ip="3.225.16.7")
    host.calls("s3:ListBuckets", count=3)
    host.seen_from(ELSEWHERE, "aws-cli/2.15").calls("sts:GetCallerIdentity")


@fires("stolen-workload", "high")
def function_key_on_laptop(world: World) -> None:
    """A function's credential is used by the tool and from the address of somebody's key."""
    function = world.function("Resize", "resize")
    function.calls("s3:ListBuckets", count=3)
    thief = world.user("ada", ip=ELSEWHERE, user_agent="aws-cli/2.15")
    thief.calls("s3:ListBuckets")
    function.seen_from(ELSEWHERE, "aws-cli/2.15").calls("s3:ListBuckets")


@fires("stolen-workload", "medium")
def pod_key_on_laptop(world: World) -> None:
    """A pod's credential is used by the tool and from the address of somebody's key."""
    pod = world.oidc(
        "Api", "system:serviceaccount:shop:api", provider="oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE"
    )
    pod.calls("s3:ListBuckets", count=3)
    world.user("ada", ip=ELSEWHERE, user_agent="aws-cli/2.15").calls("s3:ListBuckets")
    pod.seen_from(ELSEWHERE, "aws-cli/2.15").calls("s3:ListBuckets")


@fires("stolen-workload", "medium")
def instances_behind_a_balancer(world: World) -> None:
    """Who reaches the instances behind a load balancer has the credentials of each, at one address."""
    for place in range(3):
        host = world.instance("Web", ip=f"3.225.16.{place + 7}")
        host.calls("s3:ListBuckets", count=3)
        host.seen_from(ELSEWHERE, "aws-cli/2.15").calls("sts:GetCallerIdentity")


@fires("stolen-workload", "high")
def instance_key_from_exit_to_exit(world: World) -> None:
    """A thief with an instance's credential leaves a tunnel by one exit and then by another, with one tool."""
    host = world.instance("Web", ip="3.225.16.7")
    host.calls("s3:ListBuckets", count=3)
    for place in (ELSEWHERE, "203.0.112.78"):
        host.seen_from(place, "aws-cli/2.15").calls("sts:GetCallerIdentity")


@spares("stolen-workload")
def fleet_whose_hosts_take_their_own_addresses(world: World) -> None:
    """Each instance takes an elastic address as it starts, with a tool that it has for that, and works from there."""
    for number in (7, 8):
        host = world.instance("Web", ip=f"3.226.{number}.7")
        host.calls("ec2:AssociateAddress", {"allocationId": "eipalloc-1"}, read_only=False)
        host.seen_from(f"3.227.{number}.7", "aws-sdk-java/1.12").calls("s3:ListBuckets", count=3)


@spares("stolen-workload")
def gateway_of_many_addresses(world: World) -> None:
    """A rare tool of an instance leaves by two of its gateway's addresses, by which its ordinary one leaves, too."""
    host = world.instance("Web", ip="3.225.16.7")
    host.calls("s3:ListBuckets", count=3)
    for place in (GATEWAY, "52.45.103.78"):
        host.seen_from(place).calls("s3:ListBuckets")
        host.seen_from(place, "aws-cli/2.15").calls("s3:ListBuckets")


@spares("stolen-workload")
def fleet_behind_another_gateway(world: World) -> None:
    """A role's instances leave by another gateway from some day on: with what they had used, and with something new."""
    for _ in range(3):
        host = world.instance("Web", ip="3.225.16.7")
        host.calls("s3:ListBuckets", count=3)
        host.seen_from(GATEWAY).calls("s3:ListBuckets")
        host.seen_from(GATEWAY, "aws-cli/2.15").calls("s3:ListBuckets")


@spares("stolen-workload")
def fleet_with_an_endpoint(world: World) -> None:
    """A role's instances call one service by an endpoint of their VPC, and another by their gateway, with other tools."""
    for place in range(3):
        host = world.instance("Web", ip=f"10.0.3.{place + 7}")
        host.calls("s3:ListBuckets", count=3)
        host.seen_from(GATEWAY, "aws-cli/2.15").calls("iam:ListUsers")


@spares("stolen-workload")
def started_task_that_takes_up_a_role(world: World) -> None:
    """A task that a pipeline's key started takes up another role, from where it runs and with its own tool."""
    task = world.user("ci").assumes("Deploy", "ci").runs_task("Web").seen_from("3.225.16.7", TOOL)
    task.calls("s3:ListBuckets", count=3)
    task.assumes("Reader", "x").seen_from("3.225.16.7", TOOL).calls("s3:ListBuckets")


@spares("stolen-workload")
def shared_gateway(world: World) -> None:
    """Two roles' workloads and a key in a program leave by one gateway, with the same tool."""
    world.user("mailer", ip=GATEWAY, user_agent=TOOL).calls("ses:SendEmail", count=3)
    for role in ("Resize", "Orders"):
        task = world.task(role)
        task.seen_from("10.0.3.4", TOOL).calls("s3:ListBuckets", count=2)
        task.seen_from(GATEWAY, TOOL).calls("s3:ListBuckets", count=2)


@spares("stolen-workload")
def new_way_out(world: World) -> None:
    """An instance leaves by another address, with the same tool."""
    host = world.instance("Web", ip="3.225.16.7")
    host.calls("s3:ListBuckets", count=3)
    host.seen_from(GATEWAY).calls("s3:ListBuckets", count=3)


@spares("stolen-workload")
def shared_way_out(world: World) -> None:
    """Two instances share an address; a person there has another tool."""
    for _ in range(2):
        world.instance("Web", ip="3.225.16.7").calls("s3:ListBuckets", count=3)
    world.user("ada", ip="3.225.16.7").calls("s3:ListBuckets")


@spares("stolen-workload")
def application_that_acts_for_people(world: World) -> None:
    """A function asks for a person's token, and opens that person's session from where it runs, with its own tool."""
    function = world.function("App", "send").seen_from("3.225.16.7", TOOL)
    function.calls(
        "sso-oauth:CreateTokenWithIAM", {"grantType": "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    )
    world.identity_center("ada", "Admin", ip="3.225.16.7", user_agent=TOOL).calls("s3:ListBuckets")


# ---------------------------------------------------------------- device-code-phishing


def _phished(world: World, thief: str = ELSEWHERE, minutes: int = 3) -> None:
    """Ada works as every day, follows a link, and the sender takes up her administrator's role."""
    world.identity_center("ada", "Reader", ip=HOUSE).calls("s3:ListBuckets")
    world.wait(hours=20)
    world.portal_sign_in("ada", ip=HOUSE)
    world.wait(minutes * 60)
    world.portal_token("ada", ip=thief)
    world.identity_center("ada", "Admin", ip=thief).calls("iam:ListUsers")


@fires("device-code-phishing", "medium")
def follows_a_link_that_was_sent(world: World) -> None:
    """A person signs in at home, and a tool that never was there gets the token, by a device code."""
    _phished(world)


@fires("device-code-phishing", "low")
def signs_in_a_host_in_aws(world: World) -> None:
    """The same with a tool at an address of AWS's, which may be a host of the person's own."""
    _phished(world, GATEWAY)


@fires("device-code-phishing", "medium")
def sends_the_code_back(world: World) -> None:
    """A person agrees to `aws login --remote` in a browser, and the code is redeemed elsewhere."""
    browser = world.console_sign_in(world.user("ada"), ip=HOUSE)
    browser.calls("s3:ListBuckets")
    browser.logs_in(ip=ELSEWHERE).calls("iam:ListUsers")


@spares("device-code-phishing")
def signs_in_a_tool_at_home(world: World) -> None:
    """A device code at the same place; a device code whose person signed in long before; other grants elsewhere."""
    _phished(world, HOUSE)
    _phished(world, FARTHER, minutes=60)
    world.portal_sign_in("bea", ip=HOUSE)
    for grant in ("refresh_token", "authorization_code"):
        world.portal_token("bea", grant=grant, ip=ELSEWHERE)


@spares("device-code-phishing")
def signs_in_the_usual_host(world: World) -> None:
    """A person who works on a host elsewhere every day signs it in from the desk; others' sign-ins are none of hers."""
    for _ in range(3):
        world.identity_center("ada", "Reader", ip=ELSEWHERE).calls("s3:ListBuckets")
        world.wait(hours=24)
    world.portal_sign_in("ada", ip=HOUSE)
    world.portal_token("ada", ip=ELSEWHERE)
    world.portal_sign_in("bea", ip=HOUSE)
    world.portal_token("cleo", ip=ELSEWHERE)


@spares("device-code-phishing")
def logs_in_at_home(world: World) -> None:
    """`aws login` redeems where the browser agreed."""
    world.console_sign_in(world.user("ada"), ip=HOUSE).logs_in(ip=HOUSE).calls("s3:ListBuckets")


@fires("console-from-key", "high")
def key_to_console(world: World) -> None:
    """A key becomes a federated user, and that a browser session."""
    token = ada(world).gets_federation_token("helper", policy='{"Version":"2012-10-17","Statement":[]}')
    token.gets_signin_token().calls("iam:ListUsers")


def taken_into_a_browser(token: Credential) -> None:
    """GetSigninToken without a duration, which a federated user can't give, answers with the key that it was given."""
    answer = {"GetSigninToken": "Success", "credentials": {"accessKeyId": token.id}}
    token.calls("signin:GetSigninToken", response=answer, read_only=False)


@fires("console-from-key", "high")
def federated_user_to_console(world: World) -> None:
    """A federated user of a key's goes into a browser, and its session bears the token's own key."""
    taken_into_a_browser(ada(world).gets_federation_token("helper", policy='{"Version":"2012-10-17"}'))


@fires("console-from-key", "high")
def instance_to_console(world: World) -> None:
    """An instance's own session goes into a browser."""
    taken_into_a_browser(world.instance("WebServer"))


@fires("console-from-key", "medium")
def instance_of_unseen_delivery_to_console(world: World) -> None:
    """So it does where the evidence shows neither the session's minting nor how it was delivered: its name tells."""
    with world.unlogged():
        session = world.user("eve").assumes("WebServer", "i-0abcdef1234567890")
    taken_into_a_browser(session)


@becomes_habit("console-from-key")
def broker_of_federated_users(world: World) -> None:
    """A broker has done so for days."""
    for name in ("ria", "noor", "zoe", "ria"):
        taken_into_a_browser(ada(world).gets_federation_token(name, policy='{"Version":"2012-10-17"}'))
        world.wait(86400)


@becomes_habit("console-from-key")
def broker_on_a_host(world: World) -> None:
    """A broker that runs on an instance has done so for days, with a new session of the instance's each day."""
    for _ in range(3):
        taken_into_a_browser(world.instance("Broker"))
        world.wait(90_000)


@fires("console-from-key", "high")
def pod_to_console(world: World) -> None:
    """A pod's session by web identity is carried into a browser."""
    world.oidc("Pod", "system:serviceaccount:shop:api", provider=EKS).gets_signin_token()


@fires("console-from-key", "medium")
def instance_to_console_by_another_role(world: World) -> None:
    """An instance's session takes up a role, and that is carried into a browser."""
    world.instance("WebServer").assumes("Admin", "x").gets_signin_token()


@fires("console-from-key", "medium")
def started_task_to_console_by_another_role(world: World) -> None:
    """So it is of a task that somebody has started who signed in."""
    task = world.identity_center("bea@example.com", "Dev").runs_task("WebServer")
    task.assumes("Admin", "x").gets_signin_token()


@spares("console-from-key")
def password_to_console(world: World) -> None:
    """A user signs in with a password, a person takes a role's session into a browser, and a key is refused it."""
    world.console_sign_in(world.user("ada"), mfa=True).calls("iam:ListUsers", count=3)
    ria = world.identity_center("ria@example.com", "Support", account=HOME)
    ria.assumes("Admin", "ria").gets_signin_token().calls("iam:ListUsers")
    taken_into_a_browser(ria.assumes("Admin", "again"))
    world.user("bea").denied("signin:GetSigninToken")


@becomes_habit("console-from-key")
def broker(world: World) -> None:
    """A broker has done so for days."""
    for _ in range(4):
        role = ada(world).assumes("Broker", "ada")
        role.gets_signin_token().calls("s3:ListBuckets")
        world.wait(86400)


@fires("federated-with-all", "medium")
def all_power(world: World) -> None:
    """A federated user may do all that its maker may."""
    policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    ada(world).gets_federation_token("helper", policy=policy)


@fires("federated-with-all", "medium")
def broker_robbed(world: World) -> None:
    """A broker's key hands out narrow tokens, until a thief has it hand out one of all power but for one call."""
    key = ada(world)
    narrow = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}],
    }
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "NotAction": "x:Y", "Resource": "*"}]}
    key.gets_federation_token("guest", policy=json.dumps(narrow))
    for name in ("guest", "again"):
        key.seen_from(ELSEWHERE).gets_federation_token(name, policy=json.dumps(wide))


@spares("federated-with-all")
def some_power(world: World) -> None:
    """A federated user may read one bucket."""
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":"*"}]}'
    )
    ada(world).gets_federation_token("helper", policy=policy)


# ---------------------------------------------------------------- secrets, power, what lasts


@fires("secrets-swept", "medium")
def sweeps(world: World) -> None:
    """A key reads twelve secrets that its user never read."""
    ada(world).calls("secretsmanager:GetSecretValue", {"secretId": "s-{n}"}, count=12)


@fires("secrets-swept", "medium")
def sweeps_in_one_call(world: World) -> None:
    """A key reads twelve secrets at once, which its record lists."""
    arn = f"arn:aws:secretsmanager:us-east-1:{HOME}:secret:s-"
    listed: list[Json] = [{"ARN": f"{arn}{n}", "accountId": HOME} for n in range(12)]
    ada(world).calls("secretsmanager:BatchGetSecretValue", resources=listed)


@spares("secrets-swept")
def read_before(world: World) -> None:
    """A session reads twelve secrets that its user's key had read before, one in two hours."""
    key = ada(world)
    key.calls("secretsmanager:GetSecretValue", {"secretId": "s-{n}"}, count=12, every=7200)
    key.gets_session_token().calls("secretsmanager:GetSecretValue", {"secretId": "s-{n}"}, count=12)


@spares("secrets-swept")
def same_secret(world: World) -> None:
    """A key reads the same secret twelve times."""
    ada(world).calls("secretsmanager:GetSecretValue", {"secretId": "s"}, count=12)


@spares("secrets-swept")
def reads_that_name_no_secret(world: World) -> None:
    """A key's twelve reads are in the log without the name of a secret: all may be of the same."""
    ada(world).calls("secretsmanager:GetSecretValue", count=12)


@spares("secrets-swept")
def tokens_are_made(world: World) -> None:
    """A key asks twelve times for a token of an outside service, as an agent does for each of its users."""
    ada(world).calls(
        "bedrock-agentcore:GetResourceOauth2Token", {"resourceCredentialProviderName": "x"}, count=12
    )


@spares("secrets-swept")
def pod_starts(world: World) -> None:
    """A pod by web identity reads its settings when it starts, on the first day of the evidence."""
    pod = world.oidc("Pod", "system:serviceaccount:shop:api", provider=EKS)
    for number in range(12):
        pod.calls("secretsmanager:GetSecretValue", {"secretId": f"prod/{number}"})


@spares("secrets-swept")
def service_starts(world: World) -> None:
    """A function reads its twelve settings when it starts."""
    world.function("Resize", "resize").calls("secretsmanager:GetSecretValue", {"secretId": "s-{n}"}, count=12)


@fires("beyond-its-power", "high")
def token_calls_iam(world: World) -> None:
    """A session token without a second factor lists users, which AWS refuses."""
    ada(world).gets_session_token().calls("iam:ListUsers")


@fires("beyond-its-power", "high")
def federated_user_calls_iam(world: World) -> None:
    """A federated user lists users by API, while another of the same user is in the console."""
    key = ada(world)
    key.gets_federation_token("other").gets_signin_token().calls("iam:ListUsers")
    key.gets_federation_token("helper").calls("iam:ListUsers")


@spares("beyond-its-power")
def registry_asks_for_its_token(world: World) -> None:
    """CodeArtifact asks STS for its bearer token in the name of whoever asks it for one."""
    token = ada(world).gets_session_token()
    token.calls("codeartifact:GetAuthorizationToken", {"domain": "shop"})
    token.calls("sts:GetServiceBearerToken")


@spares("beyond-its-power")
def console_is_flagged_once(world: World) -> None:
    """A federated user's first call in the console bears the flag, and those that list users do not."""
    token = ada(world).gets_federation_token("helper")
    with world.unlogged():
        session = token.gets_signin_token(console_share=1e-9)
    session.entry.identity = token.identity  # with the creation date of the token that it rests on
    session.calls("s3:ListBuckets")
    session.calls("iam:ListUsers", count=3)


@spares("beyond-its-power")
def console_shows_the_same_key(world: World) -> None:
    """A federated user's token was carried into the console, where calls bear its own key and no flag."""
    token = ada(world).gets_federation_token("helper")
    token.gets_signin_token()
    token.calls("iam:ListUsers", user_agent=BROWSER)


@spares("beyond-its-power")
def token_is_refused(world: World) -> None:
    """A session token without a second factor is refused when it lists users."""
    ada(world).gets_session_token().denied("iam:ListUsers")


@spares("beyond-its-power")
def mfa_token_calls_iam(world: World) -> None:
    """A session token with a second factor lists users."""
    ada(world).gets_session_token(mfa_serial=f"arn:aws:iam::{HOME}:mfa/ada").calls("iam:ListUsers")


@fires("lasting-access", "medium")
def key_for_another(world: World) -> None:
    """A role session makes a key for a user."""
    ada(world).assumes("Admin", "x").creates_access_key(world.user("cleo"))


@fires("lasting-access", "medium")
def trusts_a_stranger(world: World) -> None:
    """A role is opened to an account that the case knows nothing of."""
    ada(world).creates_role("Door", {"AWS": "arn:aws:iam::999988887777:root"})


@fires("lasting-access", "low")
def function_by_a_session(world: World) -> None:
    """A role session makes a function, which goes on with a role of its own when the session has ended."""
    session = ada(world).assumes("Deploy", "x")
    session.calls("lambda:CreateFunction20150331", {"functionName": "helper"})


@fires("lasting-access", "medium")
def password_by_a_namesake(world: World) -> None:
    """A session that was given a user's name sets that user's password: whoever takes up a role names its session."""
    ada(world).assumes("Admin", "cleo").iam("UpdateLoginProfile", userName="cleo")


@fires("lasting-access", "low")
def person_in_the_directory(world: World) -> None:
    """A user of Identity Center is made, whose name the log hides."""
    hidden = {"userName": "HIDDEN_DUE_TO_SECURITY_REASONS", "identityStoreId": "d-1234567890"}
    ada(world).assumes("Admin", "x").calls("identitystore:CreateUser", hidden, read_only=False)


@fires("lasting-access", "high")
def trusts_whoever_knows_a_word(world: World) -> None:
    """A role is opened to all accounts; the condition is an external id, which its maker may tell anybody."""
    _trusting(world, {"StringEquals": {"sts:ExternalId": "word"}})


@fires("lasting-access", "medium")
def trusts_a_stranger_by_condition(world: World) -> None:
    """A role is opened to all accounts of which a condition leaves a stranger's."""
    _trusting(world, {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::999988887777:role/*"}})


@fires("lasting-access", "medium")
def function_for_a_strangers_services(world: World) -> None:
    """A function may be called by whatever AWS does for an account that the case knows nothing of."""
    _callable(world, principal="*", sourceAccount="999988887777")


@fires("lasting-access", "low")
def all_power_inline(world: World) -> None:
    """A user is given all power by an inline policy."""
    _inline(world, "*", "*")


@fires("lasting-access", "medium")
def root_access_switched_on(world: World) -> None:
    """An administrator lets the organisation's management account act as root in its accounts."""
    admin = ada(world).assumes("Admin", "x")
    admin.iam("EnableOrganizationsRootCredentialsManagement")
    admin.iam("EnableOrganizationsRootSessions")


@fires("lasting-access", "medium")
def shuts_others_out_of_the_console(world: World) -> None:
    """Signing in to the console is limited to a network that nobody had before."""
    admin = ada(world).assumes("Admin", "x")
    admin.calls("signin:PutResourcePermissionStatement", {"sourceIp": "203.0.113.77/32"},
                response={"statementId": "s-1"}, read_only=False)  # fmt: skip
    admin.calls("signin:PutConsoleAuthorizationConfiguration", {"targetId": HOME}, read_only=False)


@spares("lasting-access")
def console_access_looked_at(world: World) -> None:
    """Who may sign in is read, and an attempt to change it is refused."""
    admin = ada(world).assumes("Admin", "x")
    admin.calls("signin:ListResourcePermissionStatements")
    admin.denied("signin:PutResourcePermissionStatement", params={"sourceIp": "203.0.113.77/32"})


@spares("lasting-access")
def root_access_looked_at(world: World) -> None:
    """Listing what is centralized switches nothing on, nor does switching it off."""
    admin = ada(world).assumes("Admin", "x")
    admin.iam("ListOrganizationsFeatures")
    admin.iam("DisableOrganizationsRootSessions")


@spares("lasting-access")
def some_power_inline(world: World) -> None:
    """A user is given all of one service, and denied all of another's."""
    _inline(world, "s3:*", "*")
    _inline(world, "*", "*", "Deny")


def _inline(world: World, action: str, resource: str, effect: str = "Allow") -> None:
    """A user's inline policy of one statement."""
    policy = {
        "Version": "2012-10-17",
        "Statement": {"Effect": effect, "Action": [action], "Resource": resource},
    }
    ada(world).iam("PutUserPolicy", userName="cleo", policyName="p", policyDocument=policy)


@spares("lasting-access")
def trusts_an_organisation(world: World) -> None:
    """A role is opened to the accounts of an organisation."""
    _trusting(world, {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}})


@spares("lasting-access")
def function_for_its_own_account(world: World) -> None:
    """A function may be called by what AWS does for its own account."""
    _callable(world, principal="*", sourceAccount=HOME)


@spares("lasting-access")
def users_of_other_services(world: World) -> None:
    """Users of Transfer Family and of a cache are made, and a policy of IoT: none of them is IAM's."""
    key = ada(world)
    key.calls("transfer:CreateUser", {"userName": "sftp", "serverId": "s-1"}, read_only=False)
    key.calls("elasticache:CreateUser", {"userName": "cache", "userId": "cache"}, read_only=False)


def _trusting(world: World, condition: Json) -> None:
    """A role's trust is changed: everybody who meets a condition."""
    who = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": [who]}
    ada(world).iam("UpdateAssumeRolePolicy", roleName="Door", policyDocument=document)


def _callable(world: World, **parameters: str) -> None:
    """A function is opened to whom parameters name."""
    request = {"functionName": "f", "action": "lambda:InvokeFunction", "statementId": "s", **parameters}
    ada(world).calls("lambda:AddPermission20150331v2", request, read_only=False)


@spares("lasting-access")
def function_by_a_key(world: World) -> None:
    """A user makes a function with the user's own key, as the user may make another tomorrow."""
    ada(world).calls("lambda:CreateFunction20150331", {"functionName": "helper"})


@spares("lasting-access")
def own_rotation(world: World) -> None:
    """A user makes a new key of its own."""
    ada(world).creates_access_key()


@spares("lasting-access")
def service_role_made(world: World) -> None:
    """A role is made that a service may take up."""
    ada(world).creates_role("Lambda", {"Service": "lambda.amazonaws.com"})


@fires("logging-stopped", "high")
def log_off(world: World) -> None:
    """The trail is stopped."""
    ada(world).calls("cloudtrail:StopLogging", {"name": "trail"}, read_only=False)


@fires("logging-stopped", "high")
def lake_stopped(world: World) -> None:
    """A store of CloudTrail Lake takes in no more."""
    ada(world).calls("cloudtrail:StopEventDataStoreIngestion", {"eventDataStore": "s"}, read_only=False)


@fires("logging-stopped", "medium")
def detector_suspended(world: World) -> None:
    """GuardDuty is suspended, not deleted."""
    ada(world).calls("guardduty:UpdateDetector", {"detectorId": "d", "enable": False}, read_only=False)


@spares("logging-stopped")
def detector_changed(world: World) -> None:
    """GuardDuty tells of what it finds more often."""
    request = {"detectorId": "d", "enable": True, "findingPublishingFrequency": "FIFTEEN_MINUTES"}
    ada(world).calls("guardduty:UpdateDetector", request, read_only=False)


@spares("logging-stopped")
def another_detector(world: World) -> None:
    """Fraud Detector's DeleteDetector, which is no GuardDuty's, turns nothing off."""
    ada(world).calls("frauddetector:DeleteDetector", {"detectorId": "d"}, read_only=False)


@spares("logging-stopped")
def log_all(world: World) -> None:
    """A trail is set to log all that it did, and data beyond."""
    selectors = [{"readWriteType": "All", "includeManagementEvents": True, "dataResources": []}]
    ada(world).calls(
        "cloudtrail:PutEventSelectors", {"trailName": "t", "eventSelectors": selectors}, read_only=False
    )
    advanced = [{"name": "all", "fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]}]
    ada(world).calls(
        "cloudtrail:PutEventSelectors",
        {"trailName": "t", "advancedEventSelectors": advanced},
        read_only=False,
    )
    ada(world).calls("cloudtrail:UpdateTrail", {"name": "t", "isMultiRegionTrail": True}, read_only=False)


@fires("logging-stopped", "medium")
def log_less(world: World) -> None:
    """A trail is set to log no management events, then only those that write, by two sessions of one role."""
    for one in (
        {"includeManagementEvents": False},
        {"readWriteType": "WriteOnly", "includeManagementEvents": True},
    ):
        asked = {"trailName": "t", "eventSelectors": [one]}
        ada(world).assumes("Ops", "x").calls("cloudtrail:PutEventSelectors", asked, read_only=False)


@spares("logging-stopped")
def log_on(world: World) -> None:
    """Stopping the trail is refused; looking at it is not."""
    key = ada(world)
    key.denied("cloudtrail:StopLogging")
    key.calls("cloudtrail:GetTrailStatus")


@fires("new-mfa-used", "medium")
def device_for_another(world: World) -> None:
    """Somebody enables a device for a user, and it is used."""
    serial = f"arn:aws:iam::{HOME}:mfa/new"
    world.user("bea").iam("EnableMFADevice", userName="ada", serialNumber=serial)
    ada(world).gets_session_token(mfa_serial=serial)


@spares("new-mfa-used")
def own_device(world: World) -> None:
    """A user enables a device of its own, and uses it."""
    serial = f"arn:aws:iam::{HOME}:mfa/new"
    key = ada(world)
    key.iam("EnableMFADevice", userName="ada", serialNumber=serial)
    key.gets_session_token(mfa_serial=serial)


MFA = f"arn:aws:iam::{HOME}:mfa"
"""A sign-in with a second factor is done with the device that bears the user's name."""


@fires("new-mfa-used", "medium")
def console_with_the_new_device(world: World) -> None:
    """Somebody enables a device for a user, who signs in to the console without it, and then with it."""
    world.user("bea").iam("EnableMFADevice", userName="ada", serialNumber=f"{MFA}/ada")
    world.console_sign_in(world.user("ada"))
    world.console_sign_in(world.user("ada"), mfa=True, ip=ELSEWHERE).calls("iam:ListUsers")


@fires("new-mfa-used", "medium")
def console_after_a_thief(world: World) -> None:
    """A suspicious session of a user enables a device for it, by which somebody signs in and calls nothing."""
    token = ada(world).gets_session_token()
    token.seen_from(ELSEWHERE).assumes("Admin", "x").iam(
        "EnableMFADevice", userName="ada", serialNumber=f"{MFA}/ada"
    )
    world.console_sign_in(world.user("ada"), mfa=True, ip=ELSEWHERE)


@spares("new-mfa-used")
def console_with_the_old_device(world: World) -> None:
    """Somebody enables a device for a user, who signs in with another one, as does somebody else."""
    world.user("bea").iam("EnableMFADevice", userName="ada", serialNumber=f"{MFA}/new")
    world.console_sign_in(world.user("ada"), mfa=True)
    world.console_sign_in(world.user("cleo"), mfa=True)


@spares("new-mfa-used")
def console_with_own_device(world: World) -> None:
    """A user enables a device of its own in the console, and signs in with it."""
    world.console_sign_in(world.user("ada")).iam("EnableMFADevice", userName="ada", serialNumber=f"{MFA}/ada")
    world.console_sign_in(world.user("ada"), mfa=True).calls("iam:ListUsers")


@spares("new-mfa-used")
def console_two_days_later(world: World) -> None:
    """Somebody enables a device for a user, who signs in with it two days later."""
    world.user("bea").iam("EnableMFADevice", userName="ada", serialNumber=f"{MFA}/ada")
    world.wait(2 * 86400)
    world.console_sign_in(world.user("ada"), mfa=True)


@spares("new-mfa-used")
def console_fails(world: World) -> None:
    """Somebody enables a device for a user, whose sign-in fails; before that it had signed in with it."""
    world.console_sign_in(world.user("ada"), mfa=True)
    world.wait(60)
    world.user("bea").iam("EnableMFADevice", userName="ada", serialNumber=f"{MFA}/ada")
    world.failed_console_sign_in(world.user("ada"))["additionalEventData"] |= {"MFAIdentifier": f"{MFA}/ada"}


@fires("key-quarantined", "critical")
def quarantined(world: World) -> None:
    """AWS's quarantine is attached to a user."""
    ada(world)
    arn = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    world.user("aws").iam("AttachUserPolicy", userName="ada", policyArn=arn)


@fires("key-quarantined", "critical")
def quarantined_as_of_old(world: World) -> None:
    """Until 2020, AWS wrote the policy into the user, as the user itself."""
    key, deny = (
        ada(world),
        {"Effect": "Deny", "Action": ["iam:CreateUser", "ec2:RunInstances"], "Resource": "*"},
    )
    name = "AWSExposedCredentialPolicy_DO_NOT_REMOVE"
    document = {"Version": "2012-10-17", "Statement": [deny]}
    key.iam("PutUserPolicy", userName="ada", policyName=name, policyDocument=document)


@spares("key-quarantined")
def another_policy(world: World) -> None:
    """Another policy is attached to a user, and another written into one."""
    ada(world)
    bea = world.user("bea")
    bea.iam("AttachUserPolicy", userName="ada", policyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    bea.iam("PutUserPolicy", userName="ada", policyName="Reads", policyDocument={"Statement": []})
