#!/usr/bin/env bash
# Runs all tests on other releases; outside CI, since each combination takes gigabytes and many minutes.
#
#   tests/matrix.sh                             every row of the table in CONTRIBUTING.md
#   tests/matrix.sh 3.11 2.6.0 2.1.0 0.61.0     one: Python, torch, NumPy, numba
#
# A release may be left out with "-": then it is what pip chooses. Each combination has an environment and a kernel
# cache of its own, which are removed again. Ends non-zero if any test fails.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

rows() { # the first four columns of the table, without its head
    awk -F '|' '/^<!-- releases -->$/ { inside = 1; next } /^<!-- \/releases -->$/ { exit }
                inside && ++line > 2  { print $2, $3, $4, $5 }' CONTRIBUTING.md
}

pinned() { # name, release: what to ask pip for
    [ "$2" = - ] || printf '%s==%s\n' "$1" "$2"
}

combination() { # Python, torch, NumPy, numba
    local place="$scratch/$1-$2-$3-$4"
    mapfile -t releases < <(pinned torch "$2"; pinned numpy "$3"; pinned numba "$4")
    "python$1" -m venv "$place" &&
        "$place/bin/pip" install --quiet -e ".[test]" "${releases[@]}" &&
        XDG_CACHE_HOME="$place/cache" "$place/bin/python" -m pytest -n 2 -q -p no:cacheprovider
    local code=$?
    rm -rf "$place"
    return "$code"
}

failed=0 summary=""
while read -r python torch numpy numba <&3; do
    printf '\n==> Python %s, torch %s, NumPy %s, numba %s\n' "$python" "$torch" "$numpy" "$numba"
    start=$SECONDS verdict=passed
    combination "$python" "$torch" "$numpy" "$numba" || { verdict=FAILED; failed=1; }
    summary+="| $python | $torch | $numpy | $numba | $verdict, $(((SECONDS - start) / 60)) min |"$'\n'
done 3< <(if [ $# = 0 ]; then rows; else echo "$@"; fi)

printf '\n%s' "$summary"
exit "$failed"
