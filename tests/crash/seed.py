"""The seed of the random tests. HOMELAB_LLM_SEED chooses it; `random` takes a new one. Without it everybody has the same,
so that a gate does not fail for a change that has nothing to do with it; look for new mistakes with `random`."""

import os
import random


def chosen_seed() -> str:
    given = os.environ.get("HOMELAB_LLM_SEED") or "42"
    return str(random.SystemRandom().randrange(1 << 32)) if given == "random" else given
