#!/bin/sh
# check_nvidia.sh PROGRAM: the same executable with NVIDIA's libraries. Without a device every test is skipped, each
# with the reason; with one they run. Either way it ends in good order.
set -u
unset LD_LIBRARY_PATH
OUT=$("$1" -j1 2>&1)
STATUS=$?
echo "$OUT"
[ $STATUS -eq 0 ] || exit 1
case "$OUT" in
*"no device: "*"Tested: 0 "*) exit 0 ;;
*"no device: "*) echo "some tests ran without a device" && exit 1 ;;
*"Tested: 0 "*) echo "nothing ran and nothing says why" && exit 1 ;;
esac
