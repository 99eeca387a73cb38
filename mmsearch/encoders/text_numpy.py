"""OpenCLIP's text tower in NumPy, which embeds queries without importing torch.

It reads the same safetensors as the full model, so there is no exported file that could be stale.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmsearch.encoders.files import ModelFiles
from mmsearch.errors import InputError
from mmsearch.records import Floats, Ids, SpaceId

# The keys of a text_cfg that are implemented here.
_SUPPORTED = {
    "context_length",
    "vocab_size",
    "width",
    "heads",
    "layers",
    "mlp_ratio",
    "pad_id",
    "eos_id",
    "pool_type",
    "no_causal_mask",
    "proj_type",
    "proj_bias",
    "norm_kwargs",
    "act_kwargs",
    "output_tokens",
    "hf_tokenizer_name",
    "tokenizer_kwargs",
}
_POOLS = {"argmax", "eos", "first", "last"}
# Texts per pass: bounds the memory of the attention weights.
_BATCH = 64
# Multiply-adds below which more threads save a millisecond at most and, on a busy machine, cost a
# hundred by waiting for each other in every product.
_ONE_THREAD = 2**28


def supports(files: ModelFiles) -> bool:
    """Whether `NumpyTextEncoder` computes this model's text tower."""
    text_cfg = files.config["text_cfg"]
    used = {key for key, value in text_cfg.items() if value not in (None, False)}
    return (
        files.weights.suffix == ".safetensors"
        and not files.from_transformers
        and "multimodal_cfg" not in files.config
        and used <= _SUPPORTED
        and text_cfg.get("pool_type", "argmax") in _POOLS
        and set(text_cfg.get("norm_kwargs") or {}) <= {"eps"}
        and set(text_cfg.get("act_kwargs") or {}) <= {"approximate"}
        and text_cfg.get("proj_type", "linear") == "linear"
        and _stored_as_numpy(files)
    )


class NumpyTextEncoder:
    """A TextEncoder in NumPy. Raises InputError unless `supports(files)`."""

    def __init__(self, files: ModelFiles) -> None:
        if not supports(files):
            raise InputError(f"the text tower of '{files.name}' needs torch; use the full encoder")
        self._tokenizer = files.open_tokenizer()
        self._tower = _Tower(files)
        self._blas = _blas_threads()
        self._files = files

    @cached_property
    def space(self) -> SpaceId:
        """The embedding space of its vectors; hashing the weights takes a while."""
        return self._files.space(self._tokenizer)

    def encode_texts(self, texts: Sequence[str]) -> Floats:
        """Embeds texts → float32 (n, dim), unit rows; texts beyond the context length are cut."""
        rows = np.zeros((len(texts), self._tower.dim), dtype=np.float32)
        if not texts:
            return rows
        tokens = self._tokenizer(texts)
        order = np.argsort(tokens.lengths, kind="stable")
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            ids = shortened(tokens.ids[batch], tokens.lengths[batch], self._tower.causal)
            small = ids.size * self._tower.parameters < _ONE_THREAD
            with self._blas.limit(limits=1 if small else None, user_api="blas"):
                rows[batch] = self._tower(ids)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    @property
    def context(self) -> int:
        """The number of tokens that it reads of a text, with special ones."""
        return self._tokenizer.context

    def text_lengths(self, texts: Sequence[str]) -> Ids:
        """Returns the number of tokens of each text, with special ones: int64 (n,)."""
        return self._tokenizer.lengths(texts)

    def overlong(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts that `encode_texts` cuts."""
        return self._tokenizer.overlong(texts) if texts else []

    def unknown(self, texts: Sequence[str]) -> list[int]:
        """Returns the positions of the texts of which the model knows no word."""
        return self._tokenizer.unknown(texts) if texts else []


def shortened(ids: Ids, lengths: Ids, causal: bool) -> Ids:
    """Cuts the common padding of ids: int64 (n, context) → int64 (n, longest).

    Only under a causal mask, where no token attends to what follows it.
    """
    return ids[:, : int(lengths.max())] if causal else ids


def is_causal(text_cfg: Mapping[str, Any]) -> bool:
    """Whether padding after the last token does not affect the vector."""
    other_ways = ("no_causal_mask", "embed_cls", "hf_model_name")
    causal = not any(text_cfg.get(way) for way in other_ways)
    return causal and text_cfg.get("pool_type", "argmax") != "last"


class _Tower:
    """The weights of a text tower as float32, and its forward pass."""

    def __init__(self, files: ModelFiles) -> None:
        text_cfg = files.config["text_cfg"]
        self.dim = int(files.config["embed_dim"])
        self.causal = is_causal(text_cfg)
        self._masked = not text_cfg.get("no_causal_mask", False)
        self._heads = int(text_cfg.get("heads", 8))
        self._pool, self._eos = text_cfg.get("pool_type", "argmax"), int(text_cfg.get("eos_id", 2))
        self._eps = float((text_cfg.get("norm_kwargs") or {}).get("eps", 1e-5))
        self._activation = _activation(files.config, text_cfg)
        self._weights = _opened(files)
        self._names: list[str] = self._weights.keys()
        self._prefix = _prefix(self._names)
        self._layers = [
            self._read_all(f"transformer.resblocks.{n}.")
            for n in range(int(text_cfg.get("layers", 12)))
        ]
        self._final = self._read_all("ln_final.")
        self._projection = self._read_all("text_projection")
        self._positions = self._read("positional_embedding")
        self.parameters = sum(tensor.size for layer in self._layers for tensor in layer.values())

    def __call__(self, ids: Ids) -> Floats:
        """Computes the forward pass: int64 (n, length) → float32 (n, dim), not normalised."""
        length = ids.shape[1]
        x = self._embed(ids) + self._positions[:length]
        mask = np.triu(np.full((length, length), -np.inf, np.float32), 1) if self._masked else None
        for weights in self._layers:
            x = x + self._attend(self._norm(x, weights, "ln_1."), weights, mask)
            x = x + self._feed_forward(self._norm(x, weights, "ln_2."), weights)
        pooled = self._norm(x[np.arange(len(ids)), self._pooled_positions(ids)], self._final, "")
        if "" in self._projection:
            return pooled @ self._projection[""]
        return _linear(pooled, self._projection, ".")

    def _embed(self, ids: Ids) -> Floats:
        """Reads only the embeddings that the texts use, of vocabularies of up to 250,000."""
        used, positions = np.unique(ids, return_inverse=True)
        table = self._weights.get_slice(f"{self._prefix}token_embedding.weight")
        rows = np.concatenate([table[int(n) : int(n) + 1] for n in used])
        return rows.astype(np.float32)[positions.reshape(ids.shape)]

    def _pooled_positions(self, ids: Ids) -> Ids:
        """Returns the position of the pooled token of each text, int64 (n,)."""
        if self._pool == "first":
            return np.zeros(len(ids), np.int64)
        if self._pool == "last":
            return np.full(len(ids), ids.shape[1] - 1)
        matches: Ids = (ids == self._eos) if self._pool == "eos" else ids
        return np.asarray(matches.argmax(axis=1))

    def _norm(self, x: Floats, weights: Mapping[str, Floats], name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        scaled: Floats = centred / np.sqrt(variance + np.float32(self._eps))
        return scaled * weights[f"{name}weight"] + weights[f"{name}bias"]

    def _attend(self, x: Floats, weights: Mapping[str, Floats], mask: Floats | None) -> Floats:
        n, length, width = x.shape
        projected = _linear(x, weights, "attn.in_proj_")
        # (3, n, heads, length, width per head)
        q, k, v = projected.reshape(n, length, 3, self._heads, -1).transpose(2, 0, 3, 1, 4)
        scores = q @ k.transpose(0, 1, 3, 2) / np.float32(np.sqrt(width // self._heads))
        if mask is not None:
            scores = scores + mask
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ v
        return _linear(
            mixed.transpose(0, 2, 1, 3).reshape(n, length, width), weights, "attn.out_proj."
        )

    def _feed_forward(self, x: Floats, weights: Mapping[str, Floats]) -> Floats:
        return _linear(self._activation(_linear(x, weights, "mlp.c_fc.")), weights, "mlp.c_proj.")

    def _read_all(self, start: str) -> dict[str, Floats]:
        """Reads every tensor whose name begins with `start`, keyed by the rest of its name."""
        full = f"{self._prefix}{start}"
        names = [name for name in self._names if name.startswith(full)]
        if not names:
            raise InputError(f"the weights hold no '{full}…'; they do not fit their configuration")
        return {
            name.removeprefix(full): self._read(name.removeprefix(self._prefix)) for name in names
        }

    def _read(self, name: str) -> Floats:
        tensor: NDArray[Any] = self._weights.get_tensor(f"{self._prefix}{name}")
        return tensor.astype(np.float32)


def _linear(x: Floats, weights: Mapping[str, Floats], name: str) -> Floats:
    """Applies a linear layer: float32 (…, in) → float32 (…, out)."""
    # For a few rows, OpenBLAS is up to twice as fast on W xᵀ as on x Wᵀ.
    product = (weights[f"{name}weight"] @ x.reshape(-1, x.shape[-1]).T).T
    bias = weights.get(f"{name}bias")
    return (product if bias is None else product + bias).reshape(*x.shape[:-1], -1)


def _prefix(names: Sequence[str]) -> str:
    """Returns the prefix of the text tower's tensors, 'text.' in a CustomTextCLIP."""
    return "text." if "text.token_embedding.weight" in names else ""


def _blas_threads() -> Any:
    """Returns threadpoolctl's controller, which has no annotations."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _opened(files: ModelFiles) -> Any:
    """Opens the weights with safetensors' reader, which has no annotations."""
    from safetensors import safe_open

    return safe_open(files.weights, framework="numpy")


def _stored_as_numpy(files: ModelFiles) -> bool:
    """Whether NumPy can read the weights: it has no bfloat16."""
    weights = _opened(files)
    names = weights.keys()
    name = f"{_prefix(names)}token_embedding.weight"
    return name in names and weights.get_slice(name).get_dtype() in ("F16", "F32", "F64")


def _activation(
    config: Mapping[str, Any], text_cfg: Mapping[str, Any]
) -> Callable[[Floats], Floats]:
    if config.get("quick_gelu", False):
        return _quick_gelu
    if (text_cfg.get("act_kwargs") or {}).get("approximate") == "tanh":
        return _tanh_gelu
    return _gelu


def _gelu(x: Floats) -> Floats:
    gelu: Floats = x * np.float32(0.5) * (1 + _erf(x * np.float32(np.sqrt(0.5))))
    return gelu


def _tanh_gelu(x: Floats) -> Floats:
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
    gelu: Floats = x * np.float32(0.5) * (1 + np.tanh(inner))
    return gelu


def _quick_gelu(x: Floats) -> Floats:
    gelu: Floats = x / (1 + np.exp(np.float32(-1.702) * x))
    return gelu


def _erf(x: Floats) -> Floats:
    """Approximates erf by Abramowitz and Stegun 7.1.26, with an error of at most 1.5e-7."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    terms = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
    polynomial = np.zeros_like(t)
    for term in reversed(terms):
        polynomial = (polynomial + np.float32(term)) * t
    erf: Floats = np.copysign(1 - polynomial * np.exp(-x * x), x)
    return erf
