"""The web shows and accepts; it owns no rule and no query. Start at `__main__.py`, then `app.py` (the wiring).

guards, inputs, problems, idempotency    who calls and may they; what they sent; how a refusal is told; the same answer twice
api/                                     the JSON API, version in the path, one module per resource
pages/, templates/, static/              the admin pages, one blueprint per menu entry
candidate/                               candidates' own pages, an application apart
"""
