"""The cyclopts application, which reads a command line: the fixed commands as they are declared, and `query` from the plan."""

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import cyclopts
from cyclopts import Parameter, validators

from kube9 import bind, commands, errors, plan
from kube9.fixed_commands import COMMANDS, GROUPS
from kube9.kubectl import OPTIONS
from kube9.version import __version__

ALIAS = "__alias"  # in the name of a parameter that is another spelling of one, which help does not show
FAR = (
    "Before `query`, these ask the operator's pod in a cluster instead of a database here, as `kubectl kube9` does:\n"
    + "\n".join(f"  {flag}: {about}" for flag, (_, about) in OPTIONS.items())
)


class Request(NamedTuple):
    """A query as it was asked: its plan, and what was given for its parameters and for the common options."""

    query: dict[str, Any]
    given: dict[str, Any]
    options: dict[str, Any]


def application(compiled: plan.Plan) -> cyclopts.App:
    """The cyclopts application: the fixed commands, and `query` from the plan."""
    app = cyclopts.App(
        name=program(),
        help="The flight recorder for Kubernetes events: records them, keeps them, answers questions about them. "
        "Without a command it records, as `serve` does.",
        help_epilogue=FAR,
        version=__version__,
        help_flags=["--help", "-h"],
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
    )
    app.default(_fixed_command("serve"))
    groups = {name: cyclopts.App(name=name, help=f"{about}.", help_epilogue="") for name, about in GROUPS.items()}
    for full_name, declared in COMMANDS.items():
        group_name, _, name = full_name.rpartition(" ")
        above = groups[group_name] if group_name else app
        about_it = "\n\n".join([f"{declared['summary']}.", *([declared["description"]] if "description" in declared else [])])
        above.command(_fixed_command(full_name), name=name, help=about_it, help_epilogue="")
    for group in groups.values():
        app.command(group)
    _add_queries(groups["query"], compiled)
    return app


def _add_queries(queries: cyclopts.App, compiled: plan.Plan) -> None:
    groups: dict[str, cyclopts.App] = {}
    for full_name, declared in compiled["queries"].items():
        group, _, rest = full_name.partition(" ")
        if rest and group not in groups:
            groups[group] = cyclopts.App(name=group, help=f"Ask about {group}.")
            queries.command(groups[group])
        above = groups[group] if rest else queries
        deprecated = f"Deprecated: {declared['deprecated']}." if declared["deprecated"] else ""
        about = "\n\n".join(part for part in (f"{declared['summary']}.", declared["description"], deprecated) if part)
        examples = "\n".join(["Examples:", *(f"  {example}" for example in declared["examples"])])
        above.command(
            _query_command(declared),
            name=rest or group,
            help=about,
            help_epilogue=examples if declared["examples"] else None,
            show=not declared["deprecated"],
        )


def _fixed_command(name: str) -> Callable[..., int]:
    """The code of a fixed command with what is declared of it, for cyclopts, which reads and checks the values."""
    function, params = commands.CODE[name], COMMANDS[name]["params"]

    def command(*values: Any, **given: Any) -> int:
        return function(*values, **given)

    parameters = [
        parameter.replace(annotation=Annotated[_kind(parameter, params[key]), _described(params[key])])
        for key, parameter in inspect.signature(function).parameters.items()
    ]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def _kind(parameter: inspect.Parameter, param: plan.Plan) -> Any:
    return Literal[tuple(param["choices"])] if param["choices"] else parameter.annotation


def _described(param: plan.Plan) -> Parameter:
    return Parameter(
        name=param["flags"] or None,
        help=param["doc"],
        env_var=param["env"],
        env_var_split=_whole,
        allow_leading_hyphen=param["dashes"],
        json_list=False if param["many"] else None,
        negative=(),  # no --no-own, no --empty-metadata
        validator=validators.Number(gte=param["bounds"][0], lte=param["bounds"][1]) if param["bounds"] else None,
    )


def _whole(_: Any, text: str, **__: Any) -> list[str]:
    return [text]  # a reason may have spaces in it; commas part them


def _query_command(declared: dict[str, Any]) -> Callable[..., Request]:
    options = declared["options"]

    def command(*values: str, **given: Any) -> Request:
        positional = [name for name, param in declared["params"].items() if not param["flags"]]
        given |= dict(zip(positional, values, strict=False))
        for alias in [name for name in given if ALIAS in name]:
            name, found = alias.partition(ALIAS)[0], given.pop(alias)
            if found:
                given[name] = found if not given.get(name) else _again(declared, name, given[name], found)
        kept = {name: value for name, value in given.items() if value is not None and value != [] and value is not False}
        return Request(
            declared,
            {name: value for name, value in kept.items() if name not in options},
            {name: value for name, value in kept.items() if name in options},
        )

    parameters = []
    for name, param in (declared["params"] | options).items():
        parameters.append(_parameter(name, param, param["flags"]))
        parameters += [
            _parameter(f"{name}{ALIAS}{index}", param, [alias], show=False) for index, alias in enumerate(param["aliases"])
        ]
    parameters.sort(key=lambda parameter: parameter.kind)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def about(param: dict[str, Any]) -> str:
    """What help says of a parameter: its meaning, then what may be given."""
    said = [param["doc"]]
    if param["choices"]:
        said.append(f"[choices: {', '.join(param['choices'])}]")
    if param["type"] == "time":
        said.append("[such as: 24h, 7d, today, 2025-12-01, 2025-12-01T10:30:00Z]")
    if param["type"] == "percentage":
        said.append("[such as: 99%, 99.5]")
    if param["parts"]:
        said.append(f"[{'/'.join(part.upper() for part, _ in param['parts'])}]")
    if param["bounds"] and param["bounds"][1] < bind.MANY:
        said.append(f"[{param['bounds'][0]} to {param['bounds'][1]}]")
    default = param["default"]
    if default is not None:
        said.append(f"[default: {','.join(default) if isinstance(default, list) else default}]")
    if param["required"] and param["flags"]:
        said.append("[required]")
    if param["many"]:
        said.append("[may be repeated]")
    if param["deprecated"]:
        said.append(f"[deprecated: {param['deprecated']}]")
    return " ".join(said)


def _again(declared: dict[str, Any], name: str, first: Any, other: Any) -> Any:
    """What was given by two spellings of an option: together where it may be repeated, else a mistake."""
    param = declared["params"][name]
    if not param["many"]:
        raise errors.InvalidArgument(f"{param['flags'][0]} is given twice", "leave one of them out")
    return [*first, *other]


def _parameter(name: str, param: dict[str, Any], flags: list[str], show: bool = True) -> inspect.Parameter:
    """A parameter of the plan for cyclopts, which only splits the words; the values are checked by `bind`."""
    if not param["flags"]:
        kind = Annotated[str, Parameter(help=about(param))]
        return inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=kind)
    if param["type"] == "boolean":
        annotation: Any = Annotated[bool, Parameter(name=flags, help=about(param), show=show)]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=False)
    value: Any = list[str] | None if param["many"] else str | None
    annotation = Annotated[
        value,
        Parameter(
            name=flags,
            help=about(param),
            show=show,
            converter=_many if param["many"] else _one,
            allow_leading_hyphen=True,
            n_tokens=1,
            json_list=False,
            json_dict=False,
        ),
    ]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=None)


def _one(_: Any, tokens: Sequence[cyclopts.Token]) -> str:
    return tokens[0].value


def _many(_: Any, tokens: Sequence[cyclopts.Token]) -> list[str]:
    return [token.value for token in tokens]


def program() -> str:
    """The name that the program was called by."""
    name = os.path.basename(sys.argv[0])
    return name if name in ("kube9", "kube9-operator") else "kube9"
