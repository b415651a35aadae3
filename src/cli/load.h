/*
 * cli/load.h - the configuration as a command needs it: found, read, checked, and what is wrong with it printed.
 */
#pragma once

#include "conf/conf.h"
#include "conf/source.h"

struct loaded {
        struct buf path; /* a NUL behind it */
        struct report report;
        struct conf *conf; /* NULL on an error */
};

/* Reads the file `given` names, or the one that is found. The report is not printed. ERR_CONFIG, ERR_NOT_FOUND: there is
 * no file (the report says so). Whatever comes back, end it with loaded_fini. */
MUST_USE enum err loaded_init(struct loaded *l, struct str given);
/*
 * Files and variables as conf_source_system has them, but a variable that is not set here stands for itself: the gateway's
 * environment need not be that of the person who edits its tokens.
 */
void source_lenient(struct conf_source *s, struct str file);

/* As loaded_init, with that source. */
MUST_USE enum err loaded_init_lenient(struct loaded *l, struct str given);
void loaded_fini(struct loaded *l);
