"""What each command may import: a command is typed by people who wait for it, and by scripts that run it often."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
MANIFESTS = str(ROOT / "examples" / "checkout")
CODE = (
    "import sys; from tidegate.cli.app import run; code = run(sys.argv[1:]); out = ' '.join(sys.modules);"
    "sys.stderr.write('\\n' + out); sys.stderr.flush(); import os; os._exit(code)"
)
