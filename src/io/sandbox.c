#include "io/sandbox.h"

#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
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

enum err sandbox_fence(enum sandbox_role role, const struct sandbox_user *user,
                       const struct sandbox_paths *paths, struct sandbox *out)
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
        s.landlock = landlock_enter(role, paths);
        *out = s;
        return ERR_OK;
}

void sandbox_filter(enum sandbox_role role, struct sandbox *s)
{
        s->has_filter = seccomp_enter(role);
}

enum err sandbox_enter(enum sandbox_role role, const struct sandbox_user *user, struct sandbox *out)
{
        enum err e = sandbox_fence(role, user, NULL, out);

        if (e == ERR_OK)
                sandbox_filter(role, out);
        return e;
}

/* ---- what it may still reach ---- */

void sandbox_paths_add(struct sandbox_paths *p, struct str path, bool may_write)
{
        if (path.len == 0 || path.len >= SANDBOX_PATH_BYTES_MAX || p->count == SANDBOX_PATHS_MAX)
                return;
        for (size_t i = 0; i < p->count; i++)
                if (p->at[i].may_write == may_write && str_eq(str_of(p->at[i].path), path))
                        return;
        struct sandbox_path *at = &p->at[p->count++];

        memcpy(at->path, path.ptr, path.len);
        at->path[path.len] = '\0';
        at->may_write = may_write;
}

void sandbox_paths_add_folder_of(struct sandbox_paths *p, struct str file, bool may_write)
{
        size_t at = file.len;

        while (at > 0 && file.ptr[at - 1] != '/')
                at--;
        sandbox_paths_add(p, at == 0 ? STR(".") : str_sub(file, 0, at), may_write);
}

void sandbox_paths_add_system(struct sandbox_paths *p)
{
        static const char *const read[] = { "/etc", "/usr/share/ca-certificates",
                                            "/usr/local/share/ca-certificates", "/usr/share/zoneinfo",
                                            "/dev/null" };
        static const char *const named[] = { "SSL_CERT_FILE", "SSL_CERT_DIR" };
        char real[PATH_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(read); i++)
                sandbox_paths_add(p, str_of(read[i]), false);
        for (size_t i = 0; i < ARRAY_SIZE(named); i++)
                sandbox_paths_add(p, str_of(getenv(named[i]) ? getenv(named[i]) : ""), false);
        /* It is often a link to what another program keeps. */
        if (realpath("/etc/resolv.conf", real))
                sandbox_paths_add_folder_of(p, str_of(real), false);
}

/* ---- for people ---- */

void sandbox_log(const struct sandbox *s, const char *process)
{
        log_info("isolation", LOG_C("process", process), LOG_N("uid", s->uid),
                 LOG_B("no_new_privileges", s->has_no_privileges),
                 LOG_B("no_capabilities", s->has_no_capabilities), LOG_B("no_dumps", s->has_no_dumps),
                 LOG_B("seccomp", s->has_filter), LOG_N("landlock", s->landlock));
        if (!s->has_filter)
                log_warning("isolation_missing", LOG_C("process", process), LOG_C("part", "seccomp"),
                            LOG_C("meaning", "this process may make any system call"));
        if (s->landlock == 0)
                log_warning("isolation_missing", LOG_C("process", process), LOG_C("part", "landlock"),
                            LOG_C("meaning", "the kernel has no Landlock, or it is off: this process reaches "
                                             "every file its user does"));
}

const char *sandbox_text(const struct sandbox *s, char out[SANDBOX_TEXT_MAX])
{
        int n = snprintf(out, SANDBOX_TEXT_MAX, "%s, %s",
                         s->has_no_privileges && s->has_no_capabilities ? "no privileges" : "PRIVILEGED",
                         s->has_filter ? "seccomp" : "NO seccomp");

        if (s->landlock)
                snprintf(out + n, SANDBOX_TEXT_MAX - (size_t)n, ", landlock %d", s->landlock);
        else
                snprintf(out + n, SANDBOX_TEXT_MAX - (size_t)n, ", NO landlock");
        return out;
}
