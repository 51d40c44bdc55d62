# Programs, man pages, the sample configuration and the systemd units.
include(GNUInstallDirs)
install(TARGETS danegate DESTINATION ${CMAKE_INSTALL_SBINDIR})
install(TARGETS tlsa-sync DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES proxy/danegate.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(FILES tlsa-sync/tlsa-sync.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES config/danegate.yaml.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(FILES config/danegate.yaml DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(unit proxy/danegate tlsa-sync/tlsa-sync)
    configure_file(${unit}.service ${PROJECT_BINARY_DIR}/${unit}.service @ONLY)
    # Where systemd looks for units that are not the distribution's own.
    install(FILES ${PROJECT_BINARY_DIR}/${unit}.service DESTINATION lib/systemd/system)
endforeach()
