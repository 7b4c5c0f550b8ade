# jansson by header and library.
find_path(JANSSON_INCLUDE_DIR jansson.h)
find_library(JANSSON_LIBRARY jansson)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(jansson_direct REQUIRED_VARS JANSSON_LIBRARY JANSSON_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "install jansson (Debian: libjansson-dev)")
if(jansson_direct_FOUND AND NOT TARGET jansson::direct)
    add_library(jansson::direct UNKNOWN IMPORTED)
    set_target_properties(jansson::direct PROPERTIES IMPORTED_LOCATION ${JANSSON_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${JANSSON_INCLUDE_DIR})
endif()
