"""
SCPs that deny some calls to all but those who ordinarily make them: the calls are all in which they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tokentrail.prevention.documents import (
    MOST_SPARED,
    but_by,
    deny,
    everywhere,
    principals_that_call,
    spared_none,
)
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import GuardrailProposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def _rule(
    sid: str, actions: Sequence[str], words: Words, *, do: str, references: tuple[str, ...]
) -> GuardrailRule:
    """
    A guardrail that denies some actions.

    Args:
        sid: The id of the statement.
        actions: The actions.
        words: The texts.
        do: What those who are spared do today, for the reason why there is no proposal if they are too many.
        references: The sources.
    """

    def make(evidence: Evidence) -> tuple[GuardrailProposal] | NotMade:
        able = principals_that_call(evidence, actions)
        if len(able) > MOST_SPARED:
            return NotMade(f"{len(able)} principals {do}, too many to spare in one policy")
        denial = deny(sid, actions[0] if len(actions) == 1 else list(actions), but_by(able))
        return everywhere(evidence, replace(words, limits=words.limits + spared_none(able)), denial)

    return GuardrailRule(words=words, kind="scp", references=references, make=make)


NEW_KEYS = _rule(
    "NoNewUsersOrKeys",
    (
        "iam:CreateUser", "iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile",
        "iam:CreateServiceSpecificCredential",
    ),
    Words(
        id="no-new-keys",
        title="Users, keys and passwords are made by those who do so today only",
        prevents="The thief's ordinary way to outlast a clean-up; and long-term keys, of which no token can be refused "
        "to be minted, grow no more.",
        limits="Keys that are there go on. Keep a way in for emergencies among those spared.",
        stage=1,
    ),
    do="make users or keys",
    references=("AWS Organizations User Guide, 'SCP examples'",),
)  # fmt: skip
API_KEYS = _rule(
    "NoApiKeysForModels",
    (
        "bedrock:CallWithBearerToken", "bedrock-mantle:CallWithBearerToken",
        "aws-external-anthropic:CallWithBearerToken",
    ),
    Words(
        id="no-api-keys",
        title="API keys of model services are refused to all who do not use one today",
        prevents="A key copied out of a laptop or a program invokes models at your cost, from anywhere, until somebody "
        "deactivates it.",
        limits="The log does not tell calls with a short-term key from others of the session that made it: the "
        "back-test counts long-term keys alone.",
        stage=1,
    ),
    do="call models with API keys",
    references=(
        "Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API keys'",
        "Service Authorization Reference, Amazon Bedrock, `CallWithBearerToken`",
    ),
)  # fmt: skip
FEDERATION_TOKENS = _rule(
    "NoFederationTokens",
    ("sts:GetFederationToken",),
    Words(
        id="no-federation-tokens",
        title="GetFederationToken is denied to all who do not use it today",
        prevents="A leaked key turned into a console session that outlives it by 36 hours and may call IAM.",
        limits="GetSessionToken can't be denied in the same way.",
        stage=1,
    ),
    do="call it today",
    references=("IAM User Guide, 'Permissions for GetFederationToken'",),
)
LOGGING = _rule(
    "LoggingIsKept",
    (
        "cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:UpdateTrail", "cloudtrail:PutEventSelectors",
        "cloudtrail:DeleteEventDataStore", "guardduty:DeleteDetector", "guardduty:UpdateDetector",
        "config:StopConfigurationRecorder", "config:DeleteConfigurationRecorder",
    ),
    Words(
        id="logging-kept",
        title="Trails, detectors and recorders are stopped by those who do so today only",
        prevents="The blind spot in which everything else goes unseen.",
        limits="It stops nothing else. Keep a way in for emergencies among those spared, and whoever sets trails up "
        "for you, where the evidence does not show it at work.",
        stage=1,
    ),
    do="do so today",
    references=("AWS Organizations User Guide, 'SCP examples'",),
)  # fmt: skip
