"""What is left to do after incidents is told once a week, until it is done."""

from typing import Final

from getpro.incidents import actions
from getpro.operations import chat
from getpro.operations.deps import Deps

RULE: Final = "0 10 * * 1"


async def chase(deps: Deps) -> None:
    """Write the week's message, once however often asked, where anything is to be done; a flow."""
    now = deps.clock()
    today = now.astimezone(deps.zone).date()
    year, week, _ = today.isocalendar()
    async with deps.db.begin("actions: chased") as session:
        waiting = await actions.waiting(session)
        if not waiting:
            return
        await chat.say(
            session,
            deps.jobs,
            key=f"actions:{year}-{week:02}",
            text=actions.reminder(waiting, today=today),
            now=now,
            is_silent=all(one.due_on >= today for one in waiting),
        )
