# The device half: a static library that the stand-in for libcudart and the device tests link.
add_library(cuemu_device STATIC
    device/access.c
    device/async.c
    device/atomic.c
    device/barrier.c
    device/block.c
    device/carry.c
    device/clock.c
    device/collective.c
    device/compare.c
    device/control.c
    device/convert.c
    device/counters.c
    device/declare.c
    device/decode.c
    device/fatbin.c
    device/host_memory.c
    device/hot.c
    device/json.c
    device/launch.c
    device/load_store.c
    device/map.c
    device/matrix.c
    device/memory.c
    device/memory_words.c
    device/module.c
    device/move.c
    device/operand.c
    device/parse.c
    device/pool.c
    device/range.c
    device/report.c
    device/rows_float.c
    device/rows_half.c
    device/rows_integer.c
    device/settings.c
    device/shadow.c
    device/system_calls.c
    device/token.c
    device/traffic.c
    device/warp.c
)
set_target_properties(cuemu_device PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
# The loops over the lanes of a warp are where the time goes; and some run in other rounding modes than the usual one.
set_source_files_properties(device/hot.c device/load_store.c PROPERTIES COMPILE_OPTIONS -O3)
set_source_files_properties(device/map.c PROPERTIES COMPILE_OPTIONS "-O3;-frounding-math")
set_source_files_properties(device/convert.c device/rows_float.c PROPERTIES COMPILE_OPTIONS -frounding-math)
target_link_libraries(cuemu_device PUBLIC cuemu_options m)
