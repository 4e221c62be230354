"""
The canonical columns: the contract between every reader and every engine.

Times are whole seconds since 1970 UTC in `int64`: CloudTrail's own resolution, and the same in every engine.
A record is named by (`segment`, `object`, `ordinal`): the segment that holds it, the evidence object in that
segment's list, the place in the object. `identity` points into the same segment's identities.
"""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 4

_label = pa.dictionary(pa.int32(), pa.string())


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([pa.field(name, kind) for name, kind in columns])


EVENTS = _schema(
    ("segment", pa.int64()),
    ("object", pa.int32()),
    ("ordinal", pa.int32()),
    ("time", pa.int64()),
    ("event_id", pa.binary(16)),  # the UUID's bytes; else a digest of event_id_text, else of the record
    ("event_id_text", pa.string()),  # only where the id is no UUID in its usual spelling
    ("identity", pa.int32()),
    ("account", _label),
    ("region", _label),
    ("source", _label),
    ("name", _label),
    ("error", _label),
    ("ip", _label),
    ("agent", _label),
    ("endpoint", _label),  # vpcEndpointId
    ("endpoint_account", _label),  # vpcEndpointAccountId: whose endpoint it is
    ("read_only", pa.bool_()),
    ("management", pa.bool_()),
    ("console", pa.bool_()),
    ("secret", pa.bool_()),  # the answer holds a secret
    ("bytes_out", pa.int64()),
    ("resource", pa.string()),  # ARNs, or the name in the request; several are joined by a line feed
)  # fmt: skip

IDENTITIES = _schema(
    ("segment", pa.int64()),
    ("identity", pa.int32()),
    ("type", _label),
    ("principal_id", pa.string()),
    ("arn", pa.string()),
    ("account", _label),
    ("key_id", pa.string()),
    ("user_name", _label),
    ("created", pa.int64()),  # sessionContext.attributes.creationDate
    ("mfa", pa.bool_()),
    ("issuer_type", _label),
    ("issuer_id", _label),
    ("issuer_arn", _label),
    ("federated_provider", _label),
    ("source_identity", _label),
    ("ec2_delivery", _label),
    ("assumed_root", pa.bool_()),
    ("sign_in_session", _label),
    ("invoked_by", _label),
    ("on_behalf_of", _label),  # userId: of a user of IAM Identity Center
    ("origin_subject", _label),  # whom the identity provider, or a certificate, says that the session acts for
    ("origin_issuer", _label),  # who says so
    ("in_scope_of", _label),
    ("delegate", _label),  # invokedByDelegate: the account to which somebody delegated access for a time
)  # fmt: skip

ISSUANCES = _schema(
    ("segment", pa.int64()),
    ("object", pa.int32()),
    ("ordinal", pa.int32()),
    ("time", pa.int64()),
    ("event_id", pa.binary(16)),
    ("event_id_text", pa.string()),
    ("shared_id", pa.binary(16)),  # the UUID's bytes; else a digest of its text
    ("identity", pa.int32()),
    ("account", _label),  # whose trail holds the event
    ("api", _label),
    ("source", _label),
    ("ip", _label),
    ("agent", _label),
    ("key_id", pa.string()),  # the credential that was issued
    ("child_id", pa.string()),  # the principal id that it speaks under, where the answer says
    ("child_arn", pa.string()),
    ("role_arn", _label),
    ("session_name", pa.string()),
    ("source_identity", _label),
    ("expires", pa.int64()),
    ("duration", pa.int64()),
    ("mfa_serial", _label),
    ("target", _label),  # AssumeRoot's account; SAML provider; trust anchor; the portal's account and role
    ("requester_arn", _label),  # the principal for which Lake Formation, or another partition of AWS, asked
    ("sign_in_session", _label),
    ("subject", pa.string()),  # the person or workload that federated in
    ("token_id", pa.string()),  # webIdentityTokenId: of the token that was issued, or by which a role was assumed
    ("explicit_trust", pa.bool_()),  # false: a role assumed itself though its trust policy does not say so
)  # fmt: skip

CHANGES = _schema(
    ("segment", pa.int64()),
    ("object", pa.int32()),
    ("ordinal", pa.int32()),
    ("time", pa.int64()),
    ("event_id", pa.binary(16)),
    ("event_id_text", pa.string()),
    ("identity", pa.int32()),
    ("account", _label),
    ("source", _label),
    ("name", _label),
    ("request", pa.string()),  # JSON: what the effect of the call depends on, without secrets
    ("document", _label),  # the policy document, apart since many repeat
    ("response", pa.string()),  # JSON: ids of what was made
)  # fmt: skip

REJECTED = _schema(
    ("segment", pa.int64()),
    ("object", pa.int32()),
    ("ordinal", pa.int32()),  # null: the object as a whole
    ("field", pa.string()),  # null: the whole record; else the one field that was lost
    ("reason", pa.string()),
)  # fmt: skip

TABLES = {
    "events": EVENTS,
    "identities": IDENTITIES,
    "issuances": ISSUANCES,
    "changes": CHANGES,
    "rejected": REJECTED,
}
