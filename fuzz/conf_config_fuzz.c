/* Any text as sekisho.json: it loads or it is reported; what loads can be shown. */
#include <stdint.h>
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/source.h"

struct memory {
        struct conf_source source;
        struct str text;
};

/* Each variable is there, each file holds the same few bytes. */
static enum err memory_read(struct conf_source *s, enum conf_read_kind kind, struct str name,
                            struct conf_text *out)
{
        struct memory *m = CONTAINER_OF(s, struct memory, source);

        out->mode = 0600;
        buf_add(&out->bytes, kind == CONF_READ_CONFIG ? m->text : STR("sk-0123456789abcdefghijklmn"));
        return out->bytes.full ? ERR_TOO_LARGE : ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct memory m = {
                .source = { .read = memory_read, .file = STR("sekisho.json"), .now = 1767225600000 },
                .text = { (const char *)data, size },
        };
        struct report report;
        struct conf *conf;
        struct buf out;

        report_init(&report, STR_NULL);
        buf_init(&out, 64 << 20);
        if (conf_load(&m.source, &report, &conf) == ERR_OK) {
                if (report.errors_count)
                        abort();
                conf_show(conf, &out);
        } else if (!report.errors_count && size < 1 << 20) {
                abort(); /* refused without a word */
        }
        conf_free(conf);
        report_format(&report, &out);
        buf_fini(&out);
        report_fini(&report);
        return 0;
}
