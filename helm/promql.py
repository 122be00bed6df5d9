"""What the dashboard's panels ask for: the sidecar's metrics, narrowed to what is chosen on the page."""

from __future__ import annotations

from typing import Final

OF_SIDECARS: Final = 'namespace=~"$namespace", job=~"$job", instance=~"$instance"'
OF_UPSTREAMS: Final = f'{OF_SIDECARS}, upstream=~"$upstream"'

NOW: Final = "[$__rate_interval]"
LATELY: Final = "[1h]"
"""For what happens once an hour: over a shorter span there would mostly be nothing to see."""


def of(metric: str, *matchers: str) -> str:
    """A metric of upstreams, as chosen on the page."""
    return f"cognito_sidecar_{metric}{{{', '.join((OF_UPSTREAMS, *matchers))}}}"


def sidecar(metric: str, *matchers: str) -> str:
    """A metric of sidecars."""
    return f"cognito_sidecar_{metric}{{{', '.join((OF_SIDECARS, *matchers))}}}"


def process(metric: str) -> str:
    """A metric that other programs have as well, of sidecars."""
    return f"process_{metric}{{{OF_SIDECARS}}}"


def or_none(expr: str) -> str:
    """A count that is 0, and not nothing, where there is nothing to count."""
    return f"{expr} or vector(0)"


def quantile(share: float, histogram: str, span: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({of(f'{histogram}_seconds_bucket')}{span})))"


ONLY_SIDECARS: Final = f"and on (job, instance) {sidecar('build_info')}"
REQUESTS: Final = f"rate({of('request_duration_seconds_count')}{NOW})"
LEFT: Final = f"({of('token_expiry_timestamp_seconds')} - time())"
AWAKE: Final = f"unless {of('token_at_rest')} == 1"
