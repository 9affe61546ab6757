#!/usr/bin/env bash
# Checks what lies in deploy/ and compose.yaml. A tool that is missing is named loudly at the end, with how to get it;
# LINT_STRICT=1 makes that a failure, as in CI.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

failed=()
skipped=()

check() { # name, command...
    local name=$1
    shift
    local output
    if output=$("$@" 2>&1); then
        echo "ok       $name"
    else
        echo "FAILED   $name"
        printf '%s\n' "$output" | sed 's/^/         /'
        failed+=("$name")
    fi
}

skip() { # name, reason
    echo "SKIPPED  $1"
    skipped+=("$1: $2")
}

have() { command -v "$1" >/dev/null 2>&1; }

# compose.yaml: its schema, and the habits that dclint knows.
dclint_version=3.1.0
if ! have npx; then
    skip "compose.yaml" "npx is missing (install Node.js 20 or later)"
elif ! npx --yes "dclint@$dclint_version" --version >/dev/null 2>&1; then
    skip "compose.yaml" "npx cannot fetch dclint@$dclint_version (check the network or npm's registry setting)"
else
    check "compose.yaml" npx --yes "dclint@$dclint_version" --config deploy/dclint.yaml --max-warnings 0 compose.yaml
fi

# The same file as Docker reads it, where Docker's plugin is.
if docker compose version >/dev/null 2>&1; then
    check "compose.yaml as Docker reads it" docker compose --file compose.yaml config --quiet
else
    skip "compose.yaml as Docker reads it" "docker compose is missing (docs.docker.com/compose/install)"
fi

# Every service: no root, no capability, a read-only root, limits; and the networks that keep PHI apart.
if have python3 && python3 -c 'import yaml' 2>/dev/null; then
    check "containers are hardened and PHI is kept apart" python3 deploy/check_compose.py compose.yaml
    if [ -s docs/configuration.md ]; then
        check "variables are those of the services" python3 deploy/check_settings.py compose.yaml docs/configuration.md
    else
        skip "variables are those of the services" "docs/configuration.md is not generated"
    fi
else
    for name in "containers are hardened and PHI is kept apart" "variables are those of the services"; do
        skip "$name" "python3 with PyYAML is missing (Debian: apt-get install python3-yaml)"
    done
fi

# Alerts: syntax, a test for each, and each expression of the dashboard.
if have promtool; then
    check "alert rules" promtool check rules deploy/prometheus/rules.yml
    check "alert tests" promtool test rules deploy/prometheus/rules.test.yml
    check "scrape configuration" promtool check config deploy/prometheus/prometheus.yml
    if have python3; then
        check "dashboard queries" python3 deploy/check_dashboard.py deploy/grafana/dashboards/wardstream.json
    else
        skip "dashboard queries" "python3 is missing"
    fi
else
    for name in "alert rules" "alert tests" "scrape configuration" "dashboard queries"; do
        skip "$name" "promtool is missing (Debian: apt-get install prometheus)"
    done
fi
if have python3; then
    check "every alert has a test" python3 deploy/check_alerts.py deploy/prometheus/rules.yml deploy/prometheus/rules.test.yml
    check "topics are those of the contracts" python3 deploy/check_topics.py deploy/kafka/topics.sh shared/contracts/src/topics.rs
else
    skip "every alert has a test" "python3 is missing"
    skip "topics are those of the contracts" "python3 is missing"
fi

# Scripts.
while IFS= read -r script; do
    check "syntax of $script" bash -n "$script"
done < <(find deploy -name '*.sh' -not -path '*/.*' | sort)
if have shellcheck; then
    # shellcheck disable=SC2046
    check "shellcheck" shellcheck $(find deploy -name '*.sh' -not -path '*/.*' | sort)
else
    skip "shellcheck" "shellcheck is missing (Debian: apt-get install shellcheck)"
fi

if [ "${#skipped[@]}" -gt 0 ]; then
    echo
    echo "NOT CHECKED, because a tool is missing:"
    printf '  %s\n' "${skipped[@]}"
fi
if [ "${#failed[@]}" -gt 0 ]; then
    echo
    echo "${#failed[@]} failed"
    exit 1
fi
if [ "${LINT_STRICT:-0}" = 1 ] && [ "${#skipped[@]}" -gt 0 ]; then
    exit 2
fi
