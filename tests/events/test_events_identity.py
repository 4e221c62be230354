"""Who made a call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from events_cases import ACCOUNT, USER, raw, record, tables, tables_of
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.events import identity
from tokentrail.events.columns import IDENTITIES

NAMES = IDENTITIES.names[2:]
SESSION: dict[str, Any] = {
    "type": "AssumedRole",
    "principalId": "AROAEXAMPLE:ada",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada",
    "accountId": ACCOUNT,
    "accessKeyId": "ASIAEXAMPLE",
    "sessionContext": {
        "sessionIssuer": {
            "type": "Role",
            "principalId": "AROAEXAMPLE",
            "arn": "arn:role",
            "userName": "Deploy",
        },
        "webIdFederationData": {"federatedProvider": "arn:oidc", "attributes": {}},
        "attributes": {"creationDate": "2024-03-01T00:00:00Z", "mfaAuthenticated": "true"},
        "sourceIdentity": "ada@example.com",
        "ec2RoleDelivery": "2.0",
        "assumedRoot": "true",
        "signInSessionArn": "arn:signin",
    },
    "invokedBy": "athena.amazonaws.com",
    "onBehalfOf": {
        "userId": "person",
        "identityStoreArn": "arn:store",
        "subject": "ada@corp",
        "issuer": "https://idp.example",
    },
    "inScopeOf": {"credentialsIssuedTo": "arn:function"},
    "invokedByDelegate": {"accountId": "444455556666"},
}


def row(who: Any) -> dict[str, Any]:
    """The identities row of one event."""
    [found] = tables_of([record(userIdentity=who)])["identities"]
    return found


@pytest.mark.parametrize("key", ["Unknown", "AROAEXAMPLE:ada", "", "HIDDEN_DUE_TO_SECURITY_REASONS"])
def test_what_stands_in_place_of_a_key_is_none(key: str) -> None:
    """Some services log "Unknown" or the caller's own id as its access key: no key of that name works anywhere."""
    assert row({**SESSION, "accessKeyId": key})["key_id"] is None


def test_every_member_has_its_column() -> None:
    """Each member that lineage reads lands in the column that is named for it."""
    expected = {
        "segment": 7, "identity": 0, "type": "AssumedRole", "principal_id": "AROAEXAMPLE:ada",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Deploy/ada", "account": ACCOUNT, "key_id": "ASIAEXAMPLE",
        "user_name": None, "created": 1_709_251_200, "mfa": True, "issuer_type": "Role", "issuer_id": "AROAEXAMPLE",
        "issuer_arn": "arn:role", "federated_provider": "arn:oidc", "source_identity": "ada@example.com",
        "ec2_delivery": "2.0", "assumed_root": True, "sign_in_session": "arn:signin",
        "invoked_by": "athena.amazonaws.com", "on_behalf_of": "person",
        "origin_subject": "ada@corp", "origin_issuer": "https://idp.example", "in_scope_of": "arn:function",
        "delegate": "444455556666",
    }  # fmt: skip

    assert expected == row(SESSION)


def test_basic_dates_and_empty_keys() -> None:
    """`creationDate` may be in basic form, an empty key id is none (CloudTrail userIdentity element)."""
    found = row({"accessKeyId": "", "sessionContext": {"attributes": {"creationDate": "20131102T010628Z"}}})

    assert (1_383_354_388, None) == (found["created"], found["key_id"])


def test_one_spelling_is_one_row() -> None:
    """However many events a spelling of an identity makes, it is one row, and each event points to its own."""
    rows = tables_of([record(userIdentity=who) for who in (USER, SESSION, USER, SESSION, USER)])

    assert 2 == len(rows["identities"])
    assert [0, 1, 0, 1, 0] == [event["identity"] for event in rows["events"]]


def test_nobody() -> None:
    """A missing or null identity is a row without values."""
    found = row(None)

    assert {None} == {value for name, value in found.items() if name in NAMES}
    assert found == {**row("absent"), "identity": 0}


def test_a_wrong_type_is_noted_and_costs_itself() -> None:
    """An odd member costs itself; the first event that shows it is named in `rejected`."""
    rows = tables(
        b'{"Records":[' + raw() + b"," + raw(userIdentity={**SESSION, "accessKeyId": ["x"], "arn": 7}) + b"]}"
    )
    found = rows["identities"][1]

    assert (None, "7", "AROAEXAMPLE:ada", "person") == (
        found["key_id"], found["arn"], found["principal_id"], found["on_behalf_of"]
    )  # fmt: skip
    assert [(0, 1, "userIdentity")] == [
        (one["object"], one["ordinal"], one["field"]) for one in rows["rejected"]
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2)
)
WHO = st.fixed_dictionaries({}, optional={
    "type": JSON | st.just("IAMUser"), "accessKeyId": JSON, "arn": JSON,
    "sessionContext": JSON | st.fixed_dictionaries({}, optional={
        "attributes": JSON | st.fixed_dictionaries({"creationDate": JSON, "mfaAuthenticated": JSON}),
        "sessionIssuer": JSON | st.just({"type": "Role"}), "assumedRoot": JSON,
    }),
    "onBehalfOf": JSON | st.fixed_dictionaries({"userId": JSON, "subject": JSON, "issuer": JSON}),
})  # fmt: skip


@given(st.lists(WHO, max_size=5))
def test_many_at_once_are_read_like_each_alone(many: list[dict[str, Any]]) -> None:
    """Reading identities in one call gives what reading each alone gives; nothing raises."""
    raws = [json.dumps(who).encode() for who in many]
    together, _ = identity.columns(raws)
    alone = [identity.columns([one])[0] for one in raws]

    assert [list(column) for column in together] == [[one[n][0] for one in alone] for n in range(len(NAMES))]
