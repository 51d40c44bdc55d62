/* Owns:  what the two halves of a small world share: small.c, the world, and
 *        small_shell.c, the controller's shell in it.
 * Never: is included elsewhere.
 * Spec:  –
 * Start at: choose. */
#ifndef TESTS_SIM_SMALL_ROOM_H
#define TESTS_SIM_SMALL_ROOM_H

#include "small.h"

extern const char *const small_names[S_INSTANCES];

/* choose takes one of `n` ways; 0 first. happens: does it, if it can? */
unsigned choose(struct small_run *r, unsigned n);
bool happens(struct small_run *r, bool possible);
/* say tells what happens, when it is wanted; fail keeps the first thing that is broken. */
void say(struct small_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fail(struct small_run *r, const char *what, const char *words);
struct stamp now(struct small_run *r);

struct small_set set_read(const struct tlsa_set *in);
struct tlsa_set set_tlsa(const struct small_set *in);

/* A tick passes; the wall clock shows `wall_ticks`. */
void tick(struct small_run *r, int64_t wall_ticks);
void boot(struct small_run *r);
void update(struct small_run *r, const struct small_set *adds, const struct small_set *deletes);
void arrive(struct small_run *r); /* what is on its way */
/* An instance presents, makes, deletes a generation. */
void present(struct small_run *r, unsigned instance, unsigned generation);
void prepare(struct small_run *r, unsigned instance);
void retire(struct small_run *r, unsigned instance, unsigned generation);

/* The controller does what was decided. */
void step_daemon(struct small_run *r);

#endif
