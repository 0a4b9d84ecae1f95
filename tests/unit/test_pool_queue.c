/* The queue of a pool against a model that is slow and obvious: a table of tasks that is searched from
 * end to end for every answer. */
#include "pool_queue.h"
#include "support.h"

#include <stdlib.h>

enum { LANES = 5, TASKS = 40, STEPS = 20000 };

static const int64_t TARGET = 50, WINDOW = 400;

struct model_task {
    struct task task;
    unsigned lane;
    enum task_state state;
    uint64_t order; /* in which it became ready or was parked */
    int64_t ready_at;
};

struct model {
    struct pool_queue queue;
    struct lane_queue lanes[LANES];
    uint64_t served[LANES];   /* number of the lane's last start */
    uint64_t lined_up[LANES]; /* when it last got something ready */
    struct model_task tasks[TASKS];
    uint64_t clock_of_orders;
    int64_t now;
    int64_t backlog_since; /* -1: none */
    int64_t overload_until;
};

static struct model m;

static unsigned count(unsigned lane, enum task_state state)
{
    unsigned n = 0;

    for (int i = 0; i < TASKS; i++)
        n += m.tasks[i].lane == lane && m.tasks[i].state == state;
    return n;
}

static unsigned count_ready(void)
{
    unsigned n = 0;

    for (unsigned lane = 0; lane < LANES; lane++)
        n += count(lane, TASK_READY);
    return n;
}

static bool at_cap(unsigned lane)
{
    unsigned cap = m.lanes[lane].concurrency;

    return cap && count(lane, TASK_READY) + count(lane, TASK_RUNNING) >= cap;
}

static void make_ready(struct model_task *t)
{
    if (!count(t->lane, TASK_READY))
        m.lined_up[t->lane] = ++m.clock_of_orders;
    if (!count_ready())
        m.backlog_since = m.now;
    t->state = TASK_READY;
    t->order = ++m.clock_of_orders;
    t->ready_at = m.now;
}

/* Those of a lane in this state, the one that is first in order; any lane: LANES. */
static struct model_task *first(unsigned lane, enum task_state state)
{
    struct model_task *best = NULL;

    for (int i = 0; i < TASKS; i++) {
        struct model_task *t = &m.tasks[i];

        if ((lane == LANES || t->lane == lane) && t->state == state &&
            (!best || t->order < best->order))
            best = t;
    }
    return best;
}

static struct model_task *last_ready(void)
{
    struct model_task *best = NULL;

    for (int i = 0; i < TASKS; i++)
        if (m.tasks[i].state == TASK_READY && (!best || m.tasks[i].order > best->order))
            best = &m.tasks[i];
    return best;
}

static void promote(unsigned lane)
{
    while (count(lane, TASK_PARKED) && !at_cap(lane))
        make_ready(first(lane, TASK_PARKED));
}

static void note_empty(void)
{
    if (!count_ready())
        m.backlog_since = -1;
}

static bool overloaded(void)
{
    if (m.queue.settings.discipline != POOL_CODEL_LIFO)
        return false;
    if (m.backlog_since >= 0 && m.now - m.backlog_since >= WINDOW)
        m.overload_until = m.now + WINDOW;
    return m.now < m.overload_until;
}

static struct model_task *model_late(void)
{
    struct model_task *t = first(LANES, TASK_READY);

    if (!t || !overloaded() || m.now - t->ready_at <= TARGET)
        return NULL;
    m.overload_until = m.now + WINDOW;
    return t;
}

static bool turn_is_before(unsigned a, unsigned b)
{
    return m.served[a] != m.served[b] ? m.served[a] < m.served[b] : m.lined_up[a] < m.lined_up[b];
}

static struct model_task *model_next(void)
{
    unsigned best = LANES;

    if (m.queue.settings.discipline == POOL_FIFO)
        return first(LANES, TASK_READY);
    if (m.queue.settings.discipline == POOL_CODEL_LIFO)
        return overloaded() ? last_ready() : first(LANES, TASK_READY);
    for (unsigned lane = 0; lane < LANES; lane++)
        if (count(lane, TASK_READY) && (best == LANES || turn_is_before(lane, best)))
            best = lane;
    return best == LANES ? NULL : first(best, TASK_READY);
}

/* ---- the same to both ------------------------------------------------------------------------ */

static void check_counts(void)
{
    unsigned parked = 0;

    for (unsigned lane = 0; lane < LANES; lane++) {
        ck_assert_uint_eq(m.lanes[lane].n_ready, count(lane, TASK_READY));
        ck_assert_uint_eq(m.lanes[lane].n_parked, count(lane, TASK_PARKED));
        ck_assert_uint_eq(m.lanes[lane].running, count(lane, TASK_RUNNING));
        parked += count(lane, TASK_PARKED);
        /* What waits for a cap could not run. */
        ck_assert(!count(lane, TASK_PARKED) || at_cap(lane));
    }
    ck_assert_uint_eq(m.queue.n_parked, parked);
    ck_assert_uint_eq(m.queue.ready.count, count_ready());
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(m.tasks[i].task.state, m.tasks[i].state);
}

static struct task *task_of(struct model_task *t)
{
    return t ? &t->task : NULL;
}

static void add(struct model_task *t, unsigned lane)
{
    t->lane = lane;
    if (at_cap(lane)) {
        t->state = TASK_PARKED;
        t->order = ++m.clock_of_orders;
    } else {
        make_ready(t);
    }
    pool_queue_add(&m.queue, &m.lanes[lane], &t->task, m.now);
}

static void promote_both(unsigned lane)
{
    unsigned before = count(lane, TASK_READY);

    promote(lane);
    ck_assert_int_eq(pool_queue_promote(&m.queue, &m.lanes[lane], m.now),
                     count(lane, TASK_READY) > before);
}

static void take_out(struct model_task *t)
{
    t->state = TASK_IDLE;
    note_empty();
    pool_queue_remove(&m.queue, &m.lanes[t->lane], &t->task);
    promote_both(t->lane);
}

static void start_next(void)
{
    struct model_task *t;

    while ((t = model_late())) {
        ck_assert_ptr_eq(pool_queue_late(&m.queue, m.now), &t->task);
        take_out(t);
    }
    ck_assert_ptr_null(pool_queue_late(&m.queue, m.now));
    t = model_next();
    ck_assert_ptr_eq(pool_queue_next(&m.queue, m.now), task_of(t));
    if (!t)
        return;
    t->state = TASK_RUNNING;
    note_empty();
    m.served[t->lane] = ++m.clock_of_orders;
    pool_queue_start(&m.queue, &m.lanes[t->lane], &t->task);
}

static void finish(struct model_task *t)
{
    t->state = t->task.state = TASK_IDLE;
    m.lanes[t->lane].running--;
    promote_both(t->lane);
}

static void begin(enum pool_discipline discipline)
{
    m = (struct model){.now = 1000, .backlog_since = -1};
    pool_queue_init(&m.queue);
    m.queue.settings = (struct pool_queue_settings){discipline, TARGET, WINDOW};
    for (unsigned lane = 0; lane < LANES; lane++)
        lane_queue_init(&m.lanes[lane]);
}

static void step(struct support_random *random)
{
    struct model_task *t = &m.tasks[support_random_below(random, TASKS)];
    unsigned lane = support_random_below(random, LANES);

    m.now += support_random_below(random, 12);
    switch (support_random_below(random, 8)) {
    case 0:
    case 1:
    case 2:
        if (t->state == TASK_IDLE)
            add(t, lane);
        break;
    case 3:
    case 4:
        start_next();
        break;
    case 5:
        if (t->state == TASK_RUNNING)
            finish(t);
        break;
    case 6:
        if (t->state == TASK_READY || t->state == TASK_PARKED)
            take_out(t);
        break;
    default:
        m.lanes[lane].concurrency = support_random_below(random, 4);
        promote_both(lane);
        break;
    }
    check_counts();
}

static void compare(enum pool_discipline discipline, const char *name)
{
    struct support_random random = support_random_new(name);

    begin(discipline);
    for (int i = 0; i < STEPS; i++)
        step(&random);
}

START_TEST(fifo_is_as_the_model)
{
    compare(POOL_FIFO, "fifo");
}
END_TEST

START_TEST(fair_is_as_the_model)
{
    compare(POOL_FAIR, "fair");
}
END_TEST

START_TEST(codel_lifo_is_as_the_model)
{
    compare(POOL_CODEL_LIFO, "codel-lifo");
}
END_TEST

START_TEST(the_discipline_may_change_at_any_time)
{
    struct support_random random = support_random_new("changing");

    begin(POOL_FIFO);
    for (int i = 0; i < STEPS; i++) {
        if (!support_random_below(&random, 20))
            m.queue.settings.discipline = (enum pool_discipline)support_random_below(&random, 3);
        step(&random);
    }
}
END_TEST

/* ---- the promises, one by one ---------------------------------------------------------------- */

START_TEST(a_flood_delays_another_lane_by_one_turn)
{
    begin(POOL_FAIR);
    for (int i = 0; i < 20; i++)
        add(&m.tasks[i], 0);
    start_next();
    add(&m.tasks[20], 1);
    start_next();
    ck_assert_int_eq(m.tasks[20].state, TASK_RUNNING);
    /* A second lane that comes in does not fall behind the flood either. */
    add(&m.tasks[21], 2);
    add(&m.tasks[22], 1);
    start_next();
    ck_assert_int_eq(m.tasks[21].state, TASK_RUNNING);
}
END_TEST

START_TEST(what_cannot_run_is_in_nobodys_way)
{
    begin(POOL_FIFO);
    m.lanes[0].concurrency = 1;
    for (int i = 0; i < 20; i++)
        add(&m.tasks[i], 0);
    add(&m.tasks[20], 1);
    start_next();
    start_next();
    ck_assert_int_eq(m.tasks[0].state, TASK_RUNNING);
    ck_assert_int_eq(m.tasks[20].state, TASK_RUNNING);
    ck_assert_ptr_null(pool_queue_next(&m.queue, m.now));
}
END_TEST

START_TEST(an_overload_begins_after_a_window_and_ends_after_one)
{
    begin(POOL_CODEL_LIFO);
    add(&m.tasks[0], 0);
    m.now += WINDOW - 1;
    add(&m.tasks[1], 0);
    ck_assert_ptr_null(pool_queue_late(&m.queue, m.now));
    ck_assert_ptr_eq(pool_queue_next(&m.queue, m.now), &m.tasks[0].task);
    m.now += 1;
    ck_assert_ptr_eq(pool_queue_late(&m.queue, m.now), &m.tasks[0].task);
    ck_assert_ptr_eq(pool_queue_next(&m.queue, m.now), &m.tasks[1].task);
    take_out(&m.tasks[0]);
    ck_assert_ptr_null(pool_queue_late(&m.queue, m.now));
    /* Emptied, but not recovered. */
    take_out(&m.tasks[1]);
    add(&m.tasks[2], 0);
    add(&m.tasks[3], 0);
    ck_assert_ptr_eq(pool_queue_next(&m.queue, m.now), &m.tasks[3].task);
    take_out(&m.tasks[2]);
    take_out(&m.tasks[3]);
    m.now += WINDOW;
    add(&m.tasks[4], 0);
    add(&m.tasks[5], 0);
    ck_assert_ptr_eq(pool_queue_next(&m.queue, m.now), &m.tasks[4].task);
}
END_TEST

START_TEST(the_deadline_is_when_a_task_is_late)
{
    begin(POOL_CODEL_LIFO);
    add(&m.tasks[0], 0);
    ck_assert_int_eq(pool_queue_deadline(&m.queue, &m.tasks[0].task, m.now), m.now + WINDOW);
    m.now += WINDOW;
    add(&m.tasks[1], 0);
    ck_assert_int_lt(pool_queue_deadline(&m.queue, &m.tasks[0].task, m.now), m.now);
    ck_assert_int_eq(pool_queue_deadline(&m.queue, &m.tasks[1].task, m.now), m.now + TARGET + 1);
    m.lanes[1].concurrency = 1;
    add(&m.tasks[2], 1);
    add(&m.tasks[3], 1);
    ck_assert_int_eq(pool_queue_deadline(&m.queue, &m.tasks[3].task, m.now), m.now + WINDOW);
    m.queue.settings.discipline = POOL_FIFO;
    ck_assert_int_eq(pool_queue_deadline(&m.queue, &m.tasks[0].task, m.now), INT64_MAX);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        fifo_is_as_the_model,
        fair_is_as_the_model,
        codel_lifo_is_as_the_model,
        the_discipline_may_change_at_any_time,
        a_flood_delays_another_lane_by_one_turn,
        what_cannot_run_is_in_nobodys_way,
        an_overload_begins_after_a_window_and_ends_after_one,
        the_deadline_is_when_a_task_is_late,
    };

    return support_run("pool_queue", tests, COUNT_OF(tests));
}
