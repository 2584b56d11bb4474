"""Pretrained backbones: any decoder-only Hugging Face checkpoint, tuned in full, with LoRA or with QLoRA.

LoRA: Hu et al. 2021, https://arxiv.org/abs/2106.09685. QLoRA: Dettmers et al. 2023, https://arxiv.org/abs/2305.14314.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import torch
from peft import LoraConfig, PeftModel, get_peft_model, prepare_model_for_kbit_training
from pydantic import BaseModel
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.utils import is_bitsandbytes_available

from genrec.backbones.base import Backbone
from genrec.backbones.cache import GrowingCache
from genrec.backbones.quiet import one_line, quiet
from genrec.data.files import read_json, write_json
from genrec.errors import BackendMissingError, ConfigError

Tuning = Literal["lora", "qlora", "full"]


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
            name: folder of a checkpoint, or its name on the Hugging Face hub.
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
            BackendMissingError: QLoRA without bitsandbytes or without a GPU.
        """
        super().__init__()
        # A folder may be given relative to where the program runs today.
        self.name, self.tuning = str(Path(name).resolve()) if Path(name).is_dir() else name, tuning
        config = self._config(name)
        quantisation = _four_bit() if tuning == "qlora" else None
        dtype = torch.bfloat16 if torch.cuda.is_available() and tuning != "full" else torch.float32
        try:
            with quiet():
                model, loading = self._loader.from_pretrained(
                    name,
                    config=config,
                    attn_implementation="sdpa",
                    quantization_config=quantisation,
                    dtype=dtype,
                    output_loading_info=True,
                )
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ConfigError(f"{name!r} cannot be loaded: {one_line(error)}") from None
        if loading["missing_keys"]:
            raise ConfigError(
                f"{name!r} lacks weights of a {type(model).__name__} ({', '.join(sorted(loading['missing_keys'])[:3])}"
                "): give a checkpoint that has all of them"
            )
        if quantisation is not None:
            model = prepare_model_for_kbit_training(model)
        with quiet():
            if tuning == "full":
                self.lm: Any = model
            elif adapter is not None:
                self.lm = PeftModel.from_pretrained(model, adapter, is_trainable=True)
            else:
                targets = lora_targets or self._usual_targets(model)
                lora = LoraConfig(
                    r=lora_rank, lora_alpha=lora_alpha, lora_dropout=lora_dropout, task_type=self._task
                )
                self.lm = _with_adapters(model, name, lora, targets)
        self._check_head()
        self.max_positions = getattr(config, "max_position_embeddings", sys.maxsize)

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
    def _writer(self) -> Any:
        """The part whose last states the output head reads."""
        return self._model.base_model

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
    ) -> Tensor:
        mask = torch.ones_like(tokens_BT) if mask_BTK is None else self.additive(mask_BTK, self._model.dtype)
        states: Tensor = self._model.base_model(
            input_ids=tokens_BT,
            attention_mask=mask,
            position_ids=positions_BT,
            past_key_values=cache,
            use_cache=cache is not None,
        ).last_hidden_state
        return states

    def new_cache(self) -> GrowingCache:
        return GrowingCache()

    def edge_vectors(self, tokens_E: Tensor, nodes_E: Tensor) -> Tensor:
        return self.vocabulary_vectors()[tokens_E]

    def vocabulary_vectors(self) -> Tensor:
        weight: Tensor = self._model.get_output_embeddings().weight
        return weight

    @torch.no_grad()
    def _check_head(self) -> None:
        """Compare our logits with the model's own: some heads have a bias, a scale or a cap that ours has not.

        A bias is all that is left for hidden states of 0, and a cap shows when they are large.
        """
        training = self.training
        self.eval()
        fits = True
        for scale in (0.0, 1000.0):
            ours_BTV, theirs_BTV = self._logits_of_both(scale)
            # Up to rounding: a bfloat16 has 8 bits.
            fits &= ours_BTV.shape == theirs_BTV.shape and bool(
                (ours_BTV - theirs_BTV).abs().max() <= 0.02 * ours_BTV.abs().max()
            )
        self.train(training)
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
        with quiet():
            self.lm.save_pretrained(folder)
        about = {"name": self.name, "tuning": self.tuning}
        write_json(folder / "pretrained.json", about)

    @classmethod
    def load(cls, folder: Path) -> PretrainedBackbone:
        """Read what `save` wrote; with adapters the checkpoint they belong to is loaded from where it was."""
        about = read_json(folder / "pretrained.json", _Saved)
        if about.tuning == "full":
            return cls(str(folder), tuning="full")
        return cls(about.name, tuning=about.tuning, adapter=folder)


class _Saved(BaseModel):
    """What `pretrained.json` holds: the checkpoint that was tuned, and how."""

    name: str
    tuning: Tuning


def checkpoint_config(name: str) -> Any:
    """The configuration of a checkpoint.

    Raises:
        ConfigError: there is no checkpoint `name`.
    """
    if not Path(name).is_dir() and (name.startswith((".", "/", "~")) or name.count("/") > 1):
        raise ConfigError(f"there is no folder {name!r}: give that of a checkpoint, or a name on the hub")
    try:
        return AutoConfig.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"there is no checkpoint {name!r} that transformers can load: {one_line(error)}"
        ) from None


def decoder_config(name: str) -> Any:
    """The configuration of a decoder-only checkpoint.

    Raises:
        ConfigError: there is no checkpoint `name`, or it is not a decoder-only language model.
    """
    config = checkpoint_config(name)
    architectures = config.architectures or []
    decoder = any(kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in architectures)
    if config.is_encoder_decoder or not decoder:
        kind = ", ".join(architectures) or config.model_type
        raise ConfigError(
            f"{name!r} is not a decoder-only language model ({kind}): give one that ends in ForCausalLM"
        )
    return config


def _with_adapters(model: Any, name: str, lora: LoraConfig, targets: tuple[str, ...]) -> PeftModel:
    """The model with fresh LoRA adapters on the layers whose names end in `targets`."""
    all_linear = targets == ("all-linear",)
    kinds = {
        type(layer).__name__ for part, layer in model.named_modules() if all_linear or part.endswith(targets)
    }
    lora.target_modules = "all-linear" if all_linear else set(targets)
    lora.fan_in_fan_out = "Conv1D" in kinds  # GPT-2's layers keep their weights the other way round
    try:
        return get_peft_model(model, lora)
    except ValueError:
        raise ConfigError(
            f"no linear layer of {name!r} is called {' or '.join(targets)}: set lora_targets to endings of its "
            f"layers' names ({', '.join(linear_names(model))}), or to all-linear"
        ) from None


def linear_names(model: Any) -> list[str]:
    """Endings of the names of the linear layers that LoRA can take, each once."""
    kinds = ("Linear", "Conv1D")  # GPT-2 calls its linear layers Conv1D
    names = {name for name, layer in model.named_modules() if type(layer).__name__ in kinds}
    return sorted({name.rsplit(".", 1)[-1] for name in names} - {"lm_head", "embed_out"})


def _four_bit() -> BitsAndBytesConfig:
    if not is_bitsandbytes_available():
        raise BackendMissingError(
            "qlora needs bitsandbytes: pip install 'genrec[qlora]', or choose tuning=lora"
        )
    if not torch.cuda.is_available():
        raise BackendMissingError("qlora needs a CUDA GPU and none is there: choose tuning=lora")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
