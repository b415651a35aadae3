/*
 * fuzz/replay.c - runs every file of a corpus folder through one fuzz target, for the unit run.
 *
 * The folder must hold at least one file: an empty corpus would prove nothing.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
        size_t files = 0;

        for (int i = 1; i < argc; i++) {
                DIR *dir = opendir(argv[i]);
                if (!dir) {
                        perror(argv[i]);
                        return 1;
                }
                for (struct dirent *entry; (entry = readdir(dir));) {
                        char path[4096];
                        size_t size;

                        if (entry->d_name[0] == '.')
                                continue;
                        snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
                        uint8_t *data = file_read(path, &size);
                        LLVMFuzzerTestOneInput(data, size);
                        free(data);
                        files++;
                }
                closedir(dir);
        }
        if (files == 0) {
                fprintf(stderr, "replay: no corpus file given\n");
                return 1;
        }
        printf("%zu files replayed\n", files);
        return 0;
}
