"""One small replica that can be reckoned by hand, and replicas and token mixes of any kind for properties."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from workbench import catalog
from workbench.domain import Replica, TokenMix

KNOWN = catalog.load()
LLAMA = KNOWN.model("llama2_70b")
H100 = KNOWN.gpu("h100_80gb")
PROFILE = KNOWN.profile("llama2_70b", "h100_80gb")

# prefill 30 ms + 0.1 ms per token to 2,000 tokens, then 0.2 ms; decode 20 ms + 1 ms per request; room for 11,000 tokens
SMALL = Replica(
    model="m",
    gpu="g",
    gpus=1,
    prefill_tokens=(1000.0, 2000.0, 3000.0),
    prefill_s=(0.13, 0.23, 0.43),
    decode_base_s=0.02,
    decode_per_request_s=0.001,
    decode_per_token_s=0.0,
    kv_cache_tokens=11_000.0,
    batch_cap=512,
)
MIX = TokenMix(input_tokens=1000, output_tokens=100)

replicas = st.builds(
    lambda base, per_request, per_token, room, cap, slope, bend: replace(
        SMALL,
        prefill_s=(base + 1000 * slope, base + 2000 * slope, base + (2000 + 1000 * bend) * slope),
        decode_base_s=base,
        decode_per_request_s=per_request,
        decode_per_token_s=per_token,
        kv_cache_tokens=room,
        batch_cap=cap,
    ),
    st.floats(0.002, 0.1),
    st.floats(0.0, 1e-3),
    st.floats(1e-9, 1e-6),
    st.floats(2e4, 5e6),
    st.integers(4, 1024),
    st.floats(1e-6, 5e-4),
    st.floats(1.0, 3.0),
)
mixes = st.builds(
    lambda prompt, output, square, cross: TokenMix(
        input_tokens=prompt, output_tokens=output, output_square_ratio=square, cross_ratio=cross
    ),
    st.floats(10, 8000),
    st.floats(2, 1000),
    st.floats(1.0, 4.0),
    st.floats(0.5, 2.0),
)
shares = st.floats(0.01, 0.99)
