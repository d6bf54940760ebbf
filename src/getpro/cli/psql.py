"""``2getpro psql``: psql with its own options on the shop's database."""

import shutil
import subprocess
import sys

import typer

from getpro.cli.database import database
from getpro.cli.settings import read_settings
from getpro.platform.postgres import Tools, external_tools, tools_for_our_own
from getpro.platform.settings import DatabaseSettings

app = typer.Typer(add_completion=False)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def psql(ctx: typer.Context) -> None:
    """Открыть psql на базе магазина или выполнить то, что пришло на вход.

    Все параметры достаются самой psql. Пример: echo "SELECT count(*) FROM users" | 2getpro psql -At
    """
    if ctx.args == ["--help"]:
        typer.echo(ctx.get_help())
        return
    with database(migrate=False, any_version=True) as url:
        is_ours = read_settings(DatabaseSettings).database_url is None
        raise typer.Exit(run_psql(url, ctx.args, tools_for_our_own() if is_ours else external_tools()))


def run_psql(url: str, arguments: list[str], tools: Tools) -> int:
    """Run the psql of ``tools`` on the database at ``url`` and return its exit code."""
    command, environment = tools.client("psql", url)
    if sys.stdin.isatty() and not arguments and (wrapper := shutil.which("rlwrap")):
        command.insert(0, wrapper)  # the wheel's psql has no line editing
    try:
        return subprocess.run([*command, *arguments], check=False, env=environment).returncode  # noqa: S603 -- psql, with the operator's own options
    except KeyboardInterrupt:
        return 130
