# danegate_room(<room> PURE <files> SHELL <files> PURE_USES <targets> SHELL_USES <targets>)
#
# Makes <room>_core from the pure files (no suffix: bytes and times in, values
# out) and <room> from the files that touch the outside world. <room> links
# <room>_core; unit tests, the simulator and the fuzzers link <room>_core only.
function(danegate_room room)
    cmake_parse_arguments(R "" "" "PURE;SHELL;PURE_USES;SHELL_USES" ${ARGN})
    if(R_PURE)
        add_library(${room}_core STATIC ${R_PURE})
        target_include_directories(${room}_core PUBLIC ${PROJECT_SOURCE_DIR})
        target_link_libraries(${room}_core PRIVATE danegate_flags PUBLIC ${R_PURE_USES})
        set(core ${room}_core)
    endif()
    if(R_SHELL)
        add_library(${room} STATIC ${R_SHELL})
        target_include_directories(${room} PUBLIC ${PROJECT_SOURCE_DIR})
        target_link_libraries(${room} PRIVATE danegate_flags PUBLIC ${core} ${R_SHELL_USES})
    else()
        add_library(${room} INTERFACE)
        target_link_libraries(${room} INTERFACE ${core})
    endif()
endfunction()

# danegate_program(<name> <main.c> <targets…>)
function(danegate_program name main)
    add_executable(${name} ${main})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${name} PRIVATE danegate_flags ${ARGN})
    # BoringSSL's names stay inside: they would shadow OpenSSL's in libldns.
    target_link_options(${name} PRIVATE -Wl,--exclude-libs,ALL)
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin LINKER_LANGUAGE CXX)
endfunction()

# danegate_unit(<name> <source> <targets…>): one cmocka program, one ctest.
function(danegate_unit name source)
    add_executable(test_${name} ${source})
    target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(test_${name} PRIVATE danegate_flags cmocka ${ARGN})
    set_target_properties(test_${name} PROPERTIES LINKER_LANGUAGE CXX)
    add_test(NAME unit.${name} COMMAND test_${name})
endfunction()
