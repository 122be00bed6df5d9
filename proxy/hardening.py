"""What the process gives away of itself to its neighbours: nothing. For commands that hold secrets.

Every process of one user may, by default, read the memory of every other and trace it, and a crash writes all of it
into a file. Not where Linux takes a process for one that must not be dumped (PR_SET_DUMPABLE in prctl(2)): then there
is no core dump, whatever `core_pattern` makes of them, /proc/PID/mem and /proc/PID/environ are root's, and ptrace(2)
takes CAP_SYS_PTRACE. RLIMIT_CORE says the same on other systems. What it cannot do is in docs/threat-model.md: root
reads everything, and so does whoever is there before this is called.

The price is that debuggers and profilers of the same user see nothing either. For them, and for nothing else, there is
the variable COGNITO_SIDECAR_DUMPABLE.

`emulator` and `demo` go without it: their credentials are made up, and open nothing but themselves.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Mapping
from typing import Final

DUMPABLE: Final = "COGNITO_SIDECAR_DUMPABLE"
"""With the value 1 the process stays open to debuggers."""
_PR_SET_DUMPABLE: Final = 4


def keep_to_itself(environ: Mapping[str, str]) -> list[str]:
    """Refuse core dumps and tracing from now on. What the system does not grant is returned, in words: it is no
    reason not to start."""
    if environ.get(DUMPABLE) == "1":
        return []
    failures = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        failures.append(f"core dumps may be written: {error}")
    try:
        _set_undumpable()
    except OSError as error:
        failures.append(f"processes of the same user may trace this one: {error.strerror}")
    return failures


def _set_undumpable() -> None:
    if sys.platform != "linux":
        raise OSError(0, "only Linux can keep them out")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
