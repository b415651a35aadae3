/*
 * tests/unit/io/with_loop.h - a loop made before each test and freed behind it.
 */
#pragma once

#include "../test.h"
#include "io/loop.h"

static struct loop *loop;

static inline int setup(void **state)
{
        return loop_new(&loop) == ERR_OK ? 0 : -1;
}

static inline int teardown(void **state)
{
        loop_free(loop);
        return 0;
}
