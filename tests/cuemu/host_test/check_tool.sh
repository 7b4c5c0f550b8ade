#!/bin/sh
# check_tool.sh CUEMU_RUN PROGRAM: exit status, output and options of cuemu-run.
set -u
RUN=$1 PROGRAM=$2
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FAILED=0

# wants STATUS ARGUMENT...: runs the tool; its output lies in $WORK/out and $WORK/err
wants() {
    WANTED=$1
    shift
    "$RUN" "$@" >"$WORK/out" 2>"$WORK/err"
    STATUS=$?
    [ $STATUS -eq "$WANTED" ] || { echo "cuemu-run $*: status $STATUS instead of $WANTED" && cat "$WORK/err" && FAILED=1; }
}
says() { # FILE TEXT
    grep -qF -- "$2" "$WORK/$1" || { echo "no '$2' in:" && cat "$WORK/$1" && FAILED=1; }
}
silent() { # FILE
    [ ! -s "$WORK/$1" ] || { echo "unexpected output:" && cat "$WORK/$1" && FAILED=1; }
}

wants 2
wants 2 --nonsense "$PROGRAM"
wants 0 --help
says out "usage: cuemu-run"
wants 7 --quiet "$PROGRAM" status 7
silent err
wants 127 /nonexistent
wants 0 "$PROGRAM" copy
silent out
says err "host.memcpy_bytes"
wants 0 --quiet --json - "$PROGRAM" copy
says out '"memcpy_host_to_device_bytes": 400'
says out '"reports": []'
wants 0 --quiet --json "$WORK/file.json" "$PROGRAM" copy
grep -q '"allocations": 1' "$WORK/file.json" || { echo "no counters in the file" && FAILED=1; }
wants 99 --quiet "$PROGRAM" leak
says err "tool_program.c"
wants 99 --quiet "$PROGRAM" leak_in_child
wants 99 --quiet "$PROGRAM" unimplemented
says err "cudaMallocManaged is not implemented"
wants 0 --quiet --seeds 3 "$PROGRAM" copy
wants 99 --quiet --seeds 3 "$PROGRAM" leak
says err "seed 1 gives status 99"
for SIZE in 64M 128M; do
    wants 0 --quiet --memory $SIZE "$PROGRAM" megabytes
    [ "$(cat "$WORK/out")" -le "${SIZE%M}" ] && [ "$(cat "$WORK/out")" -ge $((${SIZE%M} * 9 / 10)) ] ||
        { echo "$SIZE of memory give $(cat "$WORK/out") MiB" && FAILED=1; }
done
wants 11 --quiet --fail cudaMalloc:1 "$PROGRAM" copy
wants 12 --quiet --fail cudaMemcpy:1 "$PROGRAM" copy
wants 0 --quiet --fail cudaMalloc:2 "$PROGRAM" copy
wants 12 --quiet --fail '*:2' "$PROGRAM" copy
exit $FAILED
