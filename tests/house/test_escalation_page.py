"""The escalation page carries the guide's words, each of its lines, and what they promise is what we do."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from getpro.incidents.escalation import GUIDES, answer_within
from getpro.incidents.states import Level, Role

PAGE = (Path(__file__).parents[2] / "docs/operations/escalation.md").read_text(encoding="utf-8")
GUIDE = """
## Escalation Process
### Level 1: Minor Issues
- Время ответа: 4 часа
- Примеры: Небольшие ошибки, вопросы пользователей
- Ответственный: On-call Engineer
### Level 2: Major Issues
- Время ответа: 1 час
- Примеры: Проблемы с платежами, частичная недоступность
- Ответственный: Tech Lead
### Level 3: Critical Issues
- Время ответа: 15 минут
- Примеры: Полная недоступность, потеря данных, security breach
- Ответственный: Вся команда
## Incident Response
### Шаги при инциденте
1. **Обнаружение**
   - Алерт от мониторинга
   - Сообщение пользователя
   - Проактивная проверка
2. **Оценка**
   - Определить серьезность
   - Оценить влияние
   - Классифицировать
3. **Реагирование**
   - Уведомить команду
   - Начать расследование
   - Применить временное решение
4. **Решение**
   - Найти root cause
   - Применить fix
   - Проверить решение
5. **Документирование**
   - Создать incident report
   - Провести post-mortem
   - Обновить runbook
"""
"""Word for word."""
LIMITS = {"4 часа": timedelta(hours=4), "1 час": timedelta(hours=1), "15 минут": timedelta(minutes=15)}
ROLES = {"On-call Engineer": Role.ON_CALL, "Tech Lead": Role.TECH_LEAD, "Вся команда": Role.EVERYONE}


def test_every_line_of_the_guide_stands_there_in_its_place_with_an_answer() -> None:
    wanted = [re.sub(r"^ *- ", "", line) for line in GUIDE.strip().splitlines()]
    found = []
    for line in PAGE.splitlines():
        if (row := re.fullmatch(r" *\| (.+?) \| (.+) \|", line)) and row[1] != "Руководство":
            assert row[2].strip("— "), line
            found.append(row[1])
        elif re.match(r"##|\d\. ", line):
            found.append(line)
    assert found == wanted


@pytest.mark.parametrize("level", Level)
def test_what_the_guide_promises_of_a_level_is_the_policy(level: Level) -> None:
    part = GUIDE.partition(f"### Level {level[1]}")[2].partition("###")[0]
    limit, who = re.findall(r"- (?:Время ответа|Ответственный): (.+)", part)
    assert answer_within(GUIDES, level) == LIMITS[limit]
    assert {step.role for step in GUIDES[level]} == {ROLES[who]}
