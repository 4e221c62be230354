"""What leaked is told by kind, id, account, user and expiry, and no secret of it comes out again."""

from __future__ import annotations

import base64
import string
from dataclasses import asdict
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.aws.leaked_strings import LeakedCredential, account_of_key, leaked_credentials, secret_given
from tokentrail.testing import World

ACCOUNT = "111122223333"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TOKEN = "IQoJb3JpZ2luX2Vj" + "A" * 300
QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={key}%2F20261123%2Fus-east-1%2F{service}%2Faws4_request"
    "&X-Amz-Date=20261123T090000Z&X-Amz-Expires={seconds}&X-Amz-Security-Token=IQoJ&X-Amz-Signature=0a1b"
)
SIGNED = datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture(name="key", scope="module")
def _key() -> str:
    """A session's key id, made as AWS makes it."""
    return World(SIGNED).user("support").assumes("Admin", "x").key_id


def only(text: str) -> LeakedCredential:
    """The one credential that a text holds."""
    [found] = leaked_credentials(text)
    return found


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_account_is_read_out_of_the_id(key: str) -> None:
    """Ids that AWS makes today hold the account; older ones, such as the documentation's, do not."""
    assert account_of_key(key) == ACCOUNT
    assert account_of_key("AKIAIOSFODNN7EXAMPLE") is None
    assert account_of_key("AKIA") is None


FILES = {
    "a credentials file": "[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\naws_session_token={token}\n",
    "a .env": "export AWS_ACCESS_KEY_ID='{key}'\nexport AWS_SECRET_ACCESS_KEY='{secret}'\nexport AWS_SESSION_TOKEN='{token}'",
    "an answer of STS": '{{"Credentials": {{"AccessKeyId": "{key}", "SecretAccessKey": "{secret}", "SessionToken": "{token}"}}}}',
    "a diff": "@@ -1,0 +1,3 @@\n+  access_key = \"{key}\"\n+  secret_key = \"{secret}\"\n+  token = \"{token}\"\n",
    "the console's CSV": "Access key ID,Secret access key,Token\r\n{key},{secret},{token}\r\n",
}  # fmt: skip


@pytest.mark.parametrize("form", FILES.values(), ids=FILES)
def test_a_key_is_found_with_what_leaked_beside_it(form: str, key: str) -> None:
    """Whatever tool wrote it, the key is told once, and whether its secret and token stand there too."""
    one = only(form.format(key=key, secret=SECRET, token=TOKEN))
    assert (one.kind, one.id, one.account, one.with_secret, one.with_token) == (
        "temporary_key", key, ACCOUNT, True, True,
    )  # fmt: skip


def test_a_secret_belongs_to_the_id_before_it(key: str) -> None:
    """An id without a secret does not get that of the next key."""
    first, second = leaked_credentials(f"old = AKIAIOSFODNN7EXAMPLE\nid = {key}\nsecret = {SECRET}\n")
    assert (first.with_secret, second.with_secret) == (False, True)


def test_a_presigned_url_tells_its_signer_service_and_end(key: str) -> None:
    """Its session may end sooner; a claim of more than seven days counts as seven (Signature Version 4)."""
    url = "https://b.s3.amazonaws.com/x?" + QUERY.format(key=key, service="s3", seconds=3600)
    one = only(f"see {url} for more")
    assert (one.kind, one.id, one.service, one.issued_at) == ("presigned_url", key, "s3", SIGNED)
    assert one.expires_at == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert one.with_secret and one.with_token

    forged = only("https://x/?" + QUERY.format(key=key, service="s3", seconds=9_999_999))
    assert forged.expires_at == datetime(2026, 11, 30, 9, tzinfo=UTC)


def test_a_presigned_url_of_the_older_signature_is_known() -> None:
    """Signature Version 2 names the key and the second of its end."""
    one = only(
        "https://b.s3.amazonaws.com/x?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1795424400&Signature=v%2Bx%3D"
    )
    assert (one.kind, one.id, one.expires_at) == ("presigned_url", "AKIAIOSFODNN7EXAMPLE", SIGNED)


def test_api_keys_tell_their_user_or_their_signer(key: str) -> None:
    """A long-term one names user and account; a short-term one is a request that a session signed, for twelve hours at most."""
    one = only("BEDROCK_KEY=ABSK" + b64(f"BedrockAPIKey-x1y2-at-{ACCOUNT}:c2VjcmV0"))
    assert (one.kind, one.user, one.account) == ("api_key", "BedrockAPIKey-x1y2", ACCOUNT)
    assert one.subject == f"arn:aws:iam::{ACCOUNT}:user/BedrockAPIKey-x1y2"

    for service in ("bedrock", "aws-external-anthropic"):
        query = QUERY.format(key=key, service=service, seconds=86_400)
        one = only(
            f"{service}-api-key-" + b64(f"{service}.amazonaws.com/?Action=CallWithBearerToken&{query}")
        )
        assert (one.kind, one.id, one.service) == ("short_term_api_key", key, service)
        assert one.expires_at == datetime(2026, 11, 23, 21, tzinfo=UTC)


def test_what_is_no_credential_is_none() -> None:
    """Hashes, unique ids of users and roles, longer words and secrets by themselves name no key."""
    nothing = (
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "AIDAJQABLZS4A3QDU576Q",
        "XAKIAIOSFODNN7EXAMPLE",
        SECRET,
        "",
    )
    assert [leaked_credentials(one) for one in nothing] == [()] * len(nothing)


LETTERS = st.text(string.ascii_letters + string.digits + "/+", min_size=40, max_size=40)


@given(
    secret=LETTERS,
    session=st.text(string.ascii_letters + string.digits, min_size=100, max_size=200),
    noise=st.text(),
)
def test_no_secret_comes_out(secret: str, session: str, noise: str) -> None:
    """Whatever surrounds them, secret keys, session tokens and API keys are in no field."""
    text = (
        f"{noise}\nAKIAIOSFODNN7EXAMPLE {secret} IQoJ{session}\nABSK{b64(f'u-at-{ACCOUNT}:{secret}')}\n"
        f"bedrock-api-key-{b64('bedrock.amazonaws.com/?' + QUERY + session)}"
    )
    told = [str(value) for one in leaked_credentials(text) for value in asdict(one).values()]
    assert len(told) >= 3 * 10
    assert not [value for value in told if secret in value or session in value]


@given(
    st.text(alphabet=st.sampled_from('AKIASXBCZ0127+/=-:?&%. \n"ABSK' + "X-Amz-Credential="), max_size=400)
)
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever leaks, it is read to its end."""
    leaked_credentials(text)


def test_long_lines_are_read_once(key: str) -> None:
    """What is minified or encoded has lines of megabytes, and a line of keys has an id every few letters."""
    blob = "A" * 3_000_000
    assert [one.id for one in leaked_credentials(f"{blob} {key} {blob}")] == [key]
    assert [one.id for one in leaked_credentials(f"{key}," * 50_000)] == [key]
    assert leaked_credentials(f"https://x/?{blob}&X-Amz-Algorithm={blob}") == ()


@pytest.mark.parametrize(
    ("text", "service", "with_secret"),
    [
        (
            "https://dev-at-111122223333:pAsS12345=@git-codecommit.us-east-1.amazonaws.com/v1/repos/x",
            "codecommit",
            True,
        ),
        ("User Name,Password\ndev-at-111122223333,pAsS/12345+=", None, True),
        ('service_user_name = "dev-at-111122223333"', None, False),
        ("cassandra.us-east-1.amazonaws.com 9142 -u dev-at-111122223333", "cassandra", False),
    ],
)
def test_a_service_specific_credential_is_told_by_its_user(
    text: str, service: str | None, *, with_secret: bool
) -> None:
    """Git and Cassandra sign in by a name that tells user and account; its password is not told."""
    [found] = leaked_credentials(text)
    assert (found.kind, found.user, found.account, found.service) == (
        "api_key",
        "dev",
        "111122223333",
        service,
    )
    assert found.with_secret is with_secret and found.subject == "arn:aws:iam::111122223333:user/dev"
    assert (secret_given(text) is not None) is with_secret
    assert leaked_credentials("look-at-12345 meet-at-1111222233334") == ()
