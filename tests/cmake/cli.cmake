# Tests that run the built programs: they need them, and so a build of the command line.
foreach(NAME test_cli_usage test_cli_bad_input test_cli_device test_cli_bench test_cli_train test_cli_resume test_cli_golden test_cli_gradcheck test_cli_terminal
             test_cli_report test_cli_report_plot test_cli_validation test_cuda_train test_example)
    if(TARGET backprop_cli)
        add_dependencies(${NAME} backprop_cli train_fashion_mnist)
    else()
        set_tests_properties(${NAME} PROPERTIES DISABLED TRUE)
    endif()
endforeach()
