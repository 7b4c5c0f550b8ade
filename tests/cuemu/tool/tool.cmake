# cuemu-run: any program of ours on the stand-ins. It looks for them in lib/ beside itself.
find_path(CUEMU_JANSSON_INCLUDE jansson.h REQUIRED)
find_library(CUEMU_JANSSON_LIBRARY jansson REQUIRED)
add_executable(cuemu_run tool/cuemu_run.c tool/merge.c)
set_target_properties(cuemu_run PROPERTIES OUTPUT_NAME cuemu-run RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
target_include_directories(cuemu_run SYSTEM PRIVATE ${CUEMU_JANSSON_INCLUDE})
target_link_libraries(cuemu_run PRIVATE cuemu_options ${CUEMU_JANSSON_LIBRARY} stdc++)
