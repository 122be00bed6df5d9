"""Load and faults at the same time, by a seeded script, and the invariants that hold all the while: `make chaos`.

    scenarios    what there is to play: which faults, on which settings
    script       from a seed to a list of timed faults (pure)
    mix          from a seed to what callers ask and how they behave (pure)
    link         what stands between the sidecar and its peers: it delays, cuts and resets, and notes what passes
    crowd        the callers
    faults       carries the script out
    play         one round: start, load and faults, rest, end
    records      what was seen by callers, links, upstream and the driver itself
    invariants   what must hold of the records (pure)
    report       the records and the verdict for a person

The way of one byte: caller -> sidecar -> link -> upstream. The link sees when a request left the sidecar and what of
the answer came back to it, so that it can be told whether the sidecar was allowed to send it again.
"""
