#!/usr/bin/env bash
# test.sh: what `make test` runs, cheapest first. Ends with one line "N passed, N failed" over everything.
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0
failed=0
failures=()

step() { # step NAME COMMAND...: one check that counts as one test
  local name=$1
  shift
  echo "==> $name"
  local begin=$SECONDS
  if "$@"; then
    passed=$((passed + 1))
    echo "    $name: ok ($((SECONDS - begin)) s)"
  else
    failed=$((failed + 1))
    failures+=("$name")
    echo "    $name: FAILED ($((SECONDS - begin)) s)"
  fi
}

unit_tests() { # unit_tests PRESET: ctest's own counts are added to ours
  local log=build/$1/ctest.log
  ctest --test-dir "build/$1" --output-on-failure -j "$(nproc)" >"$log" 2>&1
  local status=$?
  local total bad
  total=$(sed -n 's/.*tests failed out of \([0-9]*\)$/\1/p' "$log" | tail -n 1)
  bad=$(sed -n 's/.*, \([0-9]*\) tests failed out of.*/\1/p' "$log" | tail -n 1)
  if [ -z "$total" ] || [ "$total" -eq 0 ]; then
    echo "    no unit test ran under $1"
    tail -n 20 "$log"
    return 1
  fi
  passed=$((passed + total - bad))
  failed=$((failed + bad))
  echo "    $1: $((total - bad)) of $total unit tests passed"
  [ "$status" -eq 0 ] || { grep -vE '^ +[0-9]+/[0-9]+ .*Passed' "$log" | tail -n 120; return 1; }
}

python_tests() { # real program, real clients
  HOMELAB_LLM_FAKE_ENGINE=$PWD/build/dev/tests/support/fake_engine/fake_engine \
    build/venv/bin/python -m pytest -q -ra -n "$(nproc)" --dist loadfile --junitxml=build/pytest.xml tests/engine tests/functional tests/contract tests/crash
  local status=$?
  local counts
  counts=$(build/venv/bin/python tools/count_junit.py build/pytest.xml) || return 1
  read -r good bad <<<"$counts"
  passed=$((passed + good))
  failed=$((failed + bad))
  return "$status"
}

step "format" tools/format.sh check
step "python environment" make --no-print-directory venv
step "sizes" build/venv/bin/python tools/check_sizes.py
step "shell scripts parse" bash -c 'for f in tools/*.sh .ci/run; do bash -n "$f" || exit 1; done'
step "build" tools/build.sh dev all
step "every public header compiles alone" tools/build.sh dev all_verify_interface_header_sets
step "unit tests" unit_tests dev
step "test model" tools/fetch_offline_model.sh
step "programs and clients (pytest)" python_tests
step "README main job" tests/functional/main_job.sh
for sanitizer in asan tsan; do
  step "build ($sanitizer)" tools/build.sh "$sanitizer" unit_tests
  step "unit tests ($sanitizer)" unit_tests "$sanitizer"
done

for name in "${failures[@]}"; do echo "failed: $name"; done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
