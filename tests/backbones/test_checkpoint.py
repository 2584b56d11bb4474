"""No code that a checkpoint brings is run, however it is loaded."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path

import genrec
import pytest
from checkpoints import write
from genrec.backbones.checkpoint import checkpoint_config, decoder_config
from genrec.backbones.pretrained import PretrainedBackbone
from genrec.backbones.tokenizer import PretrainedTokenizer
from genrec.errors import ConfigError
from genrec.recommenders.palr.chat import LocalChat

PACKAGE = Path(genrec.__file__).parent


def with_code(folder: Path, file: str, maps: dict[str, object], **changes: object) -> str:
    """Let a file of a checkpoint name code that leaves a trace when it is run."""
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": maps} | changes))
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w').close()\nclass Own: pass\n")
    return str(folder)


@pytest.fixture
def nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))


@pytest.mark.parametrize("changes", [{}, {"model_type": "own"}])
@pytest.mark.usefixtures("nobody_is_asked")
def test_a_model_with_code_of_its_own_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    maps = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    folder = with_code(write("llama", tmp_path / "model"), "config.json", maps, **changes)
    for load in (
        checkpoint_config,
        decoder_config,
        PretrainedBackbone,
        lambda name: LocalChat(name).answer("Hello"),
    ):
        with pytest.raises(
            ConfigError, match=r"brings code of its own \(auto_map in its config.json\)"
        ) as caught:
            load(folder)
        assert "\n" not in str(caught.value)
    assert not Path(folder, "ran").exists()


@pytest.mark.usefixtures("nobody_is_asked")
def test_a_tokenizer_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    maps = {"AutoTokenizer": ["own.Own", None]}
    folder = with_code(write("llama", tmp_path / "model"), "tokenizer_config.json", maps)
    for load in (PretrainedTokenizer, lambda name: LocalChat(name).answer("Hello")):
        with pytest.raises(ConfigError, match=r"auto_map in its tokenizer_config\.json"):
            load(folder)
    assert not Path(folder, "ran").exists()


@pytest.mark.usefixtures("nobody_is_asked")
def test_a_saved_backbone_that_was_given_code_is_refused(
    checkpoint: Callable[[str], str], tmp_path: Path
) -> None:
    PretrainedBackbone(checkpoint("llama"), tuning="full").save(tmp_path / "saved")
    with_code(tmp_path / "saved", "config.json", {"AutoConfig": "own.Own"}, model_type="own")
    with pytest.raises(ConfigError, match="brings code of its own"):
        PretrainedBackbone.load(tmp_path / "saved")
    assert not (tmp_path / "saved/ran").exists()


def test_every_loader_of_transformers_is_told_to_run_no_code() -> None:
    """Those of peft take no such argument and know no such code."""
    calls = [
        (path.name, node)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "from_pretrained"
        and ast.unparse(node.func.value) != "PeftModel"
    ]
    assert len(calls) >= 5
    for name, call in calls:
        told = {one.arg: ast.unparse(one.value) for one in call.keywords}
        assert told.get("trust_remote_code") == "False", f"{name}:{call.lineno}"


def damaged(folder: Path, file: str, content: object) -> str:
    """A checkpoint of which a file says something else: text as it is, else JSON; a pair changes one field."""
    path = write("llama", folder) / file
    if isinstance(content, tuple):
        content = json.loads(path.read_text()) | {content[0]: content[1]}
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(folder)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", "3", "null"),
        *(("hidden_size", value) for value in ("abc", 1.5, -1, 0, 64)),
        *(("num_hidden_layers", value) for value in (10**9, 0, -1, {})),
        *(("max_position_embeddings", 0), ("num_attention_heads", 0), ("rope_parameters", [])),
        *(("architectures", value) for value in (1, [2], "LlamaForCausalLM", None)),
    ],
)
def test_a_configuration_that_cannot_be_is_told_in_one_line(tmp_path: Path, content: object) -> None:
    folder = damaged(tmp_path / "model", "config.json", content)
    with pytest.raises(ConfigError) as caught:
        PretrainedBackbone(folder, tuning="full")
    assert "\n" not in str(caught.value)
    assert folder in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("file", "content"),
    [
        *(("tokenizer.json", content) for content in ("", "{", [], 3, None, {})),
        *(("tokenizer_config.json", content) for content in ("{", [], 3)),
        *(("tokenizer_config.json", ("eos_token", value)) for value in ({}, 1)),
        ("tokenizer_config.json", ("tokenizer_class", [])),
    ],
)
def test_a_tokenizer_that_cannot_be_is_told_in_one_line(tmp_path: Path, file: str, content: object) -> None:
    folder = damaged(tmp_path / "model", file, content)
    with pytest.raises(ConfigError, match="has no tokenizer that transformers can load") as caught:
        PretrainedTokenizer(folder)
    assert "\n" not in str(caught.value)


def test_weights_of_other_shapes_are_told_without_the_table_of_transformers(tmp_path: Path) -> None:
    folder = damaged(tmp_path / "model", "config.json", ("vocab_size", 400))
    with pytest.raises(ConfigError, match=r"its weights have other shapes than its config\.json says"):
        PretrainedBackbone(folder, tuning="full")
