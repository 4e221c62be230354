"""Times, ids and secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from events_cases import TOKEN
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events.assemble import moments, optional_moments
from tokentrail.events.values import HIDDEN, hide_secrets, seconds, uuid_bytes

NOON = 1_709_294_400  # 2024-03-01T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01T12:00:00Z", NOON),
        ("2024-03-01T12:00:00.999Z", NOON),
        ("2024-03-01T12:00:00+00:00", NOON),
        ("2024-03-01T13:30:00+01:30", NOON),
        ("2024-03-01T12:00:00", NOON),
        ("2024-03-01 12:00:00Z", NOON),
        ("2024-03-01 12:00:00.000000 UTC", NOON),
        ("20240301T120000Z", NOON),
        ("Mar 1, 2024, 12:00:00 PM", NOON),
        ("Mar 1, 2024 12:00:00 PM", NOON),
        ("Mar 1, 2024, 12:00:00\u202fPM", NOON),
        ("Mar 01, 2024, 12:00:00 PM", NOON),
        ("Mar 1, 2024, 12:00:00 AM", NOON - 43_200),
        ("Mar 1, 2024, 1:00:00 AM", NOON - 39_600),
        ("Nov 30, 2024, 8:43:17 PM", 1_732_999_397),
        ("1709294400", NOON),
        ("1709294400.5", NOON),
        ("1709294400000", NOON),
        ("1.7092944E9", None),
    ],
)
def test_spellings_of_a_moment(text: str, expected: int | None) -> None:
    """Every spelling of a time that CloudTrail is known to use is read."""
    assert expected == seconds(text)


@pytest.mark.parametrize(
    "text",
    [
        None, "", "M", "PM", ":M", "yesterday", "Mar 1, 2024, 13:00:00 PM", "Mar 1, 2024, 0:00:00 AM",
        "Mar 32, 2024, 1:00:00 AM", "Foo 1, 2024, 1:00:00 AM", "Mar 1, 2024, 1:60:00 AM", "Mar 1, 2024, 1:00:60 AM",
        "2024-02-30T00:00:00Z", "9" * 400, "-1", "nan", "inf", "2024-03-01T12:00:00ZZ",
    ],
)  # fmt: skip
def test_what_is_no_time(text: str | None) -> None:
    """What can't be a time is none, and raises nothing."""
    assert seconds(text) is None


@given(st.text())
def test_any_text_as_a_time(text: str) -> None:
    """No text raises."""
    seconds(text)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), st.sampled_from([" ", "\u202f", "\u00a0"]))
def test_the_us_form_of_any_moment(when: datetime, space: str) -> None:
    """Any moment written as STS writes it is read back."""
    when = when.replace(microsecond=0, tzinfo=UTC)
    half = "AM" if when.hour < 12 else "PM"
    text = f"{when:%b} {when.day}, {when.year}, {when.hour % 12 or 12}:{when:%M:%S}{space}{half}"

    assert int((when - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) == seconds(text)


ISO = st.from_regex(r"\A(19|20)\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ\Z") | st.text(max_size=24)


@given(st.lists(ISO, max_size=4))
def test_many_at_once_are_read_like_each_alone(texts: list[str]) -> None:
    """The quick reading of a column, where it works at all, equals the careful reading of each text."""
    column = moments(texts)

    assert column is None or [seconds(text) for text in texts] == column.tolist()
    assert [seconds(text) for text in texts] == optional_moments(texts).to_pylist()


@given(st.uuids())
def test_a_uuid_and_its_bytes(value: object) -> None:
    """The usual spelling of a UUID is its sixteen bytes, any other spelling is not."""
    text = str(value)

    assert bytes.fromhex(text.replace("-", "")) == uuid_bytes(text)
    assert uuid_bytes(text.upper()) is None or text.upper() == text
    assert uuid_bytes(text.replace("-", "")) is None
    assert uuid_bytes(text + "\n") is None


SPELLINGS = [
    "sessionToken", "SessionToken", "session_token", "secretAccessKey", "SecretAccessKey", "x-amz-security-token",
    "X-Amz-Security-Token", "password", "newPassword", "masterUserPassword", "secretString", "webIdentityToken",
    "sAMLAssertion", "tradeInToken", "access_token", "refreshToken", "idToken", "authorizationToken", "client-secret",
    "token", "secret", "authToken", "activationCode", "activation_code", "privateKey", "certificatePrivateKey",
    "serviceCredentialSecret", "serviceApiKeyValue",
]  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_secrets_are_hidden_at_any_depth(name: str, levels: int) -> None:
    """Tokens and keys are blanked in JSON, in JSON inside text, and deeper; what stands beside them is kept."""
    text = json.dumps({name: TOKEN, "kept": "beside"})
    for _ in range(levels):
        text = json.dumps({"inner": text})
    hidden = hide_secrets(text)
    for _ in range(levels):
        hidden = json.loads(hidden)["inner"]

    assert {name: HIDDEN, "kept": "beside"} == json.loads(hidden)


def test_escaped_slashes_do_not_end_a_secret() -> None:
    """A token written with escaped slashes is hidden to its end."""
    assert '{"sessionToken":"' + HIDDEN + '"}' == hide_secrets(r'{"sessionToken":"ab\/cd\u002fef"}')


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://b/t?X-Amz-Security-Token={}&X-Amz-Expires=9", "&X-Amz-Expires=9"),
        ("https://b/t?x-amz-security-token={}", ""),
        ("https://b/?u=https%3A%2F%2Fc%3FX-Amz-Security-Token%3D{}%26v%3D1", "%26v%3D1"),
        ("https://b/?u=c%253FX-Amz-Security-Token%253D{}%2526v%253D1", "%2526v%253D1"),
        (r"https://b/?X-Amz-Security-Token\u003d{}\u0026v", "\\"),
    ],
)
def test_a_token_in_a_presigned_url_is_hidden(url: str, shown: str) -> None:
    """A template or a snapshot may be named by such a URL, which CloudTrail logs whole."""
    token = "IQoJb3JpZ2luX2VjE%2F%2FsecretIsThis%3D"
    for text in (json.dumps({"templateURL": url.format(token)}), url.format(token)):
        hidden = hide_secrets(text)

        assert "secretIsThis" not in hidden
        assert f"{HIDDEN}{shown}" in hidden


@pytest.mark.parametrize("begins", ["ABSK", "bedrock-api-key-", "aws-external-anthropic-api-key-"])
def test_an_api_key_is_hidden_wherever_it_stands(begins: str) -> None:
    """It is its own secret: a variable, a header or a name may hold it; what stands around it is kept."""
    told = {
        "environment": {"variables": {"MODEL": begins + 6 * "QmVk/cm9j+a0FQSUtleS1hYmNkLWF0" + "=="}},
        "kept": "beside",
    }
    for text in (json.dumps(told), json.dumps(told).replace("/", "\\/"), json.dumps({"a": json.dumps(told)})):
        assert "QmVk" not in hide_secrets(text) and "a0FQ" not in hide_secrets(text)
        assert "beside" in hide_secrets(text) and begins in hide_secrets(text)
    for name in (f"{begins}rotation-role", f"{begins}-{'x' * 100}"):
        assert f'{{"roleName":"{name}"}}' == hide_secrets(f'{{"roleName":"{name}"}}')


def test_a_password_in_a_url_is_hidden() -> None:
    """As whoever clones a repository writes it."""
    url = "https://dev-at-111122223333:{}@git-codecommit.us-east-1.amazonaws.com/v1/repos/x"
    assert url.format(HIDDEN) == hide_secrets(url.format("pAsS12345="))
    for harmless in ("https://idp.example:8443/a@b", "s3://bucket/a:b@c", "arn:aws:iam::1:oidc-provider/a"):
        assert harmless == hide_secrets(harmless)


def test_the_signature_of_a_presigned_url_is_hidden() -> None:
    """Whoever has it has what the URL opens, until it expires."""
    text = json.dumps(
        {"templateURL": "https://b/t?X-Amz-Credential=AKIA&X-Amz-Signature=0a1b2c&X-Amz-Expires=9"}
    )
    assert text.replace("0a1b2c", HIDDEN) == hide_secrets(text)


@pytest.mark.parametrize("kind", [{}, {"type": "PLAINTEXT"}])
@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "DB_PASSWORD"])
def test_the_value_of_a_variable_that_is_named_as_a_secret_is_hidden(name: str, kind: dict[str, str]) -> None:
    """A container or a build is given its variables so, and an attacker may give it what he stole."""
    told = {"environment": [{"name": name, **kind, "value": "it/Is"}, {"name": "PATH", "value": "/bin"}]}
    hidden = {"environment": [{"name": name, **kind, "value": HIDDEN}, {"name": "PATH", "value": "/bin"}]}

    assert hidden == json.loads(hide_secrets(json.dumps(told)))
    assert json.dumps(hidden) == json.loads(hide_secrets(json.dumps({"a": json.dumps(told)})))["a"]


@pytest.mark.parametrize(
    "text",
    [
        '{"passwordResetRequired":true}',
        '{"roleName":"Secretary"}',
        '{"tokenCode":1}',
        '{"secretId":"a","authCode":"b","errorCode":"secret"}',
        '{"clientToken":"a"}',
        '{"nextToken":"a"}',
        '{"accessTokenValidity":60}',
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Names that only resemble a secret's are left alone."""
    assert text == hide_secrets(text)
