# criterion_test(NAME [LABELS...]): makes the Criterion program NAME a test, run by tests/run/criterion.py, which fails it
# for what Criterion overlooks: no tests, leaks, races. -j1 is given there: the machine's cores are ctest's.
# python_tests(NAME FOLDER): the same for the test_*.py of a folder.
# Debian's own python3 first: its packages (numpy, torch) are the ones that the documentation names.
find_program(BP_PYTHON NAMES python3 HINTS /usr/bin NO_CMAKE_PATH NO_CMAKE_ENVIRONMENT_PATH REQUIRED)
set(BP_TEST_RUNNER ${CMAKE_CURRENT_LIST_DIR}/../tests/run)
set(BP_TEST_RESULTS ${CMAKE_BINARY_DIR}/test-results)

function(criterion_test NAME)
    target_sources(${NAME} PRIVATE ${BP_TEST_RUNNER}/thread_sanitizer.c)
    add_test(NAME ${NAME} COMMAND ${BP_PYTHON} ${BP_TEST_RUNNER}/criterion.py --results ${BP_TEST_RESULTS}
                                  $<TARGET_FILE:${NAME}>)
    set_tests_properties(${NAME} PROPERTIES TIMEOUT 600 LABELS "${ARGN}")
endfunction()

function(python_tests NAME FOLDER)
    add_test(NAME ${NAME} COMMAND ${BP_PYTHON} ${BP_TEST_RUNNER}/unittests.py --results ${BP_TEST_RESULTS} ${NAME} ${FOLDER})
    set_tests_properties(${NAME} PROPERTIES TIMEOUT 600 ENVIRONMENT
        "BP_BINARY_DIR=${CMAKE_BINARY_DIR};BP_SANITIZE=${BP_SANITIZE};BP_CLI=$<$<TARGET_EXISTS:backprop_cli>:$<TARGET_FILE:backprop_cli>>;PYTHONDONTWRITEBYTECODE=1")
endfunction()
