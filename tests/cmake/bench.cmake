# Tests of what the benchmarks share.
foreach(NAME test_bench_core test_cli_bench)
    if(TARGET bench_core)
        target_link_libraries(${NAME} PRIVATE bench_core)
    else()
        set_target_properties(${NAME} PROPERTIES EXCLUDE_FROM_ALL TRUE)
        set_tests_properties(${NAME} PROPERTIES DISABLED TRUE)
    endif()
endforeach()
