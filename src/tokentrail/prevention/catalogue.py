"""The catalogue: every guardrail and every check, in the order in which they are told."""

from __future__ import annotations

from tokentrail.prevention.checks import (
    beyond_use,
    federation_allowed,
    instance_roles_roam,
    long_term_keys,
    no_attribution,
    oidc_unpinned,
    roles_open_to_users,
    service_trusts_open,
    sessions_too_long,
    tokens_without_mfa,
    trust_cycles,
    trusts_strangers,
    unused_credentials,
)
from tokentrail.prevention.guardrails import (
    instance_pinned,
    keys_from_known_networks,
    known_regions,
    logging_kept,
    metadata_v2,
    no_federation_tokens,
    no_new_keys,
    oidc_subjects,
    own_organisation,
    role_as_used,
    roles_from_known_networks,
    session_length,
    tokens_need_mfa,
    trust_known_networks,
    trust_named_callers,
    trust_needs_mfa,
    trust_no_tokens,
    trust_source_identity,
    user_needs_mfa,
)
from tokentrail.prevention.rule import Check, GuardrailRule

GUARDRAILS: tuple[GuardrailRule, ...] = (
    keys_from_known_networks.GUARDRAIL,
    tokens_need_mfa.GUARDRAIL,
    user_needs_mfa.GUARDRAIL,
    trust_named_callers.GUARDRAIL,
    trust_known_networks.GUARDRAIL,
    trust_needs_mfa.GUARDRAIL,
    trust_no_tokens.GUARDRAIL,
    trust_source_identity.GUARDRAIL,
    oidc_subjects.GUARDRAIL,
    roles_from_known_networks.GUARDRAIL,
    role_as_used.GUARDRAIL,
    session_length.GUARDRAIL,
    instance_pinned.GUARDRAIL,
    metadata_v2.GUARDRAIL,
    own_organisation.GUARDRAIL,
    no_new_keys.GUARDRAIL,
    no_federation_tokens.GUARDRAIL,
    known_regions.GUARDRAIL,
    logging_kept.GUARDRAIL,
)

CHECKS: tuple[Check, ...] = (
    long_term_keys.CHECK,
    tokens_without_mfa.CHECK,
    federation_allowed.CHECK,
    roles_open_to_users.CHECK,
    trusts_strangers.CHECK,
    trust_cycles.CHECK,
    oidc_unpinned.CHECK,
    service_trusts_open.CHECK,
    instance_roles_roam.CHECK,
    sessions_too_long.CHECK,
    unused_credentials.CHECK,
    beyond_use.CHECK,
    no_attribution.CHECK,
)
