"""The commands `parked …`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventgraph.commands.options import DataOption, DistributedOption, JsonOption, complete_view, declared
from eventgraph.operating.installation import chosen

if TYPE_CHECKING:
    from eventgraph.operating.parked import ParkedIn

app = typer.Typer(
    help="Streams that a view cannot go on with: list, show, retry, skip; and of a log that has a gap: resume.",
    no_args_is_help=True,
)

ViewOption = Annotated[
    str | None,
    typer.Option(
        "--view",
        help="Only this view or process manager. Default: all.",
        show_default=False,
        autocompletion=complete_view,
    ),
]
StreamArgument = Annotated[str, typer.Argument(help="The stream, as `{command} parked list` shows it.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    view: ViewOption = None,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the streams that wait: where, from which version on, how many records, and why.

    Uses the running system, or opens the folder if none runs. So do the other `parked` commands.

    Example: {command} parked list --view {view}
    """
    from eventgraph.operating.parked import parked

    _tell(parked(chosen(declared(ctx), data, distributed), view), as_json)


@app.command()
def show(
    ctx: typer.Context,
    stream: StreamArgument,
    view: ViewOption = None,
    values: Annotated[
        bool, typer.Option("--values", help="Also print the records' data, which may be personal.")
    ] = False,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the waiting records of a stream, and why they wait.

    Example: {command} parked show {stream} --values
    """
    from eventgraph.operating.parked import show as found_of
    from eventgraph.operating.tables import print_json, print_table

    found = found_of(chosen(declared(ctx), data, distributed), stream, view, values=values)
    if as_json:
        print_json(found)
        return
    for waiting in found:
        typer.echo(f"{waiting.parked.view}: {waiting.parked.reason}")
        rows = [[str(one[title]) for title in ("streamversion", "type", "time")] for one in waiting.records]
        for row, content in zip(rows, waiting.data, strict=False):  # no data unless asked for
            row.append(bytes(content).decode())
        print_table(("version", "type", "time", *(("data",) if values else ())), rows, none="no records")


@app.command()
def retry(
    ctx: typer.Context,
    stream: StreamArgument,
    view: ViewOption = None,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Try a stream's records again, in order. Exit code 1 if some still wait.

    Example: {command} parked retry {stream}
    """
    from eventgraph.operating.parked import retry as try_again

    left = try_again(chosen(declared(ctx), data, distributed), stream, view)
    _tell(left, as_json)
    if left:
        raise typer.Exit(1)


@app.command()
def skip(
    ctx: typer.Context,
    stream: StreamArgument,
    reason: Annotated[str, typer.Option(help="Why the record shall have no effect; it is stored beside the view.")],
    view: ViewOption = None,
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Give the first waiting record of a stream no effect, and try those behind it. Exit code 1 if some still wait.

    The log keeps the record, and a rebuild of the view takes it again. With a process manager it has no reaction, now
    and later.

    Example: {command} parked skip {stream} --reason "written by a broken import, see the log book" --view {view}
    """
    from eventgraph.operating.parked import skip as leave_out

    left = leave_out(chosen(declared(ctx), data, distributed), stream, view, reason)
    _tell(left, as_json)
    if left:
        raise typer.Exit(1)


@app.command()
def resume(
    ctx: typer.Context,
    stream: StreamArgument,
    log: Annotated[str, typer.Option("--log", help="The log that the stream is in: {logs}.")],
    reason: Annotated[str, typer.Option(help="Why the stream shall go on; it is kept on the log.")],
    data: DataOption = Path("data"),
    distributed: DistributedOption = False,
) -> None:
    """Let a stream take commands again that has a gap on its log, as `{command} doctor` and /health/ready say.

    What stands on the log behind the gap never has an effect. The stream gets a record more, that says why, and every
    view goes on with it.

    Example: {command} parked resume {stream} --log {log} --reason "a foreign program wrote version 13" --distributed
    """
    from eventgraph.operating.parked import resume as go_on

    go_on(chosen(declared(ctx), data, distributed), log, stream, reason)
    typer.echo(f"The stream {stream} goes on.")


def _tell(found: list[ParkedIn], as_json: bool) -> None:
    from eventgraph.operating.tables import print_json, print_table

    if as_json:
        print_json(found)
        return
    rows = [(one.view, one.stream, str(one.version), str(one.waiting), one.reason) for one in found]
    print_table(("view", "stream", "from version", "records", "reason"), rows, none="Nothing waits.")
