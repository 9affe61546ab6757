"""Examples of the specification with one defect each, and sound variations of them, by seed."""

import json
import os
import random

import rule_defects
from defects import DEFECTS, TEXTS, Place
from rules import broken
from sound import SOUND

# A base may be this large.
MOST_BYTES = 40_000
# The types that a hospital's interfaces send; six of ten bases are of these.
CLINICAL = frozenset(
    "AllergyIntolerance Appointment Bundle CarePlan CareTeam Claim Composition Condition Coverage Device DiagnosticReport "
    "DocumentReference Encounter Goal Immunization Location Medication MedicationAdministration MedicationDispense "
    "MedicationRequest MedicationStatement MessageHeader Observation OperationOutcome Organization Parameters Patient "
    "Practitioner PractitionerRole Procedure Provenance Questionnaire QuestionnaireResponse RelatedPerson ServiceRequest "
    "Specimen Task".split()
)
assert rule_defects, "its defects are in DEFECTS"


class Everyday:
    def __init__(self, definitions, examples, refused, seed):
        """`refused`: names of examples that have a defect of their own."""
        self.rng = random.Random(seed)
        self.place = Place(definitions, self.rng)
        self.by_type = {}
        for name in sorted(os.listdir(examples)):
            path, kind = os.path.join(examples, name), name.split("-")[0]
            if definitions.is_resource(kind) and name not in refused and os.path.getsize(path) <= MOST_BYTES:
                self.by_type.setdefault(kind, []).append(path)
        self.types = sorted(self.by_type)
        self.clinical = [kind for kind in self.types if kind in CLINICAL]

    def base(self):
        kind = self.rng.choice(self.clinical if self.rng.random() < 0.6 else self.types)
        return self.read(kind)

    def read(self, kind):
        with open(self.rng.choice(self.by_type[kind]), encoding="utf-8") as file:
            return json.load(file)

    def write(self, resource):
        return json.dumps(resource, ensure_ascii=False, indent=self.rng.choice([None, 2]))

    def attempt(self, name):
        """A text with the defect of that name, or None if this base cannot have it."""
        if name == "broken_rule":
            changed = broken(self.read(self.rng.choice(self.types)), self.rng)
            return changed and self.write(changed)
        resource = self.base()
        if name in TEXTS:
            return TEXTS[name](self.write(resource))
        try:
            done = DEFECTS[name][1](self.place, resource)
        except (KeyError, AttributeError, IndexError, TypeError):
            return None
        return self.write(resource) if done is not None else None

    def defects(self, count):
        """Name, class and text of each; every fourth breaks a rule of its type."""
        names = sorted(DEFECTS) + sorted(TEXTS)
        for number in range(count):
            name = "broken_rule" if number % 4 == 3 else names[number % len(names)]
            kind = "invariant" if name == "broken_rule" else "form" if name in TEXTS else DEFECTS[name][0]
            text = next((text for text in (self.attempt(name) for _ in range(1000)) if text is not None), None)
            if text is not None:
                yield name, kind, text if isinstance(text, bytes) else text.encode()

    def sound(self, count):
        names = sorted(SOUND)
        for number in range(count):
            name = names[number % len(names)]
            while True:
                resource = self.base()
                if SOUND[name](self.place, resource):
                    yield name, "sound", self.write(resource).encode()
                    break
