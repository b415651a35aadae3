#include "io/sandbox.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "io/process.h"
#include "io/sandbox_priv.h"

enum { CAPABILITIES_MAX = 64 };

enum err sandbox_user_find(const char *name, struct sandbox_user *out)
{
        char names[4096];
        struct passwd record, *found = NULL;

        if (getpwnam_r(name, &record, names, sizeof(names), &found) != 0 || !found)
                return ERR_NOT_FOUND;
        *out = (struct sandbox_user){ true, found->pw_uid, found->pw_gid };
        return ERR_OK;
}

static bool user_change(const struct sandbox_user *user)
{
        if (setgroups(0, NULL) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
            setresuid(user->uid, user->uid, user->uid) != 0)
                return false;
        return user->uid == 0 || setuid(0) != 0; /* there must be no way back */
}

/* What no program run from here could get back. Only root can shrink it, so before the user changes; it takes nothing
 * from what we hold ourselves. */
static void bounds_drop(void)
{
        for (unsigned long c = 0; c < CAPABILITIES_MAX; c++)
                prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
}

static bool capabilities_drop(void)
{
        struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
        struct __user_cap_data_struct none[2];

        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        memset(none, 0, sizeof(none));
        return syscall(SYS_capset, &header, none) == 0;
}

enum err sandbox_enter(enum sandbox_role role, const struct sandbox_user *user, struct sandbox *out)
{
        struct sandbox s = { 0 };

        *out = s;
        tzset(); /* gmtime_r reads /etc/localtime at its first call, UTC or not */
        bounds_drop();
        if (user->is_set && geteuid() == 0) {
                if (!user_change(user))
                        return ERR_DENIED;
                s.has_new_user = true;
        }
        s.uid = geteuid();
        s.has_no_privileges = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
        s.has_no_capabilities = capabilities_drop();
        process_forbid_dumps();
        s.has_no_dumps = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
        s.landlock = landlock_enter();
        s.has_filter = seccomp_enter(role);
        *out = s;
        return ERR_OK;
}
