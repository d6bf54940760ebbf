"""Writes ``docs/operations/metrics.md`` from the code; ``tests/house/test_metrics.py`` keeps it current."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from getpro.operations import figures
from getpro.platform import metrics

PAGE: Final = Path(__file__).parents[1] / "docs/operations/metrics.md"
_HEAD: Final = """# Показатели

Что магазин показывает Prometheus по адресу `http://127.0.0.1:9464/metrics` (`run` и `web`) и
`http://127.0.0.1:9465/metrics` (`worker`); адрес и порт задают `GETPRO_METRICS_HOST` и `GETPRO_METRICS_PORT`.
Снаружи он не виден. Страницу пишет `tools/metrics_page.py` по коду программы.

Каждый процесс считает своё с начала своей жизни: смотрите на `rate(…)` и `increase(…)`, сложенные по
процессам. Что знает база, показывают `run` и `worker`, одно и то же: берите `max(…)`.
"""


def page() -> str:
    return "\n".join(
        [
            _HEAD,
            "## Что считает процесс",
            "",
            "| показатель | вид | метки | что это |",
            "|---|---|---|---|",
            *_counted(),
            "",
            "И обычные показатели процесса на Python: `process_*`, `python_*`.",
            "",
            "## Что знает база",
            "",
            "| показатель | метки | что это | не старше |",
            "|---|---|---|---|",
            *_known(),
            "",
        ]
    )


def _counted() -> Iterator[str]:
    for metric in metrics.CATALOGUE:
        yield f"| `{metric.name}` | {metric.kind} | {_labels(metric.labels)} | {metric.words} |"


def _known() -> Iterator[str]:
    for figure in figures.FIGURES:
        labels = _labels(figure.labels)
        yield f"| `{figure.name}` | {labels} | {figure.words} | {figure.every_seconds} с |"
    for name, words in figures.OWN.items():
        yield f"| `{name}` | | {words} | {figures.OFTEN} с |"


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
