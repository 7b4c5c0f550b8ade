# oneDNN by header and library: Debian's dnnl-config.cmake asks for OpenCL files that a CPU build does not need.
find_path(DNNL_INCLUDE_DIR dnnl.h)
find_library(DNNL_LIBRARY dnnl)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(dnnl_direct REQUIRED_VARS DNNL_LIBRARY DNNL_INCLUDE_DIR
    REASON_FAILURE_MESSAGE "install oneDNN (Debian: libdnnl-dev)")
if(dnnl_direct_FOUND AND NOT TARGET dnnl::direct)
    add_library(dnnl::direct UNKNOWN IMPORTED)
    set_target_properties(dnnl::direct PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})
endif()
