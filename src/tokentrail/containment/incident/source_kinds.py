"""
Whether a trace may lead to a source of credentials at all: told by its credentials and what they made, without a query.

Most traces lead to none, and are spared the search (`taint`) and all that it loads.
"""

from __future__ import annotations

from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.lineage.model import Credential

SOURCE_KINDS = (
    "service_role", "oauth_login", "console_session", "identity_center", "assumed_role_saml",
    "assumed_role_web_identity",
)  # fmt: skip
"""The kinds of credentials that sources hand out."""
_ANYWHERE = "rolesanywhere.amazonaws.com"


def has_source(one: Credential) -> bool:
    """Whether a credential may have been handed out by a source that can hand out more."""
    return one.kind in SOURCE_KINDS or certified(one)


def certified(one: Credential) -> bool:
    """
    Whether IAM Roles Anywhere issued it to the holder of a certificate, whose serial number is then its name.

    The log has the CreateSession, and the AssumeRole within it (IAM Roles Anywhere User Guide, 'The CreateSession
    operation'; the records' `eventName` and `sourceIPAddress`).
    """
    issued = one.issued_by
    return issued is not None and (issued.api == "CreateSession" or issued.source_ip == _ANYWHERE)


def may_open(what: str) -> bool:
    """Whether making or changing a thing of this kind may open a role."""
    return what in WORKLOADS or what == "anywhere_profile"
