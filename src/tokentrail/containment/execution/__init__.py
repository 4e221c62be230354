"""Execution: the calls of a plan checked, sent, journaled, and undone. Only `aws` speaks to AWS."""
