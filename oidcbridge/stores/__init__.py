"""Key stores: where workers share the keys that one of them has fetched, and find some when they start.

`FileKeyStore` is for the workers of one host: a directory on a local disk, guarded by its permissions. Take it where
you can; it needs nothing else to run, and a worker that dies gives up its lead at once.

`RedisKeyStore` is for several hosts or containers that share no disk: a Redis, or what speaks its protocol, and a
secret that seals the entries, since whoever can write into a store could otherwise install signing keys.

One of your own has the methods of `KeyStore`.

Both are for one user's (or one secret's) workers. A store that fails fails no request: each worker then fetches for
itself. Neither imports the ``redis`` package before a `RedisKeyStore` is made.
"""

from __future__ import annotations

from oidcbridge.core.key_store import KeyStore, Lead
from oidcbridge.stores.file import FileKeyStore
from oidcbridge.stores.redis import RedisKeyStore

__all__ = ["FileKeyStore", "KeyStore", "Lead", "RedisKeyStore"]
