"""What to suggest for a subject that nothing answers to: ARNs for a short name, a key id for one in lower case."""

from __future__ import annotations

import re

from tokentrail.spelling import listed
from tokentrail.store.interface import Engine

_ARNS_ENDING = r"""
SELECT DISTINCT arn FROM (
  SELECT i.arn FROM {some_identities} i
  UNION ALL
  SELECT i.issuer_arn FROM {some_identities} i
  UNION ALL
  SELECT c.child_arn FROM {some_issuances} c
  UNION ALL
  SELECT c.role_arn FROM {some_issuances} c
  UNION ALL
  SELECT 'arn:aws:iam::' || f.key_account || ':user/' || k.created_owner
  FROM creations k JOIN forest f ON f.n = k.n WHERE k.created_what = 'access_key'
) WHERE starts_with(arn, 'arn:') AND split_part(arn, '/', -1) = ?"""
_KEY = re.compile(r"(akia|asia)[a-z0-9]{12,}", re.IGNORECASE)
_MOST = 5


def suggestion(engine: Engine, subject: str) -> str:
    """
    A sentence that suggests what a subject may have been meant for; empty where there is nothing to suggest.

    It is only suggested, never taken: a session whose name an attacker chose may be called like a user.
    """
    if re.fullmatch(r".+/\d{1,3}", subject) and not re.search("[^0-9a-f.:/]", subject):
        return "A network is no subject: give the addresses in it that are meant."
    if re.fullmatch(r"\d{12}", subject):
        return (
            f"An account is no subject: `tokentrail credentials --account {subject}` lists its credentials."
        )
    if _KEY.fullmatch(subject) and subject != subject.upper():
        found = engine.ranges("names", "name", [(subject.upper(), subject.upper())]).num_rows
        return f"Did you mean {subject.upper()}?" if found else ""
    arns = _arns_of(engine, subject)
    return f"Did you mean {listed(arns, _MOST)}?" if arns else ""


def _arns_of(engine: Engine, subject: str) -> list[str]:
    """The ARNs of users, roles and sessions with this short name, such as `support`, `user/support` or `Admin/ria`."""
    last = subject.rpartition("/")[2]
    rows = engine.rows(_ARNS_ENDING.format_map(engine.holding(names=(last,))), (last,)) if last else []
    found: dict[tuple[str, str], str] = {}
    for arn in sorted(row["arn"] for row in rows):
        *_, account, resource = arn.split(":", 5)
        kind = resource.partition("/")[0]
        pathless = f"{kind}/{last}" if kind in ("user", "role") else resource
        if subject in (last, pathless, resource, resource.removeprefix("assumed-role/")):
            found.setdefault((account, pathless), arn)
    return list(found.values())
