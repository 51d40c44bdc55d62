# The controller's pure core: facts and times in, values out. tests/unit/tlsa-sync and
# tests/sim link it, and the journal.
set(TLSA_SYNC_CORE facts.c facts_set.c facts_dns.c age.c words.c rollover.c decide.c certify.c step_dns.c step_roll.c step_off.c alarms.c alarms_dns.c sender.c marks.c operator.c guard.c guard_swap.c
    plan.c status_text.c rollover_json.c journal_tables.c)
list(TRANSFORM TLSA_SYNC_CORE PREPEND ${PROJECT_SOURCE_DIR}/tlsa-sync/)
add_library(tlsa_sync_core STATIC ${TLSA_SYNC_CORE})
target_include_directories(tlsa_sync_core PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(tlsa_sync_core PRIVATE danegate_flags PUBLIC certs_core dns_core base_core PkgConfig::JANSSON)

add_library(tlsa_sync_journal STATIC ${PROJECT_SOURCE_DIR}/tlsa-sync/journal_db.c)
target_include_directories(tlsa_sync_journal PUBLIC ${PROJECT_SOURCE_DIR})
target_link_libraries(tlsa_sync_journal PRIVATE danegate_flags PUBLIC tlsa_sync_core PkgConfig::SQLITE)

# Thousands of rolls are simulated by the tests: at -O0 under a sanitizer that takes minutes.
if(DANEGATE_SANITIZE)
    target_compile_options(tlsa_sync_core PRIVATE -O1)
endif()
