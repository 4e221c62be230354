"""
What people look at: a page that stands alone, and its picture as a file of its own.

May import the types of results, the rest of `present`, and the standard library.
Never opens a case, never asks a network for anything, and never lets a character of evidence become markup: each
section has a module that chooses what it shows, as plain values, and a template that lays them out, escaped
(`templating`).
"""
