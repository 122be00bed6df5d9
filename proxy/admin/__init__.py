"""Metrics, probes, `/status` and the page: what an operator and a platform see of the sidecar. It only reads.

The door in is `view.View`, what this room may see; the door out is `AdminServer`.
"""

from __future__ import annotations

from proxy.admin.server import AdminServer

__all__ = ["AdminServer"]
