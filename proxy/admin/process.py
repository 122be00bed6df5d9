"""What this process itself uses, as Linux counts it in /proc. Other systems tell nothing here."""

from __future__ import annotations

from typing import Final, NamedTuple

from prometheus_client.process_collector import ProcessCollector

collector: Final = ProcessCollector(registry=None)
"""Belongs to no registry, like all of ours: nothing here is global, so that two views never mix."""


class Usage(NamedTuple):
    """None where the system does not tell."""

    open_fds: int | None
    resident_bytes: int | None


def usage() -> Usage:
    """This moment's."""
    found = {family.name: int(sample.value) for family in collector.collect() for sample in family.samples}
    return Usage(found.get("process_open_fds"), found.get("process_resident_memory_bytes"))
