#include "fault.h"

#include <string.h>

#include "base/compiler.h"
#include "base/units.h"

static const struct {
        const char *name;
        enum fault_kind kind;
        unsigned otherwise; /* the number when none is given */
} kinds[] = {
        { "status", FAULT_STATUS, 500 },       { "reset", FAULT_RESET, 0 },
        { "close", FAULT_CLOSE, 0 },           { "stall", FAULT_STALL, 0 },
        { "garbage", FAULT_GARBAGE, 0 },       { "slow-head", FAULT_SLOW_HEAD, 20 },
        { "surplus", FAULT_SURPLUS, 0 },       { "cut-after", FAULT_CUT, 0 },
        { "reset-after", FAULT_CUT_RESET, 0 }, { "stall-after", FAULT_HANG, 0 },
        { "garbage-after", FAULT_RUBBISH, 0 }, { "error-after", FAULT_ERROR, 0 },
};

static bool parse_part(struct str name, struct str value, struct fault *f)
{
        uint64_t number = 0;
        bool has_number = value.len && units_parse_u64(value, 1000000000, &number) == ERR_OK;

        if (str_eq(name, STR("should-retry"))) {
                f->should_retry = str_eq(value, STR("true")) ? FAULT_RETRY_YES : FAULT_RETRY_NO;
                return true;
        }
        if (str_eq(name, STR("path"))) {
                if (value.len >= sizeof(f->path))
                        return false;
                memcpy(f->path, value.ptr, value.len);
                return true;
        }
        if (value.len && !has_number)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (str_eq(name, str_of(kinds[i].name))) {
                        f->kind = kinds[i].kind;
                        f->number = has_number ? (unsigned)number : kinds[i].otherwise;
                        return true;
                }
        unsigned *places[] = { &f->retry_after, &f->until_retry, &f->first };
        static const char *const names[] = { "retry-after", "until-retry", "first" };
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (has_number && str_eq(name, str_of(names[i]))) {
                        *places[i] = (unsigned)number;
                        return true;
                }
        return false;
}

bool fault_parse(struct str text, struct fault *out)
{
        struct str part;

        *out = (struct fault){ .kind = FAULT_NONE };
        while (str_split(&text, ';', &part)) {
                part = str_trim(part);
                size_t equals = str_find_char(part, '=');

                if (part.len && !parse_part(str_sub(part, 0, equals),
                                            equals == STR_NONE ? STR("") : str_from(part, equals + 1), out))
                        return false;
        }
        return out->kind != FAULT_NONE;
}
