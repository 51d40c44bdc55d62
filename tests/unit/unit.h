/* Owns:  what every unit test includes: cmocka in the order it needs.
 * Never: holds helpers of one room; those stay beside that room's tests.
 * Spec:  –
 * Start at: – */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NUM(array) (sizeof(array) / sizeof((array)[0]))

#endif
