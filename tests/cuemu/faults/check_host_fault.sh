#!/bin/sh
# check_host_fault.sh LIBRARIES FAULTY REPAIRED SOURCE [SEEDS]
# The faulty program must be reported in every mode, with the kind that its first line names, at the line that carries
# the comment FAULT, and with nothing else; its twin must stay silent over all seeds (200 where not given).
set -u
LIBRARIES=$1 FAULTY=$2 REPAIRED=$3 SOURCE=$4 SEEDS=${5:-200}
LD_LIBRARY_PATH=$LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
FILE=$(basename "$SOURCE")
NAME=${FILE%.*}
KIND=$(sed -n '1s/.*expect: \([a-z-]*\)\..*/\1/p' "$SOURCE")
LINE=$(grep -n '/\* FAULT \*/' "$SOURCE" | cut -d: -f1)
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
FAILED=0

fail() {
    echo "$FILE, $1: $2"
    sed 's/^/    /' "$LOG"
    FAILED=1
}

case "$LINE" in '' | *[!0-9]*) echo "$FILE: not exactly one line with FAULT" && exit 1 ;; esac
[ -n "$KIND" ] || { echo "$FILE: the first line names no kind" && exit 1; }

for MODE in eager lazy random; do
    CUEMU_STREAMS=$MODE CUEMU_ORDER=forward "$FAULTY" "$NAME" >"$LOG" 2>&1
    STATUS=$?
    # a report is "cuemu: KIND: words" and two lines; of two operations that race, chance says which one comes second,
    # so that the other side, which the text names, may be the one that is marked
    OTHERS=$(awk -v want="$KIND" -v place="$(echo "$FILE:$LINE" | sed "s,\.,[.],g")" '
        /^cuemu: [a-z-]+: / { split($2, k, ":"); kind = k[1]; getline first; getline second
            if (kind != want || (first second " ") !~ (place "[^0-9]")) print kind; else found = 1 }
        END { if (!found) print "none at " place }' "$LOG")
    # 139: the report came, then the SIGSEGV that it is about
    [ $STATUS -eq 99 ] || [ $STATUS -eq 139 ] || fail "$MODE" "exit status $STATUS"
    [ -z "$OTHERS" ] || fail "$MODE" "expected $KIND at line $LINE alone, got: $OTHERS"
done

FAULT_SEEDS=$SEEDS "$REPAIRED" "$NAME" >"$LOG" 2>&1
STATUS=$?
[ $STATUS -eq 0 ] && ! grep -q '^cuemu:' "$LOG" || fail "repaired, $SEEDS seeds" "exit status $STATUS"
exit $FAILED
