"""Verification: whether a plan that was carried out has held."""
