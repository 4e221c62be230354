"""
Anybody's Sigma rules for CloudTrail, read by pySigma and run on the case.

May import `detection.model`, `detection.scene`, what they stand on, and pySigma.
Never reads more of the raw records than the columns leave over, and never drops a rule in silence.
"""
