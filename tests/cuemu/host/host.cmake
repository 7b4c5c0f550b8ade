# The stand-in for libcudart: all of host/ and device/, under NVIDIA's soname and symbol version.
set(CUEMU_LIBRARY_DIR ${CMAKE_CURRENT_BINARY_DIR}/lib)
find_path(CUEMU_CUDA_INCLUDE cuda_runtime_api.h HINTS /usr/local/cuda/include REQUIRED)

# cuemu_unimplemented(out list): a source with one function for each exported name that is not implemented: it says so
# and ends the process. The list is checked against NVIDIA's library by test_exports.
function(cuemu_unimplemented OUT LIST)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${LIST})
    file(STRINGS ${LIST} NAMES)
    set(TEXT "/* Generated from ${LIST}. */\n_Noreturn void cue_fatal(const char *format, ...);\n")
    foreach(NAME ${NAMES})
        string(APPEND TEXT "void ${NAME}(void);\nvoid ${NAME}(void)\n{\n    "
                           "cue_fatal(\"%s is not implemented in cuemu\", __func__);\n}\n")
    endforeach()
    file(CONFIGURE OUTPUT ${OUT} CONTENT "${TEXT}" @ONLY)
endfunction()

# cuemu_stand_in(target name folder sources...): a shared library lib<name>.so.13 that exports what folder/lib<name>.map says.
function(cuemu_stand_in TARGET NAME FOLDER)
    add_library(${TARGET} SHARED ${ARGN})
    set_target_properties(${TARGET} PROPERTIES OUTPUT_NAME ${NAME} SOVERSION 13 LIBRARY_OUTPUT_DIRECTORY ${CUEMU_LIBRARY_DIR}
                                               C_VISIBILITY_PRESET default)
    target_include_directories(${TARGET} SYSTEM PRIVATE ${CUEMU_CUDA_INCLUDE})
    target_link_options(${TARGET} PRIVATE -Wl,--no-undefined
                        -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/${FOLDER}/lib${NAME}.map)
    set_property(TARGET ${TARGET} APPEND PROPERTY LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${FOLDER}/lib${NAME}.map)
    target_link_libraries(${TARGET} PRIVATE cuemu_options)
endfunction()

cuemu_unimplemented(${CMAKE_CURRENT_BINARY_DIR}/cudart_unimplemented.c ${CMAKE_CURRENT_SOURCE_DIR}/host/unimplemented.txt)
cuemu_stand_in(cuemu_cudart cudart host
    host/api.c
    host/capture.c
    host/clock.c
    host/copy.c
    host/device.c
    host/error_names.c
    host/event.c
    host/fault.c
    host/function.c
    host/graph.c
    host/graph_nodes.c
    host/handle.c
    host/host_function.c
    host/launch.c
    host/memory.c
    host/memset.c
    host/op.c
    host/pending.c
    host/pinned.c
    host/registration.c
    host/site.c
    host/stream.c
    host/symbol.c
    ${CMAKE_CURRENT_BINARY_DIR}/cudart_unimplemented.c
)
# What cuBLAS uses of cuemu crosses a library boundary: the version script decides, not the object files.
set_target_properties(cuemu_device PROPERTIES C_VISIBILITY_PRESET default)
find_package(Threads REQUIRED)
target_link_libraries(cuemu_cudart PRIVATE $<LINK_LIBRARY:WHOLE_ARCHIVE,cuemu_device> Threads::Threads ${CMAKE_DL_LIBS} m)
