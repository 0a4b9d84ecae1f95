/* DESIGN
 *
 * A ring is written by its source and read by the writer's thread, each of which moves one of its two
 * ends.  The writer copies what it finds to a buffer of its own, gives the room in the ring back, then
 * writes whole lines.
 *
 * Sleep.  With nothing to do the writer is IDLE until a source kicks it.  Awake it writes what there
 * is, then GATHERs for a moment, so that many lines go out by one write(2); only a ring that fills
 * quickly ends that early.  A source kicks after it has added: either it sees that the writer sleeps,
 * or the writer, which looks again before it sleeps, sees the line. */
#include "line_writer.h"

#include "clock.h"
#include "futex.h"
#include "line_sink.h"
#include "stats.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { GATHER_MS = 50, GIVE_UP_MS = 2000, BUFFER_SIZE = 1 << 17 };

enum { AWAKE, IDLE, GATHERING };

struct ring {
    _Atomic size_t head; /* bytes ever added, */
    stats_counter dropped;
    _Alignas(64) _Atomic size_t tail; /* and taken out */
    char bytes[LINE_RING_SIZE];
};

struct line_target {
    struct line_sink *sink;
    size_t from[LINE_WRITER_MAX_SOURCES]; /* of each ring: it takes what was added from there on */
};

struct line_writer {
    _Atomic(struct ring *) rings[LINE_WRITER_MAX_SOURCES];
    void (*failed)(int error);
    pthread_t thread;
    bool started;
    struct line_target *target;         /* the thread's */
    _Atomic(struct line_target *) next; /* to take its place; NULL: none */
    _Atomic bool stop;
    _Atomic uint32_t sleep; /* the futex: AWAKE, IDLE or GATHERING */
    stats_counter written;
    stats_counter failed_lines;
    char buffer[BUFFER_SIZE];
};

struct line_writer *line_writer_new(void (*failed)(int error))
{
    struct line_writer *writer = calloc(1, sizeof *writer);

    if (writer)
        writer->failed = failed;
    return writer;
}

/* ---- sources --------------------------------------------------------------------------------- */

static struct ring *get_ring(struct line_writer *writer, unsigned source)
{
    struct ring *ring = atomic_load_explicit(&writer->rings[source], memory_order_relaxed);

    if (!ring) {
        ring = calloc(1, sizeof *ring);
        atomic_store_explicit(&writer->rings[source], ring, memory_order_release);
    }
    return ring;
}

bool line_writer_add(struct line_writer *writer, unsigned source, const char *line, size_t len)
{
    struct ring *ring = get_ring(writer, source);
    size_t head, tail, at, first;

    if (!ring)
        return false;
    head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (len > LINE_RING_SIZE - (head - tail)) {
        stats_add(&ring->dropped, 1);
        return false;
    }
    at = head % LINE_RING_SIZE;
    first = len < LINE_RING_SIZE - at ? len : LINE_RING_SIZE - at;
    memcpy(ring->bytes + at, line, first);
    memcpy(ring->bytes, line + first, len - first);
    atomic_store_explicit(&ring->head, head + len, memory_order_release);
    return true;
}

static void wake(struct line_writer *writer, uint32_t from)
{
    if (atomic_compare_exchange_strong(&writer->sleep, &from, AWAKE))
        futex_wake(&writer->sleep);
}

static size_t used(struct ring *ring)
{
    return atomic_load(&ring->head) - atomic_load_explicit(&ring->tail, memory_order_acquire);
}

void line_writer_kick(struct line_writer *writer, unsigned source)
{
    struct ring *ring = atomic_load_explicit(&writer->rings[source], memory_order_relaxed);
    uint32_t state;

    if (!ring)
        return;
    /* In one order with the writer's going to sleep and looking again. */
    atomic_store(&ring->head, atomic_load_explicit(&ring->head, memory_order_relaxed));
    state = atomic_load(&writer->sleep);
    if (state == IDLE || (state == GATHERING && used(ring) > LINE_RING_SIZE / 4))
        wake(writer, state);
}

/* ---- the writer's thread --------------------------------------------------------------------- */

/* Copies what is in the ring before `limit`, as far as the buffer reaches and up to the end of a line. */
static size_t take(struct line_writer *writer, struct ring *ring, size_t limit)
{
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    size_t len = limit > tail ? limit - tail : 0, at = tail % LINE_RING_SIZE, first;
    const char *end;

    if (len > BUFFER_SIZE)
        len = BUFFER_SIZE;
    first = len < LINE_RING_SIZE - at ? len : LINE_RING_SIZE - at;
    memcpy(writer->buffer, ring->bytes + at, first);
    memcpy(writer->buffer + first, ring->bytes, len - first);
    end = len ? memrchr(writer->buffer, '\n', len) : NULL;
    len = end ? (size_t)(end - writer->buffer) + 1 : len;
    atomic_store_explicit(&ring->tail, tail + len, memory_order_release);
    return len;
}

static uint64_t count_lines(const char *bytes, size_t len)
{
    const char *end = bytes + len;
    uint64_t count = 0;

    while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes)))) {
        bytes++;
        count++;
    }
    return count;
}

static void put(struct line_writer *writer, size_t len)
{
    uint64_t lines = count_lines(writer->buffer, len);
    int r = line_sink_write(writer->target->sink, writer->buffer, len);

    stats_add(r ? &writer->failed_lines : &writer->written, lines);
    if (r && writer->failed)
        writer->failed(-r);
}

/* Writes what is in the rings up to these places.  False: there was nothing. */
static bool write_up_to(struct line_writer *writer, const size_t limits[LINE_WRITER_MAX_SOURCES])
{
    bool any = false;

    for (unsigned i = 0; i < LINE_WRITER_MAX_SOURCES && writer->target; i++) {
        struct ring *ring = atomic_load_explicit(&writer->rings[i], memory_order_acquire);
        size_t len;

        while (ring && (len = take(writer, ring, limits[i]))) {
            put(writer, len);
            any = true;
        }
    }
    return any;
}

static void find_heads(struct line_writer *writer, size_t heads[LINE_WRITER_MAX_SOURCES])
{
    for (unsigned i = 0; i < LINE_WRITER_MAX_SOURCES; i++) {
        struct ring *ring = atomic_load_explicit(&writer->rings[i], memory_order_acquire);

        heads[i] = ring ? atomic_load(&ring->head) : 0;
    }
}

/* True: there was something to do.  What is found before a change of targets is looked for was added
 * before the change. */
static bool turn(struct line_writer *writer)
{
    size_t heads[LINE_WRITER_MAX_SOURCES];
    struct line_target *next;
    bool any = false;

    find_heads(writer, heads);
    next = atomic_exchange(&writer->next, NULL);
    if (next) {
        any = write_up_to(writer, next->from);
        line_target_free(writer->target);
        writer->target = next;
    }
    return write_up_to(writer, heads) || any;
}

static bool has_work(struct line_writer *writer)
{
    bool any = atomic_load(&writer->stop) || atomic_load(&writer->next);

    for (unsigned i = 0; i < LINE_WRITER_MAX_SOURCES && !any; i++) {
        struct ring *ring = atomic_load_explicit(&writer->rings[i], memory_order_acquire);

        any = ring && used(ring);
    }
    return any;
}

static void sleep_as(struct line_writer *writer, uint32_t state, const struct timespec *until)
{
    atomic_store(&writer->sleep, state);
    if (state == GATHERING ? !atomic_load(&writer->stop) && !atomic_load(&writer->next)
                           : !has_work(writer))
        futex_wait(&writer->sleep, state, until);
    atomic_store(&writer->sleep, AWAKE);
}

static void *writer_main(void *arg)
{
    struct line_writer *writer = arg;
    bool stop = false;

    pthread_setname_np(pthread_self(), "lines");
    while (!stop) {
        bool any;

        stop = atomic_load(&writer->stop);
        any = turn(writer);
        if (any && !stop) {
            struct timespec until = clock_to_timespec(clock_now_ns() + GATHER_MS * NS_PER_MS);

            sleep_as(writer, GATHERING, &until);
        } else if (!stop) {
            sleep_as(writer, IDLE, NULL);
        }
    }
    return NULL;
}

/* ---- the main thread ------------------------------------------------------------------------- */

static void rouse(struct line_writer *writer)
{
    atomic_store(&writer->sleep, AWAKE);
    futex_wake(&writer->sleep);
}

int line_writer_start(struct line_writer *writer)
{
    int r = writer->started ? 0 : pthread_create(&writer->thread, NULL, writer_main, writer);

    if (!r)
        writer->started = true;
    return -r;
}

struct line_target *line_target_open(const char *place)
{
    struct line_target *target = calloc(1, sizeof *target);

    if (!target)
        return NULL;
    target->sink = line_sink_open(place);
    if (target->sink)
        return target;
    free(target);
    return NULL;
}

void line_target_free(struct line_target *target)
{
    if (target)
        line_sink_free(target->sink);
    free(target);
}

void line_writer_set_target(struct line_writer *writer, struct line_target *target)
{
    find_heads(writer, target->from);
    /* One that the writer has not come to yet is not wanted any more. */
    line_target_free(atomic_exchange(&writer->next, target));
    rouse(writer);
}

void line_writer_get_counts(const struct line_writer *writer, struct line_writer_counts *out)
{
    *out = (struct line_writer_counts){.written = stats_read(&writer->written),
                                       .dropped = stats_read(&writer->failed_lines)};
    for (unsigned i = 0; i < LINE_WRITER_MAX_SOURCES; i++) {
        const struct ring *ring = atomic_load_explicit(&writer->rings[i], memory_order_acquire);

        out->dropped += ring ? stats_read(&ring->dropped) : 0;
    }
}

/* False: the thread is stuck in a write. */
static bool stop_thread(struct line_writer *writer)
{
    struct timespec limit;

    if (!writer->started)
        return true;
    atomic_store(&writer->stop, true);
    rouse(writer);
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += GIVE_UP_MS / 1000;
    return pthread_timedjoin_np(writer->thread, NULL, &limit) == 0;
}

bool line_writer_free(struct line_writer *writer)
{
    if (!writer)
        return true;
    if (!stop_thread(writer))
        return false;
    for (unsigned i = 0; i < LINE_WRITER_MAX_SOURCES; i++)
        free(atomic_load(&writer->rings[i]));
    line_target_free(writer->target);
    line_target_free(atomic_load(&writer->next));
    free(writer);
    return true;
}
