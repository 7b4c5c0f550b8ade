# The device half: an object library that the stand-in for libcudart and the device tests link.
add_library(cuemu_device STATIC
    device/settings.c
)
set_target_properties(cuemu_device PROPERTIES POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden)
target_link_libraries(cuemu_device PUBLIC cuemu_options m)
