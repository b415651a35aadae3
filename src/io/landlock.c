#include <fcntl.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/sandbox_priv.h"

/* What the kernel takes; longer than the header of an older system knows. */
struct ruleset {
        uint64_t handled_access_fs, handled_access_net, scoped;
};

/* Rights of later versions than the header's. */
enum { FS_TRUNCATE = 1 << 14, FS_IOCTL_DEV = 1 << 15 };

/* By version of the interface: how many of the file system's rights there are (landlock(7)). */
static const unsigned char fs_rights[] = { 0, 13, 14, 15, 15, 16 };

enum { NET_BIND_TCP = 1, SCOPE_ABSTRACT_UNIX = 1, SCOPE_SIGNAL = 2 };

/* As the kernel takes it; the header of an older system has no name for it. */
struct port_rule {
        uint64_t allowed_access, port;
};
enum { RULE_PORT = 2, ANY_FREE_PORT = 0 };

/* Of the rights, those to read, and those a file can have at all. */
enum {
        EXECUTE = LANDLOCK_ACCESS_FS_EXECUTE,
        READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
        OF_FILES = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE
};

static void path_allow(int rules, uint64_t handled, const struct sandbox_path *p)
{
        struct landlock_path_beneath_attr rule = { .parent_fd = open(p->path, O_PATH | O_CLOEXEC) };
        struct stat st;

        if (rule.parent_fd < 0)
                return;
        /* Device files are nobody's to make here, nothing is to be run, and what is written is written as files. */
        uint64_t write = handled & ~(uint64_t)(EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                               LANDLOCK_ACCESS_FS_MAKE_BLOCK | FS_IOCTL_DEV);

        rule.allowed_access = p->may_write ? write : handled & READ;
        if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
                rule.allowed_access &= OF_FILES;
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        close(rule.parent_fd);
}

static void paths_allow(int rules, uint64_t handled, const struct sandbox_paths *paths)
{
        /* Where a sanitizer's report looks for threads, maps and names. */
        static const struct sandbox_path looked_at[] = {
                { .path = "/proc" }, { .path = "/usr" }, { .path = "/lib" }, { .path = "/lib64" }
        };

        for (size_t i = 0; paths && i < paths->count; i++)
                path_allow(rules, handled, &paths->at[i]);
        for (size_t i = 0; SANDBOX_IS_SANITIZED && paths && i < ARRAY_SIZE(looked_at); i++)
                path_allow(rules, handled, &looked_at[i]);
}

/* An agent and control may call from an address of their own, but from no port of their own: a listener would want one. */
static void own_address_allow(int rules, enum sandbox_role role)
{
        static const struct port_rule rule = { NET_BIND_TCP, ANY_FREE_PORT };

        if (role == SANDBOX_NODE || role == SANDBOX_CONTROL)
                syscall(SYS_landlock_add_rule, rules, RULE_PORT, &rule, 0);
}

/* A worker and a key holder have everything open they need; the others may be told of a socket by its abstract name. */
static uint64_t scopes(enum sandbox_role role)
{
        return role == SANDBOX_WORKER || role == SANDBOX_KEYS ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL
                                                              : SCOPE_SIGNAL;
}

int landlock_enter(enum sandbox_role role, const struct sandbox_paths *paths)
{
        struct ruleset rules = { 0 };
        size_t size = offsetof(struct ruleset, handled_access_net);
        long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

        if (version < 1)
                return 0;
        size_t known = (size_t)MIN(version, (long)ARRAY_SIZE(fs_rights) - 1);
        rules.handled_access_fs = (UINT64_C(1) << fs_rights[known]) - 1;
        if (version >= 4) {
                rules.handled_access_net = NET_BIND_TCP;
                size = offsetof(struct ruleset, scoped);
        }
        if (version >= 6) {
                rules.scoped = scopes(role);
                size = sizeof(rules);
        }
        /* Without a rule in it nothing that is handled is allowed. */
        int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
        if (fd < 0)
                return 0;
        paths_allow(fd, rules.handled_access_fs, paths);
        own_address_allow(fd, role);
        bool ok = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
        close(fd);
        return ok ? (int)version : 0;
}
