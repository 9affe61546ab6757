"""A usual Python consumer that does what ingest and validate do, for comparison.

HL7 v2 by hl7apy, FHIR R4B by the models of fhir.resources, which validate what they are given; one transaction a
batch, offsets in it, what cannot be read to a topic of dead letters. It maps less than the line does (no Organization,
Encounter, ServiceRequest, Provenance), and validates once, while it builds. Ends when its standard input does.
"""

import argparse
import sys
import threading
import uuid
from datetime import datetime, timezone

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.messageheader import MessageHeader
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_message

SPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
GENDERS = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
SYSTEMS = {"LN": "http://loinc.org", "SCT": "http://snomed.info/sct", "UCUM": "http://unitsofmeasure.org"}
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def decode(raw):
    """The text of a message; what is no UTF-8 is taken as Latin-1, as feeds without MSH-18 are."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def value(segment, field):
    """A field as text, or the empty string."""
    found = getattr(segment, field)
    return found[0].to_er7() if len(found) else ""


def parts(text):
    return text.split("^") + [""] * 8


def instant(text):
    """An HL7 timestamp as FHIR writes it."""
    if len(text) < 8:
        return None
    if len(text) == 8:
        return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    digits, zone = text[:14], text[14:]
    if "." in zone:
        zone = zone[zone.index(".") :].lstrip(".0123456789")
    parsed = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")
    if zone:
        return parsed.isoformat() + zone[:3] + ":" + zone[3:5]
    return parsed.replace(tzinfo=timezone.utc).isoformat()


def concept(text):
    code = parts(text)
    coding = {"code": code[0]}
    if code[1]:
        coding["display"] = code[1]
    if code[2]:
        coding["system"] = SYSTEMS.get(code[2], f"urn:local:{code[2]}")
    return {"coding": [coding]}


def patient(pid):
    names = [parts(name.to_er7()) for name in pid.pid_5]
    identifiers = [parts(identifier.to_er7()) for identifier in pid.pid_3]
    addresses = [parts(address.to_er7()) for address in pid.pid_11]
    phones = [parts(phone.to_er7()) for phone in pid.pid_13]
    resource = {
        "identifier": [
            {"system": f"urn:local:{identifier[3] or 'unknown'}", "value": identifier[0]}
            for identifier in identifiers
            if identifier[0]
        ],
        "name": [
            {"family": name[0], "given": [given for given in name[1:3] if given]} for name in names if name[0]
        ],
        "address": [
            {
                key: part
                for key, part in (
                    ("line", [address[0]] if address[0] else None),
                    ("city", address[2]),
                    ("state", address[3]),
                    ("postalCode", address[4]),
                    ("country", address[5]),
                )
                if part
            }
            for address in addresses
        ],
        "telecom": [
            {"system": "email", "value": phone[3]} if phone[3] else {"system": "phone", "value": phone[0]}
            for phone in phones
            if phone[0] or phone[3]
        ],
    }
    resource = {key: part for key, part in resource.items() if part}
    gender = GENDERS.get(value(pid, "pid_8"))
    if gender:
        resource["gender"] = gender
    born = instant(value(pid, "pid_7")[:8])
    if born:
        resource["birthDate"] = born
    return Patient(**resource)


def observation(obx, subject):
    kind, raw = value(obx, "obx_2"), value(obx, "obx_5")
    resource = {
        "status": "final" if value(obx, "obx_11") == "F" else "preliminary",
        "code": concept(value(obx, "obx_3")),
        "subject": {"reference": subject},
    }
    if kind == "NM":
        unit = parts(value(obx, "obx_6"))
        resource["valueQuantity"] = {"value": raw}
        if unit[0]:
            resource["valueQuantity"].update(
                unit=unit[1] or unit[0], code=unit[0], system=SYSTEMS.get(unit[2], "urn:local:units")
            )
    elif kind in ("CE", "CWE", "CNE"):
        resource["valueCodeableConcept"] = concept(raw)
    elif raw:
        resource["valueString"] = raw
    ranges, flag, taken = value(obx, "obx_7"), value(obx, "obx_8"), value(obx, "obx_14")
    if ranges:
        resource["referenceRange"] = [{"text": ranges}]
    if flag:
        resource["interpretation"] = [{"coding": [{"system": INTERPRETATION, "code": flag}]}]
    if taken:
        resource["effectiveDateTime"] = instant(taken)
    return Observation(**resource)


def convert(raw):
    """The key and the JSON of the bundle of one message."""
    message = parse_message(
        decode(raw), validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=False
    )
    msh = message.msh
    control, facility = value(msh, "msh_10"), parts(value(msh, "msh_4"))[0]
    event = parts(value(msh, "msh_9"))
    base = uuid.uuid5(SPACE, f"{facility}|{control}")

    def name(what):
        return f"urn:uuid:{uuid.uuid5(base, what)}"

    subject = patient(message.pid)
    about = name("patient")
    observations = [observation(obx, about) for obx in message.obx]
    header = MessageHeader(
        eventCoding={"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": event[1]},
        source={"name": value(msh, "msh_3"), "endpoint": f"urn:local:{facility}"},
        focus=[{"reference": name("report")}],
    )
    obr = message.obr[0]
    report = DiagnosticReport(
        status="final" if value(obr, "obr_25") == "F" else "preliminary",
        code=concept(value(obr, "obr_4")),
        subject={"reference": about},
        result=[{"reference": name(f"observation-{at}")} for at in range(len(observations))],
    )
    entries = [("header", header), ("patient", subject), ("report", report)]
    entries += [(f"observation-{at}", each) for at, each in enumerate(observations)]
    bundle = Bundle(
        type="message",
        identifier={"system": f"urn:local:{facility}", "value": control},
        timestamp=instant(value(msh, "msh_7")),
        entry=[{"fullUrl": name(what), "resource": resource} for what, resource in entries],
    )
    identity = subject.identifier[0] if subject.identifier else None
    key = f"{identity.system}|{identity.value}" if identity else f"{facility}|{control}"
    return key.encode(), bundle.model_dump_json().encode()


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "group", "input", "output", "dead-letters"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--batch-records", type=int, required=True)
    return parser.parse_args()


def main():
    options = arguments()
    stop = threading.Event()

    def wait_for_end():
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": options.group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "partition.assignment.strategy": "cooperative-sticky",
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap,
            "transactional.id": options.group,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "linger.ms": 1,
        }
    )
    producer.init_transactions()
    consumer.subscribe([options.input])
    while not stop.is_set():
        messages = consumer.consume(num_messages=options.batch_records, timeout=0.1)
        outputs = []
        for message in messages:
            if message.error():
                if message.error().code() == KafkaError._PARTITION_EOF:
                    continue
                raise KafkaException(message.error())
            # The work is outside the transaction, so that it is open for milliseconds only.
            try:
                key, bundle = convert(message.value())
                outputs.append((options.output, key, bundle, None))
            except (HL7apyException, ValueError, AttributeError, IndexError) as error:
                # The kind of error and no text of it, which may quote the message; and the bytes as they came.
                reason = {"ws-error-code": type(error).__name__}
                outputs.append((options.dead_letters, message.key(), message.value(), reason))
        if not outputs:
            continue
        producer.begin_transaction()
        for topic, key, payload, headers in outputs:
            producer.produce(topic, payload, key, headers=headers or {})
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()
    consumer.close()


if __name__ == "__main__":
    main()
