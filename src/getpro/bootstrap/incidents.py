"""Incidents, built and joined."""

from getpro.incidents.deps import Deps
from getpro.incidents.escalation import Night
from getpro.incidents.heartbeat import Service
from getpro.incidents.other import Apprise, mail_server, mail_to
from getpro.operations.looks import synthetic
from getpro.operations.monitoring import RUNBOOKS, dashboard
from getpro.platform.bot_api import BotApi
from getpro.platform.settings import Settings
from getpro.sales.deps import Deps as SalesDeps


def incidents_deps(settings: Settings, *, sales: SalesDeps, api: BotApi) -> Deps:
    """Beside the shop ``sales``: with its database, its queue and its clock."""
    own = settings.operations
    server = mail_server(own)
    return Deps(
        db=sales.db,
        jobs=sales.jobs,
        clock=sales.clock,
        zone=settings.zone,
        night=Night(settings.zone, own.night_from, own.night_until),
        telegram=api,
        other=Apprise(),
        cipher=sales.cipher,
        sales=sales,
        chat_id=own.chat,
        operators=frozenset(settings.shop.operators),
        mail_server=server,
        mail=None if server is None or own.mail_to is None else mail_to(server, own.mail_to),
        purchases=synthetic if own.synthetic else None,
        shop_name=settings.shop.name,
        runbooks_url=dashboard(own.grafana_url, RUNBOOKS),
        outside=None if own.heartbeat_url is None else Service(own.heartbeat_url, door=settings.public_url),
    )
