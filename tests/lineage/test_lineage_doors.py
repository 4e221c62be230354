"""Who came in by a door that a credential opened: a changed trust policy, an identity provider, a password."""

from __future__ import annotations

import pytest

from evidence import AWAY, HOME, START, answers, born, by_id, call, held, traced, user
from tokentrail.testing import Credential, World
from tokentrail.testing.administration import trust_policy

VENDOR = "999988887777"
LOGIN = "ASIAIOSFODNN7EXAMPL7"
GITHUB = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"
CORPORATE = f"arn:aws:iam::{HOME}:saml-provider/corporate"

SERVICE = "rolesanywhere.amazonaws.com"
ANCHOR, OTHERS = (f"arn:aws:rolesanywhere:us-east-1:{HOME}:trust-anchor/{one * 8}" for one in "ab")


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


@pytest.fixture(name="thief")
def _thief(world: World) -> Credential:
    return world.user("ada").assumes("Admin")


def trusting(*accounts: str, providers: tuple[str, ...] = ()) -> str:
    """A trust policy for accounts and identity providers."""
    roots = [f"arn:aws:iam::{one}:root" for one in accounts]
    return trust_policy({"AWS": roots, "Federated": list(providers)})


def opens(thief: Credential, document: str, world: World) -> None:
    """Change whom the role Deploy trusts, and wait."""
    thief.iam("UpdateAssumeRolePolicy", roleName="Deploy", policyDocument=document)
    world.wait(minutes=1)


def anchors(thief: Credential, arn: str) -> None:
    """Trust an authority of its own."""
    thief.calls(
        "rolesanywhere:CreateTrustAnchor", {"name": "ours"}, response={"trustAnchor": {"trustAnchorArn": arn}},
        read_only=False,
    )  # fmt: skip


@pytest.mark.parametrize("way", ["saml", "oidc"])
@pytest.mark.parametrize("named", [True, False])
def test_a_federated_session_came_by_a_trust_that_names_its_provider(
    world: World, thief: Credential, way: str, named: bool
) -> None:
    """
    An identity provider's caller has no account; its provider counts, which SAML's request names (IAM User Guide,
    'Logging IAM and AWS STS API calls with AWS CloudTrail').
    """
    opens(thief, trusting(VENDOR, providers=(GITHUB, CORPORATE) if named else ()), world)
    made = world.saml("Deploy", "bob") if way == "saml" else world.oidc("Deploy", "repo:o/r")
    found = born(answers(world)[made.id])

    assert found[1:] == ((thief.id, "created", None) if named else (None, None, "identity_provider"))


@pytest.mark.parametrize("way", ["saml", "oidc"])
def test_who_came_in_before_came_by_no_door_that_was_opened_later(
    world: World, thief: Credential, way: str
) -> None:
    """A trust policy that the evidence does not show admitted whoever came in: the change left that as it was."""

    def comes() -> Credential:
        return world.saml("Deploy", "bob") if way == "saml" else world.oidc("Deploy", "repo:o/r")

    comes()
    opens(thief, trusting(AWAY, providers=(GITHUB, CORPORATE)), world)
    colleague = comes()
    stranger = world.user("mallory", account=AWAY).assumes(world.role("Deploy"), "in", sides="role")
    found = answers(world)

    assert "identity_provider" == found[colleague.id].origin
    assert thief.id == found[stranger.id].parent


def test_whom_a_trust_named_before_it_was_changed_came_by_no_new_door(
    world: World, thief: Credential
) -> None:
    """A partner whom CreateRole admitted stays the partner; whom the change added came by it."""
    admin = world.user("grace")
    partner = {"type": "AWSAccount", "principalId": "AROAPARTNER:sync", "accountId": VENDOR}
    role = admin.creates_role("Deploy", trusting(VENDOR))
    opens(thief, trusting(VENDOR, AWAY), world)
    stranger = world.user("mallory", account=AWAY).assumes(role, "in", sides="role")
    records = world.records()
    [kept] = [one for one in records if one["userIdentity"]["type"] == "AWSAccount"]
    session = {name: value.replace("ASIA", "ASIX") if isinstance(value, str) else value
               for name, value in kept["responseElements"]["credentials"].items()}  # fmt: skip
    records.append({
        **kept, "eventID": "00000000-0000-4000-8000-000000000001", "userIdentity": partner, "sharedEventID": None,
        "responseElements": {**kept["responseElements"], "credentials": session},
    })  # fmt: skip
    found = answers(records)
    links = {(one.parent, one.child) for one in traced(records, thief.id, up=False).links}

    assert admin.id == found[session["accessKeyId"]].parent
    assert (thief.id, stranger.id) in links
    assert (thief.id, session["accessKeyId"]) not in links


def test_a_door_shut_and_opened_again_is_one_that_was_opened(world: World, thief: Credential) -> None:
    """What a trust policy said last before the change counts, not who came in once."""
    admin, mallory = world.user("grace"), world.user("mallory", account=AWAY)
    role = admin.creates_role("Deploy", trusting(AWAY))
    mallory.assumes(role, "early", sides="role")
    world.wait(minutes=1)
    admin.iam("UpdateAssumeRolePolicy", roleName="Deploy", policyDocument=trusting(HOME))
    opens(thief, trusting(AWAY), world)
    late = mallory.assumes(role, "late", sides="role")

    assert thief.id == answers(world)[late.id].parent


def test_whoever_is_known_and_came_by_an_opened_door_is_tainted_all_the_same(
    world: World, thief: Credential
) -> None:
    """The other account's trail names the caller, who is the parent; the door is a link beside it."""
    opens(thief, trusting(AWAY), world)
    mallory = world.user("mallory", account=AWAY)
    made = mallory.assumes(world.role("Deploy"), "in")
    found = by_id(traced(world, thief.id, up=False).credentials)

    assert (mallory.id, True) == (found[made.id].parent, found[made.id].tainted)


def test_whoever_is_known_and_of_the_same_account_came_by_no_opened_door(
    world: World, thief: Credential
) -> None:
    """Its own principals' ARNs hold the account's number as well."""
    opens(thief, trusting(HOME), world)
    made = world.user("grace").assumes("Deploy")

    assert made.id not in by_id(traced(world, thief.id, up=False).credentials)


def test_a_saml_provider_that_was_made_is_a_way_in(world: World, thief: Credential) -> None:
    """CreateSAMLProvider by the subject: sessions through it are its offspring."""
    thief.calls("iam:CreateSAMLProvider", {"name": "corporate"}, response={"sAMLProviderArn": CORPORATE},
                read_only=False)  # fmt: skip
    world.wait(minutes=1)
    made = world.saml("Deploy", "bob")

    assert ("assumed_role_saml", thief.id, "created", None) == born(answers(world)[made.id])


@pytest.mark.parametrize("logged", ["whole", "no answer", "writes alone", "service alone"])
def test_a_trust_anchor_that_was_made_is_a_way_in(world: World, thief: Credential, logged: str) -> None:
    """
    CreateTrustAnchor by the subject: whoever comes in by certificates of that authority is its offspring, whether the
    log of CreateSession shows the key (which is not documented) or not, and where it lacks the AssumeRole inside, which
    is no write. What names no anchor is told to come from the service.
    """
    anchors(thief, ANCHOR)
    world.wait(minutes=1)
    made = world.roles_anywhere("Deploy", "host-1", anchor=ANCHOR)
    made.calls("s3:ListBuckets")
    world.wait(minutes=1)
    other = world.roles_anywhere("Deploy", "host-1", anchor=OTHERS)
    other.calls("s3:ListBuckets")
    records = world.records()
    if logged == "writes alone":
        records = [
            one
            for one in records
            if not (one["eventName"] == "AssumeRole" and one["sourceIPAddress"] == SERVICE)
        ]
    for record in records:
        if record["eventName"] == "CreateSession" and logged in ("no answer", "writes alone"):
            record["responseElements"] = None
    if logged == "service alone":
        records = [one for one in records if one["eventName"] != "CreateSession"]
    found = answers(records)

    by_thief = logged != "service alone"
    assert born(found[made.id])[1:] == ((thief.id, "created", None) if by_thief else (None, None, "service"))
    assert found[other.id].parent is None
    if by_thief:
        assert (
            found[made.id].origin_detail
            == f"acts through the trust anchor {ANCHOR} that its parent made or set"
        )


@pytest.mark.parametrize("by_console", [False, True])
def test_a_user_of_the_directory_that_was_made_is_a_way_in(
    world: World, thief: Credential, by_console: bool
) -> None:
    """
    CreateUser of Identity Center by the subject: sessions of that user by the access portal, in whichever account, are
    its offspring, as most of their calls tell whom they act for; those of others are not.
    """
    eve, bob = (world.person(f"{name}@example.com", AWAY) for name in ("eve", "bob"))
    if by_console:
        answer = {"user": {"userId": eve.user_id, "userName": "HIDDEN_DUE_TO_SECURITY_REASONS"}}
        thief.calls("sso-directory:CreateUser", {"identityStoreId": "d-1"}, response=answer, read_only=False)
    else:
        thief.creates_directory_user(eve)
    world.wait(minutes=1)
    made, other = (world.identity_center(one.name, "Admin") for one in (eve, bob))
    for one in (made, other):
        one.calls("s3:ListBuckets", count=20)
    found = answers(world)

    assert born(found[made.id]) == ("identity_center", thief.id, "created", None)
    assert (
        found[made.id].origin_detail
        == f"acts through the directory user {eve.user_id} that its parent made or set"
    )
    assert born(found[other.id]) == ("identity_center", None, None, "identity_provider")


@pytest.mark.parametrize("spelled", ["as issued", "in capitals", "with zeros"])
def test_a_certificate_that_was_issued_is_a_way_in(world: World, thief: Credential, spelled: str) -> None:
    """
    IssueCertificate by the subject: sessions of the role that bear the certificate's serial number are its offspring,
    in whichever account, as authorities are shared; so are they where the log of writes lacks the AssumeRole. The serial
    number is the last part of the certificate's ARN (AWS Private CA User Guide, 'Use audit reports with your private
    CA'), and the session's name (IAM Roles Anywhere User Guide, 'The CreateSession operation').
    """
    serial = thief.issues_certificate()
    world.wait(minutes=1)
    named = {"as issued": serial, "in capitals": serial.upper(), "with zeros": f"00{serial}"}[spelled]
    made = world.roles_anywhere(world.role("Deploy", account=AWAY), "host-1", serial=named)
    other = world.roles_anywhere(world.role("Deploy", account=AWAY), "host-1")
    for one in (made, other):
        one.calls("s3:ListBuckets")
    found = answers(world)

    assert born(found[made.id])[1:] == (thief.id, "created", None)
    assert (
        found[made.id].origin_detail
        == f"acts through the private certificate {serial.lstrip('0')} that its parent made or set"
    )
    assert found[other.id].parent is None


def test_a_certificate_is_no_way_in_before_it_was_issued(world: World, thief: Credential) -> None:
    """A serial number that is issued later is another certificate's."""
    early = world.roles_anywhere("Deploy", "host-1", serial="ab" * 16)
    world.wait(minutes=1)
    answer = {
        "certificateArn": f"arn:aws:acm-pca:us-east-1:{HOME}:certificate-authority/1/certificate/{'ab' * 16}"
    }
    thief.calls("acm-pca:IssueCertificate", {}, response=answer, read_only=False)

    assert answers(world)[early.id].parent is None


def test_a_role_that_was_made_of_a_template_is_a_way_in(world: World, thief: Credential) -> None:
    """
    AcquireRole by the subject: of its name and trust policy only the answer tells (IAM API Reference, 'AcquireRole').
    Sessions of the role are its offspring, unless they began before.
    """
    early = world.user("mallory", account=VENDOR).assumes(world.role("helper", account=HOME))
    world.wait(minutes=1)
    role = thief.acquires_role("helper", {"AWS": f"arn:aws:iam::{VENDOR}:root"})
    world.wait(minutes=1)
    made = world.user("mallory", account=VENDOR).assumes(role)
    for one in (early, made):
        one.calls("s3:ListBuckets")
    found = answers([one for one in world.records() if one["recipientAccountId"] != VENDOR])

    assert born(found[made.id])[1:] == (thief.id, "created", None)
    assert found[made.id].origin_detail == "acts through the role helper that its parent made or set"
    assert found[early.id].parent is None


@pytest.mark.parametrize("whose", [["eve"], ["bob"], ["eve", "bob"]])
def test_whoever_acts_for_a_user_that_was_made_came_by_it_through_whatever_service(
    world: World, thief: Credential, whose: list[str]
) -> None:
    """
    Account access manager, as applications do, assumes an IAM role for a user of Identity Center; the session's calls
    tell for whom (Account Access API Reference, 'CreateEntitlement'; IAM Identity Center User Guide, 'CloudTrail use
    cases for IAM Identity Center'). One that acts for others as well is nobody's.
    """
    people = {name: world.person(f"{name}@example.com") for name in ("eve", "bob")}
    thief.creates_directory_user(people["eve"])
    world.wait(minutes=1)
    made = world.function("Deploy", "eve")
    made.calls("s3:ListBuckets", count=3)
    records = world.records()
    for number, record in enumerate(records):
        identity = record["userIdentity"]
        if identity.get("invokedBy") == "lambda.amazonaws.com":
            identity["invokedBy"] = record["sourceIPAddress"] = "account-access.amazonaws.com"
        if identity.get("accessKeyId") == made.id:
            identity["onBehalfOf"] = {
                "userId": people[whose[number % len(whose)]].user_id,
                "identityStoreArn": "arn:aws:identitystore::1",
            }

    assert answers(records)[made.id].parent == (thief.id if whose == ["eve"] else None)


def test_of_two_anchors_of_one_second_none_is_guessed(world: World, thief: Credential) -> None:
    """Where the log shows no key, and two came in as one role at once, it is not told who came by which."""
    anchors(thief, ANCHOR)
    world.wait(minutes=1)
    both = [
        world.roles_anywhere("Deploy", f"host-{number}", anchor=one)
        for number, one in enumerate((ANCHOR, OTHERS))
    ]
    records = world.records()
    first, second = (one for one in records if one["eventName"] == "CreateSession")
    moment = first["eventTime"]
    for record in records:
        if record["eventName"] == "CreateSession":
            record["responseElements"] = None
        if record["sourceIPAddress"] == SERVICE or record is second:
            record["eventTime"] = moment
    found = answers(records)

    assert {None} == {found[one.id].parent for one in both}


@pytest.mark.parametrize("made", ["CreateUser", "CreateLoginProfile"])
def test_aws_login_through_what_was_made_is_its_makers(made: str) -> None:
    """`aws login` signs in as a user by the same password as the console (AWS Sign-In User Guide)."""
    carol = user("carol", key="")
    session = "arn:aws:signin:us-east-1:111122223333:session/11111111-2222-3333-4444-555555555551"
    dated = {"attributes": {"creationDate": "2026-11-23T09:05:00Z"}, "signInSessionArn": session}
    found = answers([
        call(made, "2026-11-23T09:00:00Z", user(), source="iam.amazonaws.com", readOnly=False,
             requestParameters={"userName": "carol"}, responseElements={"user": {"userName": "carol"}}),
        call("CreateOAuth2Token", "2026-11-23T09:05:00Z", {**carol, "accessKeyId": None},
             source="signin.amazonaws.com",
             additionalEventData={"grant_type": "authorization_code", "signInSessionArn": session}),
        call("ListBuckets", "2026-11-23T09:05:05Z", {**carol, "accessKeyId": LOGIN, "sessionContext": dated},
             source="s3.amazonaws.com"),
    ])  # fmt: skip

    assert ("oauth_login", "AKIAIOSFODNN7EXAMPLE", "created", None) == born(found[LOGIN])


def test_who_signs_in_with_a_password_is_tied_to_whoever_set_that_one(world: World) -> None:
    """A password is gone once another is set (IAM API Reference, 'UpdateLoginProfile'): the thief's opens no more."""
    ada = world.user("ada")
    setters = [world.user(name).assumes("Admin") for name in ("support", "helpdesk")]
    entered = []
    for setter in setters:
        setter.iam("UpdateLoginProfile", userName="ada")
        world.wait(minutes=5)
        entered.append(world.console_sign_in(ada))
        world.wait(hours=1)
    with held(world) as case:
        behind = [
            {link.child for link in case.trace([one.id]).links if link.link == "created"} for one in setters
        ]

    assert behind == [{one.id} for one in entered]


def test_a_password_may_stay_where_how_long_one_is_signed_in_is_set(world: World, thief: Credential) -> None:
    """UpdateLoginProfile may set that alone, and no record shows a password (IAM API Reference): the thief's may work."""
    name = "ada-maxSigninSessionDuration"  # a name is no setting
    thief.iam("UpdateLoginProfile", userName=name)
    world.user("helpdesk").iam("UpdateLoginProfile", userName=name, maxSigninSessionDuration=3600)
    world.wait(minutes=5)
    entered = world.console_sign_in(world.user(name))
    with held(world) as case:
        links = case.trace([thief.id]).links

    assert [entered.id] == [link.child for link in links if link.link == "created"]


def test_a_source_identity_is_inherited_along_a_chain(world: World) -> None:
    """It can't be changed (IAM User Guide, 'Monitor and control actions taken with assumed roles'), used or not."""
    first = world.user("ada").assumes("Audit", source_identity="ada@example.com")
    last = first.assumes("Deploy")
    records = world.records()
    for record in records:
        if record["eventName"] == "AssumeRole" and record["userIdentity"]["type"] == "AssumedRole":
            record["responseElements"].pop("sourceIdentity", None)

    assert "ada@example.com" == answers(records)[last.id].source_identity


def test_a_root_named_by_its_arn_is_the_account(world: World) -> None:
    """AssumeRoot takes either (AWS STS API Reference, 'AssumeRoot': TargetPrincipal)."""
    made = world.user("ada").assumes_root(AWAY)
    made.calls("s3:ListBuckets")
    records = world.records()
    for record in records:
        if record["eventName"] == "AssumeRoot":
            record["requestParameters"]["targetPrincipal"] = f"arn:aws:iam::{AWAY}:root"
    found = answers(records)

    assert (AWAY, world.user("ada").id) == (found[made.id].account, found[made.id].parent)
    assert 2 == len(found)


@pytest.mark.parametrize("first", ["0", "f"])
def test_a_pods_session_is_one_whichever_of_its_events_comes_first(first: str) -> None:
    """Of EKS's event and STS's own the latter, which names the role, speaks for both, whatever their ids are."""
    pod, arn = "eks-c-web-1111", f"arn:aws:iam::{HOME}:role/Pod"
    issued = {"credentials": {"accessKeyId": LOGIN, "expiration": "Nov 23, 2026, 3:00:00 PM"}}
    service = {"type": "AWSService", "invokedBy": "pods.eks.amazonaws.com"}
    found = answers([
        call("AssumeRoleForPodIdentity", "2026-11-23T09:00:00Z", user("node"), source="eks-auth.amazonaws.com",
             responseElements={**issued, "assumedRoleUser": {"assumeRoleId": f"AROAPOD:{pod}"}},
             eventID=f"{first}0000000-0000-4000-8000-000000000001"),
        call("AssumeRole", "2026-11-23T09:00:00Z", service, sharedEventID="11111111-0000-4000-8000-000000000003",
             requestParameters={"roleArn": arn, "roleSessionName": pod},
             responseElements={**issued, "assumedRoleUser": {"assumedRoleId": f"AROAPOD:{pod}", "arn": arn}},
             eventID="80000000-0000-4000-8000-000000000002"),
    ])  # fmt: skip

    assert ("service_role", None, None, "service") == born(found[LOGIN])


def test_a_later_user_of_the_same_name_is_another_one(world: World, thief: Credential) -> None:
    """Its unique id tells it from the one that was made and deleted (IAM User Guide, 'IAM identifiers')."""
    first = thief.creates_user("backdoor")
    key = thief.creates_access_key(first)
    key.calls("s3:ListBuckets")
    admin = world.user("grace")
    admin.iam("DeleteUser", userName="backdoor")
    world.wait(minutes=5)
    second = user("backdoor", key=LOGIN, principalId="AIDAANOTHERONE0000000")
    records = [
        *world.records(),
        call("ListBuckets", "2026-11-23T20:00:00Z", second, source="s3.amazonaws.com"),
    ]
    found = by_id(traced(records, thief.id, up=False).credentials)

    assert key.id in found
    assert LOGIN not in found
