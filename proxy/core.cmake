# The pure half of the room: bytes and times in, values out. Unit tests and
# fuzzers link only this.
set(_here ${CMAKE_CURRENT_LIST_DIR})
add_library(proxy_core STATIC
    ${_here}/smtp/reply.c ${_here}/smtp/path.c ${_here}/smtp/xtext.c ${_here}/smtp/command.c ${_here}/smtp/params.c
    ${_here}/smtp/line.c ${_here}/smtp/data.c ${_here}/smtp/received.c
    ${_here}/smtp/session.c ${_here}/smtp/session_command.c ${_here}/smtp/session_body.c
    ${_here}/relay/answer.c ${_here}/relay/backend.c ${_here}/relay/proxy_header.c)
target_include_directories(proxy_core PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(proxy_core PRIVATE danegate_flags PUBLIC base_core)
