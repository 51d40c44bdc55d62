# BoringSSL, static. -DBORINGSSL_ROOT=<prefix> names the operator's own build
# (include/openssl, lib/libssl.a, lib/libcrypto.a), which production should use;
# without it Debian's source package is built once and shared by all presets.
set(BORINGSSL_ROOT "" CACHE PATH "prefix of a BoringSSL built by the operator")
if(BORINGSSL_ROOT)
    set(_boringssl "${BORINGSSL_ROOT}")
else()
    set(_boringssl "${PROJECT_SOURCE_DIR}/build/boringssl")
    execute_process(COMMAND "${PROJECT_SOURCE_DIR}/cmake/boringssl" "${_boringssl}" COMMAND_ERROR_IS_FATAL ANY)
endif()
foreach(_f include/openssl/ssl.h lib/libssl.a lib/libcrypto.a)
    if(NOT EXISTS "${_boringssl}/${_f}")
        message(FATAL_ERROR "BoringSSL: ${_boringssl}/${_f} is missing")
    endif()
endforeach()
find_package(Threads REQUIRED)
add_library(boringssl INTERFACE)
target_include_directories(boringssl SYSTEM INTERFACE "${_boringssl}/include")
target_link_libraries(boringssl INTERFACE "${_boringssl}/lib/libssl.a" "${_boringssl}/lib/libcrypto.a" Threads::Threads stdc++)
