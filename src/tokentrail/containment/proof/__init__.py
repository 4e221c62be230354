"""The proof: whether any of an attacker's credentials outlives a sequence of steps, and how."""
