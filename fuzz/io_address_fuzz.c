/* Listening addresses of a configuration, and a hosts file: what is accepted reads the same again. */
#include <assert.h>
#include <string.h>

#include "io/listener.h"
#include "io/resolver_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = { (const char *)data, size };
        struct listen_address a, again;
        char formatted[LISTEN_ADDRESS_TEXT_MAX];
        struct hosts h;

        if (listen_address_parse(text, &a) == ERR_OK) {
                assert(listen_address_parse(listen_address_format(&a, formatted), &again) == ERR_OK);
                assert(ip_eq(a.ip, again.ip) && a.port == again.port && str_eq(a.path, again.path));
        }
        hosts_init(&h, (struct hash_key){ 1, 2 });
        hosts_parse(&h, text);
        for (const struct hosts_entry *e = h.entries; e; e = e->next) {
                assert(hosts_find(&h, (struct str){ e->name, e->len }) == &e->answer);
                assert(e->answer.addresses_count >= 1 && e->answer.addresses_count <= RESOLVER_ADDRESSES_MAX);
        }
        hosts_fini(&h);
        return 0;
}
