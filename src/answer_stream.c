/* DESIGN
 *
 * The worker puts bytes into a chain of blocks, under a lock that is a leaf, and mails the loop when
 * the chain was empty.  The loop takes the blocks and gives each of them back when the socket has
 * taken it.  `in_flight` counts what is in between; at the limit the worker waits in task_wait, which
 * a cancelled task leaves as well.  So a slow client stops its own worker and nothing else.
 *
 * Once begun, request->response belongs to the loop; the worker neither reads nor writes it.  Letters
 * were posted before the task's own, so they are delivered before the request can end. */
#include "answer_stream.h"

#include "list.h"
#include "stream_blocks.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { MAX_TRAILERS = 8 };

struct answer_stream {
    struct request *request;
    struct mail mail;
    bool has_body; /* what is written is sent; not so for HEAD and 304 */
    int64_t length;
    int64_t written; /* the worker's, until the task has ended */
    struct header trailers[MAX_TRAILERS];
    size_t n_trailers;

    pthread_mutex_t lock; /* guards all that follows */
    struct stream_blocks blocks;
    size_t in_flight; /* capacities of the blocks that were made and not given back */
    bool mailed;      /* the loop knows of the blocks that are here, or will */
    bool waiting;     /* the worker is to be nudged when there is room */
};

static void on_mail(struct mail *mail)
{
    struct request *request = container_of(mail, struct answer_stream, mail)->request;

    request->take_answer(request);
}

int answer_begin(struct request *request, int64_t length)
{
    struct answer_stream *stream;
    int status = request->response.status;

    assert(!request->answer && request->take_answer);
    if (task_cancelled(&request->task))
        return -ECANCELED;
    stream = calloc(1, sizeof *stream);
    if (!stream)
        return -ENOMEM;
    stream->request = request;
    stream->length = length;
    stream->has_body = request->method != METHOD_HEAD && status != 204 && status != 304;
    stream->mail.deliver = on_mail;
    pthread_mutex_init(&stream->lock, NULL);
    request->answer = stream;
    return 0;
}

static void mail_loop(struct request *request, bool mail)
{
    if (mail)
        mailbox_post(request->task.reply_to, &request->answer->mail);
}

/* Adds bytes.  -EAGAIN: there is no room, and the task will be nudged. */
static int add(struct request *request, const char *data, size_t len)
{
    struct answer_stream *stream = request->answer;
    bool mail = false;
    size_t before;
    int r = -EAGAIN;

    pthread_mutex_lock(&stream->lock);
    stream->waiting = stream->in_flight >= ANSWER_STREAM_LIMIT;
    if (!stream->waiting) {
        before = stream->blocks.size;
        r = stream_blocks_add(&stream->blocks, data, len);
        stream->in_flight += stream->blocks.size - before;
        mail = !stream->mailed;
        stream->mailed = true;
    }
    pthread_mutex_unlock(&stream->lock);
    mail_loop(request, mail);
    return r;
}

static int add_waiting(struct request *request, const char *data, size_t len)
{
    for (;;) {
        uint32_t seen = task_signals(&request->task);
        int r = seen & TASK_CANCELLED ? -ECANCELED : add(request, data, len);

        if (r != -EAGAIN)
            return r;
        task_wait(&request->task, seen);
    }
}

int answer_write(struct request *request, const void *data, size_t len)
{
    struct answer_stream *stream = request->answer;
    const char *bytes = data;
    int r = task_cancelled(&request->task) ? -ECANCELED : 0;

    if (stream->length >= 0 && (uint64_t)(stream->length - stream->written) < len)
        return -EMSGSIZE;
    while (!r && len) {
        size_t n = len < STREAM_BLOCK_MAX ? len : STREAM_BLOCK_MAX;

        if (stream->has_body)
            r = add_waiting(request, bytes, n);
        if (!r)
            stream->written += (int64_t)n;
        bytes += n;
        len -= n;
    }
    return r;
}

bool answer_has_room(struct request *request)
{
    struct answer_stream *stream = request->answer;
    bool room;

    pthread_mutex_lock(&stream->lock);
    room = stream->in_flight < ANSWER_STREAM_LIMIT;
    stream->waiting = !room;
    pthread_mutex_unlock(&stream->lock);
    return room;
}

int answer_flush(struct request *request)
{
    struct answer_stream *stream = request->answer;
    bool mail;

    if (task_cancelled(&request->task))
        return -ECANCELED;
    pthread_mutex_lock(&stream->lock);
    mail = !stream->mailed;
    stream->mailed = true;
    pthread_mutex_unlock(&stream->lock);
    mail_loop(request, mail);
    return 0;
}

void answer_add_trailer(struct request *request, const char *name, const char *value)
{
    struct answer_stream *stream = request->answer;

    assert(stream->n_trailers < MAX_TRAILERS);
    if (stream->n_trailers < MAX_TRAILERS)
        stream->trailers[stream->n_trailers++] = (struct header){name, value};
}

/* ---- the loop's side ------------------------------------------------------------------------- */

bool answer_has_begun(const struct request *request)
{
    return request->answer != NULL;
}

int64_t answer_length(const struct request *request)
{
    return request->answer->length;
}

struct stream_block *answer_take(struct request *request)
{
    struct answer_stream *stream = request->answer;
    struct stream_block *block;

    pthread_mutex_lock(&stream->lock);
    block = stream_blocks_pop(&stream->blocks);
    if (!block)
        stream->mailed = false;
    pthread_mutex_unlock(&stream->lock);
    return block;
}

void answer_give_back(struct request *request, struct stream_block *block)
{
    struct answer_stream *stream = request->answer;
    bool waiting;

    pthread_mutex_lock(&stream->lock);
    stream->in_flight -= block->capacity;
    waiting = stream->waiting && stream->in_flight < ANSWER_STREAM_LIMIT;
    if (waiting)
        stream->waiting = false;
    pthread_mutex_unlock(&stream->lock);
    free(block);
    if (waiting)
        task_nudge(&request->task);
}

bool answer_is_whole(const struct request *request)
{
    const struct answer_stream *stream = request->answer;

    return !stream->has_body || stream->length < 0 || stream->length == stream->written;
}

size_t answer_trailers(const struct request *request, const struct header **trailers)
{
    *trailers = request->answer->trailers;
    return request->answer->n_trailers;
}

void answer_free(struct request *request)
{
    struct answer_stream *stream = request->answer;

    if (!stream)
        return;
    request->answer = NULL;
    stream_blocks_clear(&stream->blocks);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}
