/*
 * fuzz/file.h - a file of a corpus in memory, for the programs that run targets without libFuzzer.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/*
 * Exactly the file's size, so that reading one byte too far is seen by the sanitizer. Ends the program when it cannot be
 * read. Gives: the caller frees it.
 */
static inline uint8_t *file_read(const char *path, size_t *size)
{
        FILE *f = fopen(path, "rb");
        struct stat info;

        if (!f || fstat(fileno(f), &info) != 0) {
                perror(path);
                exit(1);
        }
        *size = (size_t)info.st_size;
        uint8_t *data = malloc(*size ? *size : 1);
        if (!data || fread(data, 1, *size, f) != *size) {
                perror(path);
                exit(1);
        }
        fclose(f);
        return data;
}
