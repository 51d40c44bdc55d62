# The libraries from Debian, by pkg-config, as imported targets.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBUV REQUIRED IMPORTED_TARGET libuv)
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET libcares)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
# libunbound's and ldns's pkg-config files want the -dev packages of what they
# use privately; the shared libraries alone are enough.
# libcurl must be the build with GnuTLS: OpenSSL's would meet BoringSSL.
foreach(lib unbound ldns curl-gnutls)
    find_library(${lib}_LIBRARY ${lib} REQUIRED)
    add_library(${lib} INTERFACE)
    target_link_libraries(${lib} INTERFACE "${${lib}_LIBRARY}")
endforeach()
