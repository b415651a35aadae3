/*
 * tests/unit/store/postgres_server.h - a real PostgreSQL for one test program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* False: it is not installed (said on stdout). */
bool postgres_start(void);
void postgres_stop(void);
/* Stops it at once, as a crash would, and starts it again on the same data. */
void postgres_crash(void);

/* A new schema, and its URL. */
void postgres_place(unsigned number, char *url, size_t url_size);
