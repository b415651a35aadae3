/*
 * tests/unit/dice.h - a generator of our own, so that a failure is the same everywhere.
 */
#pragma once

#include <stdint.h>

static uint32_t seed;

/* 0 to sides - 1. */
static inline uint32_t dice(uint32_t sides)
{
        seed = seed * 1664525u + 1013904223u;
        return (seed >> 8) % sides;
}
