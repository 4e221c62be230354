"""
What AWS's calls and names mean, as data.

It imports only the standard library, `tokentrail.errors` and `tokentrail.formatting`.
It never reads evidence, a network or a clock, and it never needs boto3: what comes from AWS's own models is checked in.
"""
