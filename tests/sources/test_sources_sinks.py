"""Findings leave through SNS, EventBridge, Security Hub and webhooks, as moto and a small server have them over HTTP."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from cloud_cases import Cloud

from tokentrail import Case
from tokentrail.errors import UsageError
from tokentrail.present.document import document
from tokentrail.sources.interface import Access
from tokentrail.testing import native
from tokentrail.testing.story import story
from tokentrail.watch.feeds_and_sinks import sink_of
from tokentrail.watch.interface import Notice, SinkFailed, SinkRefused
from tokentrail.watch.remote_sinks import WebhookSink, notice_json


@pytest.fixture(name="notices", scope="module")
def _notices(tmp_path_factory: pytest.TempPathFactory) -> list[Notice]:
    """What a watch would tell of the story."""
    folder = tmp_path_factory.mktemp("story")
    (folder / "log.json").write_bytes(native(story(ordinary_day=False).world.records()))
    with Case.open(folder / "case") as case:
        case.ingest([str(folder / "log.json")])
        return [
            Notice(id=one.id, revision=1, change="new", changed=(), document=document(one))
            for one in case.detect()
        ]


@pytest.fixture(name="access")
def _access(cloud: Cloud, moto_url: str) -> Access:
    return Access(endpoint_url=moto_url)


def queue(moto_url: str, name: str) -> tuple[Any, str, str]:
    client = boto3.client("sqs", endpoint_url=moto_url)
    url = client.create_queue(QueueName=name)["QueueUrl"]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return client, url, found["Attributes"]["QueueArn"]


def received(client: Any, url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(one["Body"]) for one in messages]
        for one in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    client.close()
    return found


def test_a_topic_gets_each_notice(access: Access, moto_url: str, notices: list[Notice]) -> None:
    """A subscriber of the topic gets the finding as JSON."""
    client, url, arn = queue(moto_url, "findings")
    sns = boto3.client("sns", endpoint_url=moto_url)
    topic = sns.create_topic(Name="findings")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    sns.close()

    sink_of(f"sns:{topic}", access, None).deliver(notices)

    assert [one.shown() for one in notices] == sorted(
        received(client, url), key=lambda one: [each.id for each in notices].index(one["id"])
    )


def test_a_bus_gets_each_notice(access: Access, moto_url: str, notices: list[Notice]) -> None:
    """A rule on the bus passes them on as 'TokenTrail Finding'."""
    client, url, arn = queue(moto_url, "bus")
    events = boto3.client("events", endpoint_url=moto_url)
    events.create_event_bus(Name="security")
    events.put_rule(Name="all", EventBusName="security", EventPattern='{"source": ["tokentrail"]}')
    events.put_targets(Rule="all", EventBusName="security", Targets=[{"Id": "1", "Arn": arn}])
    events.close()

    sink_of("events:security", access, None).deliver(notices)

    got = received(client, url)
    assert {one.id for one in notices} == {one["detail"]["id"] for one in got}
    assert {("tokentrail", "TokenTrail Finding")} == {(one["source"], one["detail-type"]) for one in got}


def test_security_hub_is_told_and_told_again(access: Access, moto_url: str, notices: list[Notice]) -> None:
    """Findings are imported under the importing account; one that is withdrawn is archived."""
    sink = sink_of("securityhub:us-east-1", access, None)
    sink.deliver(notices)
    gone = Notice(id=notices[0].id, revision=2, change="withdrawn", changed=(), document=notices[0].document)
    sink.deliver([gone])

    client = boto3.client("securityhub", endpoint_url=moto_url)
    found = client.get_findings()["Findings"]
    client.close()
    states = {one["Id"]: one["RecordState"] for one in found}
    assert {f"tokentrail/{one.id}" for one in notices} == set(states)
    assert "ARCHIVED" in {one["RecordState"] for one in found if one["Id"] == f"tokentrail/{gone.id}"}
    assert {"123456789012"} == {one["AwsAccountId"] for one in found}


def test_security_hub_has_the_last_of_what_is_told_at_once(
    access: Access, moto_url: str, notices: list[Notice]
) -> None:
    """
    One call has each finding once, as it is last, and a later call a later time, though both are within a second.

    Security Hub ignores what is not later than what it has (Security Hub User Guide, 'BatchImportFindings for finding
    providers'); severity and types are updated by `FindingProviderFields`.
    """
    sink = sink_of("securityhub:us-west-2", access, None)
    new = notices[0]
    worse = {**new.document, "severity": "critical"}
    revised = Notice(id=new.id, revision=2, change="revised", changed=("severity",), document=worse)
    asked: list[list[dict[str, Any]]] = []
    ask = sink._ask

    def asking(service: str, operation: str, **parameters: Any) -> Any:
        asked.append(parameters.get("Findings", []))
        return ask(service, operation, **parameters)

    sink._ask = asking
    sink.deliver([new, revised])
    sink.deliver([Notice(id=new.id, revision=3, change="withdrawn", changed=(), document=worse)])

    once, again = (one for one in asked if one)
    assert (len(once), len(again)) == (1, 1)
    assert once[0]["FindingProviderFields"]["Severity"] == {"Label": "CRITICAL"}
    assert (once[0]["RecordState"], again[0]["RecordState"]) == ("ACTIVE", "ARCHIVED")
    assert once[0]["UpdatedAt"] < again[0]["UpdatedAt"]


@pytest.mark.parametrize(("code", "failure"), [("InvalidInput", SinkRefused), ("InvalidAccess", SinkFailed)])
def test_security_hub_that_is_off_refuses_nothing_for_good(
    code: str, failure: type[Exception], access: Access, notices: list[Notice]
) -> None:
    """
    A finding that does not adhere to the format never will; one that finds Security Hub switched off is tried again.

    `InvalidAccess` is what each finding fails with then (Security Hub User Guide, 'BatchImportFindings for finding
    providers'); what it is told while an attacker has it off is not lost.
    """
    sink = sink_of("securityhub:us-east-1", access, None)
    failed = [{"Id": "a", "ErrorCode": code, "ErrorMessage": "no"}]
    ask = sink._ask
    sink._ask = lambda service, operation, **asked: (
        ask(service, operation, **asked)
        if service == "sts"
        else {"FailedCount": 1, "SuccessCount": 0, "FailedFindings": failed}
    )
    with pytest.raises(failure, match=code) as caught:
        sink.deliver(notices[:1])

    assert failure is caught.type


@pytest.fixture(name="hook")
def _hook() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], list[int]]]:
    """A receiver of webhooks: its URL, what it got, and the answers that it will give first."""
    got: list[tuple[dict[str, str], bytes]] = []
    answers: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = answers.pop(0) if answers else 204
            if status < 300:
                got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - as the standard library wants it

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, answers
    server.shutdown()
    server.server_close()


Hook = tuple[str, list[tuple[dict[str, str], bytes]], list[int]]


def test_a_webhook_gets_each_notice_signed(hook: Hook, notices: list[Notice]) -> None:
    """Each is posted with its key, a signature that the receiver can check, and the URL's password, which nobody is shown."""
    url, got, _ = hook
    sink = WebhookSink(url.replace("://", "://ada:p%40ss@"), "secret")
    sink.deliver(notices)

    assert [notice_json(one) for one in notices] == [body.decode() for _, body in got]
    assert [one.key for one in notices] == [headers["idempotency-key"] for headers, _ in got]
    signed = hmac.new(b"secret", got[0][1], hashlib.sha256).hexdigest()
    assert f"sha256={signed}" == got[0][0]["x-tokentrail-signature"]
    assert "Basic YWRhOnBAc3M=" == got[0][0]["authorization"]
    assert "p%40ss" not in f"{sink.shown} {sink.name}"


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (500, SinkFailed),
        (503, SinkFailed),
        (429, SinkFailed),
        (400, SinkRefused),
        (422, SinkRefused),
        (401, SinkFailed),
        (404, SinkFailed),
        (302, SinkFailed),
    ],
)
def test_a_webhook_that_refuses_is_told_apart_from_one_that_is_down(
    status: int, failure: type[Exception], hook: Hook, notices: list[Notice]
) -> None:
    """
    What may work later is tried again; what never will is not; a redirection is not followed.

    A receiver whose secret ran out, or that is set up anew, takes the same notice later: it is no refusal of the notice.
    """
    url, got, answers = hook
    answers.append(status)
    with pytest.raises(failure) as caught:
        WebhookSink(url).deliver(notices[:1])

    assert failure is caught.type
    assert [] == got


def test_a_webhook_that_is_not_there_fails_in_words() -> None:
    """Nobody listens: the failure says so, and is no traceback."""
    notice = Notice(id="a", revision=1, change="new", changed=(), document={"id": "a"})
    with pytest.raises(SinkFailed, match="refused"):
        WebhookSink("http://127.0.0.1:9/hook").deliver([notice])


@pytest.mark.parametrize(
    "members",
    [
        {"credentials": [f"ASIA{number:016d}" for number in range(50_000)]},
        {"events": ["\u0430" * 3_000] * 120},
        {"addresses": [{"ip": "1" * 9_000, "owner": "o" * 9_000}] * 100, "why": "\ud800" * 100_000},
    ],
)
def test_a_notice_too_large_for_a_message_is_cut(members: dict[str, Any], notices: list[Notice]) -> None:
    """
    Lists and texts are cut, and that is said, where SNS and EventBridge would refuse the whole.

    A message that is refused for its size would be sent again and again, and all others wait behind it.
    """
    text = notice_json(
        Notice(id="a", revision=1, change="new", changed=(), document=notices[0].document | members)
    )

    assert len(text) < 256 * 1024
    assert json.loads(text)["cut"] is True
    assert json.loads(text)["id"] == notices[0].document["id"]


@pytest.mark.parametrize(
    "where",
    [
        "sns:arn:aws:sqs:eu-west-1:111122223333:q",
        "sns:findings",
        "events:",
        "/nowhere/at/all",
        "https://",
        "https://example.com/a b",
        "http://[::1/hook",
    ],
)
def test_a_place_that_can_be_none_is_refused_before_the_watch_begins(where: str) -> None:
    """A wrong ARN, an empty name and a folder that is not there are wrong use."""
    with pytest.raises(UsageError):
        sink_of(where, Access(), None)
