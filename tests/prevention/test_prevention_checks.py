"""Each check of the audit: what it reports, and what a boundary, an SCP or a deny keeps it from reporting."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from guard_cases import OFFICE, audited, stolen

from evidence import AWAY, HOME, START
from policy.iam_cases import doc, let, managed, may, never, role, role_arn, root, snapshot, user, user_arn
from tokentrail.policy.account.supplements import Report, ReportedKey, ReportedUser, controls
from tokentrail.prevention.checks.trust_cycles import circles
from tokentrail.prevention.model import AuditFinding
from tokentrail.testing import World

ASSUMES = doc(may("sts:AssumeRole"))
OUTSIDE = never("*", condition={"NotIpAddressIfExists": {"aws:SourceIp": f"{OFFICE}/24"}})
TOKENS = never("*", condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def report(
    name: str,
    *,
    keys: tuple[ReportedKey, ...] = (),
    password: bool = False,
    password_used: datetime | None = None,
) -> Report:
    """A credential report of one user."""
    made = datetime(2025, 1, 1, tzinfo=UTC)
    one = ReportedUser(
        name=name,
        arn=user_arn(name),
        created=made,
        password=password,
        password_used=password_used,
        mfa=False,
        keys=keys,
    )
    return Report(users=(one,))


def key(*, active: bool = True, used: datetime | None = None) -> ReportedKey:
    """A key of a credential report."""
    return ReportedKey(number=1, active=active, rotated=datetime(2025, 1, 1, tzinfo=UTC), last_used=used)


def whom(found: list[AuditFinding]) -> list[str]:
    """The principals of findings, by their names."""
    return [(one.principal or "").rpartition("/")[2] for one in found]


def scps(*statements: Any) -> tuple[Any, ...]:
    """SCPs, as `--scp` reads them."""
    return controls(json.dumps(doc(*statements)).encode(), "scp.json")


def test_a_key_that_mints_tokens_is_reported_until_its_tokens_are_worth_nothing() -> None:
    """An SCP, a policy of the user's or its boundary that stops a thief from outside closes it; a lesser one does not."""
    world, _, _ = stolen()
    plain = snapshot(users=[user("support", ASSUMES), user("ria", ASSUMES)])
    denied = snapshot(users=[user("support", ASSUMES, doc(OUTSIDE)), user("ria", doc(never("s3:*")))])
    bounded = snapshot(
        users=[user("support", ASSUMES, boundary=f"arn:aws:iam::{HOME}:policy/B"), user("ria")],
        policies=[managed(f"arn:aws:iam::{HOME}:policy/B", doc(may("*"), OUTSIDE))],
    )

    assert ["ria", "support"] == whom(audited(world, "long-term-keys", plain))
    assert (
        ["ria"]
        == whom(audited(world, "long-term-keys", denied))
        == whom(audited(world, "long-term-keys", bounded))
    )
    assert [] == audited(world, "long-term-keys", plain, controls=scps(OUTSIDE))
    [first, _] = audited(world, "long-term-keys", plain, controls=scps(never("s3:*")))
    assert 36 * 3600 == first.lives and "can't be denied" in first.why


def test_a_key_that_the_report_says_is_inactive_is_none() -> None:
    """The credential report wins over what the case saw."""
    world = World(START)
    world.user("support").calls("s3:ListBuckets")
    off = audited(world, "long-term-keys", reports=(report("support", keys=(key(active=False),)),))

    assert [] == off
    assert ["support"] == whom(audited(world, "long-term-keys", reports=(report("support", keys=(key(),)),)))


def test_tokens_used_without_mfa() -> None:
    """The user with such a token is named; one with MFA is not, nor one whose tokens are denied all."""
    world = World(START)
    key_ = world.user("support")
    key_.gets_session_token().calls("s3:ListBuckets")
    world.user("safe").gets_session_token(mfa_serial=f"arn:aws:iam::{HOME}:mfa/safe").calls("s3:ListBuckets")
    closed = snapshot(users=[user("support", doc(may("*"), TOKENS))])

    assert ["support"] == whom(audited(world, "tokens-without-mfa"))
    assert [] == audited(world, "tokens-without-mfa", closed)


def test_api_keys_that_never_expire() -> None:
    """An API key that was made without an end is named, until it is inactive; one that expires or was not seen made is not."""
    world = World(START)
    admin, bot = world.user("admin"), world.user("BedrockAPIKey-x1y2")
    endless = admin.creates_api_key(bot.user, shows_id=True)
    endless.calls("bedrock:InvokeModel")
    admin.creates_api_key(world.user("ada"), days=30)
    with world.unlogged():
        unseen = admin.creates_api_key(world.user("bob"), shows_id=True)
    unseen.calls("bedrock:InvokeModel")
    [found] = audited(world, "endless-api-keys")
    named = {"serviceSpecificCredentialId": endless.id, "userName": bot.user.name}
    admin.iam("UpdateServiceSpecificCredential", **named, status="Inactive")

    assert (found.severity, endless.id in found.why) == ("medium", True)
    assert "console of Bedrock" in found.why
    assert [] == audited(world, "endless-api-keys")


def test_roles_that_users_take_up_with_a_key_alone() -> None:
    """Open: no condition anywhere. Closed: by the trust policy, the user's policy, an SCP, or for want of permission."""
    trust = doc(let(root()))
    users = [user("support", ASSUMES), user("nobody")]
    shut = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    open_ = snapshot(users=users, roles=[role("Open", trust), role("Asks", doc(let(root(), shut)))])

    [found] = audited(None, "roles-open-to-users", open_)
    assert role_arn("Open") == found.principal
    assert (user_arn("support"),) == found.whence and (role_arn("Open"),) == found.whither
    assert [] == audited(None, "roles-open-to-users", open_, controls=scps(OUTSIDE, may("*")))
    guarded = snapshot(users=[user("support", ASSUMES, doc(never("sts:*")))], roles=[role("Open", trust)])
    assert [] == audited(None, "roles-open-to-users", guarded)


@pytest.mark.parametrize(
    ("principal", "condition", "severity"),
    [
        ("*", None, "critical"),
        ("*", {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}, None),
        (root("999988887777"), None, "high"),
        ("999988887777", None, "high"),
        ("arn:aws:iam::999988887777:role/Vendor", None, "high"),
        (root("999988887777"), {"StringEquals": {"sts:ExternalId": "x"}}, None),
        (root("999988887777"), {"StringLike": {"sts:ExternalId": "*", "sts:RoleSessionName": "*"}}, "high"),
        (root("999988887777"), {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, None),
        (root(), None, "low"),
        (user_arn("ada"), None, None),
    ],
)
def test_whom_a_role_trusts(principal: Any, condition: Any, severity: str | None) -> None:
    """Anybody, a stranger's account and one's own are told apart; what a stranger can't show keeps it quiet."""
    shot = snapshot(users=[user("ada")], roles=[role("Shared", doc(let(principal, condition)))])
    found = audited(None, "trusts-strangers", shot)

    assert ([severity] if severity else []) == [one.severity for one in found]


def test_an_account_that_the_case_shows_at_work_is_no_stranger() -> None:
    """Trusting it as a whole is told at medium severity."""
    world = World(START)
    world.user("here").calls("s3:ListBuckets")
    world.user("there", account=AWAY).calls("s3:ListBuckets")
    found = audited(world, "trusts-strangers", snapshot(roles=[role("Shared", doc(let(root(AWAY))))]))

    assert ["medium"] == [one.severity for one in found]


def test_circles_of_trust_by_name_by_account_and_by_wildcard() -> None:
    """Ping and Pong by name; Left and Right since both trust the account and may assume anything; alone, itself."""
    shot = snapshot(
        roles=[
            role("Ping", doc(let(role_arn("Pong")))),
            role("Pong", doc(let(role_arn("Ping")))),
            role("Left", doc(let(root())), doc(may("sts:*"))),
            role("Right", doc(let(root())), doc(may("sts:AssumeRole", "arn:aws:iam::*:role/L*"))),
            role("Self", doc(let(role_arn("Self")))),
            role("Chain", doc(let(role_arn("Ping")))),
        ]
    )
    found = audited(None, "trust-cycles", shot)

    assert [("Left", "Right"), ("Ping", "Pong"), ("Self",)] == sorted(
        tuple(one.rpartition("/")[2] for one in item.whither) for item in found if item.severity == "high"
    )
    assert all(item.lives is None for item in found)
    assert f"role/Ping of {HOME}, role/Pong of {HOME} may" in " ".join(item.why for item in found)


def test_a_circle_that_a_policy_cuts_is_none() -> None:
    """A deny on one of the roles, or an SCP, keeps it quiet."""
    roles = [
        role("Ping", doc(let(role_arn("Pong"))), doc(never("sts:AssumeRole"))),
        role("Pong", doc(let(role_arn("Ping")))),
    ]
    mutual = [role("Ping", doc(let(role_arn("Pong")))), role("Pong", doc(let(role_arn("Ping"))))]

    assert [] == audited(None, "trust-cycles", snapshot(roles=roles))
    assert [] == audited(
        None,
        "trust-cycles",
        snapshot(roles=mutual),
        controls=scps(may("*"), never("sts:AssumeRole", role_arn("Ping"))),
    )


def test_circles_are_the_strongly_connected_parts() -> None:
    """Against the definition: two nodes share a circle where each reaches the other."""
    edges = {
        "a": {"b"},
        "b": {"c", "d"},
        "c": {"a"},
        "d": {"e"},
        "e": {"d", "f"},
        "f": set(),
        "g": {"g"},
        "h": {"a"},
    }

    assert [("a", "b", "c"), ("d", "e"), ("g",)] == list(circles(edges))
    long = {str(n): {str((n + 1) % 3000)} for n in range(3000)}
    assert [3000] == [len(one) for one in circles(long)]


def test_sessions_that_may_live_far_longer_than_they_are_used() -> None:
    """
    Twelve hours allowed and minutes used is told; two hours is, if used for minutes; near the use is not, nor is a role
    of Identity Center's, whose length its permission set tells.
    """
    world = World(START)
    session = world.user("ada").assumes("Long", "x")
    session.calls("s3:ListBuckets", count=3, every=300)
    ria = world.identity_center("ria@example.com", "Support", account=HOME)
    ria.calls("s3:ListBuckets", count=3)
    hers = world.records()[-1]["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"]
    lengths = {role_arn("Long"): 43_200, hers: 43_200}

    [told] = audited(world, "sessions-too-long", lengths=lengths)
    assert (["Long"], 43_200) == (whom([told]), told.lives)
    assert ["Long"] == whom(audited(world, "sessions-too-long", lengths={role_arn("Long"): 7200}))
    assert [] == audited(world, "sessions-too-long", lengths={role_arn("Long"): 3600})
    assert [] == audited(world, "sessions-too-long")


def test_what_nobody_used_for_ninety_days() -> None:
    """A key, a password and a role; not what was used last week, nor an inactive key."""
    recent = datetime(2026, 11, 20, tzinfo=UTC)
    reports = (
        report("old", keys=(key(),), password=True), report("off", keys=(key(active=False),)),
        report("new", keys=(key(used=recent),), password=True, password_used=recent),
    )  # fmt: skip
    old_role = role("Old", doc(let(root()))) | {"RoleLastUsed": {"LastUsedDate": "2026-01-01T00:00:00+00:00"}}
    never_used = role("Never", doc(let(root()))) | {"RoleLastUsed": {}}
    found = audited(
        None,
        "unused-credentials",
        snapshot(roles=[old_role, never_used, role("New", doc(let(root())))]),
        reports=reports,
    )

    assert ["Never", "Old", "old", "old"] == sorted(whom(found))


def test_users_without_mfa_are_named_with_what_a_thief_needs() -> None:
    """A password or an active key without a device; not with one, nor where nothing is left to sign in or call with."""
    root_user = replace(report("root").users[0], name="<root_account>", arn=f"arn:aws:iam::{HOME}:root")
    safe = replace(report("safe", keys=(key(),), password=True).users[0], mfa=True)
    reports = (
        report("ada", password=True), report("bot", keys=(key(),)), report("both", keys=(key(), key()), password=True),
        report("idle", keys=(key(active=False),)), Report(users=(safe, root_user)),
    )  # fmt: skip
    found = audited(None, "users-without-mfa", reports=reports)

    assert {("ada", "high"), ("bot", "medium"), ("both", "high"), (f"arn:aws:iam::{HOME}:root", "high")} == {
        ((one.principal or "").rpartition("/")[2], one.severity) for one in found
    }
    assert ["user/both has a password and 2 active keys, and no MFA device."] == [
        one.why for one in found if "both" in one.why
    ]


def test_a_key_that_policies_deny_without_mfa_needs_no_device() -> None:
    """Where keys and tokens are denied everything without MFA, only a password is worth a finding."""
    holders = [user(name, doc(may("*"), TOKENS)) for name in ("bot", "ada")]
    reports = (report("bot", keys=(key(),)), report("ada", keys=(key(),), password=True))
    found = audited(None, "users-without-mfa", snapshot(users=holders), reports=reports)

    assert ["ada"] == whom(found)


def test_roles_that_may_do_or_trust_more_than_is_seen() -> None:
    """Services never used, and callers who never came while others did; the boundary's services alone count."""
    world, _, _ = stolen()
    trust = doc(let([user_arn("ria"), user_arn("support")]))
    wide = snapshot(roles=[role("Reader", trust, doc(may(["s3:*", "ec2:*", "iam:Get*"])))])
    bounded = snapshot(
        roles=[
            role(
                "Reader",
                doc(let(user_arn("ria"))),
                doc(may(["s3:*", "ec2:*"])),
                boundary=f"arn:aws:iam::{HOME}:policy/B",
            )
        ],
        policies=[managed(f"arn:aws:iam::{HOME}:policy/B", doc(may("s3:*")))],
    )
    found = audited(world, "beyond-use", wide)

    assert {"info"} == {one.severity for one in found}  # an hour of evidence proves little
    assert any("may use ec2, iam" in one.why for one in found)
    assert any("user/support" in one.why and "ria" not in one.why.partition("trusts")[2] for one in found)
    assert [] == audited(world, "beyond-use", bounded)


GITHUB = {"Federated": f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"}
SUB, AUD = "token.actions.githubusercontent.com:sub", "token.actions.githubusercontent.com:aud"


@pytest.mark.parametrize(
    ("condition", "severity"),
    [
        (None, "critical"),
        ({"StringEquals": {AUD: "sts.amazonaws.com"}}, "critical"),
        ({"StringEquals": {AUD: "sts.amazonaws.com"}, "StringLike": {SUB: "*"}}, "critical"),
        ({"StringEquals": {AUD: "sts.amazonaws.com"}, "StringNotLike": {SUB: "repo:x/*"}}, "critical"),
        ({"StringLike": {SUB: "repo:example/shop:*"}}, "medium"),
        ({"StringEquals": {AUD: "sts.amazonaws.com"}, "StringLike": {SUB: "repo:example/shop:*"}}, None),
        ({"ForAnyValue:StringLike": {SUB: ["repo:example/*"]}, "StringEquals": {AUD: "x"}}, None),
        ({"StringLike": {SUB: "repo:*"}, "StringEquals": {AUD: "x"}}, "critical"),
        (
            {"StringLike": {SUB: ["repo:example/shop:*", "repo:example*"]}, "StringEquals": {AUD: "x"}},
            "critical",
        ),
        (
            {"StringLike": {SUB: "repo:*"}, "StringEquals": {AUD: "x", f"{SUB[:-4]}:repository_owner": "e"}},
            None,
        ),
    ],
)
def test_oidc_trusts_pin_subject_and_audience(condition: Any, severity: str | None) -> None:
    """At a provider where anybody may have an account, a subject that is missing, bare or of any owner is critical."""
    trust = doc(let(GITHUB, condition, Action="sts:AssumeRoleWithWebIdentity"))
    found = audited(None, "oidc-unpinned", snapshot(roles=[role("Build", trust)]))

    assert ([severity] if severity else []) == [one.severity for one in found]


@pytest.mark.parametrize(
    ("host", "open_to_all", "own"),
    [
        ("token.actions.githubusercontent.com", "repo:*", "repo:example/*"),
        ("gitlab.com", "project_path:*", "project_path:example/*"),
        ("app.terraform.io", "organization:*", "organization:example:*"),
        ("agent.buildkite.com", "organization:*", "organization:example:*"),
    ],
)
def test_whose_a_subject_is_stands_before_its_wildcard(host: str, open_to_all: str, own: str) -> None:
    """At a provider that is the same for all; at a cluster of one's own, whoever it lets in is one's own."""

    def found(where: str, subject: str) -> list[str]:
        provider = {"Federated": f"arn:aws:iam::{HOME}:oidc-provider/{where}"}
        pinned = {"StringEquals": {f"{where}:aud": "x"}, "StringLike": {f"{where}:sub": subject}}
        trust = doc(let(provider, pinned, Action="sts:AssumeRoleWithWebIdentity"))
        return [
            one.severity for one in audited(None, "oidc-unpinned", snapshot(roles=[role("Build", trust)]))
        ]

    assert (["critical"], []) == (found(host, open_to_all), found(host, own))
    assert [] == found("oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE", open_to_all)


def test_service_trusts_without_a_source() -> None:
    """One finding for each service and account; EC2's, and those with a source, are none."""
    source = {"StringEquals": {"aws:SourceAccount": HOME}}
    roles = [
        role("One", doc(let({"Service": "sns.amazonaws.com"}))),
        role("Two", doc(let({"Service": ["sns.amazonaws.com", "ec2.amazonaws.com"]}))),
        role("Safe", doc(let({"Service": "sns.amazonaws.com"}, source))),
    ]
    [found] = audited(None, "service-trusts-open", snapshot(roles=roles))

    assert (role_arn("One"), role_arn("Two")) == found.whither
    assert ("sns.amazonaws.com",) == found.whence


def test_instance_roles_are_pinned_to_their_vpc_or_reported() -> None:
    """The documented SCP closes it; so does a policy that knows the network; one for another role does not."""
    shot = snapshot(roles=[role("Web", doc(let({"Service": "ec2.amazonaws.com"})), doc(may("s3:*")))])
    pin = never(
        "*",
        condition={
            "StringNotEquals": {"aws:SourceVpc": "${aws:Ec2InstanceSourceVpc}"},
            "Null": {"ec2:SourceInstanceARN": "false"},
            "BoolIfExists": {"aws:ViaAWSService": "false"},
        },
    )

    assert ["Web"] == whom(audited(None, "instance-roles-roam", shot))
    assert [] == audited(None, "instance-roles-roam", shot, controls=scps(may("*"), pin))
    assert [] == audited(None, "instance-roles-roam", shot, controls=scps(may("*"), OUTSIDE))
    other = never("*", condition={"ArnEquals": {"aws:PrincipalArn": role_arn("Other")}})
    assert ["Web"] == whom(audited(None, "instance-roles-roam", shot, controls=scps(may("*"), other)))


def test_users_who_may_call_get_federation_token() -> None:
    """Allowed by a wildcard; not where denied, where an SCP denies it, or where there is no key."""
    shot = snapshot(users=[user("admin", doc(may("*"))), user("plain", doc(may("s3:*"))), user("denied", doc(may("*"), never("sts:GetFed*")))])  # fmt: skip

    assert ["admin"] == whom(audited(None, "federation-allowed", shot))
    assert [] == audited(
        None, "federation-allowed", shot, controls=scps(may("*"), never("sts:GetFederationToken"))
    )
    assert [] == audited(
        None, "federation-allowed", shot, reports=(report("admin", keys=(key(active=False),)),)
    )


def test_roles_that_several_take_up_without_saying_who_they_are() -> None:
    """Two callers without SourceIdentity; one caller, or one with it, is nothing."""
    world, key_, ria = stolen()
    key_.assumes("Reader", "support")
    ria.assumes("Own", "ria")
    found = audited(world, "no-attribution")

    assert ["Reader"] == whom(found)
    assert {user_arn("ria"), user_arn("support")} == set(found[0].whence)


def test_the_management_account_is_bound_by_no_scp() -> None:
    """What an SCP closes elsewhere stays open there."""
    world, _, _ = stolen()
    shot = snapshot(users=[user("support", ASSUMES), user("ria", ASSUMES)], ManagementAccount=True)

    assert ["ria", "support"] == whom(audited(world, "long-term-keys", shot, controls=scps(OUTSIDE)))


def test_findings_are_known_by_the_same_id_again() -> None:
    """The same weakness of the same principal, whatever else is in the case."""
    shot = snapshot(roles=[role("Shared", doc(let("*")))])
    world, _, _ = stolen()

    assert [one.id for one in audited(None, "trusts-strangers", shot)] == [
        one.id for one in audited(world, "trusts-strangers", shot)
    ]
