# Tests of the device half: PTX as text, so they need no CUDA toolkit.
add_library(cuemu_test_support STATIC test/expect.c test/support.c test/values.c)
target_link_libraries(cuemu_test_support PUBLIC cuemu_device ${CRITERION_LIBRARY})

function(cuemu_device_test name)
    add_executable(${name} test/${name}.c)
    target_link_libraries(${name} PRIVATE cuemu_test_support)
    add_test(NAME cuemu.${name} COMMAND ${name})
endfunction()

cuemu_device_test(test_rows_float)
cuemu_device_test(test_compare)
cuemu_device_test(test_convert)
cuemu_device_test(test_memory)
cuemu_device_test(test_counters)
cuemu_device_test(test_checks)
cuemu_device_test(test_rows_integer)
cuemu_device_test(test_warp)
