#include "conf/types_priv.h"

#include <inttypes.h>
#include <stdio.h>

struct unit {
        uint64_t size;
        const char *name;
};

static const struct unit durations[] = {
        { 24 * 3600 * 1000, "d" }, { 3600 * 1000, "h" }, { 60 * 1000, "m" }, { 1000, "s" }, { 1, "ms" },
};
static const struct unit sizes[] = {
        { 1ULL << 40, "TiB" }, { 1 << 30, "GiB" }, { 1 << 20, "MiB" }, { 1 << 10, "KiB" }, { 1, "" },
};
static const struct unit periods[] = {
        { 24 * 3600 * 1000, "day" },
        { 3600 * 1000, "h" },
        { 60 * 1000, "min" },
        { 1000, "s" },
};

static const char *unit_format(const struct unit *units, size_t count, uint64_t value,
                               char out[CONF_UNIT_TEXT_MAX])
{
        size_t i = 0;

        while (i < count - 1 && (value == 0 ? units[i].size > 1000 : value % units[i].size != 0))
                i++;
        snprintf(out, CONF_UNIT_TEXT_MAX, "%" PRIu64 "%s", value / units[i].size, units[i].name);
        return out;
}

const char *conf_unit_format(enum conf_type type, uint64_t value, char out[CONF_UNIT_TEXT_MAX])
{
        if (type == CONF_TYPE_DURATION)
                return unit_format(durations, ARRAY_SIZE(durations), value, out);
        if (type == CONF_TYPE_BYTES && value != 0)
                return unit_format(sizes, ARRAY_SIZE(sizes), value, out);
        snprintf(out, CONF_UNIT_TEXT_MAX, "%" PRIu64, value);
        return out;
}

const char *conf_rate_format(struct units_rate rate, char out[CONF_UNIT_TEXT_MAX])
{
        const char *name = "ms";

        for (size_t i = 0; i < ARRAY_SIZE(periods); i++)
                if ((uint64_t)rate.period_ms == periods[i].size)
                        name = periods[i].name;
        snprintf(out, CONF_UNIT_TEXT_MAX, "%" PRIu64 "/%s", rate.count, name);
        return out;
}
