"""Chat endpoints that answer badly, and kept answers that came to harm."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

import chat_server
import damage
from inputs import Input, generator
from material import Material, train_words

_URLS = (
    "",
    "nowhere",
    "ftp://127.0.0.1/v1",
    "http://127.0.0.1:9/v1",
    "http://me:secret@127.0.0.1/v1",
    "http://[/v1",
)
_CACHES = ("sales.csv", "loop", "a/" * 2500 + "b", "\x00", "")


@generator
def chats(rng: Random, folder: Path, material: Material) -> Input:
    """`palr` asks a chat model for profiles."""
    how = rng.choice((*chat_server.ANSWERS, *chat_server.REFUSALS, "url", "cache", "kept", "kept", "kept"))
    cache, url, refused = folder / "kept", f"{chat_server.address()}/good/v1", how in chat_server.REFUSALS
    about, told = how, ("127.0.0.1", "the chat")
    if how == "url":
        url, refused, told = rng.choice(_URLS), True, ("GENREC_CHAT_URL", "127.0.0.1:9")
        about = f"the address {url!r}"
    elif how == "cache":
        name = rng.choice(_CACHES)
        (folder / "loop").symlink_to("loop")
        (folder / "sales.csv").write_text("years of work")
        cache, refused, told = folder / name, name not in ("", "\x00"), ("cannot be kept", "chat_cache")
        about = f"answers kept in {name!r:.40}"
    elif how == "kept":
        shutil.copytree(material.answers, cache)
        path = rng.choice(sorted(cache.iterdir()))
        about = f"a kept answer {rng.choice((*damage.CERTAIN, *damage.CHANGED))(rng, path)}"
    else:
        url = f"{chat_server.address()}/{how}/v1"
    words = train_words(
        "palr", material.shop, folder / "made", profile="chat", packed=False, chat_cache=f"'{cache}'"
    )
    return Input(
        words,
        f"palr: {about}",
        "refused" if refused else "either" if how in ("kept", "cache") else "answered",
        told if refused else (),
        makes=("made", "made/*"),
        touches=("kept", "kept/*", "*.json"),  # a damaged answer is asked for again
        environment={"GENREC_CHAT_URL": url, "GENREC_CHAT_MODEL": "small-talker"},
    )
