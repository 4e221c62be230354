"""
The command line: one file for each verb, which parses, calls the case and shows the result.

May import `case`, `results`, `lineage.model`, `present` and `errors`; `demo` alone imports `testing`.
Never decides anything about evidence, and only `root.main` exits.
"""
