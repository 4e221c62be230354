"""
For each rule about single acts of an attacker (own power, sharing, guards, hosts, code, secrets, models, storage): evidence
that it must find, and evidence that is near it and must be left alone.

Each case is a function that acts in a fresh world; its docstring says what happens.
"""

from __future__ import annotations

from rule_cases import ELSEWHERE, HOUSE, ada, becomes_habit, fires, spares

from evidence import AWAY, HOME
from tokentrail.testing import Credential, World
from tokentrail.testing.names import Json

STRANGER = "999988887777"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
KALI = "aws-cli/2.15.30 Python/3.11.8 Linux/6.5.0-kali3-amd64 exe/x86_64.kali.2023"
PROWLER = "Boto3/1.34 md/Botocore#1.34 Prowler/4.2.1"
CLI = "aws-cli/2.17.1 md/awscrt#0.20.11 ua/2.0 os/linux#6.8 md/arch#x86_64"
SDK = "Boto3/1.34.162 md/Botocore#1.34.162"
TERRAFORM = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 aws-sdk-go-v2/1.30.4"


def _policy(action: str | list[str], resource: str = "*", effect: str = "Allow") -> Json:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": effect, "Action": action, "Resource": resource}],
    }


def settled(world: World, name: str) -> Credential:
    """A user who has worked for four days, from one address."""
    key = world.user(name, ip=HOUSE, user_agent=SDK)
    for _ in range(4):
        key.calls("ec2:DescribeInstances", count=4, every=60)
        world.wait(hours=24)
    return key


def thief(world: World, name: str) -> Credential:
    """The key of such a user in other hands."""
    return settled(world, name).seen_from(ELSEWHERE, CLI)


# ---------------------------------------------------------------- self-escalation


@fires("self-escalation", "high")
def user_makes_itself_admin(world: World) -> None:
    """A user attaches all power to itself."""
    ada(world).iam("AttachUserPolicy", userName="ada", policyArn=ADMIN)


@fires("self-escalation", "high")
def session_widens_its_role(world: World) -> None:
    """A role's session writes all power into its role."""
    ada(world).assumes("Reports", "x").iam(
        "PutRolePolicy", roleName="Reports", policyName="p", policyDocument=_policy("*")
    )


@fires("self-escalation", "high")
def session_gives_its_role_the_way(world: World) -> None:
    """A role's session gives its role, on everything, a call by which it can take the rest."""
    ada(world).assumes("Reports", "x").iam(
        "PutRolePolicy",
        roleName="Reports",
        policyName="p",
        policyDocument=_policy(["iam:PutRole*", "s3:Get*"]),
    )


@fires("self-escalation", "high")
def user_joins_a_group(world: World) -> None:
    """A user puts itself into a group."""
    ada(world).iam("AddUserToGroup", userName="ada", groupName="Admins")


@fires("self-escalation", "high")
def user_widens_its_group(world: World) -> None:
    """A user attaches all power to a group that somebody had put it into."""
    key = ada(world)
    world.user("noor").iam("AddUserToGroup", userName="ada", groupName="Staff")
    key.iam("AttachGroupPolicy", groupName="Staff", policyArn=ADMIN)


@fires("self-escalation", "high")
def session_opens_its_role(world: World) -> None:
    """A role's session lets a stranger's account into its role."""
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{STRANGER}:root"},
        "Action": "sts:AssumeRole",
    }
    ada(world).assumes("Reports", "x").iam(
        "UpdateAssumeRolePolicy",
        roleName="Reports",
        policyDocument={"Version": "2012-10-17", "Statement": [trust]},
    )


@fires("self-escalation", "high")
def user_chooses_a_version(world: World) -> None:
    """A user chooses another version of a policy that is attached to it."""
    own = f"arn:aws:iam::{HOME}:policy/own"
    key = ada(world)
    world.user("noor").iam("AttachUserPolicy", userName="ada", policyArn=own)
    key.iam("SetDefaultPolicyVersion", policyArn=own, versionId="v1")


@fires("self-escalation", "high")
def user_writes_a_version(world: World) -> None:
    """A user writes a new default version, with all power, of a policy that is attached to it."""
    own = f"arn:aws:iam::{HOME}:policy/own"
    key = ada(world)
    world.user("noor").iam("AttachUserPolicy", userName="ada", policyArn=own)
    key.iam("CreatePolicyVersion", policyArn=own, policyDocument=_policy("*"), setAsDefault=True)


@fires("self-escalation", "high")
def user_drops_its_boundary(world: World) -> None:
    """A user takes its permissions boundary away."""
    ada(world).iam("DeleteUserPermissionsBoundary", userName="ada")


@fires("self-escalation", "medium")
def user_takes_something(world: World) -> None:
    """A user attaches a policy to itself whose text is not in the evidence."""
    ada(world).iam("AttachUserPolicy", userName="ada", policyArn=f"arn:aws:iam::{HOME}:policy/buckets")


@spares("self-escalation")
def administrator_empowers_others(world: World) -> None:
    """An administrator gives power to another user, a role and a group that it is not known to be in."""
    key = ada(world)
    key.iam("AttachUserPolicy", userName="cleo", policyArn=ADMIN)
    key.iam("PutRolePolicy", roleName="ada", policyName="p", policyDocument=_policy("*"))
    key.iam("AttachGroupPolicy", groupName="ada", policyArn=ADMIN)
    key.iam("AddUserToGroup", userName="cleo", groupName="Admins")
    key.iam("CreatePolicyVersion", policyArn=f"arn:aws:iam::{HOME}:policy/x", policyDocument=_policy("*"),
            setAsDefault=True)  # fmt: skip


@spares("self-escalation")
def namesake_of_a_session(world: World) -> None:
    """A session that bears a user's name gives that user power: a session's name is whatever its caller says."""
    ada(world).assumes("Admin", "cleo").iam("AttachUserPolicy", userName="cleo", policyArn=ADMIN)


@spares("self-escalation")
def user_restrains_itself(world: World) -> None:
    """A user denies itself something, and AWS puts its quarantine on the user in the user's own name."""
    key = ada(world)
    key.iam("PutUserPolicy", userName="ada", policyName="p", policyDocument=_policy("*", effect="Deny"))
    quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    key.iam("AttachUserPolicy", userName="ada", policyArn=quarantine)


@spares("self-escalation")
def version_that_is_no_default(world: World) -> None:
    """A version of one's own policy that is not made the default changes nothing."""
    own = f"arn:aws:iam::{HOME}:policy/own"
    key = ada(world)
    world.user("noor").iam("AttachUserPolicy", userName="ada", policyArn=own)
    key.iam("CreatePolicyVersion", policyArn=own, policyDocument=_policy("*"))


@becomes_habit("self-escalation")
def pipeline_keeps_its_role(world: World) -> None:
    """A pipeline writes the policy of its own role with each deployment."""
    for _ in range(4):
        build = world.user("ci", ip=HOUSE).assumes("Deploy", "build")
        build.iam("PutRolePolicy", roleName="Deploy", policyName="p", policyDocument=_policy("s3:*"))
        world.wait(hours=30)


# ---------------------------------------------------------------- attack-tool


@fires("attack-tool", "medium")
def calls_from_kali(world: World) -> None:
    """A key is used on a system made for attacks."""
    ada(world).seen_from(ELSEWHERE, KALI).calls("sts:GetCallerIdentity")


@fires("attack-tool", "low")
def calls_by_a_scanner(world: World) -> None:
    """A key is used by a scanner that owners use too, in three sessions of one role."""
    for number in range(3):
        ada(world).assumes("Audit", f"scan-{number}").seen_from(ELSEWHERE, PROWLER).calls("iam:ListUsers")


@spares("attack-tool")
def words_within_words(world: World) -> None:
    """Names of tools within longer words, and of a worker that ends as a tool's name begins, are none."""
    for agent in ("kalimba/1.0", "awslambda-worker/1.0", "Boto3/1.34 app/opacum", "nmapper/2"):
        ada(world).seen_from(HOUSE, agent).calls("s3:ListBuckets")


@becomes_habit("attack-tool")
def owners_scanner(world: World) -> None:
    """A scanner runs every night."""
    for _ in range(4):
        world.user("audit", ip=HOUSE).assumes("Audit", "scan").seen_from(HOUSE, PROWLER).calls(
            "iam:ListUsers"
        )
        world.wait(hours=30)


# ---------------------------------------------------------------- weak-sign-in


@fires("weak-sign-in", "low")
def sign_in_without_mfa(world: World) -> None:
    """A user signs in to the console without a second factor, twice."""
    for _ in range(2):
        world.console_sign_in(world.user("ada")).calls("ec2:DescribeInstances")
        world.wait(hours=1)


@fires("weak-sign-in", "low")
def sign_in_and_no_call(world: World) -> None:
    """A user signs in without a second factor, and the log shows no call that followed."""
    world.console_sign_in(world.user("ada"))


@spares("weak-sign-in")
def sign_in_with_mfa_and_no_call(world: World) -> None:
    """A user signs in with a second factor, and no call follows."""
    world.console_sign_in(world.user("ada"), mfa=True)


@spares("weak-sign-in")
def sign_in_with_mfa(world: World) -> None:
    """A user signs in with a second factor, and a person by Identity Center, whose second factor the log hides."""
    world.console_sign_in(world.user("ada"), mfa=True).calls("ec2:DescribeInstances")
    world.identity_center("dana@example.com", "Developer", account=HOME, console=True).calls("s3:ListBuckets")


# ---------------------------------------------------------------- shared-outside


def _share(credential: Credential, account: str) -> None:
    items = {"add": {"items": [{"userId": account}]}}
    request = {
        "snapshotId": "snap-0a1b2c3d",
        "attributeType": "CREATE_VOLUME_PERMISSION",
        "createVolumePermission": items,
    }
    credential.calls("ec2:ModifySnapshotAttribute", request, read_only=False)


@fires("shared-outside", "medium")
def snapshot_for_a_stranger(world: World) -> None:
    """A disk's snapshot is shared with an account that the case does not know."""
    _share(ada(world), STRANGER)


@fires("shared-outside", "high")
def image_for_everybody(world: World) -> None:
    """An image is shared with everybody."""
    everybody = {"add": {"items": [{"group": "all"}]}}
    request = {"imageId": "ami-0a1b2c3d", "attributeType": "launchPermission", "launchPermission": everybody}
    ada(world).calls("ec2:ModifyImageAttribute", request, read_only=False)


@fires("shared-outside", "medium")
def database_for_a_stranger(world: World) -> None:
    """Snapshots of a database and of a cluster are shared with a stranger."""
    for call, member in (
        ("ModifyDBSnapshotAttribute", "dBSnapshotIdentifier"),
        ("ModifyDBClusterSnapshotAttribute", "dBClusterSnapshotIdentifier"),
    ):
        request = {member: "orders", "attributeName": "restore", "valuesToAdd": [STRANGER]}
        ada(world).calls(f"rds:{call}", request, read_only=False)


@fires("shared-outside", "medium")
def key_for_a_stranger(world: World) -> None:
    """A key's policy lets a stranger in, and a grant does."""
    root = f"arn:aws:iam::{STRANGER}:root"
    allowed = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:Decrypt", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allowed]}
    key = ada(world)
    key.calls(
        "kms:PutKeyPolicy", {"keyId": "k-1", "policyName": "default", "policy": document}, read_only=False
    )
    key.calls("kms:CreateGrant", {"keyId": "k-1", "granteePrincipal": root}, read_only=False)


@spares("shared-outside")
def shared_at_home(world: World) -> None:
    """A snapshot is shared with an account whose log the case holds, taken back from a stranger, and a key's own
    account is let in."""
    world.user("ben", account=AWAY).calls("s3:ListBuckets")
    key = ada(world)
    _share(key, AWAY)
    taken = {"remove": {"items": [{"userId": STRANGER}]}}
    request = {"snapshotId": "snap-0a1b2c3d", "createVolumePermission": taken}
    key.calls("ec2:ModifySnapshotAttribute", request, read_only=False)
    grant = {"keyId": "k-1", "granteePrincipal": f"arn:aws:iam::{HOME}:role/App"}
    key.calls("kms:CreateGrant", grant, read_only=False)


@becomes_habit("shared-outside")
def images_for_a_customer(world: World) -> None:
    """A snapshot is shared with a customer every other day."""
    for _ in range(4):
        _share(world.user("release", ip=HOUSE), STRANGER)
        world.wait(hours=40)


# ---------------------------------------------------------------- guards-off


@fires("guards-off", "medium")
def flow_logs_off(world: World) -> None:
    """A network's flow logs are deleted."""
    ada(world).calls("ec2:DeleteFlowLogs", {"flowLogIds": ["fl-1"]}, read_only=False)


@fires("guards-off", "high")
def several_guards_off(world: World) -> None:
    """AWS Config, Security Hub and Bedrock's log of invocations are turned off."""
    key = ada(world)
    key.calls("config:StopConfigurationRecorder", {"configurationRecorderName": "default"}, read_only=False)
    key.calls("securityhub:DisableSecurityHub", read_only=False)
    key.calls("bedrock:DeleteModelInvocationLoggingConfiguration", read_only=False)


@fires("guards-off", "high")
def organization_left(world: World) -> None:
    """An account leaves its organization."""
    ada(world).calls("organizations:LeaveOrganization", read_only=False)


@fires("guards-off", "low")
def flow_logs_of_a_network(world: World) -> None:
    """Terraform takes a network down, and its flow logs with it."""
    ada(world).seen_from(HOUSE, TERRAFORM).calls(
        "ec2:DeleteFlowLogs", {"flowLogIds": ["fl-1"]}, read_only=False
    )


@fires("guards-off", "low")
def findings_filtered(world: World) -> None:
    """GuardDuty is told to put some findings away."""
    ada(world).calls("guardduty:CreateFilter", {"detectorId": "d", "action": "ARCHIVE"}, read_only=False)


@spares("guards-off")
def guards_on(world: World) -> None:
    """Turning them off is refused, CloudFormation takes a network down, and an application loses its log and alarm."""
    key = ada(world)
    key.denied("ec2:DeleteFlowLogs")
    key.via("cloudformation.amazonaws.com").calls("ec2:DeleteFlowLogs", {"flowLogIds": ["fl-1"]})
    key.calls("logs:DeleteLogGroup", {"logGroupName": "/aws/lambda/old"}, read_only=False)
    key.calls("monitoring:DeleteAlarms", {"alarmNames": ["old"]}, read_only=False)
    key.calls("frauddetector:DeleteDetector", {"detectorId": "d"}, read_only=False)


@becomes_habit("guards-off")
def networks_come_and_go(world: World) -> None:
    """A tester's networks are taken down by hand every other day."""
    for _ in range(4):
        world.user("test", ip=HOUSE).calls("ec2:DeleteFlowLogs", {"flowLogIds": ["fl-1"]}, read_only=False)
        world.wait(hours=40)


# ---------------------------------------------------------------- host-entered


@fires("host-entered", "medium")
def thief_runs_commands(world: World) -> None:
    """A user that had entered no host for days runs a command on one, from an address that is new to it."""
    thief(world, "vera").calls("ssm:SendCommand", {"documentName": "AWS-RunShellScript"}, read_only=False)


@fires("host-entered", "medium")
def passwords_of_all_hosts(world: World) -> None:
    """A user that had entered no host for days asks for the passwords of many."""
    settled(world, "vera").calls("ec2:GetPasswordData", {"instanceId": "i-{n}"}, count=6)


@fires("host-entered", "medium")
def thief_changes_user_data(world: World) -> None:
    """What an instance runs as it starts is changed, from an address that is new to the user."""
    request = {"instanceId": "i-0a1b2c3d4e", "userData": "<sensitiveDataRemoved>"}
    thief(world, "vera").calls("ec2:ModifyInstanceAttribute", request, read_only=False)


@fires("host-entered", "medium")
def keys_pushed_to_the_console(world: World) -> None:
    """A new user of the serial console opens it, and pushes a key to it and to SSH."""
    key = settled(world, "vera")
    key.calls("ec2:EnableSerialConsoleAccess", read_only=False)
    for call in ("SendSSHPublicKey", "SendSerialConsoleSSHPublicKey"):
        key.calls(f"ec2-instance-connect:{call}", {"instanceId": "i-0a1b2c3d4e"}, read_only=False)


@spares("host-entered")
def administrator_at_work(world: World) -> None:
    """An administrator who logs in to hosts every day does so from home too."""
    key = world.user("noor", ip=HOUSE)
    for _ in range(5):
        key.calls("ssm:StartSession", {"target": "i-0a1b2c3d4e"}, read_only=False, count=6, every=60)
        world.wait(hours=24)
    key.seen_from(ELSEWHERE).calls("ssm:StartSession", {"target": "i-0a1b2c3d4e"}, read_only=False)


@spares("host-entered")
def first_login_from_the_office(world: World) -> None:
    """A user logs in to a host for the first time, from where it always works: one sign is none."""
    settled(world, "vera").calls("ssm:StartSession", {"target": "i-0a1b2c3d4e"}, read_only=False)


@spares("host-entered")
def instance_resized(world: World) -> None:
    """Another attribute of an instance opens nothing, and neither does a key pair, or a refused command."""
    key = thief(world, "vera")
    key.calls(
        "ec2:ModifyInstanceAttribute", {"instanceId": "i-1", "instanceType": {"value": "m5"}}, read_only=False
    )
    key.calls("ec2:CreateKeyPair", {"keyName": "k"}, read_only=False)
    key.denied("ssm:SendCommand")


# ---------------------------------------------------------------- code-changed


@fires("code-changed", "medium")
def thief_changes_code(world: World) -> None:
    """A user that had changed no function for days does so from a new address."""
    thief(world, "wanda").updates_function("resize")


@fires("code-changed", "medium")
def thief_adds_a_layer(world: World) -> None:
    """A function is given another layer by a key that never did so, from a new address."""
    request = {"functionName": "f", "layers": [f"arn:aws:lambda:us-east-1:{STRANGER}:layer:x:1"]}
    thief(world, "wanda").calls("lambda:UpdateFunctionConfiguration20150331v2", request, read_only=False)


@spares("code-changed")
def function_configured(world: World) -> None:
    """A function is given more memory, by whoever never changed one."""
    request = {"functionName": "f", "memorySize": 512}
    thief(world, "wanda").calls("lambda:UpdateFunctionConfiguration20150331v2", request, read_only=False)


@spares("code-changed")
def pipeline_deploys(world: World) -> None:
    """A pipeline that had changed no function for days deploys one, from a runner whose address is always new."""
    for number in range(6):
        runner = world.oidc(
            "Deploy", "repo:example/shop:ref:refs/heads/main", ip=f"20.{number}.7.9", user_agent=SDK
        )
        runner.calls("s3:ListBuckets", count=3)
        world.wait(hours=24)
    runner = world.oidc("Deploy", "repo:example/shop:ref:refs/heads/main", ip="20.99.7.9", user_agent=SDK)
    runner.updates_function("resize")


# ---------------------------------------------------------------- secrets-in-bulk


@fires("secrets-in-bulk", "medium")
def vault_by_the_batch(world: World) -> None:
    """A key reads five batches of secrets."""
    ada(world).calls("secretsmanager:BatchGetSecretValue", {"filters": []}, count=5)


@fires("secrets-in-bulk", "high")
def batch_by_a_thief(world: World) -> None:
    """A key that had read none so for days reads a batch, from a new address."""
    thief(world, "xenia").calls("secretsmanager:BatchGetSecretValue", {"filters": []})


@spares("secrets-in-bulk")
def program_reads_its_settings(world: World) -> None:
    """A task reads its settings by the batch as it starts; a person reads one batch."""
    world.task("Orders").calls("secretsmanager:BatchGetSecretValue", {"filters": []}, count=4)
    ada(world).calls("secretsmanager:BatchGetSecretValue", {"filters": []})


@becomes_habit("secrets-in-bulk")
def batches_every_day(world: World) -> None:
    """An export of settings reads batches every other day."""
    for _ in range(4):
        world.user("export", ip=HOUSE).calls("secretsmanager:BatchGetSecretValue", {"filters": []}, count=4)
        world.wait(hours=40)


# ---------------------------------------------------------------- models-invoked


def _invoke(credential: Credential, region: str | None = None, count: int = 3) -> None:
    model = {"modelId": "anthropic.claude-3-sonnet-20240229-v1:0"}
    credential.calls("bedrock:InvokeModel", model, count=count, region=region)


@fires("models-invoked", "medium")
def models_for_a_thief(world: World) -> None:
    """A key that had invoked no model for days does so, from a new address."""
    _invoke(thief(world, "yola"))


@fires("models-invoked", "medium")
def key_opens_models(world: World) -> None:
    """A long-term key asks for access to models, and invokes them."""
    key = ada(world)
    key.calls("bedrock:PutUseCaseForModelAccess", read_only=False)
    key.calls("bedrock:CreateFoundationModelAgreement", {"modelId": "m"}, read_only=False)
    _invoke(key)


@fires("models-invoked", "medium")
def models_in_another_region(world: World) -> None:
    """A role that invokes models in one region every day invokes them in another, where nobody else does."""
    for _ in range(5):
        _invoke(world.task("Chat"))
        world.wait(hours=24)
    _invoke(world.task("Chat"), "ap-southeast-2")


@fires("models-invoked", "medium")
def models_by_a_key_made_elsewhere(world: World) -> None:
    """An API key is made from one address, and minutes later invokes models from another."""
    key = ada(world).creates_api_key(world.user("BedrockAPIKey-x1y2").user)
    world.wait(minutes=5)
    _invoke(key.seen_from("198.51.100.23"))


@spares("models-invoked")
def developer_makes_an_api_key(world: World) -> None:
    """A developer makes an API key and tries it out from where it was made."""
    _invoke(settled(world, "yola").creates_api_key(world.user("BedrockAPIKey-x1y2").user))


@spares("models-invoked")
def program_invokes_models(world: World) -> None:
    """Two programs invoke models every day, and a person tries one out by a role."""
    for _ in range(5):
        for role in ("Chat", "Search"):
            _invoke(world.task(role))
        world.wait(hours=24)
    _invoke(settled(world, "yola").assumes("Developer", "ada"))


# ---------------------------------------------------------------- storage-extortion


def _deletes(credential: Credential, count: int = 120) -> None:
    credential.calls("s3:DeleteObject", {"bucketName": "orders", "key": "k-{n}"}, count=count, data=True)


@fires("storage-extortion", "high")
def objects_and_versions_gone(world: World) -> None:
    """Versions are no longer kept, and then more objects are deleted than ever before."""
    key = ada(world)
    request = {"bucketName": "orders", "VersioningConfiguration": {"Status": "Suspended"}}
    key.calls("s3:PutBucketVersioning", request, read_only=False)
    _deletes(key)


@fires("storage-extortion", "high")
def locked_with_a_strangers_key(world: World) -> None:
    """Objects are copied onto themselves, encrypted with a key that only the caller has."""
    request = {
        "bucketName": "orders", "key": "k-{n}", "x-amz-copy-source": "orders/k-{n}",
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
    }  # fmt: skip
    ada(world).calls("s3:CopyObject", request, count=110, data=True)


@fires("storage-extortion", "critical")
def locked_and_expiring(world: World) -> None:
    """The same, and a lifecycle deletes the bucket's objects in a week."""
    locked_with_a_strangers_key(world)
    rule = {"Status": "Enabled", "ID": "x", "Expiration": {"Days": 7}}
    request = {"bucketName": "orders", "lifecycle": "", "LifecycleConfiguration": {"Rule": rule}}
    ada(world).calls("s3:PutBucketLifecycle", request, read_only=False)


@spares("storage-extortion")
def buckets_cleaned_up(world: World) -> None:
    """A job deletes many objects every night; another bucket is given a lifecycle, and keeps versions from now on."""
    for _ in range(3):
        _deletes(world.task("Cleanup"))
        world.wait(hours=24)
    _deletes(world.user("ben"))
    key = world.user("noor")
    rule = [{"Status": "Enabled", "ID": "x", "Expiration": {"Days": 90}}]
    request = {"bucketName": "logs", "LifecycleConfiguration": {"Rule": rule}}
    key.calls("s3:PutBucketLifecycle", request, read_only=False)
    kept = {"bucketName": "logs", "VersioningConfiguration": {"Status": "Enabled"}}
    key.calls("s3:PutBucketVersioning", kept, read_only=False)


@spares("storage-extortion")
def habit_of_deleting(world: World) -> None:
    """Versions are suspended by a role whose sessions have always deleted much."""
    for number in range(3):
        session = world.user("ops").assumes("Retention", f"run-{number}")
        _deletes(session)
        world.wait(hours=24)
    request = {"bucketName": "logs", "VersioningConfiguration": {"Status": "Suspended"}}
    session = world.user("dan").assumes("Retention", "x")
    session.calls("s3:PutBucketVersioning", request, read_only=False)
    _deletes(session)
