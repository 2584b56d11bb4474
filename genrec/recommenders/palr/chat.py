"""Chat models: a question in words, an answer in words. What asks them is in `llm_profiles.py`."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, StoppingCriteriaList

from genrec.backbones.checkpoint import (
    checkpoint_config,
    checkpoint_model,
    checkpoint_tokenizer,
    opening,
    whole_name,
)
from genrec.backbones.hardware import device
from genrec.backbones.quiet import quiet
from genrec.errors import ChatError, ConfigError
from genrec.recommenders.palr.endpoint import EndpointChat

_ROUNDS, _FEWEST_REPEATED = 4, 24


def goes_in_circles(tokens: list[int]) -> bool:
    """Whether the last tokens are the same piece over and over: four times, and so many tokens in all."""
    for length in range(1, len(tokens) // _ROUNDS + 1):
        end = tokens[-_ROUNDS * length :]
        if len(end) >= _FEWEST_REPEATED and end == tokens[-length:] * _ROUNDS:
            return True
    return False


def open_chat(text: str) -> EndpointChat | LocalChat:
    """The chat model that a recipe names: "endpoint" (from the environment), else a checkpoint's folder or name.

    Raises:
        ConfigError: the environment does not name an endpoint.
    """
    return EndpointChat.from_environment() if text == "endpoint" else LocalChat(text)


class LocalChat:
    """Any decoder-only Hugging Face checkpoint whose tokenizer has a chat template, on the GPU if there is one.

    It is loaded at the first question. It always writes the likeliest token: equal questions get equal answers. One
    that goes round in circles, as small models do, is stopped there.
    """

    def __init__(self, checkpoint: str, *, max_new_tokens: int = 256) -> None:
        """Name a model; nothing is loaded yet.

        Args:
            checkpoint: folder of a checkpoint, a GGUF file, or a name on the Hugging Face hub.
            max_new_tokens: where an answer is cut off.
        """
        self.name = whole_name(checkpoint)
        self.max_new_tokens = max_new_tokens
        self._loaded: tuple[Any, Any] | None = None
        self._one_at_a_time = threading.Lock()

    def answer(self, prompt: str) -> str:
        """What the model says to `prompt`.

        Raises:
            ConfigError: there is no such checkpoint, it lacks weights, is no decoder, has no chat template or has code
                of its own.
            ChatError: question and answer are longer than the model reads.
        """
        with self._one_at_a_time, quiet(), torch.inference_mode():
            tokenizer, model = self._loaded = self._loaded or self._load()
            asked = tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}],
                add_generation_prompt=True,
                return_dict=True,
                return_tensors="pt",
            ).to(model.device)
            num_tokens = asked["input_ids"].shape[1]
            most = getattr(model.config, "max_position_embeddings", None)
            if most is not None and num_tokens + self.max_new_tokens > most:
                raise ChatError(
                    f"the question has {num_tokens} tokens and the answer up to {self.max_new_tokens}, and "
                    f"{self.name!r} reads {most}: take a model that reads more, or ask for less"
                )
            pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

            def circles(tokens_BT: Tensor, scores: Any, **more: Any) -> Tensor:
                return torch.tensor(
                    [goes_in_circles(tokens_BT[0, num_tokens:].tolist())], device=tokens_BT.device
                )

            written = model.generate(
                **asked,
                do_sample=False,
                num_beams=1,
                max_new_tokens=self.max_new_tokens,
                pad_token_id=pad,
                stopping_criteria=StoppingCriteriaList([circles]),
            )
        said: str = tokenizer.decode(written[0, num_tokens:], skip_special_tokens=True)
        return said

    def _load(self) -> tuple[Any, Any]:
        """The tokenizer and the model."""
        where = device()
        with opening(f"the chat model {self.name!r} cannot be loaded"):
            config = checkpoint_config(self.name)
            tokenizer = checkpoint_tokenizer(self.name)
            dtype = torch.bfloat16 if where.type == "cuda" else torch.float32
            model = checkpoint_model(AutoModelForCausalLM, self.name, config, dtype=dtype)
        if getattr(tokenizer, "chat_template", None) is None:
            raise ConfigError(
                f"the tokenizer of {self.name!r} has no chat template: give a model that was tuned to chat"
            )
        return tokenizer, model.to(where).eval()
