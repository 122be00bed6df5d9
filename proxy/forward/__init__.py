"""The way of a request: from a caller's connection to an upstream's, and back.

    listener.py     one listen address; caller.py: one connection to it
    admission.py    whether a request may pass: guard.py, routes.py, target.py; pure
    exchange.py     one request and its answer; upload.py, reply.py: their bodies; tunnel.py: after a 101
    upstream.py     an upstream's rules, counts and connections: pool.py, connector.py, connection.py, secure.py
    http1.py  body.py  fields.py  answers.py     bytes to plain data and back; pure
    ticker.py  record.py  door.py                deadlines, counting, and the types between the two sides

It asks a token source for a token and tells it of a 401, through `proxy.tokens.interface`; it knows nothing
else of tokens. It must never show a credential to anybody but the upstream that it is for.
"""
