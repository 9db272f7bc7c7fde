"""What fits: the KV cache room that a model's weights leave on a replica's GPUs.

KV bytes per token follow the true attention layout, grouped heads included (simulation.md section 1); a tenth of the
memory is left to activations and the engine itself.
"""

from __future__ import annotations

from workbench.domain import Gpu, Profile, Replica, ServedModel
from workbench.errors import CatalogError
from workbench.units import BYTES_PER_GB

USABLE_MEMORY_FRACTION = 0.9


def replica(
    model: ServedModel, gpu: Gpu, profile: Profile, *, usable_memory_fraction: float = USABLE_MEMORY_FRACTION
) -> Replica:
    """Derive what a replica can do from model, GPU kind and profile.

    KV room in tokens = (GPUs x memory x usable fraction - weights) / KV bytes per token; the rest of the memory holds
    activations and the engine itself.

    Raises CatalogError where the profile is of another model or GPU kind and where the weights do not fit.
    """
    if (profile.model, profile.gpu) != (model.key, gpu.key):
        raise CatalogError(
            f"replica of {model.key} on {gpu.key}: the profile is of {profile.model} on {profile.gpu}; take "
            "catalog.profile(model, gpu)."
        )
    usable_gb = profile.gpus_per_replica * gpu.memory_gb * usable_memory_fraction
    if usable_gb <= model.weights_gb:
        raise CatalogError(
            f"replica of {model.key} on {profile.gpus_per_replica} x {gpu.key}: {model.weights_gb:,.1f} GB of weights "
            f"do not fit in {usable_gb:,.1f} GB ({usable_memory_fraction:.0%} of the memory); use more GPUs per "
            "replica or narrower weights."
        )
    return Replica(
        model=model.key,
        gpu=gpu.key,
        gpus=profile.gpus_per_replica,
        prefill_tokens=profile.prefill_tokens,
        prefill_s=profile.prefill_s,
        decode_base_s=profile.decode_base_s,
        decode_per_request_s=profile.decode_per_request_s,
        decode_per_token_s=profile.decode_per_token_s,
        kv_cache_tokens=(usable_gb - model.weights_gb) * BYTES_PER_GB / model.kv_bytes_per_token,
        batch_cap=profile.batch_cap,
        chunk_tokens=profile.chunk_tokens,
        validity=profile.validity,
        basis=profile.basis,
    )
