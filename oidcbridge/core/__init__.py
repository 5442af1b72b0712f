"""The pure rooms: rules of tokens, keys, claims and freshness.

Nothing here opens a socket, asks a clock (``now`` is an argument), reads the environment or logs.
"""
