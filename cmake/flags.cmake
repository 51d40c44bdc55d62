# One INTERFACE target carries every flag. `assert` stays on in release: it
# marks our own bugs, and stopping is better than going on with a wrong idea.
add_library(danegate_flags INTERFACE)
target_compile_definitions(danegate_flags INTERFACE _GNU_SOURCE DANEGATE_VERSION="${PROJECT_VERSION}")
target_compile_options(danegate_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:
    -Wall;-Wextra;-Wconversion;-Wshadow;-Wstrict-prototypes;-Wmissing-prototypes;-Wvla;-Wpointer-arith;-Wwrite-strings;
    -Wundef;-Wimplicit-fallthrough;-Wformat=2;-fno-common>)
if(DANEGATE_WERROR)
    target_compile_options(danegate_flags INTERFACE $<$<COMPILE_LANGUAGE:C>:-Werror>)
endif()

string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELEASE "${CMAKE_C_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_C_FLAGS_RELWITHDEBINFO "${CMAKE_C_FLAGS_RELWITHDEBINFO}")

if(DANEGATE_SANITIZE)
    target_compile_options(danegate_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
        -fno-omit-frame-pointer)
    target_link_options(danegate_flags INTERFACE -fsanitize=address,undefined)
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
    target_compile_options(danegate_flags INTERFACE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection
        -fPIE)
    target_link_options(danegate_flags INTERFACE -pie -Wl,-z,relro,-z,now)
endif()
if(DANEGATE_FUZZ)
    target_compile_options(danegate_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(DANEGATE_COVERAGE)
    target_compile_options(danegate_flags INTERFACE --coverage)
    target_link_options(danegate_flags INTERFACE --coverage)
endif()
