#!/bin/sh
# usage: check_cuda.sh NVCC SOURCE_DIR WORK_DIR
# The headers compile for the GPU without a warning, and what comes out is IEEE single precision: no double (a constant without
# its f), no approximate or flushing instruction, no contraction of our own products and sums into fma, no call.
set -eu
nvcc=$1 source=$2 work=$3
mkdir -p "$work"

# bounds.h and normal.h are for the host alone; elementary.h is its parts.
for header in "$source"/kernels/math/*.h; do
    name=$(basename "$header")
    case $name in
    bounds.h | normal.h | erf.h | exp.h | log.h | tanh.h) ;;
    *) grep -q "kernels/math/$name" "$source/tests/math/headers.cu" || { echo "headers.cu lacks $name"; exit 1; } ;;
    esac
done
ptx=$work/headers.ptx

"$nvcc" -arch=sm_80 --fmad=false -Werror all-warnings -I"$source" -I"$source/include" -c "$source/tests/math/headers.cu" -o "$work/headers.o"
"$nvcc" -arch=sm_80 --fmad=false -I"$source" -I"$source/include" -ptx "$source/tests/math/headers.cu" -o "$ptx"

kernels=$(grep -c '\.entry' "$ptx")
[ "$kernels" -ge 30 ] || { echo "only $kernels kernels in the PTX"; exit 1; }
for pattern in '\.f64' '\.approx' '\.ftz' 'div\.full' '\bcall'; do
    if grep -n -E "$pattern" "$ptx" | head -3 | grep .; then
        echo "the PTX holds $pattern"
        exit 1
    fi
done
echo "$kernels kernels"
