"""Writes ``deploy/grafana/dashboards``: ``.venv-dev/bin/python -m tools.dashboards``."""

from tools.dashboards.written import FOLDER, files

for left_over in FOLDER.glob("*.json"):
    left_over.unlink()
for name, text in files().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
