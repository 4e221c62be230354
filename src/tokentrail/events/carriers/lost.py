"""
What each carrier leaves out of a record or of a log, in words for whoever relies on the answer.

The left-out reasons are no losses: such objects never hold records of calls.
"""

from __future__ import annotations

from collections.abc import Mapping

DIGEST = "a CloudTrail digest file: holds hashes of log files, no records"
INSIGHT = "an Insights event: an unusual rate of calls, no call"
AGGREGATED = "a summary of data events (CloudTrail's aggregated events), no call"
CONTROL = "a control message of CloudWatch Logs, no record"
OTHER_EVENT = "an EventBridge event that carries no CloudTrail record"
OTHER_OCSF = "an OCSF event that was not made of a CloudTrail record"
TEST_EVENT = "a test notification, no record"
RESOURCE_FORK = "what macOS adds to archives, no record"
FOLDER_VIEW = "how macOS shows the folder (.DS_Store), no record"
LEFT_OUT = (
    DIGEST, INSIGHT, AGGREGATED, CONTROL, OTHER_EVENT, OTHER_OCSF, TEST_EVENT, RESOURCE_FORK, FOLDER_VIEW,
)  # fmt: skip
"""Reasons for which something known holds no record: said in the summary, and nothing to worry about."""

LOOKUP_EVENTS = "lookup-events"
EVENTBRIDGE = "eventbridge"
CLOUDWATCH_LOGS = "cloudwatch-logs"
TABLE = "table"
WITHOUT_ANSWERS = "table-without-answers"
WITHOUT_SOURCE = "table-without-source"
WITHOUT_ERRORS = "table-without-errors"
WITHOUT_IDS = "without-ids"
ELASTIC = "elastic"
ELASTIC_TEXT = "elastic-text"
LOGSTASH = "logstash"
OCSF_1_0 = "ocsf-1.0"
OCSF = "ocsf"

_LABELS = {
    LOOKUP_EVENTS: "LookupEvents output",
    EVENTBRIDGE: "EventBridge events",
    CLOUDWATCH_LOGS: "CloudWatch Logs",
    TABLE: "Tables (Athena, CloudTrail Lake, Splunk)",
    WITHOUT_ANSWERS: "Tables without responseElements",
    WITHOUT_SOURCE: "Tables without eventSource",
    WITHOUT_ERRORS: "Tables without errorCode",
    WITHOUT_IDS: "Tables and documents without eventID",
    ELASTIC: "Elastic documents without event.original",
    ELASTIC_TEXT: "Elastic documents with neither event.original nor flattened fields",
    LOGSTASH: "Logstash events without eventTime",
    OCSF_1_0: "OCSF 1.0 documents",
    OCSF: "OCSF documents",
}
LOST = {
    LOOKUP_EVENTS: (
        "management events of one region and of the last 90 days alone; reads and writes of data (S3 objects and the "
        "like) are not in it."
    ),
    EVENTBRIDGE: (
        "read-only calls, AssumeRole among them, reach only rules that ask for all management events, and no event "
        "above 256 KB does; where they are missing, sessions seem to come from nowhere."
    ),
    CLOUDWATCH_LOGS: "no event above 256 KB, and of a subscription or a query only what its filter matches.",
    TABLE: (
        "the columns that somebody chose. Athena's usual ones lack sourceIdentity, inScopeOf, identityProvider, "
        "signInSessionArn and whom onBehalfOf names but by a directory's user id: source identities, some origins and "
        "persons are then unknown."
    ),
    WITHOUT_ANSWERS: (
        "no credential is seen issued and no key made, so that nothing seems to descend from a credential that minted "
        "others, and sessions seem to come from nowhere; without errorCode, refused calls count as done. Select these "
        "and requestParameters as well; "
        "CloudTrail's event history has them where it is downloaded as JSON."
    ),
    WITHOUT_SOURCE: (
        "which service was called is not told, so that no credential is seen issued and little of what was made: "
        "nothing seems to descend from a credential that minted others; without errorCode, refused calls count as "
        "done. Select eventSource, and requestParameters, responseElements and errorCode as well."
    ),
    WITHOUT_ERRORS: (
        "which calls were refused is not told: all count as done, so that plans may undo changes that nobody made, and "
        "findings about refusals are missing. Select errorCode as well."
    ),
    WITHOUT_IDS: (
        "a call that another file tells too counts twice, since nothing says that it is the same, and calls that look "
        "alike in all that is told of them count once. Select eventID as well."
    ),
    ELASTIC: (
        "no sourceIdentity, federated provider, onBehalfOf, sharedEventID or, from older versions, console flag: "
        "console sessions may look like stolen keys, and both sides of a cross-account call are joined by key alone."
    ),
    ELASTIC_TEXT: (
        "requests and answers are text that can be cut in more than one way, so what a caller chose (names, tags, "
        "policies) may be read wrongly."
    ),
    LOGSTASH: (
        "when a call was made stands in `@timestamp` alone: where the pipeline put the time there at which it read the "
        "record, or where the record had none, calls seem to be made later than they were. disableApiTermination "
        "is an object in every request."
    ),
    OCSF_1_0: "requests and answers are flattened to texts; lists and empty values may be lost.",
    OCSF: (
        "one field holds a principal id or the person whom a call is made for; where it is the person, the principal "
        "id is worked out from ARN and role."
    ),
}
"""By carrier: what it does not say, and what follows from that. Carriers that aren't named here lose nothing."""


def sentences(objects: Mapping[str, int], of: int) -> tuple[str, ...]:
    """
    Say what is lost.

    Args:
        objects: How many evidence objects each carrier brought records in.
        of: How many objects there are.
    """
    return tuple(
        f"{_LABELS[name]} ({objects[name]:,} of {of:,} objects): {why}"
        for name, why in LOST.items()
        if objects.get(name)
    )
