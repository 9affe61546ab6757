#!/usr/bin/env bash
# Fetches Apache Kafka's jars with Maven into a cache folder that git ignores. A second run does nothing.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
libs="${1:-$here/../../../.cache/kafka/libs}"
for tool in java mvn; do
    command -v "$tool" >/dev/null || {
        echo "kafka: $tool is missing; install a Java 17 runtime and Maven (Debian: openjdk-17-jre-headless maven)" >&2
        exit 1
    }
done
stamp="$libs/.pom"
if cmp -s "$here/pom.xml" "$stamp"; then
    exit 0
fi
rm -rf "$libs"
mkdir -p "$libs"
mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$(cd "$libs" && pwd)"
cp "$here/pom.xml" "$stamp"
echo "kafka: $(find "$libs" -name '*.jar' | wc -l) jars in $libs"
