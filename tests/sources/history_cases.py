"""CloudTrail's event history as LookupEvents gives it: newest first, fifty a page, twice a second."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cloud_cases import Answer, Cloud, Cut, Refusal, Request

from evidence import HOME
from tokentrail import Case
from tokentrail.results import IngestSummary
from tokentrail.sources.interface import Access, Wanted
from tokentrail.testing import lookup_events
from tokentrail.testing.names import Json

_CREDENTIAL = re.compile(r"Credential=(?P<key>\w+)/\d+/(?P<region>[\w-]+)/(?P<service>[\w-]+)/")
_CALLER = (
    "<GetCallerIdentityResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><GetCallerIdentityResult>"
    "<Arn>arn:aws:iam::{account}:user/r</Arn><UserId>AIDA</UserId><Account>{account}</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
)
_REGIONS = (
    "<DescribeRegionsResponse xmlns='http://ec2.amazonaws.com/doc/2016-11-15/'><regionInfo>{items}</regionInfo>"
    "</DescribeRegionsResponse>"
)


@dataclass(frozen=True)
class Question:
    """One call of LookupEvents."""

    account: str
    region: str
    attribute: str | None
    value: str | None
    start: float
    end: float
    token: str | None


@dataclass
class History:
    """What CloudTrail keeps, for a wire's `fault`."""

    cloud: Cloud
    records: list[Json]
    accounts: dict[str, str] = field(default_factory=lambda: {"AKIARESPONDER0000001": HOME})
    """By access key."""
    regions: tuple[str, ...] = ("eu-west-1", "us-east-1")
    asked: list[Question] = field(default_factory=list)
    refuse: Any = None
    """What a test refuses: gets the question, gives a `Refusal` or nothing."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._events = json.loads(lookup_events(self.records))["Events"]
        self._places = {
            one["eventID"]: (
                one["recipientAccountId"], one["awsRegion"], datetime.fromisoformat(one["eventTime"]).timestamp(),
            )
            for one in self.records
        }  # fmt: skip
        self.cloud.wire.fault = self

    def __call__(self, request: Request) -> Refusal | Cut | Answer | None:
        found = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        if found is None:
            return None
        account = self.accounts.get(found["key"])
        if found["service"] == "sts":
            if account is None:
                return Refusal(403, "InvalidClientTokenId")
            return Answer(_CALLER.format(account=account))
        if found["service"] == "ec2":
            items = "".join(f"<item><regionName>{one}</regionName></item>" for one in self.regions)
            return Answer(_REGIONS.format(items=items))
        if request.operation == "LookupEvents":
            return self._lookup(account or "", found["region"], json.loads(request.content))
        return None

    def _lookup(self, account: str, region: str, asked: Json) -> Refusal | Answer:
        attribute = (asked.get("LookupAttributes") or [{}])[0]
        question = Question(
            account, region, attribute.get("AttributeKey"), attribute.get("AttributeValue"), asked["StartTime"],
            asked["EndTime"], asked.get("NextToken"),
        )  # fmt: skip
        with self._lock:
            self.asked.append(question)
            refusal = self.refuse(question) if self.refuse else None
        if refusal:
            return refusal
        found = [one for one in self._events if self._matches(one, question)]
        start = int((question.token or "0@").partition("@")[0])
        told: Json = {"Events": found[start : start + asked["MaxResults"]]}
        if start + asked["MaxResults"] < len(found):
            told["NextToken"] = f"{start + asked['MaxResults']}@"
        return Answer(told)

    def _matches(self, event: Json, question: Question) -> bool:
        account, region, when = self._places[event["EventId"]]
        return (
            (account, region) == (question.account, question.region)
            and question.start <= when <= question.end
            and (question.attribute is None or event.get(question.attribute) == question.value)
        )

    def ingest(self, *, until: datetime, access: list[Access] | None = None, **wanted: Any) -> IngestSummary:
        """Look up, with a window that ends soon after the evidence."""
        with Case.open(self.cloud.case) as case:
            return case.ingest(
                ["lookup-events:"], access=access or [self.cloud.access],
                wanted=Wanted(until=until, **wanted), workers=1,
            )  # fmt: skip

    def counted(self) -> Counter[str | None]:
        """How often each value was asked for."""
        return Counter(one.value for one in self.asked)
