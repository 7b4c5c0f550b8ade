#!/bin/sh
# check_kernel_fault.sh LIBRARIES PROGRAM SOURCE [SEEDS]
# The fault must be reported in every order of threads and streams, with the kind that its first line names, at a line
# that carries the comment FAULT, and with nothing else; its twin must stay silent over all seeds (200 where not given).
set -u
LIBRARIES=$1 PROGRAM=$2 SOURCE=$3 SEEDS=${4:-200}
LD_LIBRARY_PATH=$LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
CUEMU_WATCHDOG=20000
export LD_LIBRARY_PATH CUEMU_WATCHDOG
FILE=$(basename "$SOURCE")
NAME=${FILE%.cu}
KIND=$(sed -n '1s/.*expect: \([a-z-]*\)[. ].*/\1/p' "$SOURCE")
ALSO=$(sed -n '1s/.*expect: [a-z-]* or \([a-z-]*\)\..*/\1/p' "$SOURCE")
LINES=$(grep -n 'FAULT' "$SOURCE" | cut -d: -f1 | tr '\n' ' ')
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
FAILED=0

fail() {
    echo "$FILE, $1: $2"
    sed 's/^/    /' "$LOG"
    FAILED=1
}

[ -n "$LINES" ] || { echo "$FILE: no line with FAULT" && exit 1; }
[ -n "$KIND" ] || { echo "$FILE: the first line names no kind" && exit 1; }

for MODE in "forward eager 1" "reverse lazy 1" "random random 1" "random random 2" "random eager 3"; do
    set -- $MODE
    CUEMU_ORDER=$1 CUEMU_STREAMS=$2 CUEMU_SEED=$3 "$PROGRAM" "$NAME" faulty >"$LOG" 2>&1
    STATUS=$?
    # a report is "cuemu: KIND: words", then "  in KERNEL at FILE:LINE, ..."
    OTHERS=$(awk -v want="$KIND" -v also="$ALSO" -v lines="$LINES" -v file="$FILE" '
        BEGIN { n = split(lines, l, " "); for (i = 1; i <= n; i++) allowed[file ":" l[i]] = 1 }
        /^cuemu: [a-z-]+: / { split($2, k, ":"); kind = k[1]; getline place
            split(place, p, " at "); split(p[2], q, ",")
            if (!(q[1] in allowed) || (kind != want && kind != also)) print kind " at " q[1]
            if (kind == want) found = 1 }
        END { if (!found) print "none of " want }' "$LOG")
    [ $STATUS -eq 99 ] || fail "$MODE" "exit status $STATUS"
    [ -z "$OTHERS" ] || fail "$MODE" "expected $KIND at line $LINES alone, got: $OTHERS"
done

"$PROGRAM" "$NAME" repaired "$SEEDS" >"$LOG" 2>&1
STATUS=$?
[ $STATUS -eq 0 ] && ! grep -q '^cuemu:' "$LOG" || fail "repaired, $SEEDS seeds" "exit status $STATUS"
exit $FAILED
