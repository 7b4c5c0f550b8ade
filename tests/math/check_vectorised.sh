#!/bin/sh
# usage: check_vectorised.sh OBJDUMP OBJECT REGISTER
# Every loop_* of OBJECT must hold packed float instructions on REGISTER (xmm, ymm, zmm) and no call; loop_identity is a copy.
set -eu
objdump=$1 object=$2 register=$3

"$objdump" -d --no-show-raw-insn "$object" | awk -v register="$register" '
    function finish() {
        if (name == "" || name == "loop_identity") return
        loops++
        if (packed == 0) { print name ": no packed instruction on " register; failed++ }
        if (calls > 0) { print name ": calls a function"; failed++ }
    }
    /^[0-9a-f]+ <.*>:$/ {
        finish()
        name = $2; gsub(/[<>:]/, "", name)
        if (name !~ /^loop_/) name = ""
        packed = 0; calls = 0
    }
    $2 ~ /ps$/ && index($0, "%" register) { packed++ }
    $2 ~ /^call/ { calls++ }
    END {
        finish()
        if (loops < 30) { print "only " loops + 0 " loops found"; failed++ }
        if (failed) exit 1
        print loops " loops on " register
    }'
