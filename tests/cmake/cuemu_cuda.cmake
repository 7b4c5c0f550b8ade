# The CUDA plug-in on cuemu: the same test programs, with the library path at the stand-ins. cuemu-run fails a program
# for every report, whatever its tests say. With BP_TEST_DEVICE they run on the machine's own device, once each.
option(BP_TEST_DEVICE "Run the tests of the CUDA plug-in on the machine's device, not on cuemu" OFF)
set(BP_CUDA_TEST_S 1170)
if(BP_TEST_DEVICE)
    set(BP_CUDA_TEST_S 60) # a kernel that hangs must not take the time of all the others
endif()
math(EXPR BP_CUDA_ENTRY_S "${BP_CUDA_TEST_S} + 30")

# cuda_test(NAME STREAMS ORDER [SEED]): the entry cuda_NAME_STREAMS.
function(cuda_test NAME STREAMS ORDER)
    set(SEED 0)
    if(ARGC GREATER 3)
        set(SEED ${ARGV3})
    endif()
    set(ENTRY cuda_${NAME}_${STREAMS})
    if(STREAMS STREQUAL "random")
        string(APPEND ENTRY _${SEED})
    endif()
    if(NOT BP_TEST_DEVICE)
        set(UNDER --under "$<TARGET_FILE:cuemu_run> --quiet --streams ${STREAMS} --order ${ORDER} --seed ${SEED}")
    elseif(STREAMS STREQUAL "lazy")
        set(ENTRY cuda_${NAME}_device)
    else()
        return()
    endif()
    add_test(NAME ${ENTRY} COMMAND ${BP_PYTHON} ${BP_TEST_RUNNER}/criterion.py --results ${BP_TEST_RESULTS} --name ${ENTRY}
        --timeout ${BP_CUDA_TEST_S} ${UNDER} $<TARGET_FILE:${NAME}>)
    set_tests_properties(${ENTRY} PROPERTIES TIMEOUT ${BP_CUDA_ENTRY_S}
        ENVIRONMENT "BP_TEST_CUDA=$<TARGET_FILE:backprop_cuda>")
endfunction()

# bf16_test(ENTRY NAME [UNDER]): the program in bf16.
function(bf16_test ENTRY NAME)
    set(UNDER)
    if(ARGC GREATER 2)
        set(UNDER --under "${ARGV2}")
    endif()
    add_test(NAME ${ENTRY} COMMAND ${BP_PYTHON} ${BP_TEST_RUNNER}/criterion.py --results ${BP_TEST_RESULTS}
        --name ${ENTRY} --timeout ${BP_CUDA_TEST_S} ${UNDER} $<TARGET_FILE:${NAME}>)
    set_tests_properties(${ENTRY} PROPERTIES TIMEOUT ${BP_CUDA_ENTRY_S} ENVIRONMENT "BP_TEST_PRECISION=bf16")
endfunction()

# The cpu backend emulates it,
foreach(NAME bf16 bf16_networks backend hadamard bias_grad activation_forward activation_backward activation_derivative
        linear_forward linear_input_grad linear_weight_grad linear_hidden_delta load loss loss_edges update
        cpu_isa cpu_determinism observe_units block_forward block_backward block_dropout)
    bf16_test(cpu_bf16_test_${NAME} test_${NAME})
endforeach()

# and has products of its own where the processor has; elsewhere these are skipped.
foreach(NAME bf16 bf16_networks linear_forward linear_input_grad linear_weight_grad linear_hidden_delta cpu_determinism)
    bf16_test(cpu_bf16_native_test_${NAME} test_${NAME})
    set_property(TEST cpu_bf16_native_test_${NAME} APPEND PROPERTY ENVIRONMENT BP_CPU_BF16=native)
endforeach()

if(TARGET backprop_cuda AND (TARGET cuemu_run OR BP_TEST_DEVICE))
    foreach(NAME backend hadamard bias_grad activation_forward activation_backward activation_derivative linear_forward
            linear_input_grad linear_weight_grad load loss loss_edges update update_prepare cuda_step weight_decay memory_limit
            block_forward block_backward block_dropout observe observe_units observe_update nonfinite
            cuda_observe)
        cuda_test(test_${NAME} lazy forward)
    endforeach()
    # What kernels and a step move, and the bits of cpu.
    foreach(NAME cuda_traffic cuda_block_traffic cuda_bits cuda_step_traffic cuda_train cuda_memory_plan cli_golden)
        cuda_test(test_${NAME} lazy forward)
    endforeach()
    # Other orders of streams, blocks and threads, for the quick ones.
    foreach(NAME hadamard bias_grad activation_derivative linear_weight_grad load loss_edges update_prepare cuda_step)
        cuda_test(test_${NAME} eager reverse)
        cuda_test(test_${NAME} random random 1)
        cuda_test(test_${NAME} random random 2)
    endforeach()
    # The longest: one order more, drawn at random. What cuemu reports does not depend on the
    # order; that bits don't either is held by the others, and of whole steps by cuda_train.
    foreach(NAME block_dropout block_forward block_backward golden_blocks)
        cuda_test(test_${NAME} random random 1)
    endforeach()
    foreach(NAME block_dropout golden_blocks cuda_observe)
        cuda_test(test_${NAME} eager reverse)
    endforeach()
    foreach(NAME cuda_ways cuda_ways_networks)
        cuda_test(test_${NAME} lazy forward)
        cuda_test(test_${NAME} eager reverse)
        cuda_test(test_${NAME} random random 1)
        cuda_test(test_${NAME} random random 2)
    endforeach()
    if(NOT BP_TEST_DEVICE)
        set(UNDER "$<TARGET_FILE:cuemu_run> --quiet")
    endif()
    # The same operations in bf16, and what there is in bf16 alone.
    foreach(NAME bf16 bf16_networks hadamard bias_grad activation_forward activation_backward activation_derivative linear_forward
            linear_input_grad linear_weight_grad load loss loss_edges update block_forward block_backward block_dropout
            observe_units cuda_traffic cuda_block_traffic cuda_step)
        bf16_test(cuda_bf16_test_${NAME} test_${NAME} ${UNDER})
        set_property(TEST cuda_bf16_test_${NAME} APPEND PROPERTY ENVIRONMENT
            "BP_TEST_CUDA=$<TARGET_FILE:backprop_cuda>")
    endforeach()
    # Whole networks against PyTorch's gradients.
    if(NOT BP_TEST_DEVICE)
        set(UNDER --under "$<TARGET_FILE:cuemu_run> --quiet")
    endif()
    foreach(NAME golden golden_blocks)
        add_test(NAME cuda_test_${NAME} COMMAND ${BP_PYTHON} ${BP_TEST_RUNNER}/criterion.py --results ${BP_TEST_RESULTS}
            --name cuda_test_${NAME} --timeout ${BP_CUDA_TEST_S} ${UNDER} $<TARGET_FILE:test_${NAME}>)
        set_tests_properties(cuda_test_${NAME} PROPERTIES TIMEOUT ${BP_CUDA_ENTRY_S}
            ENVIRONMENT "BP_TEST_CUDA=$<TARGET_FILE:backprop_cuda>")
    endforeach()
else()
    message(STATUS "CUDA tests on cuemu: left out, as this build has no CUDA plug-in or no cuemu")
endif()

# The arithmetic of the launches is plain C, and tested without CUDA too.
foreach(NAME cuda_launch cuda_block_traffic)
    target_sources(test_${NAME} PRIVATE ${CMAKE_SOURCE_DIR}/kernels/cuda/launch.c)
endforeach()

# The words for a device that can't be used, on a runtime that the test plays: CUDA's headers are wanted, no library.
if(TARGET backprop_cuda)
    target_sources(test_cuda_device PRIVATE ${CMAKE_SOURCE_DIR}/kernels/cuda/device.c)
    target_include_directories(test_cuda_device SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    target_compile_definitions(test_cuda_device PRIVATE BPT_WITH_CUDA)
    # And what the program itself says, with NVIDIA's libraries.
    target_compile_definitions(test_cli_device PRIVATE BPT_WITH_CUDA)
    add_dependencies(test_cli_device backprop_cuda)
endif()
