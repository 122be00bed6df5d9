"""Writes what every case renders to (`make golden`), for a look at what a change of the charts changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from tests.helm.rig import CASES, rendered, written

GOLDEN: Final = Path(__file__).parent / "golden"


async def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.glob("*.yaml"):
        old.unlink()
    for name, case in CASES.items():
        (GOLDEN / f"{name}.yaml").write_text(written(await rendered(case)), encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
