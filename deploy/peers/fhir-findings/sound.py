"""Sound variations: nothing in them may be an error."""

import re

from defects import repeats

SOUND = {}


def sound(change):
    SOUND[change.__name__] = change
    return change


@sound
def unchanged(at, resource):
    return True


@sound
def local_extension(at, resource):
    obj, path, where = at.one(o for o in at.objects(resource) if "extension" in at.children(o.path))
    obj.setdefault("extension", []).append(
        {
            "url": "http://hospital.example.org/fhir/StructureDefinition/ward",
            at.rng.choice(["valueString", "valueCode"]): "x",
        }
    )
    return True


@sound
def extension_of_primitive(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in at.definitions.primitives
        and not isinstance(x.value, list)
        and "_" + x.name not in x.owner
        and x.name not in ("resourceType", "div", "id")
        and not (x.path == "Extension" and x.name == "url")
    )
    if not f:
        return
    f.owner["_" + f.name] = {
        "extension": [{"url": "http://hospital.example.org/fhir/StructureDefinition/source", "valueString": "x"}]
    }
    return True


@sound
def partial_date(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in ("date", "dateTime")
        and not isinstance(x.value, list)
        and x.path != "Period"
        and not x.name.startswith("when")
        and x.path.split(".")[0] not in ("Task", "Consent")
    )
    if not f:
        return
    f.owner[f.name] = at.rng.choice(
        ["2019", "2019-05", "2019-05-31"]
        + (["2019-05-31T10:00:00+02:00", "2019-05-31T10:00:00.123Z"] if f.kind == "dateTime" else [])
    )
    return True


@sound
def optional_left_out(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.element["min"] == 0
        and x.path == resource["resourceType"]
        and x.name in ("text", "language", "implicitRules")
        and x.name in resource
    )
    if not f:
        return
    del f.owner[f.name]
    f.owner.pop("_" + f.name, None)
    return True


@sound
def more_meta(at, resource):
    resource["meta"] = {
        **resource.get("meta", {}),
        "versionId": "3",
        "lastUpdated": "2024-02-29T23:59:59.999+01:00",
        "tag": [{"system": "http://hospital.example.org/tags", "code": "x"}],
        "source": "urn:hospital:x",
    }
    return True


@sound
def other_language(at, resource):
    resource["language"] = at.rng.choice(["de-CH", "fr", "nl-NL", "en-AU", "pt-BR"])
    return True


@sound
def text_with_unicode(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind == "string"
        and x.name in ("display", "text", "title", "description", "comment", "family", "name")
        and not isinstance(x.value, list)
        and x.path not in ("Coding",)
    )
    if not f:
        return
    f.owner[f.name] = at.rng.choice(["Grüße, 日本", "😀 café", "a\tb\nc", "Ångström µ", '"quoted" \\ back'])
    return True


@sound
def identifier_more(at, resource):
    k = at.children(resource["resourceType"]).get("identifier")
    if not k or not repeats(k[0]):
        return
    resource.setdefault("identifier", []).append(
        {
            "use": "secondary",
            "type": {"text": "visit"},
            "system": "urn:oid:2.16.840.1.113883.4.1",
            "value": "0 1 2",
            "period": {"start": "2019", "end": "2019-06"},
            "assigner": {"display": "x"},
        }
    )
    return True


@sound
def reordered(at, resource):
    items = list(resource.items())
    at.rng.shuffle(items)
    resource.clear()
    resource.update(items)
    return True


@sound
def reference_by_identifier(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind == "Reference"
        and isinstance(x.value, dict)
        and not x.value.get("reference", "#").startswith("#")
        and resource["resourceType"] not in ("Bundle", "Composition", "Parameters")
    )
    if not f:
        return
    ref = f.value["reference"]
    f.value.clear()
    f.value.update({"identifier": {"system": "http://hospital.example.org/ids", "value": "7"}, "display": "x"})
    return True


@sound
def absolute_reference(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind == "Reference"
        and isinstance(x.value, dict)
        and re.fullmatch(r"[A-Z]\w+/[\w-]+", x.value.get("reference", ""))
        and resource["resourceType"] not in ("Bundle", "Parameters")
    )
    if not f:
        return
    f.value["reference"] = (
        "https://hospital.example.org/fhir/" + f.value["reference"] + at.rng.choice(["", "/_history/2"])
    )
    return True


@sound
def contained_used(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind == "Reference"
        and isinstance(x.value, dict)
        and x.path == resource["resourceType"]
        and re.fullmatch(r"[A-Z]\w+/[\w-]+", x.value.get("reference", ""))
        and x.value["reference"].startswith(("Patient/", "Organization/", "Practitioner/", "Location/"))
        and resource["resourceType"] not in ("Bundle", "Parameters")
    )
    if not f:
        return
    t = f.value["reference"].split("/")[0]
    resource.setdefault("contained", []).append(
        {"resourceType": t, "id": "c9", **({"name": "x"} if t in ("Organization", "Location") else {})}
    )
    f.value["reference"] = "#c9"
    return True
