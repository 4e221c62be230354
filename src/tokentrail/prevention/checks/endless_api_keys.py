"""API keys of users that never expire."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.formatting import short
from tokentrail.prevention.estate import Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "endless-api-keys"
_BY_CONSOLE = ":user/BedrockAPIKey-"


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each living API key of which the case shows that it was made, and that it never expires."""
    for one in sorted(estate.keys, key=lambda key: key.id):
        if (
            one.kind != "api_key"
            or one.state != "active"
            or not one.made
            or one.expires
            or one.principal is None
        ):
            continue
        by_console = _BY_CONSOLE in one.principal
        user = f"{short(one.principal)}{', a user that the console of Bedrock made for it,' if by_console else ''}"
        yield finding(
            _NAME, CHECK.title, "medium" if one.used else "low", one.principal, about=(one.id,),
            why=f"The API key {one.id} of {user} was made without an end{'' if one.used else ' and not seen in use'}.",
            attack=CHECK.attack, whence=(one.principal,), whither=(one.principal,), lives=None,
            fix="Make one that expires, or short-term keys of a role; then deactivate this one and delete it"
            + (", and the user with it." if by_console else "."),
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="An API key never expires",
    severity="medium",
    attack="Whoever copied it out of a program or a laptop invokes models with it until somebody deactivates it.",
    blocked="it was made to expire, is inactive or deleted, or the case does not show how it was made",
    needs="case",
    references=(
        "IAM API Reference, 'CreateServiceSpecificCredential' (CredentialAgeDays)",
        "Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API keys'",
    ),
    find=find,
)
