#!/usr/bin/env bash
# A checkpoint read from a GGUF file, dequantised, and what is left of it: SmolLM2 and other Llamas with byte-level BPE.
#
# One would guess: `from_pretrained(folder, gguf_file=...)` gives the model and the tokenizer that the file was made from.
# What happens: the weights do come out as they were, in float32, but
#  1. save_pretrained refuses the model, as one that is "quantized with gguf and is not serializable"; its configuration
#     keeps `quantization_config` and names no `architectures`. The same weights in a new model can be saved.
#  2. the tokenizer knows `tokenizer.ggml.pre` only for some names. For others, "smollm" and "starcoder" among them, it
#     splits as GPT-2 does: digits stay together where merges allow, and a run of line breaks before a digit is cut in
#     another place. Other tokens than the model was trained on, without a warning.
#  3. with "llama-bpe" a word of the vocabulary that no merges lead to is spelled in pieces: `ignore_merges` is lost.
#  4. Llama 3's scaled positions lie in a tensor of their own, rope_freqs.weight, which is passed over: other logits.
#
# Versions: transformers 5.23.0, gguf 0.19.0, tokenizers 0.23.3, torch 2.13.0, Python 3.11. Date: 2026-12-01.
# Output seen:
#   weights        equal
#   save           ValueError; quantization_config kept, architectures None
#   smollm         original ['ĊĊ', '1', '9'], from the GGUF ['Ċ', 'Ċ', '19']
#   llama-bpe      original ['Quartz'], from the GGUF ['Q', 'u', 'a', 'r', 't', 'z']
#   positions      rope_type default, logits off by 0.2% of the largest
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.23.0 gguf==0.19.0 \
  tokenizers==0.23.3 accelerate==1.15.0
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' 2>/dev/null
import gguf
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

letters = sorted(pre_tokenizers.ByteLevel.alphabet())
vocabulary = {token: row for row, token in enumerate(["<s>", "<e>", *letters, "ĊĊ", "19", "Quartz"])}
merges = [("Ċ", "Ċ"), ("1", "9")]


def write(path, model, cut, frequencies=None):
    """A GGUF file of a Llama, laid out as llama.cpp's converter does."""
    config, writer = model.config, gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(cut)
    writer.add_token_list(list(vocabulary))
    writer.add_token_types([3 if token in ("<s>", "<e>") else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        array = weight.numpy()
        for end in ("q_proj.weight", "k_proj.weight"):  # llama.cpp turns pairs that stand side by side
            if name.endswith(end):
                heads = array.shape[0] // config.head_dim
                array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), array.copy())
    if frequencies is not None:
        writer.add_tensor("rope_freqs.weight", frequencies)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def original(digits, ignore_merges):
    made = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=ignore_merges))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    steps = [pre_tokenizers.Digits(individual_digits=True), level] if digits else [level]
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return made


sizes = dict(
    vocab_size=len(vocabulary), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128,
)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(**sizes)).eval()
write("smollm.gguf", model, "smollm")
read = AutoModelForCausalLM.from_pretrained(".", gguf_file="smollm.gguf", dtype=torch.float32)
equal = all(read.state_dict()[name].equal(weight) for name, weight in model.state_dict().items())
print("weights       ", "equal" if equal else "differ")
try:
    read.save_pretrained("saved")
    refused = None
except Exception as error:
    refused = type(error).__name__
kept = "kept" if getattr(read.config, "quantization_config", None) else "gone"
print(f"save           {refused}; quantization_config {kept}, architectures {read.config.architectures}")
differ = 0
for cut, text, digits in (("smollm", "\n\n19", True), ("llama-bpe", "Quartz", False)):
    write(f"{cut}.gguf", model, cut)
    tokens = AutoTokenizer.from_pretrained(".", gguf_file=f"{cut}.gguf").tokenize(text)
    expected = original(digits, not digits).encode(text).tokens
    differ += tokens != expected
    print(f"{cut:14} original {expected}, from the GGUF {tokens}")
scaled = dict(
    rope_type="llama3", rope_theta=1e4, factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=64,
)
torch.manual_seed(0)
third = LlamaForCausalLM(LlamaConfig(**sizes, rope_parameters=scaled)).eval()
inverse = third.model.rotary_emb.inv_freq
usual = 1e4 ** -(torch.arange(len(inverse)) / len(inverse))
write("third.gguf", third, "llama-bpe", (usual / inverse).numpy())
read = AutoModelForCausalLM.from_pretrained(".", gguf_file="third.gguf", dtype=torch.float32).eval()
tokens = torch.arange(100)[None]
with torch.no_grad():
    expected = third(tokens).logits
    off = ((read(tokens).logits - expected).abs().max() / expected.abs().max()).item()
print(f"positions      rope_type {read.config.rope_parameters['rope_type']}, logits off by {off:.1%} of the largest")
assert equal and refused and differ == 2 and off > 1e-3, "it changed"
PYTHON
