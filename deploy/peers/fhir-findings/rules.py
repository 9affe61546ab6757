"""Rules of single resources: for each type the changes that break one. None removes a member."""

TERMINOLOGY = "http://terminology.hl7.org/CodeSystem/"


def concept(system, code):
    return {"coding": [{"system": TERMINOLOGY + system, "code": code}]}


def entries(kind, *resources, **more):
    listed = [{"fullUrl": f"http://example.org/fhir/Patient/{id}", "resource": resource} for id, resource in resources]
    return {"type": kind, "total": None, "entry": listed, "identifier": None, "timestamp": None, **more}


def timing(**repeat):
    return {"dosageInstruction": [{"timing": {"repeat": repeat}}]}


PATIENT = {"resourceType": "Patient", "id": "1"}
ACTIVE = concept("condition-clinical", "active")
RULES = {
    "AllergyIntolerance": [
        {
            "clinicalStatus": concept("allergyintolerance-clinical", "active"),
            "verificationStatus": concept("allergyintolerance-verification", "entered-in-error"),
        }
    ],
    "Appointment": [
        {"participant": [{"status": "accepted"}]},
        {"start": "2019-01-01T10:00:00Z", "end": None},
        {"status": "booked", "start": None, "end": None, "requestedPeriod": None},
    ],
    "AuditEvent": [{"entity": [{"name": "x", "query": "AAAA"}]}],
    "Bundle": [
        {"type": "collection", "total": 3},
        entries("collection", ("1", PATIENT), ("1", PATIENT)),
        entries("collection", ("1", {**PATIENT, "id": "2"})),
        entries("collection", ("1/_history/2", PATIENT)),
        entries("message", ("1", PATIENT)),
        entries("transaction", ("1", PATIENT)),
        entries("transaction-response", ("1", PATIENT)),
        entries(
            "document",
            ("1", PATIENT),
            identifier={"value": "x", "system": "http://a.org"},
            timestamp="2019-01-01T00:00:00Z",
        ),
        {**entries("collection"), "entry": [{"fullUrl": "http://example.org/fhir/Patient/1"}]},
        {**entries("collection"), "entry": [{"fullUrl": "urn:uuid:1", "resource": PATIENT}]},
    ],
    "CapabilityStatement": [{"kind": "instance", "implementation": None}],
    "CarePlan": [{"activity": [{"reference": {"display": "x"}, "detail": {"status": "completed"}}]}],
    "CareTeam": [{"participant": [{"member": {"reference": "Patient/1"}, "onBehalfOf": {"reference": "Patient/1"}}]}],
    "CodeSystem": [{"concept": [{"code": "a"}, {"code": "a"}]}, {"content": "all"}],
    "Composition": [
        {"section": [{"title": "x"}]},
        {"section": [{"title": "x", "emptyReason": {"text": "x"}, "entry": [{"display": "y"}]}]},
    ],
    "ConceptMap": [
        {"group": [{"source": "http://a.org", "element": [{"target": [{"equivalence": "narrower", "code": "b"}]}]}]}
    ],
    "Condition": [
        {"evidence": [{"id": "e"}]},
        {"stage": [{"type": {"text": "x"}}]},
        {"abatementDateTime": "2019", "clinicalStatus": ACTIVE},
        {"verificationStatus": concept("condition-ver-status", "entered-in-error"), "clinicalStatus": ACTIVE},
    ],
    "Consent": [{"policy": None, "policyRule": None}],
    "DiagnosticReport": [{"media": [{"comment": "x"}]}],
    "DocumentReference": [{"content": [{"attachment": {"data": "AAAA"}}]}],
    "Encounter": [{"statusHistory": [{"status": "planned"}]}],
    "Goal": [{"target": [{"detailString": "x", "dueDate": "2019"}]}],
    "Immunization": [{"education": [{"publicationDate": "2019"}]}],
    "ImplementationGuide": [{"fhirVersion": None}],
    "Location": [{"position": {"longitude": 3}}],
    "Media": [{"content": {"data": "AAAA"}}],
    "Medication": [{"ingredient": [{"strength": {"numerator": {"value": 1}}, "itemCodeableConcept": {"text": "x"}}]}],
    "MedicationRequest": [
        {"dispenseRequest": {"initialFill": {}}},
        timing(frequency=1, period=1),
        timing(frequency=1, period=-1, periodUnit="d"),
        timing(offset=3),
    ],
    "MessageHeader": [{"eventCoding": None, "eventUri": None}],
    "Observation": [
        {"valueString": "x", "dataAbsentReason": {"text": "x"}},
        {"referenceRange": [{"type": {"text": "x"}}]},
    ],
    "OperationDefinition": [
        {"parameter": [{"name": "x", "use": "in", "min": 0, "max": "1", "type": "Quantity", "searchType": "token"}]}
    ],
    "Organization": [
        {"name": None, "identifier": None},
        {"telecom": [{"system": "phone", "value": "1", "use": "home"}]},
        {"address": [{"use": "home", "city": "x"}]},
    ],
    "Parameters": [
        {"parameter": [{"name": "a", "valueString": "x", "resource": {"resourceType": "Patient"}}]},
        {"parameter": [{"name": "a"}]},
    ],
    "Patient": [{"contact": [{"gender": "male"}]}, {"link": [{"type": "seealso"}]}],
    "Provenance": [{"target": []}, {"agent": None}],
    "Questionnaire": [
        {"item": [{"linkId": "1", "type": "group", "text": "x"}, {"linkId": "1", "type": "string", "text": "y"}]},
        {"item": [{"linkId": "1", "type": "display", "text": "x", "required": True}]},
        {"item": [{"linkId": "1", "type": "string", "text": "x", "answerValueSet": "http://example.org/vs"}]},
        {"item": [{"linkId": "1", "type": "checkbox", "text": "x"}]},
    ],
    "SearchParameter": [{"xpath": "f:x", "xpathUsage": None}],
    "ServiceRequest": [{"orderDetail": [{"text": "x"}], "code": None}],
    "Specimen": [{"collection": {"collectedString": "x"}}],
    "StructureDefinition": [{"kind": "resource", "derivation": "constraint", "baseDefinition": None}],
    "Task": [{"lastModified": "2010-01-01T00:00:00Z", "authoredOn": "2019-01-01T00:00:00Z"}],
    "ValueSet": [
        {"compose": {"include": [{"filter": [{"property": "x", "op": "=", "value": "y"}]}]}},
        {
            "compose": {
                "include": [
                    {
                        "system": "http://a.org",
                        "concept": [{"code": "a"}],
                        "filter": [{"property": "x", "op": "=", "value": "y"}],
                    }
                ]
            }
        },
    ],
}


def broken(resource, rng):
    """The resource with one of its type's rules broken, or None if nothing changed."""
    options = RULES.get(resource["resourceType"])
    if not options:
        return None
    changes = rng.choice(options)
    changed = {**resource, **{name: value for name, value in changes.items() if value is not None}}
    for name, value in changes.items():
        if value is None:
            changed.pop(name, None)
            changed.pop("_" + name, None)
    if "valueString" in changes:
        for name in [name for name in changed if name.startswith("value") and name != "valueString"]:
            del changed[name]
    return None if changed == resource else changed
