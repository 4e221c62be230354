"""Results as text, as wide as the terminal, or a hundred columns where nobody looks on."""
