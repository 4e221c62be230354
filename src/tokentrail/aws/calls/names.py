"""The names of services and operations, as CloudTrail spells them."""

from __future__ import annotations

import re
from functools import lru_cache

_VERSION = re.compile(r"20\d\d_?\d\d_?\d\d(v\d+)?$|_v\d$")


@lru_cache(maxsize=8192)
def operation_of(event_name: str) -> str:
    """
    The operation that an `eventName` means: the name without the version of the API, which some services append.

    Sources: AWS Lambda Developer Guide, 'Logging AWS Lambda API calls using AWS CloudTrail' (UpdateFunctionCode is
    logged as UpdateFunctionCode20150331v2); the operations of Amazon CloudFront, such as GetDistribution2020_05_31.
    """
    return _VERSION.sub("", event_name)


def service_of(event_source: str | None) -> str:
    """The service of an `eventSource`: its first label, such as `lambda` of `lambda.amazonaws.com`."""
    return (event_source or "").partition(".")[0]
