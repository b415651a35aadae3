#include <linux/landlock.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/sandbox_priv.h"

/* What the kernel takes; longer than the header of an older system knows. */
struct ruleset {
        uint64_t handled_access_fs, handled_access_net, scoped;
};

/* By version of the interface: how many of the file system's rights there are (landlock(7)). */
static const unsigned char fs_rights[] = { 0, 13, 14, 15, 15, 16 };

enum { NET_BIND_TCP = 1, SCOPE_ABSTRACT_UNIX = 1, SCOPE_SIGNAL = 2 };

int landlock_enter(void)
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
                rules.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
                size = sizeof(rules);
        }
        /* Without a rule in it nothing that is handled is allowed. */
        int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
        if (fd < 0)
                return 0;
        bool ok = syscall(SYS_landlock_restrict_self, fd, 0) == 0;
        close(fd);
        return ok ? (int)version : 0;
}
