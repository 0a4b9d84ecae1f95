/* DESIGN
 *
 * A chain of blocks between the loop, which fills it, and the worker, which empties it, under a lock
 * that is a leaf.  The block that the worker reads is its own and no longer in the chain.  The worker
 * waits in task_wait and is nudged only when it does wait; the loop gets mail only when it has asked
 * for it (`stalled`), or when the worker finds nothing, as the client may be waiting to be asked.
 *
 * At most one letter is under way; it was posted before the task's own, so it is delivered before the
 * request can end. */
#include "body_stream.h"

#include "list.h"
#include "stream_blocks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct body_stream {
    struct request *request;
    void (*wanted)(struct request *request);
    struct mail mail;
    struct stream_block *current; /* the worker's */

    pthread_mutex_t lock; /* guards all that follows */
    struct stream_blocks blocks;
    bool ended;
    int result;   /* with `ended`: what the worker gets then */
    bool waiting; /* the worker is to be nudged when something comes */
    bool stalled; /* the loop has stopped reading */
    bool mailed;  /* `mail` is under way */
};

static void on_mail(struct mail *mail)
{
    struct body_stream *stream = container_of(mail, struct body_stream, mail);

    pthread_mutex_lock(&stream->lock);
    stream->mailed = false;
    pthread_mutex_unlock(&stream->lock);
    stream->wanted(stream->request);
}

int body_stream_begin(struct request *request, const char *data, size_t len,
                      void (*wanted)(struct request *request))
{
    struct body_stream *stream = calloc(1, sizeof *stream);

    if (!stream)
        return -ENOMEM;
    stream->request = request;
    stream->wanted = wanted;
    stream->mail.deliver = on_mail;
    pthread_mutex_init(&stream->lock, NULL);
    request->body_stream = stream;
    return stream_blocks_add(&stream->blocks, data, len);
}

static void tell_worker(struct body_stream *stream, bool waiting)
{
    if (waiting)
        task_nudge(&stream->request->task);
}

int body_stream_add(struct request *request, const char *data, size_t len)
{
    struct body_stream *stream = request->body_stream;
    bool waiting;
    int r;

    pthread_mutex_lock(&stream->lock);
    r = stream_blocks_add(&stream->blocks, data, len);
    if (!r && stream->blocks.size >= BODY_STREAM_LIMIT)
        r = stream->stalled = true;
    waiting = stream->waiting;
    stream->waiting = false;
    pthread_mutex_unlock(&stream->lock);
    tell_worker(stream, waiting);
    return r;
}

void body_stream_end(struct request *request, int r)
{
    struct body_stream *stream = request->body_stream;
    bool waiting;

    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    stream->result = r;
    waiting = stream->waiting;
    stream->waiting = false;
    pthread_mutex_unlock(&stream->lock);
    tell_worker(stream, waiting);
}

void body_stream_free(struct request *request)
{
    struct body_stream *stream = request->body_stream;

    if (!stream)
        return;
    request->body_stream = NULL;
    stream_blocks_clear(&stream->blocks);
    free(stream->current);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

/* ---- the worker's side ----------------------------------------------------------------------- */

/* Called with the lock held.  Whether the loop is to get a letter now. */
static bool should_mail(struct body_stream *stream)
{
    bool should = stream->stalled ? stream->blocks.size <= BODY_STREAM_RESUME
                                  : !stream->blocks.first && !stream->ended;

    if (!should || stream->mailed)
        return false;
    stream->stalled = false;
    stream->mailed = true;
    return true;
}

/* One look: the next bytes, the end, or -EAGAIN with `waiting` set. */
static ssize_t take(struct body_stream *stream, const char **data)
{
    struct mailbox *loop = stream->request->task.reply_to;
    struct stream_block *block;
    ssize_t n = 0;
    bool mail;

    pthread_mutex_lock(&stream->lock);
    block = stream->result ? NULL : stream_blocks_pop(&stream->blocks);
    if (!block)
        n = stream->ended ? stream->result : -EAGAIN;
    stream->waiting = n == -EAGAIN;
    mail = should_mail(stream);
    pthread_mutex_unlock(&stream->lock);
    if (mail)
        mailbox_post(loop, &stream->mail);
    if (!block)
        return n;
    stream->current = block;
    *data = stream_block_data(block);
    return (ssize_t)block->len;
}

/* The body came with the head. */
static ssize_t take_whole(struct request *request, const char **data)
{
    size_t len = request->body_taken ? 0 : request->body.len;

    request->body_taken = true;
    *data = request->body.data;
    return (ssize_t)len;
}

ssize_t body_read_now(struct request *request, const char **data)
{
    struct body_stream *stream = request->body_stream;

    *data = NULL;
    if (!stream)
        return take_whole(request, data);
    free(stream->current);
    stream->current = NULL;
    if (task_cancelled(&request->task))
        return -ECANCELED;
    return take(stream, data);
}

ssize_t body_read(struct request *request, const char **data)
{
    for (;;) {
        uint32_t seen = task_signals(&request->task);
        ssize_t n = body_read_now(request, data);

        if (n != -EAGAIN)
            return n;
        task_wait(&request->task, seen);
    }
}
