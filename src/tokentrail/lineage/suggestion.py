"""What to suggest for a subject that nothing answers to: ARNs for a short name, the key ids that look like one."""

from __future__ import annotations

import re

from tokentrail.aws.leaked_strings import account_of_key
from tokentrail.formatting import listed
from tokentrail.store.interface import Engine

_ARNS = """(
  SELECT DISTINCT arn, split_part(arn, '/', -1) AS last FROM (
    SELECT i.arn FROM {some_identities} i
    UNION ALL
    SELECT i.issuer_arn FROM {some_identities} i
    UNION ALL
    SELECT c.child_arn FROM {some_issuances} c
    UNION ALL
    SELECT c.role_arn FROM {some_issuances} c
    UNION ALL
    SELECT 'arn:aws:iam::' || f.key_account || ':user/' || f.created_owner
    FROM credentials f WHERE f.created_what IN ('access_key', 'api_key')
  ) WHERE starts_with(arn, 'arn:')
)"""
_ENDING = f"SELECT arn FROM {_ARNS} WHERE last = ?"
_ENDING_ALIKE = f"""
SELECT arn, damerau_levenshtein(lower(last), $1) AS far FROM {_ARNS}
WHERE length(last) BETWEEN length($1) - $2 AND length($1) + $2 AND far <= $2 ORDER BY far, arn LIMIT 100"""
_ALIKE = """
SELECT DISTINCT name, damerau_levenshtein(name, $4) AS far FROM names
WHERE length(name) BETWEEN $1 AND $2 AND left(name, 2) = left($3, 2) AND damerau_levenshtein(name, $3) <= $5
ORDER BY far, name LIMIT 6"""
_ACCOUNTS = "SELECT DISTINCT account FROM events WHERE account IS NOT NULL ORDER BY account LIMIT 100"
_TYPOS = 2
_FEW_LETTERS = 6
"""The length below which a name differs by one letter at most from what it may have been meant for."""
_KEY = re.compile(r"(akia|asia|acca)[a-z0-9]{12,}", re.IGNORECASE)
_API_KEY = "ACCA"
"""How ids of API keys begin, which tell no account."""
_ARN = re.compile(r"arn:[\w-]+:(?:iam|sts)::(\d{12}):.+", re.DOTALL | re.ASCII)
_MOST = 5
_LONGEST = 64
"""Letters of a name of a user, role or session at most (IAM User Guide, 'IAM and AWS STS quotas')."""


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
    if _KEY.fullmatch(subject):
        alike = _keys_like(engine, subject.upper())
        return f"Did you mean {listed(alike, _MOST)}?" if alike else _of_account(engine, subject.upper())
    arns = _arns_of(engine, subject) or _arns_like(engine, subject)
    if arns:
        return f"Did you mean {listed(arns, _MOST)}?"
    named = _ARN.match(subject)
    return _without_calls(engine, f"It is of account {named[1]}", named[1], "in its name") if named else ""


def _keys_like(engine: Engine, key: str) -> list[str]:
    """The key ids that differ from one by two letters at most, as those do that were copied by hand."""
    found = engine.rows(_ALIKE, (len(key) - _TYPOS, len(key) + _TYPOS, key, key, _TYPOS))
    return [row["name"] for row in found]


def _of_account(engine: Engine, key: str) -> str:
    """Of which account a key is that nothing in the case was done with, and what the case holds."""
    account = None if key.startswith(_API_KEY) else account_of_key(key)
    if account is None:
        held = _held(_logged(engine))
        return (
            f"No call by that key is in the evidence. {held}: ingest the log of the key's account and time."
        )
    return _without_calls(engine, f"The key's id tells that it is of account {account}", account, "by it")


def _without_calls(engine: Engine, whose: str, account: str, by: str) -> str:
    """What to ingest to find calls of somebody of an account, of whom the evidence holds none."""
    there = _logged(engine)
    if account in there:
        return (
            f"{whose}, whose log the case holds: no call {by} is there. Ingest the time at which it was used, and data "
            "events."
        )
    return f"{whose}. {_held(there)}: ingest that account's."


def _logged(engine: Engine) -> list[str]:
    return sorted(row["account"] for row in engine.rows(_ACCOUNTS))


def _held(there: list[str]) -> str:
    return f"The case holds logs of {listed(there, _MOST)}" if there else "The case holds no log"


def _arns_of(engine: Engine, subject: str) -> list[str]:
    """The ARNs of users, roles and sessions with this short name, such as `support`, `user/support` or `Admin/ria`."""
    last = subject.rpartition("/")[2]
    rows = engine.rows(_ENDING.format_map(engine.holding(names=(last,))), (last,)) if last else []
    found: dict[tuple[str, str], str] = {}
    for arn in sorted(row["arn"] for row in rows):
        *_, account, resource = arn.split(":", 5)
        kind = resource.partition("/")[0]
        pathless = f"{kind}/{last}" if kind in ("user", "role") else resource
        if subject in (last, pathless, resource, resource.removeprefix("assumed-role/")):
            found.setdefault((account, pathless), arn)
    return list(found.values())


def _arns_like(engine: Engine, subject: str) -> list[str]:
    """The ARNs whose last part is a name like this one, but for a letter or two; the most alike first."""
    last = subject.rpartition("/")[2].lower()
    if not 3 <= len(last) <= _LONGEST:
        return []
    typos = 1 if len(last) < _FEW_LETTERS else _TYPOS
    rows = engine.rows(_ENDING_ALIKE.format_map(engine.everywhere()), (last, typos))
    return [row["arn"] for row in rows if row["far"] == rows[0]["far"]]
