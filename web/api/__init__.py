"""The JSON API under /api/v1: one module per resource; each call reads input, calls a flow, answers."""
