"""Tokens shared by many sidecars through a Redis or Valkey that is there already: an aid, never a need.

    rules.py      whether an entry may be used, what to do when a token is needed, when to leave the engine alone: pure
    sealing.py    an entry as bytes that only holders of a client secret can read: pure
    store.py      the engine, by redis-py: four small operations, each with its time limit
    sharing.py    the part that acts: one token source's way through all that

Nothing of this is imported where no `token_cache` is configured. A request that finds a fresh token in memory never
comes here. It must never put a secret, or a token that is not sealed, into the engine.
"""
