"""
A role that one owner's repositories take up, taken up by another's: its trust policy lets in more than it should.

Whose a token is stands in its subject, as build services write it: `repo:OWNER/NAME:…` or
`repo:OWNER@NUMBER/NAME@NUMBER:…` (GitHub; the owner's number stays whatever its name, which somebody else may take
up), `project_path:GROUP/NAME:…` (GitLab), `organization:NAME:project:…` (HCP Terraform). A subject of GitHub's that was
customised holds claims in whichever order, of which `repo`, `repository`, `repository_owner`, `repository_owner_id` and
`repository_id` tell it; a colon within one is written `%3A`. Not told by `job_workflow_ref`: anybody may call another's
workflow. Subjects are compared by what both tell.
Source: GitHub Docs, 'OpenID Connect reference', 'Immutable subject claims'; GitLab Docs, 'OpenID Connect (OIDC)
Authentication Using ID Tokens'; HashiCorp, 'Workload identity tokens'.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.views import CREDENTIAL_DETAILS
from tokentrail.formatting import at, counted

_NAMED = "(?:^|:)(?:repo|repository|repository_owner|project_path|organization):([^/:@]+)(?:@([0-9]+))?"
_NUMBERED, _ITSELF = "(?:^|:)repository_owner_id:([0-9]+)", "(?:^|:)repository_id:([0-9]+)"
_BUILDS = f"""
    SELECT * FROM (
      SELECT n, id, into_role, issued_time, subject, nullif(lower(regexp_extract(subject, '{_NAMED}', 1)), '') AS owner,
             coalesce(nullif(regexp_extract(subject, '{_NUMBERED}', 1), ''),
                      nullif(regexp_extract(subject, '{_NAMED}', 2), '')) AS number,
             CASE WHEN owner IS NULL AND number IS NULL
                  THEN nullif(regexp_extract(subject, '{_ITSELF}', 1), '') END AS repository
      FROM (SELECT n, id, into_role, issued_time, coalesce(subject, caller_name) AS subject FROM credential_details
            WHERE api = 'AssumeRoleWithWebIdentity' AND into_role IS NOT NULL AND issued_time IS NOT NULL)
      WHERE subject NOT LIKE 'system:serviceaccount:%'
    ) WHERE coalesce(owner, number, repository) IS NOT NULL"""
_OWNERS = """
    SELECT into_role, owner, number, repository,
           min({'time': issued_time, 'id': id, 'n': n, 'subject': subject}) AS came,
           count(*) AS sessions, list_sort(list({'time': issued_time, 'id': id, 'n': n}))[:50] AS some
    FROM builds GROUP BY into_role, owner, number, repository"""
_SAME = "coalesce(b.number = o.number, b.owner = o.owner, b.repository = o.repository)"
_STRANGE = f"""
    SELECT e.*, k.* EXCLUDE (subject) FROM (
      SELECT o.came.n AS who, o.came.subject AS subject, o.owner, o.number, o.repository, o.sessions, o.some,
             count(*) AS before, bool_or({_SAME}) AS known_before,
             list_sort(list(DISTINCT coalesce(b.owner || coalesce('@' || b.number, ''), 'owner ' || b.number,
                                              'repository ' || b.repository)))[:4] AS others
      FROM ({_OWNERS}) o JOIN builds b ON b.into_role = o.into_role AND b.issued_time < o.came.time
           AND {_SAME} IS NOT NULL
      WHERE o.came.time >= ? GROUP BY ALL
    ) e JOIN credential_details k ON k.n = e.who
    WHERE NOT e.known_before AND e.before >= ? ORDER BY k.issued_time, k.id"""
"""An owner who was renamed has the same number, and whoever took up a name that was given up has another one."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for the first token of an owner's for a role that others' tokens had been taking up."""
    if not context.table("builds", _BUILDS):
        return
    begin = context.history()[0] + 86_400 * context.thresholds["habit_days"]
    for row in list(context.rows(_STRANGE, (int(begin), context.thresholds.whole("mints_are_habit")))):
        event = issuance_of(row)
        yield Hit(
            about=(row["into_role"], row["subject"]),
            time=row["issued_time"],
            severity="high",
            why=f"{named(row)} was minted at {at(row['issued_time'])} for {row['subject']!r}; all "
            f"{counted(row['before'], 'session')} of {short(row['into_role'])} before were for builds of "
            f"{_owners(row['others'])}.",
            subject=row["n"],
            places=tuple(one["n"] for one in row["some"]),
            events=(event,),
            count=row["sessions"],
            thresholds=("habit_days", "mints_are_habit"),
        )


def _owners(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")


RULE = Rule(
    id="strange-repository",
    title="A role was taken up by a build of somebody else's",
    severity="high",
    attack=("T1078.004", "T1199"),
    why="A trust policy that does not say which owner's repositories it means lets in everybody who has an account "
    "at the build service, with a token that is quite in order.",
    false_alarm="The owner was renamed, or a second one of yours, or a supplier, was let in: see the role's trust "
    "policy.",
    references=(
        "IAM User Guide, 'Create a role for OpenID Connect federation': a role for GitHub's OIDC provider",
        "Datadog Security Labs, 'No keys attached: exploring GitHub-to-AWS keyless authentication flaws'",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS,),
    prefilter=frozenset({"AssumeRoleWithWebIdentity"}),
    thresholds=("habit_days", "mints_are_habit"),
)
