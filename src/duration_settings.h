/* duration_settings.h - the one option that delay, sleep and spin share. */
#ifndef HANDOFFD_DURATION_SETTINGS_H
#define HANDOFFD_DURATION_SETTINGS_H

#include "clock.h"
#include "params.h"

struct duration_settings {
    struct number_text duration; /* ns */
};

#define DURATION_OPTION(sentence)                                                           \
    {                                                                                       \
        "duration", OPTION_DURATION, offsetof(struct duration_settings, duration), NULL, 0, \
            3600 * NS_PER_SEC, NULL, OPTION_REQUIRED | OPTION_TEMPLATE, "seconds", sentence \
    }

/* The actions' `create`. */
int duration_settings_create(void *settings, const struct conf_check *check);

/* What the option or the request says. */
static inline int64_t duration_settings_get(const struct duration_settings *settings,
                                            const struct request *request)
{
    return params_duration(request, &settings->duration);
}

#endif
