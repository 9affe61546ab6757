"""Defects that feeds make every day: each function puts one into a resource and says where, or gives None if it cannot."""

import re

DEFECTS, TEXTS = {}, {}


class Place:
    """What a defect may ask: the definitions, chance, and ways through a resource."""

    def __init__(self, definitions, rng):
        self.definitions, self.rng = definitions, rng
        self.children, self.objects, self.fields = definitions.children, definitions.objects, definitions.fields

    def one(self, options):
        options = list(options)
        return self.rng.choice(options) if options else None


def defect(kind):
    """A change to a resource."""

    def add(change):
        DEFECTS[change.__name__] = (kind, change)
        return change

    return add


def textual(change):
    """A change to the text."""
    TEXTS[change.__name__] = change
    return change


def repeats(element):
    return element["max"] != "1"


# structure
@defect("structure")
def misspelt_element(at, resource):
    f = at.one(x for x in at.fields(resource) if len(x.name) > 4 and x.element["min"] == 0 and x.name != "resourceType")
    if not f:
        return
    obj, _, where, name = f[:4]
    i = at.rng.randrange(1, len(name) - 1)
    new = at.rng.choice(
        [
            name[:i] + name[i + 1 :],
            name[:i] + name[i + 1] + name[i] + name[i + 2 :],
            name + "s",
            name[0].upper() + name[1:],
            re.sub("([A-Z])", r"_\1", name).lower() + "_",
        ]
    )
    if new in at.children(f.path) or new == name:
        return
    obj[new] = obj.pop(name)
    return where


@defect("structure")
def foreign_element(at, resource):
    obj, path, where = at.one(at.objects(resource))
    name = at.rng.choice(
        [
            "ssn",
            "patientName",
            "code_system",
            "firstName",
            "dob",
            "mrn",
            "createdBy",
            "facilityId",
            "lastUpdated",
            "notes",
        ]
    )
    if name in at.children(path):
        return
    obj[name] = "x"
    return where


@defect("structure")
def element_of_another_release(at, resource):
    new = {
        "Encounter": ("hospitalization2", {}),
        "Patient": ("animal", {"species": {"text": "dog"}}),
        "Observation": ("related", [{"target": {"display": "x"}}]),
        "Medication": ("isBrand", True),
        "Condition": ("assertedDate", "2019"),
        "Procedure": ("notDone", False),
        "Immunization": ("notGiven", False),
        "Claim": ("employmentImpacted", {"start": "2019"}),
        "MedicationRequest": ("definition", [{"display": "x"}]),
        "DiagnosticReport": ("image", [{"link": {"display": "x"}}]),
        "AllergyIntolerance": ("assertedDate", "2019"),
        "Location": ("form", {"text": "x"}),
        "Questionnaire": ("copyrightLabel", "x"),
        "CarePlan": ("definition", [{"display": "x"}]),
        "Composition": ("category2", []),
        "DocumentReference": ("indexed", "2005-12-24T09:43:41+11:00"),
        "Device": ("udi", {"name": "x"}),
        "Appointment": ("incomingReferral", [{"display": "x"}]),
    }.get(resource["resourceType"])
    if not new:
        return
    resource[new[0]] = new[1]
    return resource["resourceType"]


@defect("structure")
def array_for_one(at, resource):
    f = at.one(x for x in at.fields(resource) if not repeats(x.element) and x.name not in ("resourceType", "div"))
    if not f:
        return
    f.owner[f.name] = [f.value]
    return f.place


@defect("structure")
def one_for_array(at, resource):
    f = at.one(x for x in at.fields(resource) if repeats(x.element) and isinstance(x.value, list) and x.value)
    if not f:
        return
    f.owner[f.name] = f.value[0]
    return f.place


@defect("structure")
def text_for_object(at, resource):
    f = at.one(x for x in at.fields(resource) if x.kind not in at.definitions.primitives and x.kind != "Resource")
    if not f:
        return
    f.owner[f.name] = ["some text"] if isinstance(f.value, list) else "some text"
    return f.place


@defect("structure")
def object_for_primitive(at, resource):
    f = at.one(
        x for x in at.fields(resource) if x.kind in at.definitions.primitives and x.name not in ("resourceType", "div")
    )
    if not f:
        return
    v = {"value": f.value if not isinstance(f.value, list) else f.value[0]}
    f.owner[f.name] = [v] if isinstance(f.value, list) else v
    return f.place


@defect("structure")
def two_choices(at, resource):
    found = []
    for obj, path, where in at.objects(resource):
        kids = at.children(path)
        for name in obj:
            if name in kids and kids[name][2]:
                base = kids[name][0]["path"]
                others = [
                    n
                    for n, k in kids.items()
                    if k[2]
                    and k[0]["path"] == base
                    and n != name
                    and k[1] in ("string", "boolean", "dateTime", "CodeableConcept", "Quantity", "Reference", "Period")
                ]
                if others:
                    found.append((obj, where, at.rng.choice(others), kids))
    c = at.one(found)
    if not c:
        return
    obj, where, name, kids = c
    obj[name] = {
        "string": "x",
        "boolean": True,
        "dateTime": "2019-03-01",
        "CodeableConcept": {"text": "x"},
        "Quantity": {"value": 1},
        "Reference": {"display": "x"},
        "Period": {"start": "2019"},
    }[kids[name][1]]
    return where


@defect("structure")
def choice_of_wrong_type(at, resource):
    f = at.one(
        (obj, path, where, n)
        for obj, path, where in at.objects(resource)
        for n in obj
        if n in at.children(path)
        and at.children(path)[n][2]
        and len({k[1] for m, k in at.children(path).items() if k[0] is at.children(path)[n][0]}) < 8
    )
    if not f:
        return
    obj, path, where, n = f
    base = at.children(path)[n][0]["path"].rpartition(".")[2][:-3]
    new = base + at.rng.choice(["Foo", "Markdown2", "Json", "Text"])
    obj[new] = obj.pop(n)
    return where


@defect("structure")
def unknown_resource_type(at, resource):
    resource["resourceType"] = at.rng.choice(
        [
            resource["resourceType"].lower(),
            resource["resourceType"] + "s",
            "Person2",
            "PatientRecord",
            resource["resourceType"][:-1],
        ]
    )
    return ""


@defect("structure")
def no_resource_type(at, resource):
    del resource["resourceType"]
    return ""


# types of JSON
@defect("type")
def text_for_number(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in ("integer", "decimal", "positiveInt", "unsignedInt") and not isinstance(x.value, list)
    )
    if not f:
        return
    f.owner[f.name] = str(f.value)
    return f.place + "." + f.name


@defect("type")
def text_for_boolean(at, resource):
    f = at.one(x for x in at.fields(resource) if x.kind == "boolean" and not isinstance(x.value, list))
    if not f:
        return
    f.owner[f.name] = at.rng.choice(["true", "false", "Y", "N", 1, 0])
    return f.place + "." + f.name


@defect("type")
def number_for_text(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in ("string", "code", "uri", "dateTime", "date", "markdown") and not isinstance(x.value, list)
    )
    if not f:
        return
    f.owner[f.name] = at.rng.choice([1, 2019, 12.5, True])
    return f.place + "." + f.name


@defect("type")
def fraction_for_integer(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in ("integer", "positiveInt", "unsignedInt") and not isinstance(x.value, list)
    )
    if not f:
        return
    f.owner[f.name] = f.value + 0.5
    return f.place + "." + f.name


@defect("type")
def number_out_of_range(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in ("integer", "positiveInt", "unsignedInt") and not isinstance(x.value, list)
    )
    if not f:
        return
    f.owner[f.name] = {
        "integer": 3_000_000_000,
        "positiveInt": at.rng.choice([0, -1, 3_000_000_000]),
        "unsignedInt": -1,
    }[f.kind]
    return f.place + "." + f.name


# lexical form
BAD = {
    "date": [
        "2019-13-01",
        "2019-02-30",
        "01/02/2019",
        "20190201",
        "2019-1-5",
        "2019-01-01T10:00:00Z",
        "",
        " 2019",
        "yesterday",
        "19-01-01",
        "2019/01/01",
    ],
    "dateTime": [
        "2019-02-03T10:00:00",
        "2019-02-03 10:00:00Z",
        "2019-02-03T10:00Z",
        "2019-02-30T10:00:00Z",
        "20190203100000",
        "2019-02-03T25:00:00Z",
        "2019-02-03T10:61:00Z",
        "03.02.2019",
        "2019-02-03T10:00:00+1:00",
        "2019-02-03T10",
        "2019-02-03T10:00:00+01",
    ],
    "instant": [
        "2019-02-03",
        "2019-02-03T10:00:00",
        "2019-02",
        "2019-02-03T10:00:00.Z",
        "2019-02-03T1:00:00Z",
        "1549188000",
    ],
    "time": ["10:00", "25:00:00", "10:00:00Z", "10:61:00", "1000"],
    "id": ["a_b", "x" * 65, "with space", "a/b", "a#b", "ä"],
    "code": [" final", "final ", "a  b", "", "\tx"],
    "uri": ["http://exam ple.org", "has space", "", " http://a.org"],
    "url": ["http://exam ple.org", "", " http://a.org"],
    "canonical": ["http://exam ple.org", "", "two words"],
    "oid": ["urn:oid:3.1", "1.2.3", "urn:oid:01.2", "urn:oid:1.2.", "2.16.840"],
    "uuid": ["urn:uuid:123", "c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873D-EC9A-4326-A141-556F4323952G"],
    "base64Binary": ["not base64!", "a", "ab=c", "%%%%"],
    "string": ["", " ", "\u0000"],
    "markdown": ["", "   "],
}


@defect("form")
def bad_primitive(at, resource):
    by = {}
    for x in at.fields(resource):
        if x.kind in BAD and x.name not in ("resourceType", "div") and not (x.path == "Extension" and x.name == "url"):
            by.setdefault(x.kind, []).append(x)
    if not by:
        return
    weights = {"string": 1, "uri": 1, "code": 2}
    kinds = sorted(by)
    kind = at.rng.choices(kinds, [weights.get(k, 4) for k in kinds])[0]
    obj, _, where, name, e, code, value = at.rng.choice(by[kind])
    bad = at.rng.choice(BAD[kind])
    if isinstance(value, list):
        obj[name] = [bad] + value[1:]
    else:
        obj[name] = bad
    return where + "." + name


@defect("form")
def null_value(at, resource):
    f = at.one(x for x in at.fields(resource) if x.name != "resourceType" and "_" + x.name not in x.owner)
    f.owner[f.name] = None
    return f.place


@defect("form")
def empty_array(at, resource):
    obj, path, where = at.one(at.objects(resource))
    kids = [n for n, k in at.children(path).items() if repeats(k[0]) and n not in obj and n not in ("extension2",)]
    if not kids:
        return
    obj[at.rng.choice(kids)] = []
    return where


@defect("form")
def empty_object(at, resource):
    obj, path, where = at.one(at.objects(resource))
    kids = [
        n
        for n, k in at.children(path).items()
        if not repeats(k[0])
        and n not in obj
        and k[1] not in at.definitions.primitives
        and k[1] != "Resource"
        and not k[2]
    ]
    if not kids:
        return
    obj[at.rng.choice(kids)] = {}
    return where


@defect("form")
def extensions_that_do_not_match(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in at.definitions.primitives and isinstance(x.value, list) and "_" + x.name not in x.owner
    )
    if not f:
        return
    f.owner["_" + f.name] = [None] * (len(f.value) + 1) + [
        {"extension": [{"url": "http://example.org/x", "valueString": "x"}]}
    ]
    return f.place


@defect("form")
def extension_list_for_one(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind in at.definitions.primitives
        and not isinstance(x.value, list)
        and "_" + x.name not in x.owner
        and x.name not in ("resourceType", "div")
        and not (x.path == "Extension" and x.name == "url")
    )
    if not f:
        return
    f.owner["_" + f.name] = [{"extension": [{"url": "http://example.org/x", "valueString": "x"}]}]
    return f.place


@defect("form")
def underscore_of_complex(at, resource):
    f = at.one(
        x
        for x in at.fields(resource)
        if x.kind not in at.definitions.primitives and x.kind != "Resource" and "_" + x.name not in x.owner
    )
    if not f:
        return
    f.owner["_" + f.name] = {"id": "a"} if not isinstance(f.value, list) else [{"id": "a"}]
    return f.place


# the text itself
@textual
def trailing_comma(text):
    i = text.rindex("}")
    return text[:i] + "," + text[i:]


@textual
def missing_bracket(text):
    return text[: text.rindex("}")]


@textual
def single_quotes(text):
    return text.replace('"', "'")


@textual
def line_comment(text):
    i = text.index("{") + 1
    return text[:i] + " // exported\n" + text[i:]


@textual
def duplicate_key(text):
    i = text.index("{") + 1
    return text[:i] + '"language":"en","language":"de",' + text[i:] if '"language"' not in text else None


@textual
def leading_zero(text):
    m = re.search(r'("value":\s*)(\d)', text)
    return text[: m.start(2)] + "0" + text[m.start(2) :] if m else None


@textual
def wrong_encoding(text):
    return text[: text.rindex("}")].encode() + b',"language":"\xe4"}'


@textual
def bare_newline(text):
    m = re.search(r'"(display|text|name|title|family)":\s*"\w', text)
    return text[: m.end()] + "\n" + text[m.end() :] if m else None


@textual
def xml_for_json(text):
    return '<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"><active value="true"/></Patient>'


@textual
def array_of_resources(text):
    return "[" + text + "]"
