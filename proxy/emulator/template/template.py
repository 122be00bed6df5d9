"""One template: its resources by type, and any of their properties with its functions carried out.

Properties are resolved when they are asked for, so that what the emulator does not need may be anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from proxy.emulator.template import parameters, resources
from proxy.emulator.template.functions import NO_VALUE, Unclear, mappings, resolve, text, texts

Secrets = Callable[[str], str]
"""The secret of an app client, by its id."""

_MAPPINGS: Final = ("Parameters", "Resources", "Outputs", "Conditions")


class Template:
    """A template with its parameters filled in. `name` is the stack's, where nothing else is given.

    `given` holds parameters and pseudo parameters by name, `inherited` the outputs of earlier stacks. Raises Unclear
    where it is no template; whatever else is wrong shows when it is read.
    """

    def __init__(
        self, name: str, data: Any, *, given: Mapping[str, str], inherited: Mapping[str, str], secrets: Secrets
    ) -> None:
        self._data = _checked(data)
        self._secrets = secrets
        pseudo = {key: value for key, value in given.items() if key.startswith("AWS::")}
        self.pseudo: Mapping[str, str] = {**resources.PSEUDO, "AWS::StackName": name, **pseudo}
        self.declared: Mapping[str, Any] = self._data["Parameters"]
        self._parameters = parameters.values(self.declared, given, inherited)
        self.problems = parameters.problems(self.declared, self._parameters)
        self._resolving: list[str] = []

    # --------------------------------------------------------------------------------------------------- resources

    def named(self, *types: str) -> list[str]:
        """The names of the resources of these types, in the order of the template."""
        known = self._data["Resources"]
        return [name for name, one in known.items() if isinstance(one, Mapping) and one.get("Type") in types]

    def type(self, name: str) -> str:
        return str(self._data["Resources"][name]["Type"])

    def where(self, name: str, key: str = "") -> str:
        """The place of a resource, or of one of its properties, in the template."""
        return f"Resources.{name}.Properties.{key}" if key else f"Resources.{name}"

    def get(self, name: str, key: str, default: Any = None) -> Any:
        """A property of a resource, or `default` where it is not there. Raises Unclear."""
        resource = self._data["Resources"][name]
        if "Condition" in resource:
            raise Unclear(self.where(name), "a resource with a Condition is not understood here")
        properties = resource.get("Properties", {})
        if not isinstance(properties, Mapping):
            raise Unclear(self.where(name), "Properties: expected a mapping")
        if key not in properties:
            return default
        value = resolve(properties[key], self, self.where(name, key))
        return default if value is NO_VALUE else value

    def text(self, name: str, key: str) -> str:
        """A property that must be there and be one text. Raises Unclear."""
        value = self.get(name, key)
        if value is None:
            raise Unclear(self.where(name), f"{key} is missing")
        return text(value, self.where(name, key))

    def texts(self, name: str, key: str) -> tuple[str, ...]:
        """A property that is a list of texts; an empty one where it is not there. Raises Unclear."""
        return texts(self.get(name, key, []), self.where(name, key))

    def mappings(self, name: str, key: str) -> tuple[Mapping[str, Any], ...]:
        """A property that is a list of mappings; an empty one where it is not there. Raises Unclear."""
        return mappings(self.get(name, key, []), self.where(name, key))

    def mapping(self, name: str, key: str) -> Mapping[str, Any]:
        """A property that is a mapping; an empty one where it is not there. Raises Unclear."""
        value = self.get(name, key, {})
        if not isinstance(value, Mapping):
            raise Unclear(self.where(name, key), "expected a mapping")
        return value

    # ----------------------------------------------------------------------------------------------------- outputs

    def outputs(self) -> dict[str, tuple[str, str]]:
        """Description and value of each output that is understood. The others are left out: nothing needs them."""
        found = {}
        for name, output in self._data["Outputs"].items():
            where = f"Outputs.{name}"
            try:
                if isinstance(output, Mapping) and "Condition" not in output:
                    value = text(resolve(output.get("Value"), self, where), where)
                    found[name] = (str(output.get("Description", "")), value)
            except Unclear:
                continue
        return found

    # ------------------------------------------------------------------------------------------ what names stand for

    def ref(self, name: str, where: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        if name in self.declared:
            raise Unclear(where, f"the parameter {name} has no value; give it by --parameter {name}=VALUE")
        return self._once(name, where, lambda: resources.physical(self, name))

    def attribute(self, name: str, attribute: str, where: str) -> str:
        if attribute == "ClientSecret" and name in self.named(resources.CLIENT):
            return self._secrets(resources.physical(self, name))
        return self._once(name, where, lambda: resources.attribute(self, name, attribute, where))

    def _once(self, name: str, where: str, find: Callable[[], str]) -> str:
        """A name that is made of others must not be made of itself."""
        resource = self._data["Resources"].get(name)
        if not isinstance(resource, Mapping) or not isinstance(resource.get("Type"), str):
            raise Unclear(where, f"{name} is no parameter and no resource of this template")
        if name in self._resolving:
            raise Unclear(where, f"{name} depends on itself")
        self._resolving.append(name)
        try:
            return find()
        finally:
            self._resolving.pop()


def _checked(data: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(data, Mapping) or not isinstance(data.get("Resources"), Mapping):
        raise Unclear("Resources", "expected a CloudFormation template, which has a mapping of this name")
    if "Transform" in data:
        raise Unclear("Transform", "macros and AWS::Serverless are not understood here; give the template they come to")
    checked = {}
    for key in _MAPPINGS:
        value = data.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise Unclear(key, "expected a mapping")
        checked[key] = value or {}
    return checked
