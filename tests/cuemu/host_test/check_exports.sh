#!/bin/sh
# check_exports.sh LIBRARIES CUDART CUBLAS CUBLASLT SOURCES OBJECTS [PLUGIN...]
# 1. The stand-ins export every name that NVIDIA's libraries export, implemented or as a hard error.
# 2. What nvcc's objects and the plug-ins import is implemented: none of it is on the list of hard errors.
set -u
LIBRARIES=$1 CUDART=$2 CUBLAS=$3 CUBLASLT=$4 SOURCES=$5 OBJECTS=$6
shift 6
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
FAILED=0

exports() {
    nm -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u
}

check_library() { # NVIDIA's library, ours
    exports "$1" >"$WORK/theirs"
    exports "$LIBRARIES/$2" >"$WORK/ours"
    [ -s "$WORK/theirs" ] || { echo "$1 exports nothing" && FAILED=1; }
    MISSING=$(comm -23 "$WORK/theirs" "$WORK/ours")
    [ -z "$MISSING" ] || { echo "$2 lacks:" $MISSING && FAILED=1; }
}
check_library "$CUDART" libcudart.so.13
check_library "$CUBLAS" libcublas.so.13
check_library "$CUBLASLT" libcublasLt.so.13

sort -u "$SOURCES/host/unimplemented.txt" "$SOURCES"/cublas/unimplemented_*.txt >"$WORK/hard_errors"
{
    nm -u "$OBJECTS"/*.o
    for PLUGIN in "$@"; do
        nm -D -u "$PLUGIN"
    done
} | awk '$1 == "U" && $2 ~ /^(__)?(cuda|cublas)/ { sub(/@.*/, "", $2); print $2 }' | sort -u >"$WORK/imports"
[ -s "$WORK/imports" ] || { echo "no object imports anything" && FAILED=1; }
for LIBRARY in libcudart.so.13 libcublas.so.13 libcublasLt.so.13; do
    exports "$LIBRARIES/$LIBRARY"
done | sort -u >"$WORK/all"
MISSING=$(comm -23 "$WORK/imports" "$WORK/all")
[ -z "$MISSING" ] || { echo "imported and not provided:" $MISSING && FAILED=1; }
HARD=$(comm -12 "$WORK/imports" "$WORK/hard_errors")
[ -z "$HARD" ] || { echo "imported and not implemented:" $HARD && FAILED=1; }
exit $FAILED
