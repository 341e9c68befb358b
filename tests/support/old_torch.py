"""Lets transformers 4.57 run with torch 1.13, the one that Debian 12 has.

Import this before transformers. It fills in names that came with later versions of torch and that the models of
tests/engine/reference_models.py only import or register with, never compute with; the one place where something is
computed differently is the mask of the attention: without torch.vmap, the mask's rules are applied to all positions at
once, which is the same thing.
"""

import importlib.metadata
import sys
import types

import torch
import torch.distributed
import torch.utils._pytree

_OLDEST_ACCEPTED = "2.1.0"
_version = importlib.metadata.version
importlib.metadata.version = lambda name: _OLDEST_ACCEPTED if name == "torch" else _version(name)
torch.__version__ = _OLDEST_ACCEPTED


class _Unused:
    """Stands for a class that is only named in annotations and isinstance()."""


def _module(name: str, **content) -> None:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    module.__path__ = []
    sys.modules[name] = module
    parent, _, leaf = name.rpartition(".")
    setattr(sys.modules[parent], leaf, module)


def _unchanged(function=None, **_):
    """A decorator, with or without arguments, that does nothing."""
    return function if function is not None else _unchanged


def _register(cls, flatten, unflatten, **_):
    torch.utils._pytree._register_pytree_node(cls, flatten, unflatten)


_module("torch.distributed.tensor", DTensor=_Unused, Placement=_Unused, Replicate=_Unused, Shard=_Unused)
_module("torch.compiler", is_compiling=lambda: False, disable=_unchanged)
_module("torch._dynamo", is_compiling=lambda: False, disable=_unchanged, allow_in_graph=_unchanged)
torch.utils._pytree.register_pytree_node = _register
for _name in ("float8_e4m3fn", "float8_e5m2"):
    setattr(torch, _name, _Unused)


class _LayerNorm(torch.nn.LayerNorm):
    """With the later argument `bias`."""

    def __init__(self, *arguments, bias=True, **named):
        super().__init__(*arguments, **named)
        if not bias:
            self.bias = None


torch.nn.LayerNorm = _LayerNorm


def _for_all_positions(mask_function, bh_indices=True):
    """Instead of one call for each (batch, head, query, key): one call with all of them, broadcast."""

    def all_positions(batch, head, query, key):
        query, key = query[:, None], key[None, :]
        if not bh_indices:
            return mask_function(batch, head, query, key)
        return mask_function(batch[:, None, None, None], head[None, :, None, None], query, key)

    return all_positions


import transformers.masking_utils  # noqa: E402

transformers.masking_utils._vmap_for_bhqkv = _for_all_positions
