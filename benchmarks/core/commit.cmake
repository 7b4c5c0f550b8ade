# Writes OUT, a header with the commit of the sources in SOURCE_DIR; only where it changed, so that nothing is built anew.
find_package(Git QUIET)
set(COMMIT "unknown")
if(GIT_FOUND)
    execute_process(COMMAND ${GIT_EXECUTABLE} -C ${SOURCE_DIR} describe --always --dirty --exclude * OUTPUT_VARIABLE DESCRIBED
                    OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE FAILED)
    if(FAILED EQUAL 0)
        set(COMMIT ${DESCRIBED})
    endif()
endif()
file(WRITE ${OUT}.new "#define BPB_COMMIT \"${COMMIT}\"\n")
file(COPY_FILE ${OUT}.new ${OUT} ONLY_IF_DIFFERENT)
