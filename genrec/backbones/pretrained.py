"""Pretrained backbones: decoder-only Hugging Face checkpoints, tuned in full, with LoRA or with QLoRA.

docs/backbones.md lists which kinds load, and why others do not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, prepare_model_for_kbit_training
from pydantic import BaseModel
from torch import Tensor
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from genrec.backbones.adapters import four_bit, with_adapters
from genrec.backbones.attention import TREE, seeing
from genrec.backbones.base import Backbone
from genrec.backbones.cache import GrowingCache
from genrec.backbones.checkpoint import checkpoint_model, decoder_config, opening, whole_name
from genrec.backbones.quiet import quiet
from genrec.backbones.whereabouts import find, fingerprint
from genrec.data.files import read_json, write_json
from genrec.errors import ConfigError, one_line

Tuning = Literal["lora", "qlora", "full"]

_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}


class PretrainedBackbone(Backbone):
    """A causal language model from a checkpoint."""

    _loader: Any = AutoModelForCausalLM
    _task = "CAUSAL_LM"
    _inputs: tuple[str, ...] = ("input_ids",)

    def __init__(
        self,
        name: str,
        *,
        tuning: Tuning = "lora",
        lora_rank: int = 8,
        lora_alpha: int = 16,
        lora_dropout: float = 0.05,
        lora_targets: tuple[str, ...] = (),
        adapter: Path | None = None,
    ) -> None:
        """Load a checkpoint and make the chosen part of it trainable.

        Args:
            name: folder of a checkpoint, a GGUF file, or a name on the Hugging Face hub.
            tuning: "full" trains everything, "lora" adapters only, "qlora" adapters over 4-bit weights (GPU).
            lora_rank: rank of the adapters.
            lora_alpha: their scale is lora_alpha / lora_rank.
            lora_dropout: on the adapters' input.
            lora_targets: name endings of the linear layers that get one; (): those of queries and values;
                ("all-linear",): every one.
            adapter: folder of trained adapters to load in place of fresh ones.

        Raises:
            ConfigError: no checkpoint there, or one with weights missing, not a decoder, or an output head that we
                do not compute exactly.
            BackendMissingError: QLoRA without bitsandbytes or without a GPU; a GGUF file without its reader.
        """
        super().__init__()
        self.name, self.tuning = whole_name(name), tuning
        config = self._config(name)
        model = self._loaded(name, config, four_bit() if tuning == "qlora" else None)
        if tuning == "qlora":
            model = prepare_model_for_kbit_training(model)
        with quiet():
            if tuning == "full":
                self.lm: Any = model
            elif adapter is not None:
                with opening(f"the adapters in {adapter} cannot be loaded"):
                    self.lm = PeftModel.from_pretrained(model, adapter, is_trainable=True)
            else:
                targets = lora_targets or self._usual_targets(model)
                lora = LoraConfig(
                    r=lora_rank, lora_alpha=lora_alpha, lora_dropout=lora_dropout, task_type=self._task
                )
                self.lm = with_adapters(model, name, lora, targets)
        with opening(f"{name!r} cannot be used"):
            self._check()
            self.max_positions = context(config)

    def _loaded(self, name: str, config: Any, quantisation: BitsAndBytesConfig | None) -> Any:
        """The model with all of its weights."""
        small = torch.cuda.is_available() and self.tuning != "full"
        with opening(f"{name!r} cannot be loaded"):
            try:
                model = checkpoint_model(
                    self._loader,
                    name,
                    config,
                    attn_implementation="sdpa",
                    quantization_config=quantisation,
                    dtype=torch.bfloat16 if small else torch.float32,
                )
                model.set_attn_implementation(TREE)
            except ValueError as error:
                if "through torch.nn.functional.scaled_dot_product_attention" not in str(error):
                    raise
                reason = "transformers computes them without scaled_dot_product_attention"
                raise ConfigError(self._not_searched(reason)) from None
        return model

    @staticmethod
    def _config(name: str) -> Any:
        """The configuration of the checkpoint, if it is of the kind that this class takes."""
        return decoder_config(name)

    @staticmethod
    def _usual_targets(model: Any) -> tuple[str, ...]:
        return ("q_proj", "v_proj")

    @property
    def _model(self) -> Any:
        return self.lm if self.tuning == "full" else self.lm.get_base_model()

    @property
    def _body(self) -> Any:
        """The model without its head."""
        model = self._model
        # Llama 4 does not say which part it is.
        return model.model if model.base_model is model else model.base_model

    @property
    def _writer(self) -> Any:
        """The part whose last states the output head reads."""
        return self._body.get_decoder()

    @property
    def _head_scale(self) -> float:
        """What the model multiplies those states by before."""
        return 1.0

    def hidden(
        self,
        tokens_BT: Tensor,
        nodes_BT: Tensor,
        positions_BT: Tensor,
        mask_BTK: Tensor | None = None,
        cache: Any = None,
        real_BT: Tensor | None = None,
    ) -> Tensor:
        return self.run(positions_BT, mask_BTK, cache, input_ids=tokens_BT)

    def run(self, positions_BT: Tensor, mask_BTK: Tensor | None, cache: Any, **given: Tensor) -> Tensor:
        """States (B, T, D) of `given`, input_ids or inputs_embeds; the rest is as in `hidden`."""
        if mask_BTK is None:
            seen = torch.ones_like(positions_BT)
        elif self._body.config._attn_implementation == TREE:
            seen = positions_BT.new_ones(mask_BTK[:, 0].shape)
        else:  # Falcon has no attention that could be exchanged; all of its layers take one mask
            seen = self.additive(mask_BTK, self._model.dtype)
        with seeing(mask_BTK):
            states_BTD: Tensor = self._body(
                **given,
                attention_mask=seen,
                position_ids=positions_BT,
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state
        return states_BTD

    def new_cache(self) -> GrowingCache:
        return GrowingCache()

    def edge_vectors(self, tokens_E: Tensor, nodes_E: Tensor) -> Tensor:
        return self.vocabulary_vectors()[tokens_E]

    def vocabulary_vectors(self) -> Tensor:
        weight: Tensor = self._model.get_output_embeddings().weight
        return weight

    @torch.no_grad()
    def _check(self) -> None:
        """Raise ConfigError where our way through the model gives something else than its own."""
        training = self.training
        self.eval()
        self._check_reading()
        self._check_head()
        self.train(training)

    def _check_reading(self) -> None:
        config, exchanged = self._model.config, self._body.config._attn_implementation == TREE
        reason = "its states come out otherwise"
        try:
            if getattr(config, "attn_temperature_tuning", False):  # Llama 4, from 8,192 keys on
                reason = "attention is scaled by the number of keys in the cache"
            elif not exchanged and getattr(config, "sliding_window", None):
                reason = "one mask for all of them would undo its sliding windows"
            elif self._reads_as_it_searches():
                return
        except Exception as error:  # whatever a model says that knows masks or positions of its own alone
            reason = f"{type(error).__name__}: {one_line(error)}"
        others = sorted(set(getattr(config, "layer_types", None) or ()) - _ATTENTION)
        raise ConfigError(self._not_searched(f"kinds of layers: {', '.join(others)}" if others else reason))

    def _not_searched(self, reason: str) -> str:
        return (
            f"the layers of {self.name!r} do not take masks and positions as a search needs them ({reason}): choose "
            "another checkpoint, e.g. of the Llama, Qwen or GPT-2 family"
        )

    def _reads_as_it_searches(self) -> bool:
        """Whether two ends of a text, side by side in one row, have the states that the model gives each by itself."""
        device, whole_L = self.vocabulary_vectors().device, torch.arange(6)
        tokens = torch.arange(9) % len(self.vocabulary_vectors())  # toys have fewer
        text_T, ends = tokens[:3], (tokens[3:6], tokens[6:])
        alone = [
            self._body(input_ids=torch.cat([text_T, end])[None].to(device), use_cache=False).last_hidden_state
            for end in ends
        ]
        cache = self.new_cache()
        begun = self.run(text_T[None].to(device), None, cache, input_ids=text_T[None].to(device))
        end_L, step_L = torch.arange(2).repeat_interleave(3), torch.arange(3).repeat(2)
        own_LL = (end_L == end_L[:, None]) & (step_L <= step_L[:, None])
        mask_TK = torch.cat([torch.ones((6, 3), dtype=torch.bool), own_LL], dim=1)
        beside = self.run(
            whole_L[3:].repeat(2)[None].to(device), mask_TK[None].to(device), cache,
            input_ids=torch.cat(ends)[None].to(device),
        )  # fmt: skip
        expected = torch.cat([alone[0], alone[1][:, 3:]], dim=1).float()
        found = torch.cat([begun, beside], dim=1).float()
        error_T = ((found - expected).norm(dim=2) / expected.norm(dim=2).clamp_min(1e-6))[0]
        # Up to rounding. In bfloat16 a mixture may choose another expert for a token.
        return bool(error_T.max() < 1e-3 if beside.dtype == torch.float32 else error_T.median() < 0.05)

    def _check_head(self) -> None:
        """Compare our logits with the model's own: some heads have a bias, a scale or a cap that ours has not.

        A bias is all that is left for hidden states of 0, and a cap shows when they are large.
        """
        fits = True
        for scale in (0.0, 1000.0):
            ours_BTV, theirs_BTV = self._logits_of_both(scale)
            # Up to rounding: a bfloat16 has 8 bits.
            fits &= ours_BTV.shape == theirs_BTV.shape and bool(
                (ours_BTV - theirs_BTV).abs().max() <= 0.02 * ours_BTV.abs().max()
            )
        if not fits:
            raise ConfigError(
                f"the output head of {self.name!r} is more than a product with its output embeddings (a bias, a scale "
                "or a cap), which is not supported: choose another checkpoint, e.g. of the Llama, Qwen or T5 family"
            )

    def _logits_of_both(self, scale: float) -> tuple[Tensor, Tensor]:
        """Our logits (1, 2, V) of some states times `scale`, and the model's own."""
        states: list[Tensor] = []

        def scaled(module: Any, inputs: Any, output: Any) -> Any:
            output.last_hidden_state = scale * output.last_hidden_state
            states.append(output.last_hidden_state)
            return output

        tokens_BT = torch.tensor([[0, 1]], device=self.vocabulary_vectors().device)
        hook = self._writer.register_forward_hook(scaled)
        theirs_BTV = self._model(**dict.fromkeys(self._inputs, tokens_BT)).logits
        hook.remove()
        ours_BTV = self._head_scale * states[0] @ self.vocabulary_vectors().T
        return ours_BTV.float(), theirs_BTV.float()

    def save(self, folder: Path) -> None:
        # Adapters go without the table of words beneath them, for which peft would ask the hub whether it has changed.
        options = {} if self.tuning == "full" else {"save_embedding_layers": False}
        with quiet():
            self.lm.save_pretrained(folder, **options)
        about: dict[str, Any] = {"name": self.name, "tuning": self.tuning}
        if self.tuning != "full":
            about["fingerprint"] = fingerprint(self.name)
        write_json(folder / "pretrained.json", about)

    @classmethod
    def load(cls, folder: Path) -> PretrainedBackbone:
        """Read what `save` wrote; with adapters the checkpoint that they belong to is looked for, if it was moved."""
        about = read_json(folder / "pretrained.json", _Saved)
        if about.tuning == "full":
            return cls(str(folder), tuning="full")
        base = find(about.name, about.fingerprint, folder)
        return cls(base, tuning=about.tuning, adapter=folder)


class _Saved(BaseModel):
    """What `pretrained.json` holds: the checkpoint that was tuned, and how."""

    name: str
    tuning: Tuning
    fingerprint: str | None = None  # nor in runs of before


def context(config: Any) -> int:
    """Largest position + 1 up to which a token's keys do not depend on how long its row will be."""
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") == "longrope":  # all frequencies change where a row passes the original length
        return int(rope["original_max_position_embeddings"])
    return int(getattr(config, "max_position_embeddings", sys.maxsize))
