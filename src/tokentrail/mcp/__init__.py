"""
A case for assistants: a server of the Model Context Protocol over standard input and output.

It may import the case and the documents of `present`. It only asks: it never changes a case or an account, can't carry
out a plan, and answers with the documents that `--format json` prints, page by page.
"""
