"""
How results look: one frozen result in, JSON, CSV or text as wide as the terminal out.

May import the types of results (`lineage.model`, `results`) and `errors`, and `rich` for the terminal.
Never opens a case, never computes a fact about evidence, and never lets evidence reach a terminal but through
`safe`.
"""
