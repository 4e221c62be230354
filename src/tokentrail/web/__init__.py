"""
The console: the page of `report`, live on loopback, with lists, raw records and a slider of time.

It may import the case, the report data and what pages are made of. It only asks and shows: it never changes a
case or an account, can't carry out a plan, and leaves all drawing to `present`.
"""
