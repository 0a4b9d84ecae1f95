/* The hand-over of a pool: submitting, waking, idling, resizing, leaving, stopping.
 *
 * README.md says which function of src/ each part stands for and what is left out; `run` says with which
 * bounds it is searched.  Every critical section is one atomic step: what it touches is touched under
 * the pool's lock alone.  What the C code does without the lock, each access to `wake`, each futex call
 * and each post, is a step of its own, and any other process may come between two of them. */

/* ---- bounds; `run` sets them ----------------------------------------------------------------- */

#ifndef TASKS
#define TASKS 3
#endif
#ifndef LOOPS
#define LOOPS 1 /* submitters; task t belongs to loop t % LOOPS */
#endif
#ifndef SLOTS
#define SLOTS 3 /* threads that can be made in one run */
#endif
#ifndef THREADS
#define THREADS 2
#endif
#ifndef DEPTH
#define DEPTH TASKS
#endif
#ifndef CAPPED
#define CAPPED 0 /* so many of the tasks are of a lane with a cap */
#endif
#ifndef CAP
#define CAP 1
#endif
#ifndef SPAWN
#define SPAWN EAGER
#endif
#ifndef IDLING
#define IDLING FOR_EVER
#endif
#ifndef AFTER_START
#define AFTER_START 0 /* the first task comes when all threads of an eager pool are there */
#endif
#ifndef CHANGES
#define CHANGES skip /* what main does while tasks run: calls of configure and configure_lane */
#endif
#ifndef STOP_EARLY
#define STOP_EARLY 0 /* stop as soon as all is submitted: a pool that a reload removes */
#endif
#ifndef REFUSE
#define REFUSE 0 /* main sends home what waits before it stops: the end of drain_timeout */
#endif
#ifndef WITHDRAW
#define WITHDRAW 0 /* loops may withdraw what waits: client gone, or its time is over */
#endif
#ifndef LATE
#define LATE 0 /* workers may find tasks late: codel-lifo */
#endif
#ifndef NO_THREADS
#define NO_THREADS 0 /* so often pthread_create may fail */
#endif
#ifndef NEEDS_OTHER
#define NEEDS_OTHER 0 /* the last task but one ends only once the last one has begun, on another thread */
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

#define EAGER 0
#define ON_DEMAND 1

#define FOR_EVER 0
#define LIMITED 1
#define NOT_AT_ALL 2 /* POOL_NO_IDLING */

#define NOBODY 255

/* ---- state ----------------------------------------------------------------------------------- */

mtype = {
    NEW, PARKED, READY, RUNNING,
    OUT,  /* run or turned out, in the hands of whoever will post it */
    MAIL, /* posted */
    BACK, /* its submitter's again */
    UNMADE, ALIVE, ENDED, GONE, FREED
};

bool locked;

/* struct pool */
byte threads, n_ready, n_parked, n_running, n_idle, n_waking, n_starting, n_active, n_workers;
bit spawn;
byte idling;
bool stopping;
byte idle[SLOTS]; /* the last one that went idle is on top */
bool joiner_waits; /* in pthread_cond_wait(&all_ended) */

/* the lane with a cap */
byte cap, lane_ready, lane_running;

/* struct task */
mtype state[TASKS];

/* struct worker */
mtype life[SLOTS];
bool called[SLOTS], leave[SLOTS], wake[SLOTS];
bool asleep[SLOTS]; /* in futex_wait */
byte n_made;

/* What no C code knows: for the properties. */
bool has_run[TASKS], has_ended[TASKS];
byte n_passing_on; /* workers that have left and will look whether somebody is to be woken */
byte n_submitting = LOOPS; /* loops that have not submitted everything */
byte n_waiting = LOOPS;    /* loops that have not got everything back */
byte n_mail[LOOPS];
bool all_called; /* of those that idle, since the settings of idling have changed */
byte most_threads;
byte failures_left = NO_THREADS;

#define queued (n_ready + n_parked)
#define of_lane(t) ((t) < CAPPED)
#define max(a, b) ((a) > (b) -> (a) : (b))

/* ---- the lock -------------------------------------------------------------------------------- */

inline lock()
{
    !locked -> locked = true
}

/* What is promised whenever nobody is at work on it. */
inline unlock()
{
    assert(!(n_ready > 0 && n_idle > 0) || n_waking > 0 || n_passing_on > 0);
    assert(n_waking <= 1 || all_called);
    assert(n_active <= most_threads);
    assert(n_idle + n_waking <= n_active);
    locked = false
}

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Any task in that state; there is one.  Stands for every discipline. */
inline pick(t, which)
{
    if
    :: state[0] == which -> t = 0
#if TASKS > 1
    :: state[1] == which -> t = 1
#endif
#if TASKS > 2
    :: state[2] == which -> t = 2
#endif
#if TASKS > 3
    :: state[3] == which -> t = 3
#endif
    fi
}

inline end_task(t)
{
    assert(!has_ended[t]);
    has_ended[t] = true
}

inline post(t)
{
    assert(state[t] == OUT);
    end_task(t);
    state[t] = MAIL;
    n_mail[t % LOOPS]++
}

inline add_ready(t)
{
    state[t] = READY;
    n_ready++;
    lane_ready = (of_lane(t) -> lane_ready + 1 : lane_ready)
}

inline promote()
{
    do
    :: n_parked > 0 && lane_ready + lane_running < cap && MUTANT != 9 ->
        pick(moved, PARKED);
        n_parked--;
        add_ready(moved)
    :: else -> break
    od;
    moved = 0
}

/* drop of pool.c */
inline turn_out(t)
{
    if
    :: state[t] == PARKED -> n_parked--
    :: state[t] == READY ->
        n_ready--;
        lane_ready = (of_lane(t) -> lane_ready - 1 : lane_ready)
    fi;
    state[t] = OUT;
    promote()
}

/* ---- waking ---------------------------------------------------------------------------------- */

inline pop_idle(w)
{
    n_idle--;
    w = idle[n_idle];
    idle[n_idle] = 0;
    called[w] = true
}

/* worker_choose */
inline choose(w)
{
    w = NOBODY;
    if
    :: n_ready > 0 && (n_waking == 0 || MUTANT == 14) && n_idle > 0 ->
        pop_idle(w);
        n_waking++
    :: else
    fi
}

/* worker_wake.  That the worker may be freed before the second step is harmless: futex(2) looks at no
 * word when it wakes. */
inline wake_up(w)
{
    if
    :: w != NOBODY ->
        assert(life[w] == ALIVE);
        wake[w] = true;
        if
        :: MUTANT != 6 -> asleep[w] = false
        :: else
        fi;
        w = NOBODY
    :: else
    fi
}

/* worker_call_idle: the called ones are a set, `calls`. */
inline call_idle(count, leaving)
{
    i = 0;
    do
    :: i < count && n_idle > 0 ->
        pop_idle(x);
        leave[x] = leaving;
        if
        :: leaving -> n_active--
        :: else -> n_waking++
        fi;
        calls = calls | (1 << x);
        i++
    :: else -> break
    od;
    x = NOBODY;
    i = 0
}

/* worker_wake_all */
inline wake_called()
{
    do
    :: calls != 0 ->
        atomic {
            x = 0;
            do
            :: (calls & (1 << x)) == 0 -> x++
            :: else -> break
            od;
            calls = calls & ~(1 << x)
        };
        wake_up(x)
    :: else -> break
    od
}

/* ---- threads --------------------------------------------------------------------------------- */

/* worker_add, with the lock, is three steps, as it lets go of the lock in the middle: begin_worker and
 * unlock; make_worker; lock and settle_worker. */
inline begin_worker()
{
    assert(n_made < SLOTS);
    x = n_made;
    n_made++;
    n_active++;
    n_starting++;
    n_workers++;
    life[x] = ALIVE
}

inline make_worker()
{
    if
    :: run worker(x)
    :: atomic { failures_left > 0 -> failures_left--; failed = true }
    fi
}

inline settle_worker()
{
    if
    :: failed ->
        n_workers--;
        n_active--;
        n_starting--;
        life[x] = FREED
    :: else
    fi;
    x = NOBODY
}

#define is_wanted (n_active < threads && n_ready > n_idle + n_waking + n_starting)

inline turn_out_stranded()
{
    do
    :: n_active == 0 && n_ready > 0 && MUTANT != 11 ->
        pick(t, READY);
        turn_out(t);
        outs = outs | (1 << t)
    :: else -> break
    od;
    t = 0
}

/* worker_add_wanted */
inline add_wanted()
{
    atomic {
        lock();
        failed = false;
        if
        :: is_wanted && MUTANT != 13 -> begin_worker()
        :: else
        fi;
        unlock()
    };
    do
    :: x != NOBODY ->
        make_worker();
        atomic {
            lock();
            settle_worker();
            if
            :: failed -> turn_out_stranded(); failed = false
            :: !failed && is_wanted -> begin_worker()
            :: else
            fi;
            unlock()
        }
    :: else -> break
    od;
    post_outs()
}

/* pool_post_all: in one step, as no step of the pool can tell */
inline post_outs()
{
    if
    :: outs != 0 ->
        atomic {
            do
            :: t < TASKS ->
                if
                :: outs & (1 << t) -> post(t)
                :: else
                fi;
                t++
            :: else -> break
            od;
            t = 0;
            outs = 0
        }
    :: else
    fi
}

/* Without the lock.  `expired`: nobody has called by then. */
inline wait_for_call(w, limited)
{
    expired = false;
    do
    :: wake[w] -> break
    :: !wake[w] && limited -> expired = true; break
    :: !wake[w] ->
        atomic {
            if
            :: !wake[w] || MUTANT == 7 -> asleep[w] = true
            :: else
            fi
        };
        if
        :: !asleep[w]
        :: atomic { limited && asleep[w] -> asleep[w] = false };
            expired = !wake[w];
            break
        fi
    od
}

proctype worker(byte w)
{
    byte task, finished, next, outs, calls, t, i, x, moved;
    bool expired, limited;

    atomic {
        lock();
        finished = NOBODY;
        next = NOBODY;
        x = NOBODY;
        n_starting--;
        goto again
    };

again: /* with the lock: work of pool_worker.c */
    atomic {
        if
        :: leave[w] -> goto leaves
        :: !leave[w] && (n_active > threads || (stopping && queued == 0)) ->
            n_active--;
            goto leaves
        :: else
        fi;
        /* take */
        do
        :: LATE && n_ready > 0 ->
            pick(t, READY);
            turn_out(t);
            outs = outs | (1 << t)
        :: break
        od;
        t = 0;
        if
        :: n_ready > 0 -> goto takes
        :: n_ready == 0 && outs != 0 -> unlock(); goto sends_home
        :: else
        fi;
        if
        :: spawn == ON_DEMAND && idling == NOT_AT_ALL -> n_active--; goto leaves
        :: else
        fi;
        /* go_idle */
        limited = (spawn == ON_DEMAND && idling == LIMITED);
        wake[w] = false;
        called[w] = false;
        idle[n_idle] = w;
        n_idle++;
        unlock()
    };
    atomic {
        if
        :: finished != NOBODY -> post(finished); finished = NOBODY
        :: else
        fi
    };
    wait_for_call(w, limited);
    atomic {
        lock();
        expired = false;
        limited = false;
        if
        :: called[w] && wake[w] ->
            n_waking = (leave[w] || MUTANT == 4 -> n_waking : n_waking - 1);
            goto again
        :: called[w] && !wake[w] -> skip /* take_call waits for the rest of the call */
        :: else ->
            i = 0;
            do
            :: idle[i] != w -> i++
            :: else -> break
            od;
            n_idle--;
            do
            :: i < n_idle -> idle[i] = idle[i + 1]; i++
            :: else -> break
            od;
            idle[i] = 0;
            i = 0;
            leave[w] = (n_ready == 0 || MUTANT == 2) && spawn == ON_DEMAND && idling == LIMITED;
            n_active = (leave[w] -> n_active - 1 : n_active);
            goto again
        fi;
        if
        :: MUTANT == 3 -> n_waking = (leave[w] -> n_waking : n_waking - 1); goto again
        :: else -> unlock()
        fi
    };
    wait_for_call(w, false);
    atomic {
        lock();
        n_waking = (leave[w] -> n_waking : n_waking - 1);
        goto again
    };

sends_home:
    post_outs();
    atomic { lock(); goto again };

takes: /* with the lock: the end of take, and run_task */
    atomic {
        pick(task, READY);
        n_ready--;
        n_running++;
        state[task] = RUNNING;
        if
        :: of_lane(task) -> lane_ready--; lane_running++
        :: else
        fi;
        if
        :: MUTANT != 1 -> choose(next)
        :: else
        fi;
        unlock()
    };
    atomic {
        if
        :: finished != NOBODY -> post(finished); finished = NOBODY
        :: else
        fi
    };
    post_outs();
    wake_up(next);
    atomic {
        assert(!has_run[task]);
        has_run[task] = true
    };
    !NEEDS_OTHER || task != TASKS - 2 || has_run[TASKS - 1] || has_ended[TASKS - 1];
    atomic {
        lock();
        /* settle */
        assert(state[task] == RUNNING);
        state[task] = OUT;
        n_running--;
        lane_running = (of_lane(task) -> lane_running - 1 : lane_running);
        promote();
        finished = task;
        task = 0;
        goto again
    };

leaves: /* with the lock: the end of worker_main */
    atomic {
        n_passing_on++;
        unlock()
    };
    atomic {
        if
        :: finished != NOBODY -> post(finished); finished = NOBODY
        :: else
        fi
    };
    atomic {
        lock();
        n_passing_on--;
        if
        :: MUTANT != 5 -> choose(next)
        :: else
        fi;
        if
        :: stopping && queued == 0 && MUTANT != 8 -> call_idle(n_idle, true)
        :: else
        fi;
        n_workers--;
        life[w] = ENDED;
        joiner_waits = (n_workers == 0 && MUTANT != 10 -> false : joiner_waits);
        unlock()
    };
    wake_up(next);
    wake_called();
    life[w] = GONE
}

/* ---- submitters ------------------------------------------------------------------------------ */

#define mine(t) ((t) < TASKS && (t) % LOOPS == me)

inline submit_one(t)
{
    if
    :: of_lane(t) && lane_ready + lane_running >= cap ->
        state[t] = PARKED;
        n_parked++
    :: else ->
        if
        :: n_ready >= DEPTH + (threads > n_running -> threads - n_running : 0) ->
            end_task(t);
            state[t] = BACK
        :: else -> add_ready(t)
        fi
    fi;
    n_out = (state[t] == BACK -> n_out : n_out + 1)
}

/* A loop submits its tasks in batches of any size, in order, and waits until it has all of them back. */
proctype loop(byte me)
{
    byte first, n_out, next, outs, t, x, moved, withdrawn;
    bool more, failed;

    atomic { first = me; next = NOBODY; x = NOBODY };
    do
    :: first < TASKS ->
        /* pool_submit */
        atomic {
            lock();
            assert(!stopping);
            do
            :: submit_one(first);
                first = first + LOOPS;
                if
                :: first < TASKS
                :: break
                fi
            od;
            n_submitting = (first < TASKS -> n_submitting : n_submitting - 1);
            choose(next);
            more = is_wanted;
            unlock()
        };
        wake_up(next);
        if
        :: more -> more = false; add_wanted()
        :: else
        fi
    :: n_mail[me] > 0 ->
        /* mailbox_deliver */
        atomic {
            t = me;
            do
            :: t < TASKS ->
                if
                :: state[t] == MAIL -> state[t] = BACK; n_out--
                :: else
                fi;
                t = t + LOOPS
            :: else -> break
            od;
            t = 0;
            n_mail[me] = 0
        }
#if WITHDRAW
    :: n_out > 0 ->
        /* pool_withdraw, or pool_look when the time is over; each task once */
        atomic {
            lock();
            t = me;
            do
            :: t + LOOPS < first -> t = t + LOOPS
            :: break
            od;
            if
            :: (withdrawn & (1 << t)) == 0 &&
                (state[t] == READY || state[t] == PARKED || (state[t] == RUNNING && MUTANT == 12)) ->
                if
                :: state[t] == RUNNING
                :: else -> turn_out(t)
                fi;
                end_task(t);
                state[t] = BACK;
                n_out--
            :: else
            fi;
            withdrawn = withdrawn | (1 << t);
            t = 0;
            unlock()
        }
#endif
    :: first >= TASKS && n_out == 0 -> break
    od;
    n_waiting--
}

/* ---- the thread that configures and stops ---------------------------------------------------- */

/* The rest of pool_configure's critical section, once there are threads enough. */
inline call_for_change()
{
    calls = 0;
    if
    :: n_active > threads -> call_idle(n_active - threads, true)
    :: else
    fi;
    if
    :: differs -> all_called = true; call_idle(n_idle, false)
    :: else
    fi;
    differs = false;
    failed = false
}

/* pool_configure */
inline configure(new_threads, new_spawn, new_idling)
{
    atomic {
        lock();
        differs = (spawn != new_spawn || idling != new_idling);
        threads = new_threads;
        spawn = new_spawn;
        idling = new_idling;
        most_threads = max(most_threads, new_threads);
        if
        :: spawn == EAGER && n_active < threads -> begin_worker()
        :: else -> call_for_change()
        fi;
        unlock()
    };
    do
    :: x != NOBODY ->
        make_worker();
        atomic {
            lock();
            settle_worker();
            if
            :: !failed && spawn == EAGER && n_active < threads -> begin_worker()
            :: else -> call_for_change()
            fi;
            unlock()
        }
    :: else -> break
    od;
    wake_called();
    add_wanted()
}

/* lane_configure */
inline configure_lane(new_cap)
{
    atomic {
        lock();
        cap = new_cap;
        promote();
        choose(next);
        more = is_wanted;
        unlock()
    };
    wake_up(next);
    if
    :: more -> more = false; add_wanted()
    :: else
    fi
}

/* pool_refuse_queued */
inline refuse_queued()
{
    atomic {
        lock();
        do
        :: n_parked > 0 -> pick(t, PARKED); turn_out(t); outs = outs | (1 << t)
        :: n_parked == 0 && n_ready > 0 -> pick(t, READY); turn_out(t); outs = outs | (1 << t)
        :: else -> break
        od;
        t = 0;
        unlock()
    };
    post_outs()
}

/* pool_stop */
inline stop()
{
    atomic {
        lock();
        stopping = true;
        if
        :: queued == 0 -> call_idle(n_idle, true)
        :: else
        fi;
        unlock()
    };
    wake_called()
}

/* pool_join */
inline join()
{
    do
    :: atomic {
            lock();
            i = 0;
            do
            :: i < n_made && life[i] != ENDED && life[i] != GONE -> i++
            :: else -> break
            od;
            joiner_waits = (i == n_made && n_workers > 0);
            more = (i < n_made || n_workers > 0);
            unlock()
        };
        if
        :: !more -> break
        :: more && i < n_made -> atomic { life[i] == GONE -> life[i] = FREED }
        :: more && i == n_made -> !joiner_waits
        fi
    od
}

init
{
    byte next, outs, calls, t, i, x, moved;
    bool failed, more, differs;

    atomic { next = NOBODY; x = NOBODY; cap = CAP };
    configure(THREADS, SPAWN, IDLING);
    !AFTER_START || n_idle == threads;
    atomic {
        do
        :: i < LOOPS -> run loop(i); i++
        :: else -> break
        od;
        i = 0
    };
    CHANGES;
    n_submitting == 0 && (STOP_EARLY || n_waiting == 0 || REFUSE);
#if REFUSE
    refuse_queued();
#endif
    stop();
    join();
    n_waiting == 0;
    assert(queued == 0 && n_running == 0 && n_idle == 0 && n_waking == 0 && n_active == 0)
}
