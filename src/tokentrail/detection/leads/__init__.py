"""Leads: which credentials an investigation should look at first, and why."""
