"""AWS itself has found a key in public."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import short
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CREDENTIAL_DETAILS
from tokentrail.formatting import at
from tokentrail.lineage.rows import Row

_QUARANTINED = """
    SELECT c.*, nullif(regexp_extract(c.request, '"userName":"([^"]+)"', 1), '') AS who,
           coalesce(nullif(regexp_extract(c.request, '"policyArn":"arn:([a-z-]+):iam:', 1), ''), 'aws') AS partition,
           regexp_extract(c.request, 'AWSCompromisedKeyQuarantine([A-Za-z0-9]*)', 1) AS version
    FROM attributed_changes c
    WHERE (c.name = 'AttachUserPolicy' AND c.request LIKE '%AWSCompromisedKeyQuarantine%')
       OR (c.name = 'PutUserPolicy' AND c.request LIKE '%"AWSExposedCredentialPolicy_DO_NOT_REMOVE"%')
    ORDER BY c.time, c.event_id"""
"""The second is what AWS did until 2020: it wrote the policy into the user, in the user's own name."""
_KEYS = """
    SELECT n, id FROM credential_details WHERE kind = 'long_term_key' AND coalesce(seen_account, key_account) = ?
      AND regexp_extract(coalesce(arn, ''), ':user/(?:.*/)?([^/]+)$', 1) = ? ORDER BY last DESC, n"""


_FEW = "new users, keys and instances, but neither minting tokens nor reading data"
_FORBIDS = {
    **dict.fromkeys(("V2", "V3"), "GetSessionToken and much else, but neither AssumeRole nor reading data"),
    "": _FEW,  # the first one, and what AWS wrote into users before
}
"""By what AWS adds to the policy's name: what it denies (AWS Managed Policy Reference)."""
_NOT_KNOWN = (
    "a list of actions that is not known here; take it that whoever has the key can still mint tokens"
)


def find(context: DetectionContext) -> Iterator[Hit]:
    """Report each user once, at the first quarantine."""
    seen: set[tuple[str, str]] = set()
    for row in list(context.rows(_QUARANTINED)):
        who = (row["in_account"] or "", row["who"] or "")
        if who not in seen:
            seen.add(who)
            yield _hit(row, who, [one["n"] for one in list(context.rows(_KEYS, who))])


def _hit(row: Row, who: tuple[str, str], keys: list[int]) -> Hit:
    account, name = who
    event = event_of(row)
    return Hit(
        about=(account, name),
        time=row["time"],
        severity="critical",
        why=f"{short(row['by_arn'])} attached AWS's quarantine policy to user {name} of {account} at "
        f"{at(row['time'])}. It forbids {_FORBIDS.get(row['version'] or '', _NOT_KNOWN)}.",
        subject=keys[0] if keys else None,
        places=tuple(keys),
        events=(event,),
        count=1,
        principals=(f"arn:{row['partition']}:iam::{account}:user/{name}",),
        accounts=(account,),
    )


RULE = Rule(
    id="key-quarantined",
    title="AWS has quarantined a user whose key it found in public",
    severity="critical",
    attack=("T1552.001", "T1078.004"),
    why="AWS attaches this policy when it finds an access key in public: strangers have had it for minutes at the "
    "least. The quarantine leaves most of the user's power as it was.",
    false_alarm="Somebody may try the policy out by hand; AWS's own comes with a mail and a support case.",
    references=(
        "AWS Managed Policy Reference, 'AWSCompromisedKeyQuarantine', V2, V3 and V4",
        "Panther, aws_key_compromised",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES),
    prefilter=frozenset({"AttachUserPolicy", "PutUserPolicy"}),
)
