"""
API keys (service-specific credentials) of IAM users, as their makers and their users write them into the log.

Sources: IAM API Reference, 'CreateServiceSpecificCredential' (CredentialAgeDays; the console makes users named
`BedrockAPIKey-xxxx`); Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API keys' and 'Monitor
bedrock-mantle API calls using CloudTrail'. AWS does not say whether a call with a long-term key shows its id: both are
written.
"""

from __future__ import annotations

from datetime import timedelta

from tokentrail.testing.actor import Actor
from tokentrail.testing.names import Json, User, user_identity
from tokentrail.testing.records import create_date
from tokentrail.testing.stage import Stage
from tokentrail.testing.truth import Entry


class ApiKey(Actor):
    """A long-term API key of an IAM user in somebody's hands."""

    bearer = "ABSK"

    def __init__(
        self, stage: Stage, entry: Entry, user: User, *, shows_id: bool, ip: str, user_agent: str
    ) -> None:
        super().__init__(stage, entry, ip=ip, user_agent=user_agent)
        self.user = user
        self._shows_id = shows_id

    def _key_shown(self) -> str | None:
        return self.entry.issued_key if self._shows_id else None

    def seen_from(self, ip: str) -> ApiKey:
        """Give the same key in other hands: a copy that calls from another address."""
        return ApiKey(
            self.stage, self.entry, self.user, shows_id=self._shows_id, ip=ip, user_agent=self.user_agent
        )


def api_key(
    maker: Actor, user: User, service: str, days: int | None, *, shows_id: bool = False
) -> tuple[ApiKey, Json, Json]:
    """Make an API key: the key, and request and answer of the call that makes it."""
    stage = maker.stage
    key_id = stage.ids.access_key("ACCA", user.account)
    request: Json = {"userName": user.name, "serviceName": service}
    if days is not None:
        request["credentialAgeDays"] = days
    answer = {
        "serviceSpecificCredential": {
            "createDate": create_date(stage.now), "serviceName": service, "serviceSpecificCredentialId": key_id,
            "userName": user.name, "status": "Active",
        }
    }  # fmt: skip
    entry = Entry(
        identity=user_identity(user), kind="api_key", kind_from_uses="api_key",
        key=f"bearer-key:{service.partition('.')[0]}:{user.id}", origin="long_term", parent=maker.entry, link="created",
        made_at=stage.now, expires_at=stage.now + timedelta(days=days) if days is not None else None,
        issuance_shown=stage.logging, issued_key=key_id,
    )  # fmt: skip
    made = ApiKey(
        stage, stage.enter(entry), user, shows_id=shows_id, ip=maker.ip, user_agent=maker.user_agent
    )
    return made, request, answer
