"""
Follow a source for ever: evidence goes into a case as it comes, and each finding goes out once.

It may import the case and every room below it, and `present` for the documents that it sends.
It never judges by rules of its own, changes no account, and draws nothing: the command line shows what it says.
"""
