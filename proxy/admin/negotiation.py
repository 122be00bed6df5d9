"""Which form of an answer a client asked for: RFC 9110 §12.5.1 (Accept) and §12.5.3 (Accept-Encoding). Pure functions.

prometheus_client has a chooser of its own, but that one copies the version a client names into the answer's
Content-Type, whatever it is.
"""

from __future__ import annotations


def weights(field: str) -> dict[str, float]:
    """The members of a field like `text/plain;q=0.5, */*`, in lower case, each with its highest weight."""
    result: dict[str, float] = {}
    for member in field.split(","):
        name, *parameters = (part.strip().lower() for part in member.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = min(1.0, max(0.0, float(parameter[2:])))
                except ValueError:
                    weight = 0.0
        if name:
            result[name] = max(weight, result.get(name, 0.0))
    return result


def wants_openmetrics(accept: str) -> bool:
    """True where OpenMetrics is asked for by name, and plain text is not liked better."""
    asked = weights(accept)
    openmetrics = asked.get("application/openmetrics-text", 0.0)
    return openmetrics > 0 and openmetrics >= asked.get("text/plain", 0.0)


def wants_gzip(accept_encoding: str) -> bool:
    """True where gzip is asked for by name, or by `*` and not excluded by name."""
    asked = weights(accept_encoding)
    return asked.get("gzip", asked.get("*", 0.0)) > 0
