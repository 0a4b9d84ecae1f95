/* How a worker waits for what others do and is told: src/task.c.
 *
 * The worker waits until the loop has made `ready` true or the task is cancelled, on the futex, or with
 * an eventfd in poll(2), as in POLLING. */

#ifndef POLLING
#define POLLING 0
#endif
#ifndef NUDGES
#define NUDGES 2 /* the last one makes `ready` true */
#endif
#ifndef MUTANT
#define MUTANT 0
#endif

bool cancelled; /* signals: a bit and a count */
byte nudges;
bool asleep;
byte poll_fd, n_poking;
bool is_open, readable; /* the eventfd */
bool ready;             /* what the worker waits for */

#define FD 1

inline poke()
{
    asleep = false; /* futex_wake */
    if
    :: MUTANT == 4 -> fd = poll_fd; n_poking++
    :: else -> n_poking++; fd = poll_fd
    fi;
    if
    :: fd == FD ->
        atomic {
            assert(is_open);
            readable = true
        }
    :: else
    fi;
    n_poking--;
    fd = 0
}

proctype canceller()
{
    byte fd;

    cancelled = true;
    poke()
}

proctype nudger()
{
    byte fd, i;

    do
    :: i < NUDGES ->
        if
        :: i == NUDGES - 1 -> ready = true
        :: else
        fi;
        if
        :: MUTANT != 5 -> nudges++
        :: else
        fi;
        poke();
        i++
    :: else -> break
    od
}

proctype worker()
{
    bool seen_cancelled;
    byte seen_nudges;

#if POLLING
    /* task_open_poll_fd */
    is_open = true;
    poll_fd = FD;
    if
    :: cancelled && MUTANT != 2 -> readable = true
    :: else
    fi;
    /* As exec_pump: a look at what there is, then poll(2) alone tells. */
    do
    :: ready -> break
    :: !ready ->
        atomic { readable -> readable = false };
        if
        :: cancelled -> break
        :: !cancelled
        fi
    od;
    /* task_close_poll_fd */
    poll_fd = 0;
    MUTANT == 3 || n_poking == 0;
    is_open = false
#else
    do
    :: atomic { seen_cancelled = cancelled; seen_nudges = nudges }; /* task_signals */
        if
        :: ready || seen_cancelled -> break
        :: else
        fi;
        /* task_wait */
        atomic {
            if
            :: (cancelled == seen_cancelled && nudges == seen_nudges) || MUTANT == 1 -> asleep = true
            :: else
            fi
        };
        !asleep
    od
#endif
}

init
{
    atomic {
        run worker();
        if
        :: run nudger()
        :: run canceller()
        :: run nudger(); run canceller()
        fi
    }
}
