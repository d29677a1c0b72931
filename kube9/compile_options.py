"""What a caller may give to a query: its filters, page and order as parameters, checked for names and contradictions."""

import keyword
import re
from collections.abc import Sequence
from typing import Any

from kube9 import bind, plan
from kube9.declared import Document, Location, nearest
from kube9.errors import InvalidArgument
from kube9.spec import PYTHON_HAS, SCALARS, Filter, Group, Message, Page, Query, Spec

CONTEXT = (  # for `sql:`
    "now", "program_version", "known_schema_version", "database_path", "database_size_bytes", "capabilities", "query_problems",
    "asked_namespace",
)  # fmt: skip
PROGRAM_FLAGS = ("--help", "-h", "--version")
PYTHON_TAKES = ("self", "timeout", "request", *CONTEXT)  # parameters of a library method, and of `sql:`
SQL_TAKES = ("select", "then", "union", "using", "values", "when", "where")  # words that the parser reads as SQL behind a colon
MOST_OFFSET = 2**62
KUBE9_TAKES = (
    *plan.OPTIONS,
    "all",
    "watch",
    "limit",
    "offset",
    "page_token",
    "after",
    "sort",
    "by",
    "require_coverage",
)  # with a meaning of their own


class Options:
    """The options of one query."""

    def __init__(
        self,
        document: Document,
        spec: Spec,
        types: plan.Plan,
        name: str,
        declared: Query,
        message: Message,
    ) -> None:
        """`message` is what the query returns; its fields tell the types of filters on the same columns."""
        self.document, self.spec, self.types = document, spec, types
        self.name, self.query, self.message = name, declared, message
        self.at: Location = ("queries", name)

    def params(self, paged: bool) -> plan.Plan:
        """The parameters of the query by their names in Python."""
        params: plan.Plan = {}
        taken = self._taken(paged)
        for part, filters in (("arguments", self.query.arguments), ("filters", self.query.filters)):
            for option, declared in filters.items():
                at: Location = (*self.at, part, option)
                name = python_name(option)
                if name in params:
                    self._wrong_name(at, f'"{option}" is an argument already')
                elif name in PYTHON_TAKES or name in PYTHON_HAS:
                    self._wrong_name(at, f'"{option}" cannot be the name of a parameter in Python')
                elif name in KUBE9_TAKES and (part == "arguments" or f"--{option}" not in taken):
                    self._wrong_name(at, f'"{option}" has a meaning for every query')
                elif name in SQL_TAKES:
                    self._wrong_name(at, f'"{option}" cannot be the name of a parameter in SQL')
                flags = self._flags(at, option, declared, taken) if part == "filters" else []
                params[name] = self._param(at, declared, flags)
        for name, param in params.items():
            for clash in {bind.part_name(name, part) for part, _ in param["parts"] or ()} & params.keys():
                problem = f'a part of "{name.rstrip("_")}" has the name of the filter "{clash.replace("_", "-")}"'
                self.document.problem(self.at, problem, self.name)
        for index, option in enumerate(self.query.window or ()):
            if option not in self.query.filters:
                self._no_filter(option, (*self.at, "window", index))
            elif (found := params[python_name(option)])["type"] != "time" or found["many"]:
                self.document.problem((*self.at, "window", index), f'"{option}" is no time', self.name)
        if isinstance(self.query.group, Group):
            params["by"] = self._by(self.query.group)
        if paged:
            params |= self._page(self.query.page or Page())
        if self.query.window:
            params["require_coverage"] = plan.param(
                "percentage",
                doc="answer only if at least so much of the time asked for was watched, or read afterwards",
                flags=["--require-coverage"],
            )
        if isinstance(self.query.order, dict) and self.query.order:
            names = list(self.query.order)
            params["sort"] = plan.param("order", doc="in which order", flags=["--sort"], choices=names, default=names[0])
        return params

    def common(self, paged: bool) -> plan.Plan:
        """The options that are no parameters of the query: how to answer."""
        formats = [name for name in plan.FORMATS if name != "name" or self.message.name]
        found = dict(plan.OPTIONS)
        found["format"] = found["format"] | {"choices": formats}
        found["fields"] = found["fields"] | {"choices": list(self.message.fields)}
        if paged:
            found["all"] = plan.ALL
            if self.query.page and self.query.page.arrivals:
                found["watch"] = plan.WATCH
        return found

    def _taken(self, paged: bool) -> dict[str, str]:
        """Flag -> who has it."""
        every = [flag for param in plan.OPTIONS.values() for flag in param["flags"]]
        taken = dict.fromkeys((*PROGRAM_FLAGS, *every), "every query")
        if paged:
            pages = ("--limit", "--offset", "--page-token", "--after", *plan.ALL["flags"], *plan.WATCH["flags"])
            taken |= dict.fromkeys(pages, "every page")
        if self.query.window:
            taken["--require-coverage"] = "every window"
        if isinstance(self.query.group, Group):
            taken["--by"] = "group"
        if isinstance(self.query.order, dict):
            taken["--sort"] = "order"
        return taken

    def _param(self, at: Location, declared: Filter, flags: list[str]) -> plan.Plan:
        type_name = declared.type or self._column_type(declared)
        known = [*SCALARS, *self.spec.types]
        for key, used in (("type", declared.type), *((f"parts.{part}", kind) for part, kind in declared.parts.items())):
            if used and used not in known and not self.document.left_out("types", used):
                self.document.problem((*at, *key.split(".")), f'no type "{used}"{nearest(used, known)}', self.name)
        for key in ("excludes", "needs"):
            for index, other in enumerate(getattr(declared, key)):
                if other == at[-1]:
                    self.document.problem((*at, key, index), "is the filter itself", self.name)
                if other not in self.query.filters:
                    self._no_filter(other, (*at, key, index))
        kind = self.types.get(type_name) or dict.fromkeys(("values", "spellings", "known"))
        if self.document.left_out("types", type_name):
            pass
        elif declared.op == "min" and not kind["values"] and type_name not in ("integer", "number"):
            self.document.problem((*at, "op"), f"min is for numbers and closed sets, and {type_name} is neither", self.name)
        if declared.required and declared.default is not None:
            self.document.problem((*at, "default"), "a filter that is required has no default", self.name)
        if declared.deprecated and not flags:
            self.document.problem((*at, "deprecated"), "is for options", self.name)
        param = plan.param(
            type_name,
            doc=declared.doc,
            flags=flags,
            aliases=list(declared.aliases),
            choices=kind["values"],
            spellings=kind["spellings"],
            known=kind["known"],
            many=declared.op == "in" or _in_list(declared.sql, python_name(str(at[-1]))),
            rising=declared.op == "min" and bool(kind["values"]),
            parts=[[part, self._part(used)] for part, used in declared.parts.items()] or None,
            default=declared.default,
            required=declared.required or not flags,
            excludes=[python_name(other) for other in declared.excludes],
            needs=[python_name(other) for other in declared.needs],
            deprecated=declared.deprecated,
        )
        if declared.default is not None:
            self._default(at, param, declared.default)
        return param

    def _part(self, type_name: str) -> plan.Plan:
        kind = self.types.get(type_name) or dict.fromkeys(("values", "spellings", "known"))
        return plan.param(type_name, doc="", choices=kind["values"], spellings=kind["spellings"], known=kind["known"])

    def _default(self, at: Location, param: plan.Plan, default: str) -> None:
        try:
            name = str(at[-1])
            if param["parts"]:
                bind.parts_of(name, param, default, 0)
            elif param["many"]:
                bind.convert_many(name, param, default, 0)
            else:
                bind.convert(name, param, default, 0)
        except InvalidArgument as error:
            self.document.problem((*at, "default"), error.message, self.name)

    def _flags(self, at: Location, option: str, declared: Filter, taken: dict[str, str]) -> list[str]:
        own = f"--{option}"
        for key, flags in (("", [own]), ("flags", declared.flags), ("aliases", declared.aliases)):
            for index, flag in enumerate(flags):
                if flag in taken:
                    problem = f"the option {flag} is taken by {taken[flag]}"
                    if key:
                        self.document.problem((*at, key, index), problem, self.name)
                    else:
                        self._wrong_name(at, problem)
                taken[flag] = f'"{option}"'
        return [own, *declared.flags]

    def _by(self, group: Group) -> plan.Plan:
        for index, name in enumerate(group.default):
            if name not in group.by:
                problem = f'"{name}" is not in by{nearest(name, group.by)}'
                self.document.problem((*self.at, "group", "default", index), problem, self.name)
        return plan.param(
            "group", doc="what to count by", flags=["--by"], choices=list(group.by), many=True, default=list(group.default)
        )

    def _page(self, page: Page) -> plan.Plan:
        if page.default > page.max:
            problem = f"the default {page.default} is more than the most, {page.max}"
            self.document.problem((*self.at, "page", "default"), problem, self.name)
        params = {
            "limit": plan.param(
                "integer", doc="at most so many rows", flags=["--limit"], default=page.default, bounds=[1, page.max]
            ),
            "offset": plan.param(
                "integer", doc="leave out so many rows first", flags=["--offset"], default=0, bounds=[0, MOST_OFFSET]
            ),
            "page_token": plan.param(
                "page_token",
                doc="go on where a page ended, with the next_page_token it gave",
                flags=["--page-token"],
                excludes=["offset"],
            ),
        }
        if page.arrivals:
            params["after"] = plan.param(
                "sync_token",
                doc="only what was added or updated since, in the order of changes, with the sync_token of an earlier answer",
                flags=["--after"],
                excludes=["offset", "page_token"],
            )
        return params

    def _column_type(self, declared: Filter) -> str:
        """The type of a filter's column, as the answer has it, or else another message."""
        for column in column_names(declared)[:1]:
            for message in (self.message, *self.spec.messages.values()):
                for name, field in message.fields.items() if message.table else ():
                    if not field.sql and (field.column or name) == column:
                        return field.type
        return "string"

    def _no_filter(self, option: str, at: Location) -> None:
        self.document.problem(at, f'no filter "{option}"{nearest(option, self.query.filters)}', self.name)

    def _wrong_name(self, at: Location, problem: str) -> None:
        self.document.problem(at, problem, self.name, self.document.key_position(at))


def python_name(option: str) -> str:
    """The option as a parameter in Python and in SQL: `object-kind` is object_kind, `for` is for_."""
    name = option.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


def _in_list(sql: str | None, name: str) -> bool:
    """Whether a condition takes several values of a parameter."""
    return bool(sql and re.search(rf"\bIN\s*\(\s*:{name}\s*\)", sql, re.IGNORECASE))


def column_names(declared: Filter) -> Sequence[str]:
    """The columns that a filter compares."""
    column: Any = declared.column
    return [column] if isinstance(column, str) else column or []
