"""Planning: which steps end the attacker's credentials and nobody else's, and in which order."""
