"""Documents of Elastic's integration say the same however their fields are laid out, and whatever stands in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from events_cases import issuing, tables

from tokentrail.testing import carriers, mapped

SESSION = {
    "attributes": {"creationDate": "2024-02-01T23:00:00Z", "mfaAuthenticated": "true"},
    "sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE", "arn": "arn:aws:iam::111122223333:role/a",
                      "accountId": "111122223333", "userName": "a"},
}  # fmt: skip
CALLER = {
    "type": "AssumedRole", "principalId": "AROAEXAMPLE:ada", "arn": "arn:aws:sts::111122223333:assumed-role/a/ada",
    "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLE0", "sessionContext": SESSION,
}  # fmt: skip
CALL = issuing(
    userIdentity=CALLER,
    requestParameters={"roleArn": "arn:aws:iam::111122223333:role/b", "roleSessionName": "ada"},
    resources=[
        {"ARN": "arn:aws:iam::111122223333:role/b", "type": "AWS::IAM::Role", "accountId": "111122223333"}
    ],
    additionalEventData={"bytesTransferredOut": 5.0},
    sharedEventID="5b0e0d0c-0b0a-0908-0706-050403020100",
    vpcEndpointId="vpce-1",
    managementEvent=True,
)
OPEN = ("request_parameters", "response_elements", "additional_eventdata", "resources")
"""Where no field stands within."""


def document() -> dict[str, Any]:
    """The call as a document whose requests and answers are objects."""
    found: dict[str, Any] = json.loads(carriers.WRITERS["elastic-flattened"]([CALL]))["_source"]
    return found


def joined(of: dict[str, Any], least: int, head: str = "", depth: int = 0) -> dict[str, Any]:
    """A document in which names are joined by dots from some depth on."""
    found: dict[str, Any] = {}
    for name, value in of.items():
        if not isinstance(value, dict) or name in OPEN:
            found[head + name] = value
        elif depth < least:
            found[head + name] = joined(value, least, "", depth + 1)
        else:
            found |= joined(value, least, f"{head}{name}.", depth + 1)
    return found


def listed(of: Any) -> Any:
    """A document in which each value and object stands in a list of its own."""
    return {
        name: [value if name in OPEN else listed(value) if isinstance(value, dict) else value]
        for name, value in of.items()
        if name != "resources"
    } | {name: value for name, value in of.items() if name == "resources"}


def under_objects(of: dict[str, Any]) -> dict[str, Any]:
    """A document with some fields nested and the others dotted."""
    trail = of["aws"]["cloudtrail"]
    who = trail.pop("user_identity")
    context = who.pop("session_context")
    return of | {
        "aws.cloudtrail.user_identity": who,
        "aws.cloudtrail.user_identity.session_context": {
            "session_issuer.arn": context["session_issuer"].pop("arn"), **context,
        },
    }  # fmt: skip


LAYOUTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    **{f"dotted below {least}": lambda of, least=least: joined(of, least) for least in range(5)},
    "lists of one": listed,
    "both": under_objects,
    "with fields that nobody knows": lambda of: of | {"new": {"a": 1}, "cloud": of["cloud"] | {"new": [1]}},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_says_the_same(layout: str) -> None:
    """Nested, dotted at any depth, both at once, or in lists: the same event, caller, credential and resource."""
    expected = tables(json.dumps(document()).encode())
    found = tables(json.dumps(LAYOUTS[layout](document())).encode())

    assert expected == found
    assert ["ASIAEXAMPLE"] == [one["key_id"] for one in found["issuances"]]
    assert ["vpce-1"] == [one["endpoint"] for one in found["events"]]


def paths(of: dict[str, Any], head: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where values and objects stand in a document."""
    for name, value in of.items():
        yield (*head, name)
        if isinstance(value, dict) and name not in OPEN:
            yield from paths(value, (*head, name))


ODD: tuple[Any, ...] = (
    None,
    True,
    7,
    -1,
    1.5,
    "",
    "x" * 10_000,
    "\x1b[31m",
    "é\u2028",
    [],
    [[]],
    [None],
    ["a", "b"],
    {},
    {"a": 1},
    [{"a": 1}],
)


@pytest.mark.parametrize("value", ODD, ids=lambda one: str(one)[:12])
def test_what_stands_in_a_field_by_mistake_is_told_alike_in_any_layout(value: Any) -> None:
    """A value of any type in the place of any field or object costs what it costs, and nothing is raised."""
    for path in paths(document()):
        nested = document()
        around = nested
        for name in path[:-1]:
            around = around[name]
        around[path[-1]] = value
        found = tables(json.dumps(nested).encode())
        assert found == tables(json.dumps(nested | {"unknown.field": 1}).encode()), path
        assert found["events"] or found["rejected"], path


def test_an_answer_that_is_text_is_read_as_such() -> None:
    """Documents without flattened objects have what Java's `toString()` prints, and the key in it is found."""
    [line] = carriers.WRITERS["elastic-text"]([CALL]).splitlines()
    source = json.loads(line)["_source"]
    for one in (source, source | {"unknown.field": 1}):
        assert ["ASIAEXAMPLE"] == [row["key_id"] for row in tables(json.dumps(one).encode())["issuances"]]


def test_an_export_of_documents_says_what_they_say() -> None:
    """The hits of a search are their documents."""
    [hit] = mapped.elastic([CALL], kept="flattened").splitlines()

    assert tables(hit) == tables(json.dumps(document()).encode())
