"""The subcommands, their options and their help. What they do is imported when they run, so that `--help` is quick."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from logsync_streams.cli import alerts_commands, dlq_commands, erase_commands, reading_commands, retention_commands

if TYPE_CHECKING:
    from logsync_streams.settings import Settings

application = typer.Typer(
    name="logsync",
    help="A log pipeline on Kafka, Faust and Elasticsearch. The streams themselves: faust -A logsync_streams worker",
    no_args_is_help=True,
    # A traceback with local variables would print users' logs and secrets.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topics_application = typer.Typer(help="The Kafka topics.", no_args_is_help=True)
config_application = typer.Typer(help="The settings.", no_args_is_help=True)
application.add_typer(topics_application, name="topics")
application.add_typer(config_application, name="config")
application.add_typer(reading_commands.application)
application.add_typer(dlq_commands.application, name="dlq")
application.add_typer(retention_commands.retention, name="retention")
application.add_typer(retention_commands.archive, name="archive")
application.add_typer(erase_commands.application)
application.add_typer(alerts_commands.application, name="alerts")


def _version(wanted: bool) -> None:
    if wanted:
        from logsync_streams.version import VERSION

        typer.echo(f"logsync-streams {VERSION}")
        raise typer.Exit


@application.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


@application.command()
def dev(
    sample: Annotated[bool, typer.Option(help="Send sample traffic once everything is up.")] = True,
    rate: Annotated[float, typer.Option(min=0.1, max=2000, help="Sample logs a second.")] = 5.0,
) -> None:
    """Run the whole system on this machine: embedded broker, doors, streams, store, page and sample traffic."""
    from logsync_streams.dev.run import run

    raise typer.Exit(run(dict(os.environ), rate=rate if sample else 0, say=_say))


@application.command()
def collect() -> None:
    """Run the doors: HTTP, syslog, Fluentd."""
    settings = _configured()
    from logsync_streams.cli.explain_door import explainer
    from logsync_streams.collector import server

    raise typer.Exit(server.run(settings, explain=explainer(settings)))


@application.command()
def query() -> None:
    """Run the query API and the page alone, apart from the worker."""
    settings = _configured()
    from logsync_streams.cli.query import run

    raise typer.Exit(run(settings))


@topics_application.command("create")
def topics_create() -> None:
    """Create the topics that are missing, and check those that exist."""
    from logsync_streams.cli import topics

    raise typer.Exit(topics.create(_configured(), say=_say))


@topics_application.command("check")
def topics_check() -> None:
    """Check that every topic exists with the settings it must have; exit code 2 and what to do when one differs."""
    from logsync_streams.cli import topics

    raise typer.Exit(topics.check(_configured(), say=_say))


@application.command("check-config")
def check_config() -> None:
    """Read all settings and the files they name, and report every problem. Connects to nothing."""
    from logsync_streams.cli import config

    raise typer.Exit(config.check(say=_say))


@application.command("explain")
def explain_(
    file: Annotated[str, typer.Argument(help="A file with a log a line; - for standard input.")],
    format_: Annotated[str, typer.Option("--format", help="auto, json, syslog or text.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show what would become of logs: parser, redaction, rules, enrichments, and the document that would be stored."""
    settings = _configured()
    from logsync_streams.cli.explain import run

    raise typer.Exit(run(file, settings, format=format_, as_json=as_json, say=_say))


@config_application.command("show")
def config_show() -> None:
    """Print all settings in force as YAML, secrets blacked out."""
    from logsync_streams.cli import config

    raise typer.Exit(config.show(say=_say))


@application.command()
def send(
    file: Annotated[str, typer.Argument(help="A log file, sent line by line; - for standard input.")],
    url: Annotated[str, typer.Option(help="The collector.")] = "http://127.0.0.1:8081",
    service: Annotated[str | None, typer.Option(help="Service name; default: the file's name.")] = None,
    level: Annotated[str | None, typer.Option(help="Level of every line.")] = None,
) -> None:
    """Send a log file's lines to the HTTP door; exit code 0 only when all were accepted."""
    from logsync_streams.cli.send import send as send_file

    raise typer.Exit(send_file(file, url, service=service, level=level))


def _say(line: str) -> None:
    print(line, flush=True)


def _configured() -> Settings:
    from logsync_streams import logs
    from logsync_streams.configuration import load

    settings = load()
    logs.configure(settings.log_format, settings.log_level)
    return settings
