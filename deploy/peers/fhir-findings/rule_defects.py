"""Defects against cardinality, value sets, references and invariants; see defects.py."""

import json
import re

from defects import defect


# cardinality
@defect("cardinality")
def required_left_out(at, resource):
    f = at.one(x for x in at.fields(resource) if x.element["min"] > 0 and x.name not in ("resourceType", "div"))
    if not f:
        return
    del f.owner[f.name]
    f.owner.pop("_" + f.name, None)
    if not f.owner:
        return
    return f.place


# bindings
@defect("binding")
def unknown_code(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind == "code"
        and x.element.get("binding", {}).get("strength") == "required"
        and "valueSet" in x.element["binding"]
        and x.element["binding"]["valueSet"].split("|")[0] in at.definitions.value_sets
        and not any(
            s in x.element["binding"]["valueSet"]
            for s in ("mimetypes", "languages", "ucum-units", "all-languages", "currencies")
        )
    )
    if not f:
        return
    obj, _, where, name, e, _, value = f
    old = value[0] if isinstance(value, list) else value
    bad = at.rng.choice(
        [
            old.upper() if old.lower() == old else old.lower() + "x",
            old.capitalize() if old[:1].islower() else "zz",
            "unknownn",
            "F",
            "1",
            "Final",
            "COMPLETED",
            old + "ed",
            "in progress",
        ]
    )
    if bad == old:
        return
    vs = json.dumps(at.definitions.value_sets[e["binding"]["valueSet"].split("|")[0]]["compose"])
    # A code that any of the code systems has might be right.
    for s in re.findall(r'"system": ?"([^"]+)"', vs):
        if s not in at.definitions.code_systems or f'"{bad}"' in json.dumps(at.definitions.code_systems[s]):
            return
    if f'"{bad}"' in vs:
        return
    obj[name] = [bad] + value[1:] if isinstance(value, list) else bad
    return where + "." + name


@defect("binding")
def wrong_status_concept(at, resource):
    table = {
        "Condition": ("clinicalStatus", "http://terminology.hl7.org/CodeSystem/condition-clinical"),
        "AllergyIntolerance": (
            "verificationStatus",
            "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification",
        ),
    }
    if resource["resourceType"] not in table:
        return
    name, system = table[resource["resourceType"]]
    resource[name] = {"coding": [{"system": at.rng.choice([system, "http://snomed.info/sct"]), "code": "yes"}]}
    return resource["resourceType"] + "." + name


# references
OTHERS = [
    "Patient",
    "Medication",
    "Observation",
    "Organization",
    "Location",
    "Device",
    "Encounter",
    "Slot",
    "ValueSet",
    "Binary",
]


@defect("reference")
def reference_to_wrong_type(at, resource):
    options = []
    for obj, path, where, name, e, code, value in at.fields(resource):
        if code != "Reference":
            continue
        targets = [
            t.rpartition("/")[2] for ty in e["type"] if ty["code"] == "Reference" for t in ty.get("targetProfile", [])
        ]
        if not targets or "Resource" in targets:
            continue
        for ref in value if isinstance(value, list) else [value]:
            if isinstance(ref, dict) and "reference" in ref and not ref["reference"].startswith("#"):
                options.append((ref, where + "." + name, targets))
    f = at.one(options)
    if not f:
        return
    ref, where, targets = f
    wrong = at.rng.choice([o for o in OTHERS if o not in targets])
    ref["reference"] = f"{wrong}/{at.rng.choice(['1', 'a-17', 'example'])}"
    ref.pop("type", None)
    return where


@defect("reference")
def contained_that_is_not_there(at, resource):
    if resource["resourceType"] in ("Bundle", "Parameters"):
        return
    options = [
        (ref, f"{field.place}.{field.name}")
        for field in at.fields(resource)
        if field.kind == "Reference"
        for ref in (field.value if isinstance(field.value, list) else [field.value])
        if isinstance(ref, dict) and "reference" in ref
    ]
    if not options:
        return
    reference, place = at.rng.choice(options)
    reference["reference"] = "#nowhere"
    reference.pop("type", None)
    return place


@defect("reference")
def type_disagrees(at, resource):
    options = [
        (ref, f"{field.place}.{field.name}")
        for field in at.fields(resource)
        if field.kind == "Reference"
        for ref in (field.value if isinstance(field.value, list) else [field.value])
        if isinstance(ref, dict) and re.fullmatch(r"[A-Z]\w+/[\w-]+", ref.get("reference", ""))
    ]
    if not options:
        return
    reference, place = at.rng.choice(options)
    own = reference["reference"].split("/")[0]
    reference["type"] = at.rng.choice([o for o in OTHERS if o != own])
    return place


@defect("reference")
def unused_contained(at, resource):
    if resource["resourceType"] in ("Bundle", "Parameters") or "contained" in resource:
        return
    resource["contained"] = [{"resourceType": "Organization", "id": "orphan", "name": "x"}]
    return resource["resourceType"]


@defect("reference")
def contained_in_contained(at, resource):
    if not resource.get("contained"):
        return
    c = at.rng.choice(resource["contained"])
    c["contained"] = [{"resourceType": "Organization", "id": "inner", "name": "x"}]
    return resource["resourceType"]


@defect("reference")
def contained_with_version(at, resource):
    if not resource.get("contained"):
        return
    at.rng.choice(resource["contained"]).setdefault("meta", {})[
        at.rng.choice(["versionId", "lastUpdated"])
    ] = "2019-01-01T00:00:00Z"
    return resource["resourceType"]


@defect("reference")
def contained_without_id(at, resource):
    if not resource.get("contained"):
        return
    at.rng.choice(resource["contained"]).pop("id", None)
    return resource["resourceType"]


# invariants
@defect("invariant")
def extension_with_both(at, resource):
    obj, path, where = at.one(o for o in at.objects(resource) if "extension" in at.children(o.path))
    obj.setdefault("extension", []).append(
        {"url": "http://example.org/x", "valueString": "x", "extension": [{"url": "y", "valueString": "y"}]}
    )
    return where


@defect("invariant")
def extension_with_neither(at, resource):
    obj, path, where = at.one(o for o in at.objects(resource) if "extension" in at.children(o.path))
    obj.setdefault("extension", []).append({"url": "http://example.org/x"})
    return where


@defect("invariant")
def period_backwards(at, resource):
    f = at.one(x for x in at.fields(resource) if x.kind == "Period" and not isinstance(x.value, list))
    if not f:
        return
    f.owner[f.name] = {"start": "2019-05-01", "end": "2018-05-01"}
    return f.place


@defect("invariant")
def unit_code_without_system(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in ("Quantity", "SimpleQuantity", "Age", "Duration")
        and isinstance(x.value, dict)
        and "system" in x.value
        and "code" in x.value
    )
    if not f:
        return
    del f.value["system"]
    return f.place


@defect("invariant")
def range_backwards(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind == "Range" and isinstance(x.value, dict) and "low" in x.value and "high" in x.value
    )
    if not f:
        return
    if "value" not in f.value["low"] or "value" not in f.value["high"]:
        return
    f.value["low"]["value"], f.value["high"]["value"] = f.value["high"]["value"] + 1, f.value["low"]["value"]
    return f.place


@defect("invariant")
def telecom_without_system(at, resource):
    f = at.one(
        o for o in at.objects(resource) if o.path == "ContactPoint" and "system" in o.owner and "value" in o.owner
    )
    if not f:
        return
    del f.owner["system"]
    return f.place


@defect("invariant")
def narrative_with_script(at, resource):
    if "div" not in resource.get("text", {}):
        return
    bad = at.rng.choice(
        [
            "<script>alert(1)</script>",
            "<p onclick='x()'>x</p>",
            "<form/>",
            "<iframe src='x'/>",
            "<object/>",
            "<p>open",
            "<input type='text'/>",
        ]
    )
    d = resource["text"]["div"]
    resource["text"]["div"] = d[: d.rindex("</div>")] + bad + "</div>"
    return "text"


@defect("invariant")
def narrative_empty(at, resource):
    resource["text"] = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"> </div>'}
    return "text"


@defect("invariant")
def narrative_without_namespace(at, resource):
    resource["text"] = {
        "status": "generated",
        "div": at.rng.choice(["<div>Text</div>", "Text", '<p xmlns="http://www.w3.org/1999/xhtml">x</p>']),
    }
    return "text"


@defect("invariant")
def attachment_without_type(at, resource):
    f = at.one(
        o for o in at.objects(resource) if o.path == "Attachment" and "data" in o.owner and "contentType" in o.owner
    )
    if not f:
        return
    del f.owner["contentType"]
    return f.place
