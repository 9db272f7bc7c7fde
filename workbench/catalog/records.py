"""The best that others have published for a model on a GPU kind: what a profile is held against.

A record is another engine, often at narrower numbers, so a profile is expected to lie under it by a factor; far under
or above it, one of the two is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

from workbench.domain.facts import refuse
from workbench.errors import CatalogError


@dataclass(frozen=True, kw_only=True)
class Record:
    """A published throughput: output tokens per second of a whole system on requests of stated mean lengths.

    ``models`` are those it may be compared with: the model itself and others of the same layers and attention.
    """

    key: str
    models: tuple[str, ...]
    gpu: str
    gpus: int
    scenario: str
    precision: str
    output_tps: float
    input_tokens: float
    output_tokens: float
    source: str
    date: str

    def __post_init__(self) -> None:
        numbers = ("gpus", "output_tps", "input_tokens", "output_tokens")
        refuse(
            CatalogError,
            f"record {self.key}",
            {f"{name} must be positive, got {getattr(self, name)}": not getattr(self, name) > 0 for name in numbers},
        )

    @property
    def output_tps_per_gpu(self) -> float:
        """Output tokens per second of one of its GPUs."""
        return self.output_tps / self.gpus
