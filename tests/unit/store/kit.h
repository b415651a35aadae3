/*
 * tests/unit/store/kit.h - places for stores, on either engine, and jobs as functions.
 *
 * The suite runs once an engine: `suite_test sqlite` and `suite_test postgres`. A PostgreSQL server is started for the program,
 * as an unprivileged user, in a folder of its own and on a Unix socket only; each place is a schema of it.
 */
#pragma once

#include <stdio.h>

#include "../test.h"

#include "base/arena.h"
#include "base/report.h"
#include "store/change.h"
#include "store/store.h"

enum kit_engine { KIT_SQLITE, KIT_POSTGRES };
extern enum kit_engine kit_engine;

/* False: the engine is not installed here (said on stdout). */
bool kit_setup(const char *engine);
void kit_teardown(void);

struct kit {
        char url[512];
        char path[256];      /* SQLite: its file */
        struct store *store; /* without a loop */
        struct arena arena;
        struct report report;
};

/* Names of files beside the places, gone with the program. */
void kit_file(const char *name, char out[256]);

/* A new, empty place; and with its store open. */
void kit_place(struct kit *k);
void kit_begin(struct kit *k);
void kit_end(struct kit *k); /* closes what is open and removes the place */

/* One in a SQLite file, whatever the engine of the run. */
void kit_place_sqlite(struct kit *k);

/* The store of a place, opened again. */
void kit_reopen(struct kit *k);

/* As a cmocka setup and teardown: *state is a struct kit. */
int kit_test_setup(void **state);
int kit_test_teardown(void **state);

/* Runs `fn` in one transaction. */
typedef enum err kit_fn(struct store_txn *t, void *context);
enum err kit_try(struct store *s, kit_fn *fn, void *context);
void kit_run(struct kit *k, kit_fn *fn, void *context); /* must succeed */

extern const struct store_actor kit_actor;
extern unix_ms kit_now; /* what stores of the kit take for the time */
unix_ms kit_clock(void);

/* `n` bytes of this value. */
struct str kit_bytes(struct arena *a, size_t n, uint8_t value);

#define KIT_TEST(fn) cmocka_unit_test_setup_teardown(fn, kit_test_setup, kit_test_teardown)

/* The files of the suite: each runs its group and gives the number of failures. */
int families_tests(void);
int changes_tests(void);
int addresses_tests(void);
int threads_tests(void);
int copy_tests(void);
int crash_tests(void);
int start_tests(void);
int controls_tests(void);
int dispatches_tests(void);
