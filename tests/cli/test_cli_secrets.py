"""No secret that was handed in comes out again: by `identify`, as a subject, or within the evidence."""

from __future__ import annotations

import base64
import json
import os
import string
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence import START
from shell import Run, ran
from tokentrail.testing import World
from tokentrail.testing.story import Story

ACCOUNT, KEY = "111122223333", "AKIARTX3GSDSTOAG574N"
LETTERS = string.ascii_letters + string.digits
FORMATS = ("text", "json", "jsonl", "csv")
IN_PROCESS = settings(
    max_examples=10, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def presigned(key: str, token: str, signature: str, host: str = "https://b.s3.amazonaws.com/k") -> str:
    """A request that was signed in its query."""
    return (
        f"{host}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key}%2F20261123%2Fus-east-1%2Fbedrock%2Faws4_request"
        f"&X-Amz-Date=20261123T090000Z&X-Amz-Expires=43200&X-Amz-Security-Token={quote(token, safe='')}"
        f"&X-Amz-Signature={signature}"
    )


Secrets = dict[str, str]
SECRETS = st.fixed_dictionaries(
    {
        "key": st.text(LETTERS, min_size=36, max_size=36).map(lambda text: f"aB7k{text}"),
        "token": st.text(LETTERS, min_size=160, max_size=220).map(lambda text: f"IQoJb3JpZ2luX2Vj{text}"),
        "signature": st.text("0123456789abcdef", min_size=64, max_size=64),
        "password": st.text(LETTERS, min_size=16, max_size=20).map(lambda text: f"Pw{text}!"),
        "api": st.text(LETTERS, min_size=40, max_size=60).map(lambda text: f"Ap{text}"),
    }
)
FORMS: dict[str, Callable[[Secrets], str]] = {
    "a credentials file": lambda s: (
        f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {s['key']}\n"
        f"aws_session_token = {s['token']}\npassword = {s['password']}\n"
    ),
    "an id with its secret": lambda s: f"{KEY}:{s['key']}",
    "a long-term API key": lambda s: "ABSK" + b64(f"BedrockAPIKey-abcd-at-{ACCOUNT}:{s['api']}"),
    "a short-term API key": lambda s: "bedrock-api-key-" + b64(presigned(KEY, s["token"], s["signature"], "bedrock/")),
    "a key of Claude Platform": lambda s: (
        "aws-external-anthropic-api-key-" + b64(presigned(KEY, s["token"], s["signature"], "aws-external-anthropic/"))
    ),
    "a presigned URL": lambda s: presigned(KEY, s["token"], s["signature"]),
    "a secret key alone": lambda s: s["key"],
    "a session token alone": lambda s: s["token"],
}  # fmt: skip
BY_THEMSELVES = [form for form in FORMS if form != "a credentials file"]


def leaks(text: str, secrets: Secrets) -> list[str]:
    """The secrets that a text holds, as such or within the Base64 of an API key."""
    whole = {form: FORMS[form](secrets) for form in FORMS if "API key" in form or "Claude" in form}
    bodies = {form: one.removeprefix("ABSK").rpartition("-api-key-")[2][:40] for form, one in whole.items()}
    return [name for name, value in {**secrets, **bodies}.items() if value in text]


def written(folder: Path) -> str:
    """All that stands in the files of a folder, names included."""
    return "\n".join(
        f"{one}\n{one.read_bytes().decode('latin-1')}" for one in folder.rglob("*") if one.is_file()
    )


@pytest.mark.parametrize("form", FORMS)
@given(secrets=SECRETS)
@IN_PROCESS
def test_what_leaked_is_identified_and_repeated_nowhere(
    form: str, secrets: Secrets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever leaked, in every format; no file is written, and the arguments name the file alone."""
    place, here = tmp_path / "leak.txt", tmp_path / "empty"
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    place.write_text(FORMS[form](secrets))
    for format_ in FORMATS:
        told = ran(monkeypatch, ("identify", place, "--format", format_, "-v"))
        arguments = Path("/proc/self/cmdline").read_text() if os.path.exists("/proc/self/cmdline") else ""

        assert told.code == (form not in ("a secret key alone", "a session token alone"))
        assert [] == leaks(told.out + told.err + arguments, secrets)
    assert [] == list(here.iterdir())


ASKING = (("trace",), ("timeline",), ("contain",), ("report", "-o", "page.html"), ("guard", "--subject"))


@pytest.mark.parametrize("form", BY_THEMSELVES)
@given(secrets=SECRETS)
@IN_PROCESS
def test_a_secret_that_is_given_as_subject_is_not_repeated(
    form: str, secrets: Secrets, case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every verb that takes a subject refuses it, says which name to give instead, and writes it nowhere."""
    here = tmp_path / "empty"
    here.mkdir(exist_ok=True)
    monkeypatch.chdir(here)
    given = FORMS[form](secrets)
    asked = [(*verb, given, "--case", case) for verb in ASKING]
    asked += [
        ("investigate", here, "--subject", given, "--case", "new"),
        ("ingest", here, "--subject", given),
    ]
    asked += [("identify", given), ("trace", given, KEY, "--case", case, "-v"), (given,)]
    for arguments in asked:
        told = ran(monkeypatch, arguments)

        assert told.code == 2, told.out
        assert [] == leaks(told.out + told.err, secrets)
    refused = ran(monkeypatch, ("trace", given, "--case", case)).err
    assert "identify -" in refused and ("ABSK" in given) == ("user/BedrockAPIKey-abcd" in refused)
    assert [] == leaks(written(here), secrets)


@pytest.mark.parametrize("form", BY_THEMSELVES)
@given(secrets=SECRETS)
@IN_PROCESS
def test_the_library_does_not_repeat_it_either(form: str, secrets: Secrets, case: Path) -> None:
    """The console and assistants show what the library says of a subject that it does not know."""
    from tokentrail import Case
    from tokentrail.errors import SubjectNotFound

    with Case.open(case) as held:
        for subjects in ([FORMS[form](secrets)], [FORMS[form](secrets), "AKIAIOSFODNN7EXAMPLE"]):
            with pytest.raises(SubjectNotFound) as refused:
                held.trace(subjects)
            assert [] == leaks(str(refused.value), secrets)


def test_a_file_of_credentials_as_subject_leads_to_identify(run: Run, case: Path, told: Story) -> None:
    """It is no alert: what to run is said, and nothing of the file."""
    Path("creds").write_text(f"aws_access_key_id={told.a.key_id}\naws_secret_access_key={'aB7' + 'x' * 37}\n")
    ended = run("trace", "creds", "--case", case)
    assert ended.code == 2 and "tokentrail identify creds" in ended.err
    assert told.a.key_id not in ended.err


# ------------------------------------------------------------------------------------------------ evidence

PLANTED: Secrets = {
    "key": "aB7" + "kEyKeYkEy" * 4 + "z", "token": "IQoJb3JpZ2luX2Vj" + "tOkEn9" * 20,
    "signature": "0a1b2c3d" * 8, "password": "pAsSwOrD1234567x", "api": "ApIkEy77" * 6,
}  # fmt: skip


def planted() -> tuple[World, str]:
    """A stolen key whose records hold secrets of every kind, where AWS or an attacker would put them."""
    world = World(START)
    key = world.user("support", ip="203.0.113.77")
    key.calls("s3:ListBuckets", count=3)
    api, url = FORMS["a long-term API key"](PLANTED), FORMS["a presigned URL"](PLANTED)
    short = FORMS["a short-term API key"](PLANTED)
    made: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = [
        ("iam:CreateAccessKey", {"userName": "eve"},
         {"accessKey": {"accessKeyId": "AKIARTX3GSDSEVEEVEEV", "secretAccessKey": PLANTED["key"], "userName": "eve"}}),
        ("iam:CreateServiceSpecificCredential", {"userName": "eve", "serviceName": "bedrock.amazonaws.com"},
         {"serviceSpecificCredential": {"serviceSpecificCredentialId": "ACCARTX3GSDSEVEEVEEVE", "userName": "eve",
                                        "serviceCredentialSecret": api, "serviceName": "bedrock.amazonaws.com"}}),
        ("iam:CreateServiceSpecificCredential", {"userName": "eve", "serviceName": "codecommit.amazonaws.com"},
         {"serviceSpecificCredential": {"serviceSpecificCredentialId": "ACCARTX3GSDSEVEEVEEVF", "userName": "eve",
                                        "servicePassword": PLANTED["password"], "serviceUserName": "eve-at-1"}}),
        ("iam:CreateLoginProfile", {"userName": "eve", "password": PLANTED["password"]}, None),
        ("sts:GetSessionToken", {"durationSeconds": 3600},
         {"credentials": {"accessKeyId": "ASIARTX3GSDSEVEEVEEV", "sessionToken": PLANTED["token"],
                          "secretAccessKey": PLANTED["key"], "expiration": "Nov 24, 2026, 8:43:17 AM"}}),
        ("cloudformation:CreateStack", {"stackName": "x", "templateURL": url, "roleARN": f"arn:aws:iam::{ACCOUNT}:role/r"}, None),
        ("lambda:UpdateFunctionConfiguration20150331v2",
         {"functionName": "f", "environment": {"variables": {"MODEL": api, "OTHER": short}}}, None),
        ("ecs:RegisterTaskDefinition",
         {"family": "f", "containerDefinitions": [{"name": "c", "environment": [
             {"name": "AWS_SECRET_ACCESS_KEY", "value": PLANTED["key"]}]}]}, None),
        ("ssm:SendCommand", {"documentName": "d", "parameters": {"commands": [f"export K={api}; curl '{url}'"]}}, None),
    ]  # fmt: skip
    for action, request, answer in made:
        key.calls(action, request, response=answer, read_only=False)
    key.calls("bedrock:InvokeModel", {"modelId": "m"})
    for secret in (api, short, url):
        key.user_agent = f"curl/8 {secret}"
        key.calls(
            "iam:CreateRole",
            {"roleName": secret, "path": f"/{secret}/", "description": secret},
            read_only=False,
        )
        key.calls(
            "iam:PutUserPolicy",
            {"userName": "eve", "policyName": secret, "policyDocument": secret},
            read_only=False,
        )
        key.calls(
            "iam:TagUser", {"userName": "eve", "tags": [{"key": secret, "value": secret}]}, read_only=False
        )
        key.calls("kms:CreateAlias", {"aliasName": secret, "targetKeyId": secret}, read_only=False)
        key.calls("s3:GetObject", {"bucketName": "b", "key": secret}, resources=[f"arn:aws:s3:::b/{secret}"])
        session = key.assumes("Deploy", session_name=secret)
        session.calls("ec2:DescribeInstances", {"filter": secret}, count=2)
    return world, key.id


@pytest.fixture(name="holding", scope="module")
def _holding(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Log files of such evidence, and the stolen key."""
    folder = tmp_path_factory.mktemp("planted")
    world, key = planted()
    world.write(folder)
    for number, file in enumerate(sorted(folder.rglob("*.gz"))):
        file.rename(
            file.with_name(f"{FORMS['a long-term API key'](PLANTED).replace('/', '_')}_{number}.json.gz")
        )
    return folder, key


def columns_of(case: Path) -> Iterator[str]:
    """All values of text of the case's tables and segments."""
    with duckdb.connect() as engine:
        for file in (*case.rglob("*.parquet"), *case.rglob("*.duckdb")):
            if file.suffix == ".duckdb":
                engine.execute(f"ATTACH '{file}' AS held (READ_ONLY)")
                tables = [
                    row[0] for row in engine.execute("SELECT table_name FROM duckdb_tables()").fetchall()
                ]
                for table in tables:
                    yield json.dumps(engine.execute(f'SELECT * FROM held."{table}"').fetchall(), default=repr)
                engine.execute("DETACH held")
            else:
                yield json.dumps(engine.execute(f"SELECT * FROM '{file}'").fetchall(), default=repr)


def test_no_secret_within_the_evidence_comes_out(run: Run, holding: tuple[Path, str]) -> None:
    """Every verb, format, page, plan and table: only the evidence itself, as received, holds them."""
    logs, key = holding
    asked: list[tuple[object, ...]] = [("ingest", logs)]
    for format_ in FORMATS:
        asked += [(verb, key, "--format", format_) for verb in ("trace", "timeline", "contain")]
        asked += [("investigate", logs, "--subject", key, "--full", "--format", format_)]
        asked += [(verb, "--format", format_) for verb in ("credentials", "status", "leads", "guard")]
        asked += [("detect", "--explain", "--format", format_)]
    asked += [
        ("contain", key, "-o", "plan.json"),
        ("apply", "plan.json", "--dry-run"),
        ("guard", "--subject", key),
    ]
    asked += [("report", key, "-o", "page.html")]
    asked += [
        ("report", key, "--format", form, "-o", f"page.{form}") for form in ("md", "indicators", "navigator")
    ]
    told = [
        run(*arguments, *(() if arguments[0] in ("apply",) else ("--case", "kept"))) for arguments in asked
    ]
    wrong = [(one, end.err) for one, end in zip(asked, told, strict=True) if end.code not in (0, 1, 4)]

    assert [] == wrong
    assert {"page.html", "page.md", "page.indicators", "plan.json"} <= {one.name for one in Path().iterdir()}
    for arguments, end in zip(asked, told, strict=True):
        assert [] == leaks(end.out + end.err, PLANTED), arguments
    for file in Path().rglob("*"):
        if file.is_file() and "objects" not in file.parts:
            assert [] == leaks(file.read_bytes().decode("latin-1"), PLANTED), file
    assert [] == leaks("\n".join(columns_of(Path("kept"))), PLANTED)


TELLING = [form for form in BY_THEMSELVES if form not in ("a secret key alone", "an id with its secret")]
"""Of a secret key by itself, no text tells what it is."""


def alert_about(key: str, secret: str) -> list[Any]:
    """Alerts of which each text that an actor may choose, or that a service repeats, holds a secret."""
    details = {"accessKeyId": key, "userName": secret, "userType": "IAMUser", "principalId": secret}
    action = {
        "awsApiCallAction": {
            "api": secret,
            "userAgent": secret,
            "remoteIpDetails": {"ipAddressV4": "203.0.113.77"},
        }
    }
    arn = f"arn:aws:iam::{ACCOUNT}:user/{secret}"
    return [
        {"schemaVersion": "2.0", "accountId": ACCOUNT, "partition": "aws", "id": secret, "title": f"Key {secret} used",
         "resource": {"resourceType": "AccessKey", "accessKeyDetails": details},
         "service": {"action": action, "eventFirstSeen": "2026-11-23T09:41:00Z", "eventLastSeen": "2026-11-23T10:00:00Z"}},
        {"SchemaVersion": "2018-10-08", "AwsAccountId": ACCOUNT, "Id": secret, "Title": secret, "ProductArn": secret,
         "Resources": [{"Type": "AwsIamAccessKey", "Id": f"AWS::IAM::AccessKey:{key}",
                        "Details": {"AwsIamAccessKey": {"AccessKeyId": key, "PrincipalName": secret}}},
                       {"Type": "AwsIamUser", "Id": arn}]},
        {"class_uid": 2004, "finding_info": {"uid": secret, "title": secret}, "cloud": {"account": {"uid": ACCOUNT}},
         "evidences": [{"actor": {"user": {"uid": key, "credential_uid": key, "name": secret, "type": "IAMUser"}}}]},
        {"id": secret, "resource": arn, "resourceType": "AWS::IAM::User", "analyzedAt": "2026-11-23T09:41:00Z",
         "principal": {"AWS": arn}, "action": [secret], "status": "ACTIVE", "resourceOwnerAccount": ACCOUNT},
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(4))
@given(form=st.sampled_from(TELLING), secrets=SECRETS)
@settings(IN_PROCESS, max_examples=5)
def test_no_secret_within_an_alert_comes_out(
    number: int,
    form: str,
    secrets: Secrets,
    case: Path,
    told: Story,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever an actor wrote into a name that an alert repeats."""
    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps(alert_about(told.a.key_id, FORMS[form](secrets))[number]))
    for verb in (
        ("trace",),
        ("timeline",),
        ("contain",),
        ("report", "-o", tmp_path / "page.html"),
        ("guard", "--subject"),
    ):
        for format_ in ((), ("--format", "json")) if verb[0] in ("trace", "contain") else ((),):
            told_ = ran(monkeypatch, (*verb, alert, "--case", case, *format_, "-v"))

            assert told_.code in (0, 1, 2), told_.err
            assert [] == leaks(told_.out + told_.err, secrets), verb
    if (tmp_path / "page.html").exists():
        assert [] == leaks((tmp_path / "page.html").read_text(), secrets)
