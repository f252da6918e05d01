"""Every block of the documentation runs, and prints what the page says it prints.

In README.md and docs/: the blocks of a page run in order, in one namespace, in an empty folder.

- ```python is executed;
- ```console is run where its lines start with `$ bioimageio-fn`, and has to end with exit code 0;
- ```text right behind one of them, and the lines below a command, are what it prints;
- a block below `<!-- not run: reason -->` is left out, and the reason is not optional.
"""

import contextlib
import doctest
import gc
import io
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = ("python", "console")
COMMAND = "$ bioimageio-fn"

FENCE = re.compile(r"^( *)```(\w*).*?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- not run:(.*)-->\s*\Z")
OUTPUT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A fenced block: what it is, what stands in it, where, and why it is not run (if so)."""

    kind: str
    text: str
    line: int
    not_run: str | None
    expected: str | None


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page that are run or marked, in order."""
    found = list(FENCE.finditer(page))
    blocks = []
    for match, after in itertools.pairwise([*found, None]):
        mark = MARK.search(page[: match.start()])
        follows = after is not None and after[2] == "text"
        near = follows and not page[match.end() : after.start()].strip()
        blocks.append(
            Block(
                kind=match[2],
                text=textwrap.dedent(match[3]),
                line=page.count("\n", 0, match.start()) + 2,
                not_run=None if mark is None else mark[1].strip(),
                expected=textwrap.dedent(after[3]) if near else None,
            )
        )
    return [block for block in blocks if block.kind in RUN or block.not_run is not None]


def check_output(actual: str, expected: str, where: str) -> None:
    """Compare what was printed with what the page shows; `...` stands for anything."""
    assert doctest.OutputChecker().check_output(expected, actual, OUTPUT), (
        f"{where} prints\n{actual}\nand not\n{expected}"
    )


def run_python(block: Block, namespace: dict, page: Path) -> None:
    """Execute a block; a traceback then shows the line of the page."""
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    if block.expected is not None:
        check_output(printed.getvalue(), block.expected, f"{page.name}:{block.line}")


def run_console(block: Block, page: Path) -> None:
    """Run the commands of a block, each with the lines below it as what it prints."""
    command = shutil.which("bioimageio-fn", path=str(Path(sys.executable).parent))
    assert command is not None, "the package is installed with its extra `cli`"
    for part in re.split(r"^(?=\$ )", block.text, flags=re.MULTILINE):
        if not part.startswith(COMMAND):
            continue
        line, _, expected = part.partition("\n")
        done = subprocess.run(
            [command, *shlex.split(line)[2:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page.name}: {line}\n{done.stderr}"
        if expected.strip():
            check_output(done.stdout, expected, f"{page.name}: {line}")


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__page__"}

    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.not_run is not None:
            assert block.not_run, f"{page.name}:{block.line} gives no reason for not being run"
        elif block.kind == "python":
            run_python(block, namespace, page)
        else:
            run_console(block, page)
    gc.collect()


def test_links_between_pages_lead_somewhere():
    for page in [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md"]:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


PAGE = """\
```python
print("a")
```

```text
a
```

<!-- not run: needs a network -->
```python
raise
```

```sh
ls
```
"""


def test_blocks_are_found_with_what_they_print_and_why_they_are_not_run():
    first, second = blocks_of(PAGE)

    assert (first.kind, first.text, first.line, first.not_run) == (
        "python",
        'print("a")\n',
        2,
        None,
    )
    assert first.expected == "a\n"
    assert (second.kind, second.not_run, second.expected) == ("python", "needs a network", None)


def test_a_page_that_prints_something_else_is_found():
    block = blocks_of('```python\nprint("b")\n```\n```text\na\n```\n')[0]

    with pytest.raises(AssertionError, match="prints"):
        run_python(block, {}, Path("page.md"))
