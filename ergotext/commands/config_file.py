"""``--config`` and ``--show-config``: options from a TOML file, and where each value comes from.

A flag comes before the file, and the file before the default. ``configurable`` gives a command both
options, and ``ConfigurableCommand`` makes it read them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import copy
from enum import Enum
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from ergotext.commands.groups import with_parameters
from ergotext.commands.help import HelpfulCommand
from ergotext.errors import InputError

SHOW = "--show-config"
CONFIG_HELP = "TOML file of options; flags override it."
SHOW_HELP = (
    "Print the settings of the run and where each comes from (flag, file, default), and do nothing "
    "else."
)


class ConfigurableCommand(HelpfulCommand):
    """A command whose options may come from a file.

    With ``--config``, a switch that the file turns on is turned off by ``--no-NAME``. With
    ``--show-config``, nothing is required.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[SHOW] = SHOW in args
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            param = error.param
            if param is not None and _source(ctx, param.name) == "DEFAULT_MAP":
                error.param_hint = f"{key_of(param)} in {ctx.params['config']}"
            raise

    def get_params(self, ctx: Any) -> Any:
        found = super().get_params(ctx)
        return [_optional(one) for one in found] if ctx.meta.get(SHOW) else found

    def make_parser(self, ctx: Any) -> Any:
        parser = super().make_parser(ctx)
        for key, one in options_of(ctx).items():
            if one.is_flag and not one.secondary_opts:
                no = f"--no-{key.replace('_', '-')}"
                parser.add_option(
                    obj=one, opts=[no], dest=one.name, action="store_const", const=False
                )
        return parser


def _optional(param: Any) -> Any:
    param = copy(param)
    param.required = False
    return param


def _source(context: Any, name: str) -> str:
    """From where a parameter has its value: COMMANDLINE, DEFAULT_MAP (the file) or DEFAULT."""
    found = context.get_parameter_source(name)
    return "" if found is None else str(found.name)


def key_of(param: Any) -> str:
    """The name of an option in a file: that of its flag, ``max_seconds`` for ``--max-seconds``."""
    return str(max(param.opts, key=len)).lstrip("-").replace("-", "_")


def options_of(context: Any) -> dict[str, Any]:
    """The options of a command that a file may hold, by their names there."""
    found = context.command.get_params(context)
    own = [one for one in found if one.param_type_name == "option" and not one.is_eager]
    return {key_of(one): one for one in own}


def _kind(annotation: Any) -> Any:
    """The type in a TOML file of what has another type here: names and paths are texts."""
    if get_origin(annotation) is list:
        return list[_kind(get_args(annotation)[0])]  # type: ignore[misc]  # made at run time
    return annotation if annotation in (bool, int, float) else str


def _read(context: typer.Context, path: Path | None) -> Path | None:
    """Take the values of a file as defaults; InputError for a name or type that is none."""
    if path is None or context.resilient_parsing:  # while a shell completes
        return path
    from pydantic import with_config
    from typing_extensions import TypedDict

    from ergotext.support.records import STRICT, check
    from ergotext.support.untrusted import read_toml

    options, table = options_of(context), dict[str, Any]()
    for name, value in read_toml(path).items():
        if (key := name.replace("-", "_")) in table:
            raise InputError(f"{path}: {key} is given twice, with - and with _")
        table[key] = value
    kinds = {key: _kind(one.type_descriptor.annotation) for key, one in options.items()}
    made: Any = TypedDict  # of names that are known at run time only
    check(with_config(STRICT)(made("Options", kinds, total=False)), table, str(path))
    context.default_map = {options[key].name: value for key, value in table.items()}
    return path


ConfigFile = Annotated[
    Path | None, typer.Option("--config", is_eager=True, callback=_read, help=CONFIG_HELP)
]
ShowConfig = Annotated[bool, typer.Option(SHOW, is_eager=True, help=SHOW_HELP)]


def configurable(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer with ``--config`` and ``--show-config``, as a ``ConfigurableCommand``."""

    def read(call: typer.Context, config: Path | None, show_config: bool, **given: Any) -> None:
        if config is not None:
            _check_apart(config, given)
        if show_config:
            typer.echo(shown(call, config))
        else:
            command(**given)

    hints = get_type_hints(command, include_extras=True)
    own = [
        one.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)
        for name, one in signature(command).parameters.items()
    ]
    added = {"config": (ConfigFile, None), "show_config": (ShowConfig, False)}
    more = [
        Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in added.items()
    ]
    call = Parameter("call", Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return with_parameters(read, command, [*own, *more, call])


def _check_apart(config: Path, given: Mapping[str, Any]) -> None:
    """See that no other file of the command is the configuration, which would be written over."""
    for value in given.values():
        if isinstance(value, Path) and os.path.realpath(value) == os.path.realpath(config):
            raise typer.BadParameter(
                f"{config} is also another file of this command", param_hint="--config"
            )


def shown(context: Any, config: Path | None) -> str:
    """The options of a run as a file would hold them, after lines on where each comes from."""
    from ergotext.tasks.config import with_sources

    names = {"COMMANDLINE": "the command line", "DEFAULT_MAP": str(config)}
    sources, table = dict[str, str](), dict[str, Any]()
    for key, one in options_of(context).items():
        value = _plain(context.params[one.name])
        if value not in (None, []):
            table[key] = value
            sources[key] = names.get(_source(context, one.name), "defaults")
    return with_sources(sources, table)


def _plain(value: Any) -> Any:
    """The same of types that TOML has."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
