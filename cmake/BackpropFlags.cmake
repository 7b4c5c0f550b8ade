# The flags of every C file. No fast-math, and no contraction: where two operations become one, the source says fmaf,
# so that every instruction set and the GPU give the same bits.
add_library(backprop_flags INTERFACE)
target_compile_definitions(backprop_flags INTERFACE _POSIX_C_SOURCE=200809L)
target_compile_options(backprop_flags INTERFACE
    -ffp-contract=off -fno-math-errno -fno-trapping-math
    -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wpointer-arith
    $<$<C_COMPILER_ID:GNU>:-Wdouble-promotion> # clang's counts the constants NAN and INFINITY, which C makes floats
    $<$<BOOL:${BP_WERROR}>:-Werror>)
if(BP_SANITIZE)
    target_compile_options(backprop_flags INTERFACE -fsanitize=${BP_SANITIZE} -fno-omit-frame-pointer -g
                                                    -fno-sanitize-recover=all)
    target_link_options(backprop_flags INTERFACE -fsanitize=${BP_SANITIZE})
endif()
