"""Exports that people make of records by hand say what CloudTrail's own file says."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from events_cases import ACCOUNT, TOKEN, USER, issuing, record, tables

from tokentrail.events.carriers import parquet as carriers_parquet
from tokentrail.events.carriers.lost import OTHER_OCSF, TABLE, WITHOUT_ANSWERS, WITHOUT_SOURCE, sentences
from tokentrail.events.split import pieces
from tokentrail.testing import carriers, native

CALL = issuing(
    userIdentity=USER | {"sessionContext": {"attributes": {"creationDate": "2024-02-01T23:00:00Z"}}}
)
TOLD = ("events", "identities", "issuances", "rejected")
UNASKED = {"management", "read_only"}
"""What some of these have no column for."""


def told(data: bytes) -> dict[str, list[dict[str, Any]]]:
    """What is read of an object."""
    found = tables(data)
    return {
        name: [{key: row[key] for key in row if key not in UNASKED} for row in found[name]] for name in TOLD
    }


def as_csv(**cells: str) -> bytes:
    """A table of one row."""
    out = io.StringIO()
    csv.writer(out).writerows([list(cells), list(cells.values())])
    return out.getvalue().encode()


def cells(of: dict[str, Any], spell: Callable[[str], str] = str) -> dict[str, str]:
    """A record's members as text, those that are objects as JSON."""
    return {
        spell(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in of.items()
        if value is not None
    }


def dotted(of: dict[str, Any], head: str = "") -> dict[str, str]:
    """The same with the names of what lies within joined by dots."""
    found: dict[str, str] = {}
    for name, value in of.items():
        inner = dotted(value, f"{head}{name}.") if isinstance(value, dict) else {f"{head}{name}": value}
        found |= {key: each for key, each in inner.items() if each is not None}
    return found


def sentinel(time: str, created: str) -> dict[str, str]:
    """A row of Microsoft Sentinel's table, as Azure's portal names its columns."""
    return {
        "TimeGenerated [UTC]": time, "AwsEventId": CALL["eventID"], "EventSource": CALL["eventSource"],
        "EventName": CALL["eventName"], "UserIdentityType": USER["type"], "UserIdentityArn": USER["arn"],
        "UserIdentityPrincipalid": USER["principalId"], "UserIdentityAccountId": ACCOUNT,
        "UserIdentityAccessKeyId": USER["accessKeyId"], "UserIdentityUserName": USER["userName"],
        "SessionCreationDate [UTC]": created, "AWSRegion": CALL["awsRegion"], "SourceIpAddress": CALL["sourceIPAddress"],
        "UserAgent": CALL["userAgent"], "ErrorCode": "", "RequestParameters": json.dumps(CALL["requestParameters"]),
        "ResponseElements": json.dumps(CALL["responseElements"]), "RecipientAccountId": ACCOUNT,
    }  # fmt: skip


def portal(time: str, created: str) -> bytes:
    """What the portal exports."""
    return as_csv(**sentinel(time, created))


def queried(time: str, created: str) -> bytes:
    """What `az monitor log-analytics query` prints."""
    row = {name.removesuffix(" [UTC]"): cell for name, cell in sentinel(time, created).items()}
    return json.dumps([row | {"TableName": "PrimaryResult"}]).encode()


def analytics(time: str, created: str) -> dict[str, Any]:
    """A table of Azure's Log Analytics: `ErrorCode` and the like may be null there."""
    row = {name.removesuffix(" [UTC]"): cell or None for name, cell in sentinel(time, created).items()}
    columns = [{"name": name, "type": "string"} for name in row]
    return {"name": "PrimaryResult", "columns": columns, "rows": [list(row.values())]}


def athena(of: dict[str, Any]) -> dict[str, Any]:
    """Athena's answer for one row, after the row of the names."""
    row = cells(of, str.lower)
    listed = [{"Data": [{"VarCharValue": one} for one in some]} for some in (row, row.values())]
    return {
        "ResultSet": {
            "Rows": listed,
            "ResultSetMetadata": {"ColumnInfo": [{"Name": name, "Type": "varchar"} for name in row]},
        }
    }


EXPORTS = {
    "Splunk's add-on spells success": as_csv(**dotted(CALL), errorCode="success"),
    "the same as JSON": json.dumps({"preview": False, "result": dotted(CALL) | {"errorCode": "success"}}).encode(),
    "a dash for nothing": as_csv(**dotted(CALL), errorCode="-", sharedEventID="-"),
    "Sentinel, in the United States": portal("3/1/2024, 12:00:00.000 AM", "2/1/2024, 11:00:00.000 PM"),
    "Sentinel, elsewhere": portal("01/03/2024, 00:00:00.000", "01/02/2024, 23:00:00.000"),
    "Sentinel, by its query": queried("2024-03-01T00:00:00Z", "2024-02-01T23:00:00.0000000Z"),
    "objects as text": json.dumps([cells(CALL)]).encode(),
    "objects as text in a file like CloudTrail's": json.dumps({"Records": [cells(CALL)]}).encode(),
    "Logs Insights": json.dumps([{"@timestamp": "2024-03-01 00:00:09.000", "@message": CALL}]).encode(),
    "Logs Insights as text": json.dumps([{"@message": json.dumps(CALL), "@ptr": "x"}]).encode(),
    "pandas": as_csv(**{name: str(value) for name, value in CALL.items() if value is not None}),
    "CloudTrail Lake's answer": json.dumps(
        {"QueryStatus": "FINISHED", "QueryResultRows": [[{name: cell} for name, cell in cells(CALL).items()]]}
    ).encode(),
    "Log Analytics' answer": json.dumps({"tables": [analytics("2024-03-01T00:00:00Z", "2024-02-01T23:00:00Z")]}).encode(),
    "PowerShell's": b"#TYPE Amazon.CloudTrail.Model.Event\r\n" + as_csv(EventId="x", CloudTrailEvent=json.dumps(CALL)),
    "a timeline's": as_csv(message="Event: AssumeRole", timestamp_desc="Event Recorded", cloud_trail_event=json.dumps(CALL)),
    "a CSV that says what parts its cells": b"sep=,\r\n" + as_csv(**dotted(CALL)),
    "another zone's time": as_csv(**dotted(CALL) | {"eventTime": "2024-03-01 05:30:00.000 +05:30"}),
    "None for nothing": as_csv(**dotted(CALL), errorCode="None", sharedEventID="nan", serviceEventDetails="NULL"),
    "in capitals": json.dumps([{name.upper(): value for name, value in CALL.items()}]).encode(),
    "in small letters": json.dumps(
        {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): value for name, value in CALL.items()}
    ).encode(),
    "Spark's": as_csv(**cells(CALL)).replace(b'""', b'\\"'),
    "Splunk's rows": json.dumps({"fields": ["_time", "_raw"], "rows": [["x", json.dumps(CALL)]]}).encode(),
    "Sumo Logic's answer": json.dumps({"fields": [], "messages": [{"map": {"_raw": json.dumps(CALL)}}]}).encode(),
    "Athena's answer": json.dumps(athena(CALL)).encode(),
}  # fmt: skip


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_says_what_the_native_file_says(export: str) -> None:
    """Who called, when, that the call succeeded and what it issued are the same from each of them."""
    found = told(EXPORTS[export])

    assert told(json.dumps({"Records": [CALL]}).encode()) == found
    assert found["issuances"]
    assert TOKEN not in str(found)


LAID_AROUND: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an archive": lambda one: {"_id": "A", "host": "h", "message": "", "attributes": one},
    "an answer": lambda one: {"data": [{"id": "A", "attributes": {"tags": [], "attributes": one}}]},
    "a download": lambda one: {"content": {"attributes": one, "message": json.dumps(one)}},
    "a text": lambda one: {"@timestamp": 1, "@rawstring": json.dumps(one)},
    "an investigation": lambda one: {"timestamp": "x", "source_json": one},
    "an alert": lambda one: {"rule": {"id": "1"}, "data": {"integration": "aws", "aws": {**one, "source": "cloudtrail"}}},
    "an archive of alerts": lambda one: {"full_log": json.dumps({"integration": "aws", "aws": one})},
    "a container": lambda one: {"log": json.dumps(one) + "\n", "stream": "stdout"},
    "a collector": lambda one: {"time": 1, "sourcetype": "aws:cloudtrail", "event": one, "fields": {"x": "y"}},
    "a collector of texts": lambda one: {"time": 1, "sourcetype": "aws:cloudtrail", "event": json.dumps(one)},
    "a stream that failed": lambda one: {"errorCode": "x", "rawData": base64.b64encode(json.dumps(one).encode()).decode()},
    "a list": lambda one: {"records": [one]},
    "a list of texts": lambda one: {"Records": [json.dumps(one)]},
    "a list of texts by name": lambda one: {"Events": [json.dumps(one)], "NextToken": None},
    "an event's text": lambda one: {"detail-type": "AWS API Call via CloudTrail", "detail": json.dumps(one)},
    "an event without kind": lambda one: {"source": "aws.sts", "detail": one},
    "a parsed event": lambda one: {"_time": 1, "_raw": one},
    "nothing, with requests and answers as text": lambda one: {
        name: json.dumps(value) if name in ("requestParameters", "responseElements") else value for name, value in one.items()
    },
    "an answer whose texts were decoded": lambda one: {"Events": [{
        "EventId": one["eventID"], "EventName": one["eventName"], "EventTime": one["eventTime"], "CloudTrailEvent": one,
    }]},
    "an element whose text was decoded": lambda one: {
        "EventName": one["eventName"], "EventTime": one["eventTime"], "CloudTrailEvent": one,
    },
    "a log's events whose texts were decoded": lambda one: {"events": [{"timestamp": 1, "message": one, "ingestionTime": 1}]},
    "a message that was decoded": lambda one: {"@timestamp": "x", "message": one},
    "a timeline": lambda one: {
        "data_type": "aws:cloudtrail:entry", "message": f"Event: {one['eventName']}", "cloud_trail_event": json.dumps(one),
    },
    "a query's row": lambda one: {"event_name": "AssumeRole", "cloudtrail_event": one},
    "a query's answer": lambda one: {"columns": [{"name": "event_name", "data_type": "text"}], "rows": [{
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): value for name, value in one.items()
    }]},
    "a line": lambda one: {"labels": {}, "line": json.dumps(one), "timestamp": "x"},
}  # fmt: skip


@pytest.mark.parametrize("pipeline", LAID_AROUND)
def test_what_a_pipeline_lays_around_a_record_is_looked_through(pipeline: str) -> None:
    """One a line, the records are those of the native file; what is no record is told as such, and not searched."""
    laid = LAID_AROUND[pipeline]
    other = {"attributes": {"x": 1}, "note": json.dumps(CALL), "log": f"eventName {json.dumps(CALL)}"}
    found = tables(b"\n".join(json.dumps(one).encode() for one in (laid(CALL), other)))

    assert tables(native([CALL]))["issuances"] == found["issuances"]
    assert (1, ["not a CloudTrail record"]) == (
        len(found["events"]),
        [one["reason"] for one in found["rejected"]],
    )


def queued(one: dict[str, Any], where: str = "Wazuh-AWS") -> str:
    """A record as Wazuh's module for AWS sends it to its queue."""
    sent = {"integration": "aws", "aws": {"log_info": {"s3bucket": "b"}, **one, "source": "cloudtrail"}}
    return f"1:{where}:{json.dumps(sent)}"


QUEUED: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "a hit": lambda one: json.dumps({"_index": "i", "_source": {"event": {"original": queued(one)}}, "sort": [1]}).encode(),
    "a search's answer": lambda one: json.dumps(
        {"hits": {"hits": [{"_id": "A", "_source": {"event": {"original": queued(one)}}}]}}
    ).encode(),
    "the record alone": lambda one: json.dumps(
        {"_source": {"event": {"original": f"1:Wazuh-AWS:{json.dumps(one)}"}}}
    ).encode(),
    "another agent's": lambda one: json.dumps(
        {"_source": {"event": {"original": queued(one, "[001] (a) 192.0.2.1->Wazuh-AWS")}}}
    ).encode(),
    "a document": lambda one: json.dumps({"@timestamp": "x", "event": {"original": queued(one)}}).encode(),
    "a flat document": lambda one: json.dumps({"@timestamp": "x", "event.original": queued(one)}).encode(),
    "a table": lambda one: as_csv(**{"@timestamp": "x", "event.original": queued(one)}),
}  # fmt: skip


@pytest.mark.parametrize("document", QUEUED)
def test_what_wazuhs_queue_sets_before_a_record_is_looked_through(document: str) -> None:
    """
    Wazuh 5 keeps a message as its queue had it: a digit, where it came from, and the object, with a colon after each.

    Source: Wazuh documentation, 'Standard Wazuh message format'.
    """
    found = tables(QUEUED[document](CALL))

    assert tables(native([CALL]))["issuances"] == found["issuances"]
    assert (1, []) == (len(found["events"]), found["rejected"])


@pytest.mark.parametrize(
    "original",
    [
        f"Wazuh-AWS:{json.dumps(CALL)}",
        f"1:{{x}}:{json.dumps(CALL)}",
        f"1:app: said {json.dumps(CALL)}",
        f"1:app:{{x}} said {json.dumps(CALL)}",
        f"1:app:[{json.dumps(CALL)}]",
        f"1:app:{json.dumps(CALL)[:-1]}",
    ],
)
def test_a_line_with_colons_is_no_message_of_wazuhs(original: str) -> None:
    """Of a log's line that says a record's text, or has no sound object where Wazuh has one, no record is made."""
    found = tables(json.dumps({"_source": {"event": {"original": original}}}).encode())

    assert [] == found["events"]
    assert ["text that is no JSON"] == [one["reason"] for one in found["rejected"]]


def test_the_consoles_event_history_tells_whose_key_called() -> None:
    """Its CSV names columns as the console does, and of the caller has key and name alone."""
    found = tables(as_csv(**{
        "Event name": "ListBuckets", "Event time": "2024-03-01T00:00:00Z", "User name": "ada", "AWS access key": "AKIAEXAMPLE",
        "Event source": "s3.amazonaws.com", "Source IP address": "192.0.2.10", "Recipient Account Id": ACCOUNT,
    }))  # fmt: skip

    [event], [caller] = found["events"], found["identities"]
    assert ("ListBuckets", "192.0.2.10", ACCOUNT) == (event["name"], event["ip"], event["account"])
    assert ("AKIAEXAMPLE", "ada") == (caller["key_id"], caller["user_name"])


def test_splunks_names_for_address_and_account_are_known() -> None:
    """Its searches show `src` and `aws_account_id`; CloudTrail's own columns beside them count for more."""
    call = dotted({name: record()[name] for name in ("eventName", "eventTime", "eventSource", "eventID")})
    [event] = tables(as_csv(**call, src="192.0.2.10", aws_account_id=ACCOUNT))["events"]
    [other] = tables(as_csv(**call, src="somewhere", src_ip="elsewhere", sourceIPAddress="192.0.2.11"))[
        "events"
    ]

    assert ("192.0.2.10", ACCOUNT, "192.0.2.11") == (event["ip"], event["account"], other["ip"])


def test_members_of_a_caller_that_a_query_asked_for_are_its_own() -> None:
    """Athena names the column of `useridentity.arn` just `arn`; what a resource is called so makes no caller."""
    call = dotted({name: record()[name] for name in ("eventName", "eventTime", "eventSource", "eventID")})
    who = {
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/Dev/ada", "accesskeyid": "ASIAEXAMPLEEXAMPLE01",
        "principalid": "AROADEV:ada", "type": "AssumedRole", "creationdate": "2024-03-01T00:00:00Z",
        "mfaauthenticated": "true", "sourceidentity": "ada",
    }  # fmt: skip
    [caller] = tables(as_csv(**call, **who))["identities"]
    [other] = tables(
        as_csv(**call, arn="arn:aws:s3:::box", type="AWS::S3::Bucket", accesskeyid=who["accesskeyid"])
    )["identities"]

    told = ("account", "arn", "key_id", "principal_id", "type", "mfa", "source_identity")
    assert [ACCOUNT, who["arn"], who["accesskeyid"], "AROADEV:ada", "AssumedRole", True, "ada"] == [
        caller[one] for one in told
    ]
    assert (None, None, who["accesskeyid"]) == (other["arn"], other["type"], other["key_id"])


@pytest.mark.parametrize(
    ("kind", "secret"),
    [({}, True), ({"eventType": "AwsVpceEvent"}, False), ({"eventCategory": "NetworkActivity"}, False)],
)
def test_a_call_through_an_endpoint_is_one_though_a_query_left_out_what_it_asked(
    kind: dict[str, str], *, secret: bool
) -> None:
    """Without columns of requests and `readOnly` it looked like what the endpoint saw of a call: secrets were lost."""
    call = dotted({name: record()[name] for name in ("eventTime", "eventID")})
    where = {"eventSource": "secretsmanager.amazonaws.com", "eventName": "GetSecretValue"}
    [event] = tables(as_csv(**call, **where, **kind, vpcEndpointId="vpce-1"))["events"]

    assert (secret, "vpce-1") == (event["secret"], event["endpoint"])


@pytest.mark.parametrize(
    "beside",
    [
        {"responseElements": json.dumps({"credentials": {"accessKeyId": "ASIAEXAMPLEEXAMPLE01"}})},
        {"userIdentity": "{type=AWSAccount, principalid=AIDAMAX, accountid=111122223333}"},
    ],
)
def test_a_key_that_a_query_took_out_of_an_answer_is_not_the_callers(beside: dict[str, str]) -> None:
    """Queries call what a call issued `accesskeyid`, too: who called would have that key, and nobody have issued it."""
    call = dotted({name: record()[name] for name in ("eventName", "eventTime", "eventSource", "eventID")})
    callers = tables(as_csv(**call, **beside, accesskeyid="ASIAEXAMPLEEXAMPLE01"))["identities"]

    assert [None] * len(callers) == [one["key_id"] for one in callers]


@pytest.mark.parametrize(
    ("answers", "carrier"),
    [
        ("responseElements", TABLE),
        ("responseElements.user.userName", TABLE),
        ("errorMessage", WITHOUT_ANSWERS),
    ],
)
def test_a_table_without_answers_says_so(answers: str, carrier: str) -> None:
    """What was issued stands in answers alone: without a column of them, nothing seems to descend from anything."""
    when, source = "2024-03-01T00:00:00Z", "sts.amazonaws.com"
    rows = as_csv(eventName="AssumeRole", eventTime=when, eventSource=source, errorCode="", **{answers: ""})

    assert [carrier] == [one.carrier for one in pieces(rows)]
    assert ["Tables without responseElements"] * (carrier == WITHOUT_ANSWERS) == [
        said.partition(" (")[0] for said in sentences({carrier: 1}, 1) if "issued" in said
    ]


def test_a_table_without_services_says_so() -> None:
    """Whose call `AssumeRole` was, stands in `eventSource` alone: a query without it lost all descent, and no word."""
    rows = as_csv(eventName="AssumeRole", eventTime="2024-03-01T00:00:00Z", responseElements="")
    [piece] = pieces(rows)

    assert "Tables without eventSource" in sentences({piece.carrier: 1}, 1)[0]


@pytest.mark.parametrize("source", [{}, {"eventSource": "iam.amazonaws.com"}])
def test_a_table_without_refusals_says_so(source: dict[str, str]) -> None:
    """A refused call without its error looks like one that was granted: a plan would undo what nobody made."""
    rows = as_csv(eventName="CreateUser", eventTime="2024-03-01T00:00:00Z", responseElements="", **source)
    [piece] = pieces(rows)
    [said] = sentences({piece.carrier: 1}, 1)

    assert "refused" in said
    assert "errorCode" in said


@pytest.mark.parametrize("source", [{}, {"eventsource": "sts.amazonaws.com"}])
def test_an_object_of_a_table_lacks_what_no_call_is_without(source: dict[str, str]) -> None:
    """A JSON object leaves out what is empty in its row, an error for one; the service that was called never is."""
    row = {"eventname": "AssumeRole", "eventtime": "2024-03-01T00:00:00Z", **source}
    [piece] = pieces(json.dumps(row).encode())

    assert piece.carrier == (TABLE if source else WITHOUT_SOURCE)


@pytest.mark.parametrize(
    "cell", ["{'a': 1j}", "{'a': '\\d'", "{'a':" * 300, "{'a': " + "(" * 5000, "{'a': 1e999}"]
)
def test_what_only_looks_like_python_stops_no_table(cell: str) -> None:
    """A cell that Python can't have printed, or that no JSON can say, costs itself at most."""
    assert ["ListBuckets"] == [
        one["name"] for one in tables(as_csv(**dotted(record()), requestParameters=cell))["events"]
    ]


@pytest.mark.parametrize("time", ["13/13/2024, 00:00:00.000", "3/1/2024, 13:00:00.000 AM"])
def test_a_time_that_is_none_in_either_way_is_not_guessed(time: str) -> None:
    """Its record is refused, and said so."""
    found = told(portal(time, ""))

    assert ["eventTime can't be read"] == [one["reason"] for one in found["rejected"]]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("as_json", [False, True])
def test_splunk_tables_hold_lists(count: int, as_json: bool) -> None:
    """What a list's members tell stands a line each below `items{}`: which instances were started, and others."""
    ids, keys = [f"i-{n}" for n in range(count)], ["a", "b"]
    run = record(
        eventSource="ec2.amazonaws.com", eventName="RunInstances",
        requestParameters={"keyNames": keys, "tags": [{"inner": [{"name": one}]} for one in keys]},
        responseElements={"instancesSet": {"items": [{"instanceId": one, "state": {"name": "on"}} for one in ids]}},
    )  # fmt: skip
    columns = dotted(run | {"requestParameters": None, "responseElements": None})
    below = {
        "requestParameters.keyNames{}": keys, "requestParameters.tags{}.inner{}.name": keys,
        "responseElements.instancesSet.items{}.instanceId": ids,
        "responseElements.instancesSet.items{}.state.name": ["on"] * count,
    }  # fmt: skip
    listed = json.dumps({"result": columns | below}).encode()
    data = listed if as_json else as_csv(**columns, **{name: "\n".join(one) for name, one in below.items()})

    [found] = pieces(data)
    read = json.loads(found.raw)
    assert (run["requestParameters"], run["responseElements"]) == (
        read["requestParameters"],
        read["responseElements"],
    )


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("rows{}{}", {"rows": ["a", "b"]}),
        ("rows{}{}.name", {"rows": [{"name": "a"}, {"name": "b"}]}),
        (".".join(["deep"] * 1500), None),
        (".".join(["deep{}"] * 600), None),
    ],
)
def test_lists_in_lists_and_names_without_end_stop_no_table(column: str, expected: object) -> None:
    """Splunk names lists in a list `{}{}`; how deeply a request is nested the caller chooses."""
    cells = dotted(record(requestParameters=None))
    [found] = pieces(as_csv(**cells, **{f"requestParameters.{column}": "a\nb"}))

    assert expected == json.loads(found.raw).get("requestParameters")


@pytest.mark.parametrize(
    ("cell", "account"),
    [
        ("12345678901", "012345678901"),
        ("111122223333.0", ACCOUNT),
        ("1.11122E+11", None),
        ("", None),
        ("x", "x"),
    ],
)
def test_an_account_may_have_been_taken_for_a_number(cell: str, account: str | None) -> None:
    """Spreadsheets and pandas drop zeroes before it and add fractions; what lost digits names no account."""
    [caller] = tables(as_csv(**dotted(record()) | {"userIdentity.accountId": cell}))["identities"]
    assert account == caller["account"]


def test_an_account_that_is_a_number_has_twelve_digits() -> None:
    """So in JSON that was read for numbers and written again."""
    [event] = tables(native([record(recipientAccountId=12345678901)]))["events"]
    assert event["account"] == "012345678901"


def test_a_caller_may_call_itself_a_dash() -> None:
    """A user agent is what the caller says: a dash in a table is one."""
    found = told(as_csv(**dotted(record(userAgent="-"))))

    assert ["-"] == [one["agent"] for one in found["events"]]


def test_kibanas_table_of_fields_says_what_was_issued_and_touched() -> None:
    """Each member has a column of its own there, also those of requests, answers and resources."""
    key = {"accessKeyId": "ASIAEXAMPLE", "expiration": "Mar 1, 2024, 1:00:00 AM"}
    call = CALL | {"responseElements": {"credentials": key}, "resources": [{"ARN": "arn:aws:iam::1:role/a"}]}
    [document] = [json.loads(one) for one in carriers.WRITERS["elastic-flattened"]([call]).splitlines()]
    trail = document["_source"]["aws"]["cloudtrail"]
    del trail["response_elements"]
    trail["resources"] = {"arn": trail["resources"][0]["arn"]}
    found, expected = (
        told(as_csv(**{n: str(v) for n, v in dotted(document["_source"]).items()})),
        told(native([call])),
    )

    assert expected["issuances"] == found["issuances"]
    assert [one["resource"] for one in expected["events"]] == [one["resource"] for one in found["events"]]


def printed(value: Any) -> str:
    """A value as Athena prints structs and lists."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={printed(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(printed, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)


@pytest.mark.parametrize("version", ["ocsf-1.0", "ocsf-1.5"])
def test_athena_over_security_lake_says_what_the_lake_says(version: str) -> None:
    """
    When a session began and whether a sign-in had a factor, too: numbers and flags come as text there.

    Names have places in lists, and a user agent in brackets is none.
    """
    session = {"attributes": {"creationDate": "2024-02-01T23:00:00Z", "mfaAuthenticated": "false"}}
    login = record(
        userIdentity=USER | {"sessionContext": session}, eventName="ConsoleLogin", eventSource="signin.amazonaws.com",
        responseElements={"ConsoleLogin": "Success"}, additionalEventData={"MFAUsed": "No"}, eventID="login",
    )  # fmt: skip
    tagged = record(
        userIdentity=USER | {"sessionContext": session}, eventName="CreateRole", eventSource="iam.amazonaws.com",
        eventID="tagged", readOnly=False,
        requestParameters={"tags": [{"key": "a", "value": "b"}]}, userAgent="[S3Console/0.4, aws-internal/3]",
    )  # fmt: skip
    lake = carriers.WRITERS[version]([CALL, login, tagged])
    documents = [json.loads(line) for line in lake.splitlines()]
    names = list(dict.fromkeys(name for one in documents for name in one))
    rows = [[printed(one.get(name)) for name in names] for one in documents]
    out = io.StringIO()
    csv.writer(out).writerows([names, *rows])
    answer = {
        "Rows": [{"Data": [{"VarCharValue": cell} for cell in row]} for row in rows],
        "ResultSetMetadata": {"ColumnInfo": [{"Name": name} for name in names]},
    }
    expected = told(lake)

    assert expected == told(out.getvalue().encode())
    assert expected == told(json.dumps({"ResultSet": answer}).encode())
    assert all(one["created"] for one in expected["identities"])
    [read] = [piece.raw for piece in pieces(out.getvalue().encode()) if b"ConsoleLogin" in piece.raw]
    assert json.loads(read)["additionalEventData"]["MFAUsed"] == "No"


MAPS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an object": dict,
    "lists of two": lambda of: [[name, of[name]] for name in of],
    "objects of two": lambda of: [{"key": name, "value": of[name]} for name in of],
    "text": json.dumps,
}


@pytest.mark.parametrize("version", ["ocsf-1.0", "ocsf-1.1", "ocsf-1.5"])
@pytest.mark.parametrize("spelled", MAPS)
def test_security_lake_is_read_however_its_maps_are_spelled(version: str, spelled: str) -> None:
    """Parquet's map of what has no field is pairs or text where JSON was made of it; and a caller without ARN has none."""
    caller = {
        "type": "WebIdentityUser",
        "principalId": "arn:aws:iam::1:oidc-provider/p:aud:sub",
        "userName": "sub",
        "identityProvider": "p",
    }
    federated = issuing(
        "AssumeRoleWithWebIdentity", userIdentity=caller, eventID="federated", sharedEventID="s"
    )
    documents = [json.loads(line) for line in carriers.WRITERS[version]([CALL, federated]).splitlines()]
    lines = [json.dumps(one | {"unmapped": MAPS[spelled](one["unmapped"])}).encode() for one in documents]
    texts = [
        json.dumps(
            {name: json.dumps(one) if isinstance(one, dict | list) else one for name, one in row.items()}
        )
        for row in map(json.loads, lines)
    ]

    assert told(b"\n".join(lines)) == told(native([CALL, federated]))
    assert told("\n".join(texts).encode()) == told(native([CALL, federated]))


@pytest.mark.parametrize(
    "product", [None, {}, {"name": "Google Cloud"}, {"name": ["CloudTrail"]}, "CloudTrail"]
)
def test_an_event_of_another_log_in_ocsf_holds_no_calls(product: Any) -> None:
    """Who writes API activity is said by the product alone, and one that says nothing of it is not CloudTrail's."""
    [line] = carriers.WRITERS["ocsf-1.5"]([CALL]).splitlines()
    event = json.loads(line)
    event["metadata"]["product"] = product
    found = tables(json.dumps(event).encode())

    assert ([], [OTHER_OCSF]) == (found["events"], [one["reason"] for one in found["rejected"]])


@pytest.mark.parametrize("as_csv_", [True, False])
def test_a_table_of_another_log_in_ocsf_holds_no_calls(as_csv_: bool) -> None:
    """Security Lake keeps what EKS audits under the same class, by another product's name."""
    row = {
        "class_uid": "6003", "time": "1709251200000", "metadata": '{"product": {"name": "Amazon EKS"}, "uid": "x"}',
        "api": '{"operation": "create", "service": {"name": "eks"}}',
    }  # fmt: skip
    found = tables(as_csv(**row) if as_csv_ else json.dumps(row).encode())

    assert ([], [OTHER_OCSF]) == (found["events"], [one["reason"] for one in found["rejected"]])


def parquet(**columns: Any) -> bytes:
    """A Parquet file."""
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({name: pa.array(*column) for name, column in columns.items()}), out)
    found: bytes = out.getvalue().to_pybytes()
    return found


def lake(value: dict[str, Any] | None) -> list[tuple[str, str]] | None:
    """A request or an answer as CloudTrail Lake has it: a map of texts."""
    if value is None:
        return None
    return [(name, one if isinstance(one, str) else json.dumps(one)) for name, one in value.items()]


def columns(*records: dict[str, Any], maps: bool) -> bytes:
    """A Parquet table of records with Athena's names; a column has nothing where a record lacks it."""
    names = dict.fromkeys(name for one in records for name in one)
    texts = pa.map_(pa.string(), pa.string()) if maps else pa.string()
    opened = {
        name: (
            [(lake if maps else json.dumps)(value) if (value := one.get(name)) else None for one in records],
            texts,
        )
        for name in ("requestParameters", "responseElements")
    }
    if maps:
        listed = [[list(resource.items()) for resource in one["resources"]] for one in records]
        opened["resources"] = (listed, pa.list_(texts))
    return parquet(
        **{name.lower(): opened.get(name, ([one.get(name) for one in records],)) for name in names}
    )


PARQUET = {
    "requests as JSON": lambda *records: columns(*records, maps=False),
    "requests as maps of texts": lambda *records: columns(*records, maps=True),
    "whole, as text": lambda *records: parquet(eventJson=[[json.dumps(one) for one in records]]),
    "whole, in what EventBridge sent": lambda *records: parquet(
        message=[[carriers.WRITERS["eventbridge"]([one]).decode() for one in records]]
    ),
}


@pytest.mark.parametrize("kind", PARQUET)
def test_a_parquet_table_says_what_the_native_file_says(kind: str) -> None:
    """Its columns keep their places where a row has nothing in one, and what is within a map of texts is read."""
    policy = {"userName": "ada", "policyName": "p", "policyDocument": '{"Statement": []}'}
    put = record(
        eventSource="iam.amazonaws.com", eventName="PutUserPolicy", eventID="put", requestParameters=policy
    )
    failed = record(eventID="failed", errorCode="AccessDenied", readOnly=None)
    touched = [{"ARN": "arn:aws:s3:::a", "type": "AWS::S3::Bucket"}, {"ARN": "arn:aws:s3:::b"}]
    records = [
        one | {"resources": touched}
        for one in (failed, CALL, put, record(eventID="plain", sharedEventID="s"))
    ]
    found, expected = tables(PARQUET[kind](*records)), tables(native(records))

    assert {name: expected[name] for name in (*TOLD, "changes")} == {
        name: found[name] for name in (*TOLD, "changes")
    }


@pytest.mark.parametrize("column", ["userIdentity", "resources", "requestParameters"])
def test_what_is_nested_without_end_stops_no_table(column: str) -> None:
    """A file that somebody planted is read as far as it says anything: the next row, too."""
    rows = [cells(record(eventID=f"0000000{n}-0000-4000-8000-000000000000")) for n in (1, 2)]
    rows[0][column] = '{"a":' * 900 + "1" + "}" * 900
    out = io.StringIO()
    table = csv.DictWriter(out, sorted({name for row in rows for name in row}))
    table.writeheader()
    table.writerows(rows)

    assert 2 == len(told(out.getvalue().encode())["events"])


def test_a_damaged_row_of_security_lake_costs_no_other() -> None:
    """A time that is none is told in the row's place; of a text, also in a list, that is none, all else is read."""
    texts = pa.array([b"a", b"\xf2("]).cast(pa.string(), safe=False)
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), texts)
    batch = pa.RecordBatch.from_arrays(
        [pa.array([1, 2**62], pa.timestamp("us")), texts], ["time_dt", "status"]
    )
    reasons = [piece.reason for piece in carriers_parquet._documents(batch)]
    assert reasons[0] == OTHER_OCSF
    assert str(reasons[1]).startswith("a damaged row of a Parquet file")
    assert carriers_parquet._values(texts) == ["a", "\ufffd("]
    assert carriers_parquet._values(lists) == [["a"], ["\ufffd("]]
