"""The program that tests in another environment: `python -m bioimageio_fn.validation test.json`.

What holds here: what to test, and where the summary belongs, stand in that file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .testing_models import test_description


def main(path: Path) -> None:
    """Test what a file asks for.

    Args:
        path: of JSON: the keywords of `test_description`, and `summary`, the path to write to.
    """
    options = json.loads(path.read_text(encoding="utf-8"))
    answer = Path(options.pop("summary"))
    trusted = options.pop("trust_code")
    options["trust_code"] = trusted if isinstance(trusted, bool) else frozenset(trusted)
    summary = test_description(options.pop("source"), **options)
    answer.write_text(summary.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
