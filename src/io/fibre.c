#include "io/fibre.h"

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(WITH_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>
#endif

/*
 * Theory of operation. A stack is one mapping: a guard page, the stack, and at its upper end the fibre itself. One that is
 * done is kept for the next, as a handshake takes one only for as long as it runs or waits: it stands still behind the end of
 * its function, and runs another when it is taken again.
 *
 * AddressSanitizer must hear of a change before and after it. It prints a warning when swapcontext is called, whatever it
 * was told, so there the same is made of getcontext and setcontext.
 */

enum { PAGE = 4096, STACK_BYTES = 128 * 1024, KEPT_MAX = 32 };

struct fibre {
        ucontext_t inside, outside;
        fibre_fn *fn;
        void *argument;
        bool is_done;
        struct fibre *next; /* among those that are kept */
        char *mapping;
        /* AddressSanitizer's: the stack outside */
        void *fake;
        const void *outer_stack;
        size_t outer_bytes;
};

static struct fibre *current, *kept;
static unsigned taken_count, kept_count;

struct fibre *fibre_current(void)
{
        return current;
}

#if defined(WITH_ASAN)
static void change(ucontext_t *from, ucontext_t *to)
{
        volatile bool is_back = false;

        getcontext(from);
        if (is_back)
                return;
        is_back = true;
        setcontext(to);
}

static void leave_for(void **fake, const void *stack, size_t bytes)
{
        __sanitizer_start_switch_fiber(fake, stack, bytes);
}

static void arrive(void *fake, const void **stack, size_t *bytes)
{
        __sanitizer_finish_switch_fiber(fake, stack, bytes);
}

/* What was mapped there before (a stack with frames on it, a block of AddressSanitizer's heap) leaves its marks behind. */
static void watch_stack(const struct fibre *f, bool is_watched)
{
        if (is_watched) {
                __asan_unpoison_memory_region(f->mapping + PAGE, STACK_BYTES);
                __lsan_register_root_region(f->mapping + PAGE, STACK_BYTES);
        } else {
                __lsan_unregister_root_region(f->mapping + PAGE, STACK_BYTES);
        }
}
#else
static void change(ucontext_t *from, ucontext_t *to)
{
        swapcontext(from, to);
}

static void leave_for(void **fake, const void *stack, size_t bytes) {}
static void arrive(void *fake, const void **stack, size_t *bytes) {}
static void watch_stack(const struct fibre *f, bool is_watched) {}
#endif

/* The end of the stack is the fibre's own memory. */
static size_t stack_bytes(const struct fibre *f)
{
        return (size_t)((const char *)f - f->mapping) - PAGE;
}

static _Noreturn void begin(void)
{
        struct fibre *f = current;

        arrive(NULL, &f->outer_stack, &f->outer_bytes);
        for (;;) {
                f->fn(f->argument);
                f->is_done = true;
                fibre_pause();
        }
}

static void prepare(struct fibre *f)
{
        getcontext(&f->inside);
        f->inside.uc_stack.ss_sp = f->mapping + PAGE;
        f->inside.uc_stack.ss_size = stack_bytes(f);
        f->inside.uc_link = NULL; /* it never ends */
        makecontext(&f->inside, begin, 0);
}

static struct fibre *stack_map(void)
{
        char *mapping =
                mmap(NULL, PAGE + STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        size_t own = (sizeof(struct fibre) + 63) & ~(size_t)63;

        if (mapping == MAP_FAILED)
                return NULL;
        if (mprotect(mapping, PAGE, PROT_NONE) != 0) {
                munmap(mapping, PAGE + STACK_BYTES);
                return NULL;
        }
        struct fibre *f = (struct fibre *)(void *)(mapping + PAGE + STACK_BYTES - own);

        f->mapping = mapping;
        prepare(f);
        watch_stack(f, true);
        return f;
}

struct fibre *fibre_new(fibre_fn *fn, void *argument)
{
        struct fibre *f = kept;

        if (taken_count >= FIBRES_MAX)
                return NULL;
        if (f) {
                kept = f->next;
                kept_count--;
        } else if (!(f = stack_map())) {
                return NULL;
        }
        taken_count++;
        f->fn = fn;
        f->argument = argument;
        f->is_done = false;
        return f;
}

static void give_back(struct fibre *f)
{
        taken_count--;
        if (kept_count < KEPT_MAX) {
                f->next = kept;
                kept = f;
                kept_count++;
                return;
        }
        watch_stack(f, false);
        munmap(f->mapping, PAGE + STACK_BYTES);
}

bool fibre_run(struct fibre *f)
{
        assert(!current);
        current = f;
        leave_for(&f->fake, f->mapping + PAGE, stack_bytes(f));
        change(&f->outside, &f->inside);
        arrive(f->fake, NULL, NULL);
        current = NULL;
        if (!f->is_done)
                return false;
        give_back(f);
        return true;
}

void fibre_pause(void)
{
        struct fibre *f = current;
        void *fake;

        assert(f);
        leave_for(&fake, f->outer_stack, f->outer_bytes);
        change(&f->inside, &f->outside);
        arrive(fake, &f->outer_stack, &f->outer_bytes);
}
