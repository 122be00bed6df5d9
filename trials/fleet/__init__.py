"""Ten thousand pods in virtual time: what a fleet of sidecars asks of one token endpoint, and what its callers notice.

    timeline.py               the clock, and what is due when
    cognito.py                the token endpoint: quota, latency, outages, a neighbour's share
    callers.py                when requests come to a pod
    pod.py                    a sidecar, as far as tokens go
    alone.py  shared.py       its ways to a token
    ledger.py                 what is counted
    plans.py                  when pods start and stop
    world.py                  one case, run from its start to its end
    cases.py  cells.py        which cases there are, and what is shown of them
    running.py                all of them, on all cores
    charts.py  page.py        docs/scaling.md

Every decision is one of the program's own pure functions, those of `proxy.tokens` (`rules`, `backoff`, `life`) and of
`proxy.tokens.shared.rules`. What is written here once more is the acting on them, which `TokenSource` and `Sharing` do
with tasks and timers: tests/trials/fleet/ lets both do the same work and compares when they call the token endpoint.
Nothing in a case opens a socket or reads a clock; the same seed gives the same figures.
"""
