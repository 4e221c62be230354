"""
What each view shows, chosen once: a frozen tree for each, of which text, page and Markdown are renderings.

It may import results and the words for them. It never lays anything out, and cuts no list: a face shows as much of one
as it has room for, and counts the rest.
"""
