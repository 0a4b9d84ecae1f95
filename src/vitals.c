#include "vitals.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>

void vitals_init(struct vitals *vitals)
{
    memset(vitals, 0, sizeof *vitals);
    vitals->started_ns = clock_now_ns();
    vitals->started_at = time(NULL);
    pthread_mutex_init(&vitals->lock, NULL);
}

void vitals_destroy(struct vitals *vitals)
{
    meters_destroy(&vitals->meters);
    pthread_mutex_destroy(&vitals->lock);
}

void vitals_note_reload(struct vitals *vitals, bool ok, const char *text)
{
    pthread_mutex_lock(&vitals->lock);
    if (ok)
        vitals->reloads_ok++;
    else
        vitals->reloads_failed++;
    vitals->last_reload_ok = ok;
    vitals->last_reload_at = time(NULL);
    snprintf(vitals->last_reload_text, sizeof vitals->last_reload_text, "%s", text);
    pthread_mutex_unlock(&vitals->lock);
}
