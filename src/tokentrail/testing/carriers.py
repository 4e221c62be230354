"""
Every carrier of CloudTrail's records that TokenTrail reads, by name, as a function from records to bytes.

    from tokentrail.testing import World, carriers

    world = World(start)
    path.write_bytes(carriers.WRITERS["athena"](world.records()))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from tokentrail.testing import mapped, tabled, trails, wrapped
from tokentrail.testing.names import Json

Writer = Callable[[Iterable[Json]], bytes]

WRITERS: Mapping[str, Writer] = {
    "cloudtrail": trails.native,
    "json-array": trails.json_array,
    "json-lines": trails.json_lines,
    "lookup-events": trails.lookup_events,
    "lookup-events-v2": wrapped.lookup_events_v2,
    "lookup-event-lines": wrapped.lookup_event_lines,
    "eventbridge": wrapped.eventbridge,
    "sqs": wrapped.sqs_messages,
    "sqs-function": wrapped.sqs_function_event,
    "log-subscription": wrapped.log_subscription,
    "log-function": wrapped.log_function_event,
    "log-export": wrapped.log_export,
    "log-events": wrapped.log_events,
    "logstash": wrapped.logstash,
    "splunk": wrapped.splunk_raw,
    "splunk-raw-csv": tabled.splunk_raw_csv,
    "splunk-table": tabled.splunk_table_csv,
    "athena": tabled.athena_csv,
    "lake": tabled.lake_csv,
    "elastic": mapped.elastic,
    "elastic-flattened": partial(mapped.elastic, kept="flattened"),
    "elastic-text": partial(mapped.elastic, kept="text"),
    "ocsf-1.0": partial(mapped.ocsf, version="1.0.0-rc.2"),
    "ocsf-1.1": partial(mapped.ocsf, version="1.1.0"),
    "ocsf-1.5": partial(mapped.ocsf, version="1.5.0"),
    "ocsf-parquet-1.0": partial(mapped.ocsf_parquet, version="1.0.0-rc.2"),
    "ocsf-parquet-1.1": partial(mapped.ocsf_parquet, version="1.1.0"),
    "ocsf-parquet-1.5": partial(mapped.ocsf_parquet, version="1.5.0"),
}
