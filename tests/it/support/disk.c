/* A disk that fails: loaded before the C library, it lets calls on the files of the store fail.
 *
 * The file named by DISK_FAULT says how: "ERRNO KIND SKIP NUMBER". KIND is `write` or `sync`; SKIP calls
 * of that kind pass first. With another NUMBER counting begins anew. An empty file: nothing fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static int fails(int file, const char *kind) {
    char link[64], target[4096], told[128] = "", found[16];
    static char last[128];
    static int seen;
    int error, skip;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0) { errno = before; return 0; }
    target[length] = 0;
    if (!strstr(target, "/state.db")) { errno = before; return 0; }
    int control = open(getenv("DISK_FAULT"), O_RDONLY | O_CLOEXEC);
    if (control >= 0) {
        length = read(control, told, sizeof told - 1);
        if (length > 0) told[length] = 0;
        close(control);
    }
    errno = before;
    if (strcmp(told, last)) { strcpy(last, told); seen = 0; }
    if (sscanf(told, "%d %15s %d", &error, found, &skip) != 3) return 0;
    if (strcmp(found, kind) || seen++ < skip) return 0;
    errno = error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    return fails(file, "write") ? -1 : REAL(write)(file, bytes, count);
}
ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    return fails(file, "write") ? -1 : REAL(pwrite)(file, bytes, count, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    return fails(file, "write") ? -1 : REAL(pwrite64)(file, bytes, count, at);
}
int ftruncate(int file, off_t length) {
    return fails(file, "write") ? -1 : REAL(ftruncate)(file, length);
}
int ftruncate64(int file, off64_t length) {
    return fails(file, "write") ? -1 : REAL(ftruncate64)(file, length);
}
int fsync(int file) {
    return fails(file, "sync") ? -1 : REAL(fsync)(file);
}
int fdatasync(int file) {
    return fails(file, "sync") ? -1 : REAL(fdatasync)(file);
}
