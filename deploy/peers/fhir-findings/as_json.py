"""A resource in XML written as JSON (FHIR R4, 2.6.2); what is wrong in it stays wrong."""

import json
import re
import xml.etree.ElementTree as ElementTree

FHIR = "{http://hl7.org/fhir}"
XHTML = "{http://www.w3.org/1999/xhtml}"
ElementTree.register_namespace("", XHTML[1:-1])
INTEGERS = ("integer", "positiveInt", "unsignedInt")


class Unlike(Exception):
    """XML that has no like in JSON."""


class Digits(str):
    """A number as it is written."""


def text_of(element, definitions):
    return dumped(resource(element, definitions))


def resource(element, definitions):
    name = local(element)
    if not definitions.is_resource(name):
        raise Unlike(name)
    return {"resourceType": name, **content(element, name, definitions)}


def local(element):
    if not element.tag.startswith(FHIR):
        raise Unlike(element.tag)
    return element.tag.removeprefix(FHIR)


def content(element, path, definitions):
    members = {name: value for name, value in element.attrib.items() if "}" not in name}
    children = definitions.children(path)
    for child in element:
        if not isinstance(child.tag, str):
            continue
        if child.tag == XHTML + "div":
            members["div"] = ElementTree.tostring(child, encoding="unicode").strip()
            continue
        name = local(child)
        if name not in children:
            members[name] = child.attrib.get("value", {})
            continue
        definition, code, _ = children[name]
        value, extra = one(child, code, definitions)
        if definition["max"] != "1":
            members.setdefault(name, []).append(value)
            if code in definitions.primitives:
                members.setdefault("_" + name, []).append(extra)
            continue
        if name in members:
            raise Unlike(name)
        members.update({key: held for key, held in ((name, value), ("_" + name, extra)) if held is not None})
    for name in [name for name, held in members.items() if name.startswith("_") and isinstance(held, list)]:
        if not any(members[name]):
            del members[name]
        if all(value is None for value in members[name.removeprefix("_")]):
            del members[name.removeprefix("_")]
    return members


def one(element, code, definitions):
    """Its value, and what JSON writes beside a primitive value."""
    if code == "Resource":
        inner = [child for child in element if isinstance(child.tag, str)]
        if len(inner) != 1:
            raise Unlike(code)
        return resource(inner[0], definitions), None
    if code == "xhtml":
        raise Unlike(code)
    if code not in definitions.primitives:
        return content(element, code, definitions), None
    extra = {"id": element.attrib["id"]} if "id" in element.attrib else {}
    if extensions := [content(child, "Extension", definitions) for child in element if local(child) == "extension"]:
        extra["extension"] = extensions
    return primitive(element.attrib.get("value"), code), extra or None


def primitive(text, code):
    if code == "boolean" and text in ("true", "false"):
        return text == "true"
    number = r"-?(0|[1-9]\d*)" + ("" if code in INTEGERS else r"(\.\d+)?([eE][+-]?\d+)?")
    if text is not None and (code in INTEGERS or code == "decimal") and re.fullmatch(number, text):
        return Digits(text)
    return text


def dumped(value):
    """json.dumps cannot keep the digits of a decimal."""
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{dumped(held)}" for name, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(dumped(held) for held in value) + "]"
    return json.dumps(value, ensure_ascii=False)
