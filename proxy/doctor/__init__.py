"""What is wrong between this machine and an upstream, found step by step, with what each thing means and what to do.

    finding.py      one thing that was looked at, and how it is
    reach.py        a name, a connection, TLS: of the token endpoint and of the upstream
    claims.py       what a token says, against what was asked for; keys.py: its signature
    asking.py       a request to the upstream, and why there is no answer
    gateways.py     what an upstream's answer means: API Gateway's two kinds, an ALB, anything else; pure
    hiding.py       what others say, less the credentials that it may repeat; pure
    cache.py        the token cache that sidecars share
    examination.py  the steps of one upstream, in order

It uses the configuration and its credentials, as far as these can be read, needs no running sidecar, and changes
nothing. Each token that it asks for is a call that is billed. It must never show a credential or a token.
"""

from __future__ import annotations

from proxy.doctor.cache import examine_cache
from proxy.doctor.claims import look_at_unusable
from proxy.doctor.examination import examine
from proxy.doctor.finding import Finding, Mark

__all__ = ["Finding", "Mark", "examine", "examine_cache", "look_at_unusable"]
