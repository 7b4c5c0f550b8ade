# What `cmake --install` puts where: the shared library, its headers, and how CMake and pkg-config find them.
include(CMakePackageConfigHelpers)
set(BP_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/backprop)

install(TARGETS backprop EXPORT backpropTargets)
install(DIRECTORY include/backprop DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT backpropTargets NAMESPACE backprop:: DESTINATION ${BP_PACKAGE_DIR})

configure_package_config_file(cmake/backpropConfig.cmake.in backpropConfig.cmake INSTALL_DESTINATION ${BP_PACKAGE_DIR})
write_basic_package_version_file(backpropConfigVersion.cmake COMPATIBILITY SameMinorVersion) # 0.x: a minor step may break
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/backpropConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/backpropConfigVersion.cmake
        DESTINATION ${BP_PACKAGE_DIR})

# The .pc file finds the rest from where it lies itself, so that an installed copy can be moved.
file(RELATIVE_PATH BP_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/backprop.pc.in backprop.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/backprop.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
