"""
The test oracle: a simulated AWS, an adversary against containment plans, and a second policy evaluator.

It may import nothing of the package but the evidence builder, `tokentrail.testing`. It never asks the code under
test, so that it can't share a mistake with it.
"""
