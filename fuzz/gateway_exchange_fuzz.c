/*
 * A stateful run of the whole gateway. Whatever happens, the upstream sees well-formed requests only, nobody is left behind
 * once the far ends are gone, and no byte is read that is not there (ASan).
 */
#include <stdint.h>
#include <stdlib.h>

#include "gateway_program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct lab lab;

        if (!lab.loop && lab_open(&lab) != ERR_OK)
                abort();
        program_play(&lab, (struct str){ (const char *)data, size });
        lab_hang_up(&lab);
        return 0;
}
