"""What somebody may have meant who named a user, role or session for short: `support`, `user/support`, `Admin/ria`."""

from __future__ import annotations

import re

from tokentrail.spelling import listed
from tokentrail.store.interface import Engine

_BEARING = r"""
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


def meant(engine: Engine, subject: str) -> str:
    """
    A sentence that goes on from a name which answers to nothing to what would; empty where nothing would.

    Nothing is taken for what was meant: a name that one user bears today is borne by a session of an attacker's
    choice tomorrow.
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
    arns = _bearing(engine, subject)
    return f"Did you mean {listed(arns, _MOST)}?" if arns else ""


def _bearing(engine: Engine, subject: str) -> list[str]:
    """The ARNs of users, roles and sessions that are called so for short, one for each of them, in order."""
    last = subject.rpartition("/")[2]
    rows = engine.rows(_BEARING.format_map(engine.holding(names=(last,))), (last,)) if last else []
    found: dict[tuple[str, str], str] = {}
    for arn in sorted(row["arn"] for row in rows):
        *_, account, resource = arn.split(":", 5)
        kind = resource.partition("/")[0]
        pathless = f"{kind}/{last}" if kind in ("user", "role") else resource
        if subject in (last, pathless, resource, resource.removeprefix("assumed-role/")):
            found.setdefault((account, pathless), arn)
    return list(found.values())
