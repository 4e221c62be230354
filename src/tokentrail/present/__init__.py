"""
How results look: one frozen result in, JSON, CSV or a hundred columns of text out.

May import the types of results (`lineage.model`, `results`) and `errors`, and `rich` for the terminal.
Never opens a case, never computes a fact about evidence, and never lets evidence reach a terminal but through
`safe`.
"""
