/*
 * base/compiler.h - the few compiler attributes and macros the house uses.
 */
#pragma once

#include <stddef.h>

#define MUST_USE                __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define LIKELY(x)               __builtin_expect(!!(x), 1)
#define UNLIKELY(x)             __builtin_expect(!!(x), 0)

/* For a large local that is written before it is read, in a hot place: without the hardened build's fill. */
#define UNINITIALIZED __attribute__((uninitialized))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)     ((a) < (b) ? (a) : (b))
#define MAX(a, b)     ((a) > (b) ? (a) : (b))

/* Tells AddressSanitizer that memory we keep is not to be touched until it is handed out again. */
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(WITH_ASAN) && __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#define MEMORY_POISON(ptr, len)   ASAN_POISON_MEMORY_REGION((ptr), (len))
#define MEMORY_UNPOISON(ptr, len) ASAN_UNPOISON_MEMORY_REGION((ptr), (len))
#else
#define MEMORY_POISON(ptr, len)   ((void)(ptr), (void)(len))
#define MEMORY_UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif

/* The struct that holds `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
