"""
Browser sign-ins: the console by password, by federation and by switching roles; and `aws login`.

Shapes: "AWS Management Console sign-in events" (AWS CloudTrail User Guide); "Logging IAM and AWS STS API
    calls with AWS CloudTrail" (IAM User Guide); SwitchRole and CreateOAuth2Token from public samples.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tokentrail.testing.actor import Actor
from tokentrail.testing.names import Json, Role, User, user_identity
from tokentrail.testing.records import BROWSER, Call
from tokentrail.testing.stage import Stage
from tokentrail.testing.sts import Assumption, Sides, assume_role, credentials, issue
from tokentrail.testing.truth import Entry

CONSOLE_SHARE = 0.8
"""
The share of a console session's records that carry `sessionCredentialFromConsole`; by far not all do
(Invictus).
"""

_HOME = "https://console.aws.amazon.com/console/home"


def console_sign_in(stage: Stage, user: User, *, mfa: bool, share: float, ip: str, user_agent: str) -> Entry:
    """Sign an IAM user in: a ConsoleLogin without a key id, whose second is the session's creation date."""
    created = stage.fresh_second(user.id)
    device = f"arn:aws:iam::{user.account}:mfa/{user.name}" if mfa else None
    login = _console_login(ip, user_agent, stage.region, mfa_device=device)
    stage.log(login, user_identity(user).element(None), account=user.account)
    entry = issue(
        stage, user_identity(user, created=created, mfa=mfa), kind="console_session",
        kind_from_uses="console_session", key=None, expires=None, origin="console_sign_in",
    )  # fmt: skip
    return browsing(entry, share)


def failed_console_sign_in(stage: Stage, user: User, *, ip: str, user_agent: str) -> Json:
    """Fail to sign an IAM user in; this mints nothing."""
    login = _console_login(ip, user_agent, stage.region, mfa_device=None)
    login.response = {"ConsoleLogin": "Failure"}
    written = stage.log(login, user_identity(user).element(None), account=user.account)
    written["errorMessage"] = "Failed authentication"
    return written


def signin_token(actor: Actor, *, session_duration: int | None, share: float) -> Entry:
    """
    Carry API credentials into a browser through the federation endpoint.

    GetSigninToken answers with a new key id only when a session duration was asked for, and otherwise repeats
    the key that was presented. The console session's creation date is taken to be the second of
    GetSigninToken.
    """
    stage, identity = actor.stage, actor.identity
    created = stage.fresh_second(identity.principal_id)
    new = stage.ids.access_key("ASIA", actor.account) if session_duration is not None else None
    expires = (
        created + timedelta(seconds=session_duration)
        if session_duration is not None
        else actor.entry.expires_at or created + timedelta(hours=12)
    )
    answer = credentials(stage.ids, new or actor.key_id, expires)
    params = None if session_duration is None else {"sessionDuration": session_duration}
    response = {"credentials": answer, "GetSigninToken": "Success"}
    actor.act(
        Call(
            action="signin:GetSigninToken", params=params, response=response, read_only=False,
            additional={"MobileVersion": "No", "MFAUsed": "No"}, event_type="AwsConsoleSignIn",
            region=stage.region, host="us-east-1.signin.aws.amazon.com",
        )
    )  # fmt: skip
    session = replace(identity, created=created)
    entry = issue(
        stage, session, kind="console_session", kind_from_uses=actor.entry.kind_from_uses, key=None,
        expires=expires, parent=actor.entry, link="recorded" if new else "matched",
        issued_key=new,
    )  # fmt: skip
    stage.pass_tick()
    login = _console_login(actor.ip, BROWSER, stage.region, mfa_device=None)
    stage.log(login, session.element(None), account=actor.account)
    return browsing(entry, share)


def switch_role(actor: Actor, role: Role, session_name: str, *, sides: Sides, share: float) -> Entry:
    """
    Switch roles in the console: AssumeRole by the session's key of the moment, and SwitchRole in the role's
    account.

    What the browser then does shows key ids that AssumeRole never named: principal id and creation date alone
    match.
    """
    asked = Assumption(role=role, session_name=session_name)
    entry = assume_role(actor, asked, sides=sides, ip="", user_agent="")
    identity = entry.identity.element(None)
    identity.pop("sessionContext")
    switch = Call(
        action="signin:SwitchRole", response={"SwitchRole": "Success"}, read_only=False, ip=actor.ip,
        user_agent=actor.user_agent, region=actor.stage.region, event_type="AwsConsoleSignIn",
        additional={"SwitchFrom": actor.arn, "RedirectTo": _HOME}, host="signin.aws.amazon.com",
    )  # fmt: skip
    if sides != "caller" or role.account == actor.account:
        actor.stage.log(switch, identity, account=role.account)
    return browsing(entry, share)


def log_in(actor: Actor, *, ip: str, user_agent: str) -> Entry:
    """
    Run `aws login`: the browser session authorises, the command line redeems, neither record names a key.

    What ties the new credentials to the grant is `signInSessionArn` ("Sign in through the AWS Command Line
    Interface", AWS Sign-In User Guide; "Simplified developer access to AWS with aws login", AWS Security
    Blog).
    """
    stage, identity = actor.stage, actor.identity
    arn = f"arn:aws:signin:{stage.region}:{actor.account}:session/{stage.ids.uuid()}"
    device = "same-device" if ip in ("", actor.ip) else "cross-device"
    client = f"arn:aws:signin:::devtools/{device}"
    browser = identity.element(None, names_person=False)
    authorize = Call(
        action="signin:AuthorizeOAuth2Access", ip=actor.ip, user_agent=actor.user_agent, region=stage.region,
        params={"client_id": client, "redirect_uri": "http://127.0.0.1:8080/oauth/callback",
                "code_challenge_method": "S256"},
        additional={"success": "true"},
    )  # fmt: skip
    stage.log(authorize, browser, account=actor.account)
    stage.wait(2)
    created = stage.fresh_second(identity.principal_id)
    redeem = Call(
        action="signin:CreateOAuth2Token",
        params={"client_id": client},
        ip=ip or actor.ip,
        user_agent=user_agent,
        additional={"success": "true", "grant_type": "authorization_code", "signInSessionArn": arn},
        region=stage.region,
    )
    stage.log(redeem, browser, account=actor.account)
    if stage.logging:
        actor.entry.mark_use(None, directly=True)
    return issue(
        stage, replace(identity, created=created, sign_in_session=arn), kind="oauth_login",
        kind_from_uses="oauth_login", key=stage.ids.access_key("ASIA", actor.account), expires=None,
        parent=actor.entry, link="matched", issued_key=None,
    )  # fmt: skip


def browsing(entry: Entry, share: float) -> Entry:
    """Make a session a browser's: a fresh key id at every request, most of them flagged as the console's."""
    entry.key, entry.fresh_keys, entry.console_share, entry.by_date = None, True, share, True
    return entry


def _console_login(ip: str, user_agent: str, region: str, *, mfa_device: str | None) -> Call:
    additional = {"LoginTo": _HOME, "MobileVersion": "No", "MFAUsed": "No" if mfa_device is None else "Yes"}
    if mfa_device is not None:
        additional["MFAIdentifier"] = mfa_device
    return Call(
        action="signin:ConsoleLogin", response={"ConsoleLogin": "Success"}, additional=additional, ip=ip,
        user_agent=user_agent, read_only=False, region=region, event_type="AwsConsoleSignIn",
        host="signin.aws.amazon.com",
    )  # fmt: skip
