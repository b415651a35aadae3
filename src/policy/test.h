/*
 * policy/test.h - the file's own tests and sshTests, asked of its tables.
 *
 * Does:   for each assertion that fails one sentence with its place. accept holds only if every address of the source
 *         reaches the destination; deny holds if not every one does (captured behaviour of the hosted service).
 * Thread: one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/compiler.h"
#include "base/report.h"
#include "policy/tables.h"

struct policy_failure {
        struct policy_place at;
        bool is_ssh;
        uint32_t index; /* of the test in its section */
        struct str src, text;
};

enum { POLICY_FAILURES_MAX = 1000 };

struct policy_test_run {
        struct policy_failure *failures;
        size_t failures_count;           /* at most POLICY_FAILURES_MAX are kept; the count goes on */
        size_t tests_count, asked_count; /* tests, and assertions in them */
        bool no_memory;
        /* private */
        struct arena arena;
};

/* Fills `run`; policy_test_run_fini frees it. */
void policy_test(const struct policy_tables *t, struct policy_test_run *run);
void policy_test_run_fini(struct policy_test_run *run);

/* As errors of a report: "test(s) failed: tests[0]: alice@example.com: address ...". */
void policy_test_report(const struct policy_test_run *run, struct report *report);
