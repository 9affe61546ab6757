#!/bin/sh
# Creates the topics of the line as shared/contracts declares them; those that exist stay as they are.
# deploy/lint.sh compares the names with the contracts.
set -eu

servers=${BOOTSTRAP_SERVERS:-kafka:9092}
partitions=${PARTITIONS:-6}
replication=${REPLICATION:-1}
day=86400000

# name, partitions, retention in days or "compact"
topics="
hl7.raw $partitions 7
fhir.received $partitions 7
fhir.validated $partitions 7
fhir.deidentified $partitions 30
identity.vault $partitions compact
triage.classified $partitions 30
triage.summarized $partitions 30
notification.sent $partitions 30
notification.ledger $partitions compact
notification.open $partitions compact
notification.acknowledged $partitions compact
notification.held $partitions 30
notification.digest $partitions compact
line.dropped $partitions 30
audit.manifests 1 30
dead-letters.replayed 1 compact
access.events 1 365
ingest.dead-letter $partitions 30
validate.dead-letter $partitions 30
redact.dead-letter $partitions 30
classify.dead-letter $partitions 30
summarize.dead-letter $partitions 30
notify.dead-letter $partitions 30
ingest.parked $partitions 365
validate.parked $partitions 365
redact.parked $partitions 365
classify.parked $partitions 365
summarize.parked $partitions 365
notify.parked $partitions 365
"

# kafka-topics.sh --create takes one topic; a JVM for each is slow, so four run at a time.
echo "$topics" | while read -r name count keep; do
    [ -n "$name" ] || continue
    case $keep in
    compact) config=cleanup.policy=compact ;;
    *) config=retention.ms=$((keep * day)) ;;
    esac
    # 17 MiB: the largest record a stage makes, and what a batch adds.
    echo "--topic $name --partitions $count --config $config --config max.message.bytes=17825792"
done | xargs -P 4 -n 8 /opt/kafka/bin/kafka-topics.sh --bootstrap-server "$servers" \
    --create --if-not-exists --replication-factor "$replication"
