# Programs, man pages, completions, the sample configuration and the systemd units.
include(GNUInstallDirs)
install(TARGETS danegate DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(TARGETS tlsa-sync DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES proxy/danegate.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES tlsa-sync/tlsa-sync.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES config/danegate.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES config/danegate.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY config/examples DESTINATION ${CMAKE_INSTALL_DOCDIR} USE_SOURCE_PERMISSIONS)
# The program writes its completions itself, from its table of commands.
foreach(shell bash zsh)
    set(script ${PROJECT_BINARY_DIR}/tlsa-sync/completion.${shell})
    add_custom_command(OUTPUT ${script} DEPENDS tlsa-sync VERBATIM
        COMMAND sh -c "\"$1\" --completion \"$2\" > \"$3\"" sh $<TARGET_FILE:tlsa-sync> ${shell} ${script})
    list(APPEND completions ${script})
endforeach()
add_custom_target(completions ALL DEPENDS ${completions})
install(FILES ${PROJECT_BINARY_DIR}/tlsa-sync/completion.bash RENAME tlsa-sync
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_BINARY_DIR}/tlsa-sync/completion.zsh RENAME _tlsa-sync
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
foreach(unit proxy/danegate tlsa-sync/tlsa-sync)
    configure_file(${unit}.service ${PROJECT_BINARY_DIR}/${unit}.service @ONLY)
    # Where systemd looks for units that are not the distribution's own.
    install(FILES ${PROJECT_BINARY_DIR}/${unit}.service DESTINATION lib/systemd/system)
endforeach()
