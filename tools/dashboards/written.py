"""All dashboards as Grafana's files; ``tests/deploy/test_dashboards.py`` keeps them current."""

import json
from pathlib import Path
from typing import Final

from tools.dashboards import runbooks
from tools.dashboards.model import Dashboard, as_json
from tools.dashboards.operations import BOT, DELIVERY, PAYMENTS
from tools.dashboards.servers import DATABASE, HOST
from tools.dashboards.shop import BUSINESS, SLO

FOLDER: Final = Path(__file__).parents[2] / "deploy/grafana/dashboards"
DASHBOARDS: Final[tuple[Dashboard, ...]] = (BUSINESS, PAYMENTS, BOT, DELIVERY, DATABASE, HOST, SLO)


def files() -> dict[str, str]:
    """Each file's name and text; the same whenever it is asked."""
    alerts = runbooks.by_alert()
    bodies = [*(as_json(dashboard, alerts) for dashboard in DASHBOARDS), runbooks.as_json()]
    return {
        f"{body['uid'].removeprefix('getpro-')}.json": json.dumps(body, ensure_ascii=False, indent=2) + "\n"
        for body in bodies
    }
