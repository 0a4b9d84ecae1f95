/* Replays files, and all files below directories, through a fuzz target, without libFuzzer.
 * Usage: PROGRAM FILE-OR-DIRECTORY...   A finding ends it as it would end the fuzzer. */
#include <errno.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OPEN_DIRECTORIES = 16 };

static size_t n_files;

static int replay(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    size_t size = (size_t)st->st_size;
    uint8_t *data;
    FILE *file;

    (void)ftw;
    if (type == FTW_D)
        return 0;
    if (type != FTW_F) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 1;
    }
    file = fopen(path, "rb");
    /* Of the exact size, so that a sanitizer sees the first byte read behind the end. */
    data = malloc(size ? size : 1);
    if (!file || !data || fread(data, 1, size, file) != size) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        free(data);
        if (file)
            fclose(file);
        return 1;
    }
    fclose(file);
    if (getenv("VERBOSE"))
        fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    n_files++;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int result = nftw(argv[i], replay, MAX_OPEN_DIRECTORIES, FTW_PHYS);

        if (result < 0)
            fprintf(stderr, "%s: %s\n", argv[i], strerror(errno));
        if (result)
            return EXIT_FAILURE;
    }
    printf("%zu files replayed\n", n_files);
    /* A corpus that was not found must not pass for one without findings. */
    return n_files ? EXIT_SUCCESS : EXIT_FAILURE;
}
