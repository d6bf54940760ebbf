"""Writes ``deploy/grafana/dashboards`` and the runbooks' first steps: ``… -m tools.dashboards``."""

from tools.dashboards import first_steps
from tools.dashboards.written import FOLDER, files

for left_over in FOLDER.glob("*.json"):
    left_over.unlink()
for name, text in files().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
first_steps.FILE.write_text(first_steps.text(), encoding="utf-8")
