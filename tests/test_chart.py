"""The chart without a cluster: its version, and that values.yaml, values.schema.json and README.md say the same."""

import json
import re
from collections.abc import Iterator

import jsonschema
import yaml
from conftest import ROOT

from kube9.version import __version__

CHART = ROOT / "chart"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
README = (CHART / "README.md").read_text()


def resolved(schema: dict) -> dict:
    """A schema with what it refers to; what stands beside the reference is kept."""
    while "$ref" in schema:
        name = schema["$ref"].removeprefix("#/definitions/")
        schema = SCHEMA["definitions"][name] | {key: of for key, of in schema.items() if key != "$ref"}
    return schema


def described(schema: dict = SCHEMA, before: str = "") -> Iterator[tuple[str, str]]:
    """Name and description of each value."""
    for name, of in resolved(schema).get("properties", {}).items():
        of = resolved(of)
        if "description" in of:
            yield before + name, of["description"]
        else:
            yield from described(of, f"{before}{name}.")


DESCRIBED = dict(described())
DOCUMENTED = [name for name in DESCRIBED if name != "global"]


def default_of(name: str) -> object:
    found: object = VALUES
    for part in name.split("."):
        found = found[part]
    return found


def row(name: str) -> str:
    """The line of README.md about a value."""
    default = yaml.safe_dump(default_of(name), default_flow_style=True, sort_keys=False, width=1000)
    return f"| `{name}` | `{default.removesuffix(chr(10)).removesuffix('...').strip()}` | {DESCRIBED[name]} |"


def test_the_chart_and_the_program_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    for page in (README, (ROOT / "README.md").read_text()):
        assert re.findall(r"/kube9-operator:(\S+)", page) == [__version__]


def test_the_defaults_are_valid():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


def leaves(of: object, name: str = "") -> Iterator[str]:
    if name in DESCRIBED or not isinstance(of, dict):
        yield name
        return
    for key, inner in of.items():
        yield from leaves(inner, f"{name}.{key}" if name else key)


def test_every_value_is_in_the_schema_and_has_a_default():
    assert list(leaves(VALUES)) == DOCUMENTED


def test_the_readme_tells_each_value_its_default_and_what_it_does():
    table = README.partition("\n## Values\n")[2]
    assert re.findall(r"^\| `.*$", table, re.MULTILINE) == [row(name) for name in DOCUMENTED]


def test_nothing_in_the_schema_lets_a_misspelt_value_through():
    def loose(schema: dict, name: str) -> Iterator[str]:
        if "properties" in schema and schema.get("additionalProperties") is not False:
            yield name
        for key, of in {**schema.get("properties", {}), **schema.get("definitions", {})}.items():
            yield from loose(of, f"{name}.{key}")

    assert list(loose(SCHEMA, "")) == []
