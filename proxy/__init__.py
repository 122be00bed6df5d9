"""cognito-sidecar: a local reverse proxy that attaches Amazon Cognito access tokens to requests.

The way through the rooms, from the outside in:

    cli          what a person types; `run` builds a service and keeps it until a signal
    service      start, reload, drain; `assembly` holds the parts that serve one configuration
    admin        probes, metrics, status: reads what the others count, changes nothing
    forward      the way of a request: caller's connection -> admission (guard, route) -> exchange
                 (token, connection, replay) -> upstream's connection, and back the same way
    tokens       the life of a token: pure rules, the source that acts on them, the endpoint's client
    config       the YAML file as typed structures; every problem with its key path
    aws          secrets in Secrets Manager: which are read when, on a thread, and what is kept
    emulator     a local Cognito and API Gateway for demos and tests; nothing else here needs it

Below them, used by all: errors (the tree, with its policy), clock (time, handed in), tasks (the one place
that makes them), log, outflow (standard streams that nobody waits for), stats (plain counters), tls, and egress
(tunnels by a proxy) on top of the configuration's structures. Imports go downward only; tests/test_house.py holds
that.
"""
