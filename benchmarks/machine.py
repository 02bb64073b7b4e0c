"""What a figure has to be read with: the machine, and what else it was doing."""

from __future__ import annotations

import os
import platform

from pydantic import BaseModel, ConfigDict


class Machine(BaseModel):
    """Processors, the load over the last minute (runnable processes) and versions."""

    model_config = ConfigDict(frozen=True)

    processors: int
    load: float
    system: str
    python: str

    @classmethod
    def now(cls) -> Machine:
        """The machine at this moment."""
        return cls(
            processors=os.cpu_count() or 1,
            load=os.getloadavg()[0],
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
        )

    def __str__(self) -> str:
        return f"{self.processors} processors, load {self.load:.2f}, {self.system}, Python {self.python}"
