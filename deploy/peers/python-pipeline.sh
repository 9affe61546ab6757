#!/usr/bin/env bash
# Puts a usual Python pipeline (confluent-kafka, hl7apy, fhir.resources, pinned) into a cache folder that git ignores,
# and runs it against `ingest` and `validate`: same broker, same input, one core each, in turns. The last lines are the
# ratios. Usage: python-pipeline.sh [options of the benchmark, such as --repetitions 5 --seconds 8]
set -euo pipefail
# shellcheck source=deploy/peers/lib.sh
source "$(dirname "$0")/lib.sh" python-pipeline

need_python
need_taskset
python_with "$folder" "$here/python-pipeline.requirements.txt" --only-binary=:all:
cd "$root"
exec cargo bench --locked --package wardstream-load-tests --bench stream -- --sections peer \
    --peer "$folder/bin/python" --peer "$here/python-pipeline.py" "$@"
