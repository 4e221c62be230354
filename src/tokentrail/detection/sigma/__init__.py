"""
Anybody's Sigma rules for CloudTrail, read by pySigma and run on the case.

May import `detection.model`, `detection.context`, what they stand on, and pySigma.
Never reads raw records where the columns decide, and never drops a rule in silence.
"""
