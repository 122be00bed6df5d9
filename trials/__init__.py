"""Strain: what the sidecar has to stand, tried on real processes for as long as somebody wants to watch.

    chaos      load and faults at the same time, by a seeded script, and the invariants that hold all the while
    abuse      thousands of idle, slow and rude callers beside a few healthy ones
    soak       an hour of mixed traffic: memory, descriptors and response times, minute by minute
    fuzz       coverage-guided fuzzing of what reads bytes from outside
    fleet      ten thousand pods and a month in virtual time, without a process or a socket: only the rules

Each but the last is a program (`make chaos`, `make abuse`, `make soak`, `make fuzz`) that prints what it did and fails
when an invariant does; CI runs a short one of each. It uses the sidecar as a user does, and speaks to loopback only.
`make fleet` judges nothing: it writes the figures of docs/scaling.md, and the tests hold what matters of them.

What they share: `world` (the processes around a sidecar, and the sidecar), `asks` (what callers may ask for, and the
bytes that are right), `upstream` (answers that), `caller` (asks it, and tells what came), `readings` (what a running
sidecar uses), `healthy` (callers that deserve an answer), `leftovers` (what is still there when all have gone).
"""
