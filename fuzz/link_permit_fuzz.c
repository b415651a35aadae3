/*
 * fuzz/link_permit_fuzz.c - any text as a file of permits: refused with a reason, or each key of a line may talk to the next.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/text.h"
#include "link/permit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct report report;
        struct link_permit *p = NULL;

        report_init(&report, STR("fuzz"));
        enum err e = link_permit_parse((struct str){ (const char *)data, size }, &report, &p);
        if ((e == ERR_CONFIG) != (report.errors_count > 0) || (e == ERR_OK) != (p != NULL))
                abort();
        if (p && size >= 89) {
                uint8_t a[LINK_KEY_BYTES], b[LINK_KEY_BYTES];
                size_t len;
                const char *t = (const char *)data;
                if (crypto_base64_parse((struct str){ t, 44 }, a, sizeof(a), &len) == ERR_OK &&
                    t[44] == ' ' &&
                    crypto_base64_parse((struct str){ t + 45, 44 }, b, sizeof(b), &len) == ERR_OK &&
                    (size == 89 || t[89] == '\n') &&
                    link_permit_allows(p, a, b) != (memcmp(a, b, sizeof(a)) != 0))
                        abort();
        }
        link_permit_free(p);
        report_fini(&report);
        return 0;
}
