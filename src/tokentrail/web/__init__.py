"""
The console: the page of `report`, live on loopback, with lists, raw records and the slider of time around it.

It may import the case, the dossier and what pages are made of. It asks and shows: it never changes a case or an
account, can't carry a plan out, and draws nothing that `present` doesn't.
"""
