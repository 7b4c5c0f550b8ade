# The readers of files under any bytes. fuzz_NAME_regression runs in every build: the seeds and thousands of mutations of them,
# the readers instrumented by the address and undefined sanitizers also where the rest of the build is not.
# With clang and -DBP_FUZZ=ON also libFuzzer's programs: tests/fuzz_NAME FOLDER -max_total_time=120
option(BP_FUZZ "Build the libFuzzer programs (wants clang)" OFF)

set(FUZZ_DIR ${CMAKE_CURRENT_SOURCE_DIR}/fuzz)
set(FUZZ_READERS csv.c csv_header.c data.c data_inspect.c data_load.c data_load_npy.c decimal.c file.c idx.c lines.c npy.c
                 notation.c npy_header.c safetensors_header.c safetensors_read.c ways.c ways_plan.c)
list(TRANSFORM FUZZ_READERS PREPEND ${CMAKE_SOURCE_DIR}/host/)
set(FUZZ_SANITIZERS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g)

# Readers and targets share the flags; a sanitizer that the whole build has already is not asked for twice.
add_library(fuzz_options INTERFACE)
target_include_directories(fuzz_options INTERFACE ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/cli)
target_link_libraries(fuzz_options INTERFACE backprop_static)
if(NOT BP_SANITIZE)
    target_compile_options(fuzz_options INTERFACE ${FUZZ_SANITIZERS})
    target_link_options(fuzz_options INTERFACE ${FUZZ_SANITIZERS})
endif()
if(BP_FUZZ)
    target_compile_options(fuzz_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
add_library(fuzz_readers OBJECT ${FUZZ_READERS} ${FUZZ_DIR}/fuzz.c support/folder.c support/hooks.c)
target_link_libraries(fuzz_readers PRIVATE fuzz_options)

# The objects of the readers come before the library, so that the instrumented ones are linked.
function(fuzz_program PROGRAM)
    add_executable(${PROGRAM} ${ARGN} $<TARGET_OBJECTS:fuzz_readers>)
    target_link_libraries(${PROGRAM} PRIVATE fuzz_options)
endfunction()

# What the command line reads, without what it runs; fuzz_cli.c stands for its messages.
set(FUZZ_CLI chart.c config.c history.c json.c metrics.c metrics_observation.c net.c options.c parse.c plot.c replace.c
             report.c report_layers.c report_plot.c report_plot_layers.c report_plot_steps.c report_text.c series.c
             source.c terminal.c words.c)
list(TRANSFORM FUZZ_CLI PREPEND ${CMAKE_SOURCE_DIR}/cli/)
add_library(fuzz_cli OBJECT ${FUZZ_CLI} ${FUZZ_DIR}/fuzz_cli.c)
target_link_libraries(fuzz_cli PUBLIC fuzz_options jansson::direct m)

# A plan is of one version of the library, so that its seeds are written for the one at hand.
file(GLOB FUZZ_PLANS CONFIGURE_DEPENDS ${FUZZ_DIR}/plan/*.in)
foreach(PLAN ${FUZZ_PLANS})
    get_filename_component(NAME ${PLAN} NAME_WLE)
    configure_file(${PLAN} ${CMAKE_CURRENT_BINARY_DIR}/fuzz_seeds/plan/${NAME} @ONLY)
endforeach()

set(FUZZ_SEEDS_plan ${CMAKE_CURRENT_BINARY_DIR}/fuzz_seeds/plan/*)
set(FUZZ_SEEDS_npy ${CMAKE_CURRENT_SOURCE_DIR}/data/*.npy)
set(FUZZ_SEEDS_idx ${CMAKE_CURRENT_SOURCE_DIR}/data/*.idx ${CMAKE_CURRENT_SOURCE_DIR}/data/*.idx.gz)
set(FUZZ_SEEDS_csv ${CMAKE_CURRENT_SOURCE_DIR}/data/*.csv)
set(FUZZ_SEEDS_safetensors ${CMAKE_CURRENT_SOURCE_DIR}/data/*.safetensors
                           ${CMAKE_CURRENT_SOURCE_DIR}/golden/width_one_*/*.safetensors)

# fuzz_target(NAME MUTATIONS [OBJECTS...])
function(fuzz_target NAME MUTATIONS)
    set(PROGRAM fuzz_${NAME}_regression)
    fuzz_program(${PROGRAM} ${FUZZ_DIR}/fuzz_${NAME}.c ${FUZZ_DIR}/regression.c ${ARGN})
    file(GLOB SEEDS CONFIGURE_DEPENDS ${FUZZ_SEEDS_${NAME}} ${FUZZ_DIR}/corpus/${NAME}/*)
    add_test(NAME fuzz_${NAME} COMMAND ${PROGRAM} ${MUTATIONS} ${SEEDS})
    set_tests_properties(fuzz_${NAME} PROPERTIES TIMEOUT 120)
    if(BP_FUZZ)
        fuzz_program(fuzz_${NAME} ${FUZZ_DIR}/fuzz_${NAME}.c ${ARGN})
        target_link_options(fuzz_${NAME} PRIVATE -fsanitize=fuzzer)
    endif()
endfunction()

foreach(NAME npy idx csv safetensors notation plan)
    fuzz_target(${NAME} 20000)
endforeach()
foreach(NAME config report) # which write files
    fuzz_target(${NAME} 5000 $<TARGET_OBJECTS:fuzz_cli>)
endforeach()
