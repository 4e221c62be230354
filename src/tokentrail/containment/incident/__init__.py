"""The incident: which credentials are the attacker's, what they left behind, and what hands out more."""
