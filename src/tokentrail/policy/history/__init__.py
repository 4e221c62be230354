"""
What the IAM and Organizations changes in a log did to policies and credentials, over time.

It imports the policy language. It never knows what an account looks like outside the log.
"""
