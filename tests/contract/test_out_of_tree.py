"""The recommender of docs/adding-a-recommender.md as another package would have it: found, and held to the contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-recommender.md"


def install(folder: Path, module: str, text: str) -> None:
    """The least that makes a folder of the path an installed package with an entry point."""
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    about = folder / f"{module}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[genrec.recommenders]\nmarkov = {module}\n")


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )


def test_the_recommender_of_the_page_is_found_and_keeps_the_contract(tmp_path: Path) -> None:
    recommender, tests = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    install(tmp_path, "markov_plugin", recommender)
    (tmp_path / "test_markov.py").write_text(tests, encoding="utf-8")
    ended = run(tmp_path, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_markov.py")
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"^52 passed, 1 skipped", ended.stdout, re.MULTILINE), ended.stdout  # it writes no names


def test_a_broken_package_is_named(tmp_path: Path) -> None:
    install(tmp_path, "broken_plugin", "import no_such_library")
    ended = run(tmp_path, "-c", "import genrec; genrec.create('markov')")
    assert "'markov' cannot be used: importing broken_plugin ended with ModuleNotFoundError" in ended.stderr
