"""`make bench`: what a request through the sidecar costs on this machine, beside what others take for the same work.

    __main__.py     options, the run from its beginning to its end
    contenders/     who takes part: a configuration and a command each, nothing else
    world.py        what is around a contender: a certificate, a token endpoint, an upstream that demands the token
    upstream.py     the Python part of it; streams.py: 512 MiB one way or the other
    callers.py      the load: wrk where it is installed, else load.py
    processes.py    start, pin, end; processor time and memory from /proc
    measure.py      rounds, each contender in turn
    figures.py  goals.py  tables.py  chart.py  page.py     from samples to verdicts and documents; pure

It prints figures and tests nothing: a run on a busy machine means nothing.
"""
