# Criterion by header and library.
find_path(CRITERION_INCLUDE_DIR criterion/criterion.h)
find_library(CRITERION_LIBRARY criterion)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(criterion_direct REQUIRED_VARS CRITERION_LIBRARY CRITERION_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "install Criterion (Debian: libcriterion-dev), or configure with -DBP_BUILD_TESTS=OFF")
if(criterion_direct_FOUND AND NOT TARGET criterion::direct)
    add_library(criterion::direct UNKNOWN IMPORTED)
    set_target_properties(criterion::direct PROPERTIES IMPORTED_LOCATION ${CRITERION_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${CRITERION_INCLUDE_DIR})
endif()
