/* Any bytes as a bundle: refused, or read to the end; and loaded, as a worker does. */
#include <stdint.h>

#include "conf/conf.h"
#include "conf/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct conf_bundle bundle;
        struct report report;
        struct conf *conf;

        if (conf_bundle_open(&bundle, (struct str){ (const char *)data, size }) != ERR_OK)
                return 0;
        report_init(&report, STR_NULL);
        if (conf_load(&bundle.source, &report, &conf) != ERR_OK && conf)
                __builtin_trap();
        conf_free(conf);
        report_fini(&report);
        return 0;
}
