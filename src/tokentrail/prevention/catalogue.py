"""The catalogue: every guardrail and every check, in the order in which they are told."""

from __future__ import annotations

from tokentrail.prevention.checks import (
    beyond_use,
    endless_api_keys,
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
    users_without_mfa,
)
from tokentrail.prevention.guardrails import (
    conditional_scps,
    exempt_principals,
    identity_policies,
    known_networks,
    session_length,
    trust_conditions,
)
from tokentrail.prevention.rule import Check, GuardrailRule

GUARDRAILS: tuple[GuardrailRule, ...] = (
    known_networks.KEYS,
    conditional_scps.TOKENS_NEED_MFA,
    identity_policies.USER_NEEDS_MFA,
    trust_conditions.NAMED_CALLERS,
    trust_conditions.KNOWN_NETWORKS,
    trust_conditions.NEEDS_MFA,
    trust_conditions.NO_TOKENS,
    trust_conditions.SOURCE_IDENTITY,
    trust_conditions.OIDC_SUBJECTS,
    known_networks.ROLES,
    identity_policies.ROLE_AS_USED,
    session_length.GUARDRAIL,
    conditional_scps.INSTANCE_PINNED,
    conditional_scps.METADATA_V2,
    trust_conditions.OWN_ORGANISATION,
    exempt_principals.NEW_KEYS,
    exempt_principals.API_KEYS,
    conditional_scps.API_KEYS_EXPIRE,
    exempt_principals.FEDERATION_TOKENS,
    conditional_scps.KNOWN_REGIONS,
    exempt_principals.LOGGING,
)

CHECKS: tuple[Check, ...] = (
    long_term_keys.CHECK,
    endless_api_keys.CHECK,
    tokens_without_mfa.CHECK,
    users_without_mfa.CHECK,
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
